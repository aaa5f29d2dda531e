"""Commands about mirrors: to have one, for now or for good, and to let it go.

Invariants: a mirror is there when the command that asked for it returns; one that failed leaves everything as it was.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.delivery import PLAIN, check_enough
from daosup.core.layout import Geometry
from daosup.core.mirror import CONFIGURED, OPERATOR, Mirror
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.errors import (
    DeniedError,
    NoAnswerError,
    NotFoundError,
    SegmentError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from daosup.shm.memory import examine, open_file
from daosup.supervisor.mirror_wishes import Wishes
from daosup.supervisor.requests import (
    MAX_WAIT_S,
    holder_of,
    number_of,
    rates_of,
    source_of,
    sources_of,
    writing_of,
)
from daosup.supervisor.unknown_names import likely_source, no_such_segment, not_mirrored
from daosup.supervisor.workers_seen import WritingBack

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]
#: Until a worker that is released has ended, unless something else is asked for.
RELEASE_S = 10.0


class MirrorCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._held_by: dict[str, set[str]] = {}
        self.by_name = {"hold": self._hold, "mirror": self._mirror, "keep": self._keep, "release": self._release}

    def closed(self, connection: str) -> None:
        """A client went away."""
        for holder in self._held_by.pop(connection, ()):
            self._supervisor.post(e.HolderGone(holder))

    async def _hold(self, request: Request) -> bool:
        """What ``holder`` asks for, over any connection, ends with this connection; True if that is news.

        ``sources``: what it asked for before, of a supervisor that is gone; ``written_back``: to which it writes;
        ``rates``: of which it needs only so much.
        """
        holders = self._held_by.setdefault(request.connection, set())
        holder = holder_of(request)
        sources, written_back = sources_of(request, "sources"), sources_of(request, "written_back")
        rates = rates_of(request, sources)
        for source in sources:
            if source.host != self._supervisor.config.host:
                self._check_may_be(source)
                self._supervisor.post(e.MirrorAsked(source, holder, source in written_back, rates.get(source, 0.0)))
        is_news = holder not in holders
        holders.add(holder)
        return is_news

    async def _mirror(self, request: Request) -> Object:
        source = source_of(request)
        is_kept = bool(request.arguments.get("keep"))
        if source.host == self._supervisor.config.host:
            return self._local(source, Wishes.of(request), is_kept=is_kept)
        wait_s = number_of(request.arguments, "wait_s", 30.0, MAX_WAIT_S)
        enough_hz = check_enough("enough_hz", request.arguments.get("enough_hz", 0.0))
        holder, is_writing = holder_of(request), writing_of(request)
        async with self._asked(source, request):
            return await self.make(source, holder, wait_s, is_kept=is_kept, is_writing=is_writing, enough_hz=enough_hz)

    async def make(
        self,
        source: Source,
        holder: str,
        wait_s: float,
        *,
        is_kept: bool,
        is_writing: Optional[bool],
        enough_hz: float = 0.0,
    ) -> Object:
        """Have a mirror; ``is_writing`` None leaves it to what ``holder`` said before."""
        supervisor = self._supervisor
        self._check_may_be(source)
        obstacle = supervisor.state.mirrors.places.obstacle(source)
        if obstacle is not None:
            raise UnavailableError(f"{source} cannot be mirrored: {obstacle}")
        before = supervisor.state.mirrors.get(source, Mirror())
        was_held, was_writing = holder in before.holders, holder in before.writers
        was_enough_hz = before.enough.get(holder, 0.0)
        is_written_back = was_writing if is_writing is None else is_writing
        supervisor.post(e.MirrorAsked(source, holder, is_written_back, enough_hz))
        mirror = supervisor.state.mirrors[source]
        key = WorkerKey(WorkerKind.MIRROR, source)
        try:
            await self._until_running(mirror, key, wait_s, is_writing=bool(is_writing))
            if is_kept:
                await supervisor.lasting.change(
                    lambda desired: desired.keeping(source, is_written_back=is_written_back)
                )
        except BaseException:
            if not was_held:
                supervisor.post(e.MirrorReleased(source, holder))
            elif (was_writing, was_enough_hz) != (is_written_back, enough_hz):
                supervisor.post(e.MirrorAsked(source, holder, was_writing, was_enough_hz))
            raise
        path = supervisor.folder.path_of(supervisor.state.mirrors.name_of(source))
        made = _geometry(path)
        return {
            "name": supervisor.state.mirrors.name_of(source),
            "path": path,
            "shape": list(made.shape) if made else None,
            "dtype": made.dtype if made else None,
            "state": Phase.RUNNING.value,
        }

    @asynccontextmanager
    async def _asked(self, source: Source, request: Request) -> AsyncIterator[None]:
        """Have a mirror as it is wished for.

        It lasts until the mirror is released; all is as before if what is done then fails.
        """
        lasting, mirrors = self._supervisor.lasting, self._supervisor.state.mirrors
        wishes, before = Wishes.of(request), Wishes.before(lasting.desired, source)
        wanted = wishes.upon(before, source)
        if wanted != before and source in self._supervisor.state.facts.mirrors:
            raise DeniedError(
                f"{source} is in the configuration, {self._supervisor.config.file}; give it a {wishes.what} in its "
                "[[mirror]]"
            )
        configured, writers = mirrors.configured.get(source, PLAIN), mirrors.get(source, Mirror()).writers
        wishes.check_written_back(request, source, wanted.delivery or PLAIN, configured, writers)
        if wanted == before:
            yield
            return
        await lasting.change(lambda desired: wanted.noted(desired, source))
        try:
            yield
        except BaseException:
            await lasting.change(lambda desired: before.noted(desired, source))
            raise

    def _local(self, source: Source, wishes: Wishes, *, is_kept: bool) -> Object:
        """A segment of this host needs no mirror."""
        if wishes.name is not None:
            raise UsageError(f"{source} is a segment of this host itself, and only mirrors can be called otherwise")
        if wishes.delivery is not None:
            raise UsageError(f"{source} is a segment of this host itself, whose frames come from nowhere")
        if wishes.depth is not None:
            raise UsageError(f"{source} is a segment of this host itself, and keeps as many frames as it was made for")
        if is_kept:
            raise UsageError(f"{source} is a segment of this host itself, and only mirrors are kept")
        facts = self._supervisor.state.segments.get(source.name)
        if facts is None:
            raise no_such_segment(self._supervisor, source.name)
        path = self._supervisor.folder.path_of(source.name)
        return {"name": source.name, "path": path, "shape": list(facts.shape), "dtype": facts.dtype, "state": "local"}

    async def _keep(self, request: Request) -> Object:
        """Hold a mirror for good, whether or not its host is there now; with ``wait_s`` return when it runs."""
        source, supervisor = source_of(request), self._supervisor
        if source.host == supervisor.config.host:
            self._local(source, Wishes.of(request), is_kept=True)
        async with self._asked(source, request):
            self._check_may_be(source)
            is_writing = bool(writing_of(request))
            await supervisor.lasting.change(lambda desired: desired.keeping(source, is_written_back=is_writing))
        wait_s = number_of(request.arguments, "wait_s", 0.0, MAX_WAIT_S)
        if wait_s:
            await self._until_kept_runs(source, wait_s, is_writing=is_writing)
        is_running = supervisor.is_running(WorkerKey(WorkerKind.MIRROR, source))
        reason = None if is_running else supervisor.state.mirrors.reason_of(source)
        if reason and supervisor.state.standing.is_up:
            reason += await likely_source(supervisor, source)  # it would wait for a mistake for ever
        name = supervisor.state.mirrors.name_of(source)
        return {"name": name, "state": "running" if is_running else "waiting", "reason": reason}

    async def _until_kept_runs(self, source: Source, wait_s: float, *, is_writing: bool) -> None:
        """Wait also for a host that nobody knows yet."""
        supervisor, key = self._supervisor, WorkerKey(WorkerKind.MIRROR, source)

        def is_done() -> bool:
            return source not in supervisor.state.mirrors or self._does_its_work(key, is_writing=is_writing)

        try:
            await supervisor.until(is_done, wait_s)
        except NoAnswerError:
            why = self._why(source, supervisor.state.mirrors[source])
            raise NoAnswerError(f"{source} is kept, but does not run yet: {why} (waited {wait_s:g} s)") from None
        if source not in supervisor.state.mirrors:
            raise UnavailableError(f"{source} was released meanwhile")
        if is_writing:
            self._check_may_write(key)

    async def _release(self, request: Request) -> Object:
        """Give up a mirror; returns when its worker has ended, or after ``wait_s`` fails."""
        wait_s = number_of(request.arguments, "wait_s", RELEASE_S, MAX_WAIT_S)
        source, supervisor = source_of(request), self._supervisor
        mirrors = supervisor.state.mirrors
        desired = supervisor.lasting.desired
        if source not in mirrors and desired.as_configured(source) != desired:
            await supervisor.lasting.change(lambda desired: desired.as_configured(source))
            return {}
        if source not in mirrors:
            raise not_mirrored(supervisor, source)
        holder = holder_of(request)
        if holder == OPERATOR:
            if CONFIGURED in mirrors[source].holders:
                raise DeniedError(
                    f"{source} is in the configuration, {supervisor.config.file}; take its [[mirror]] out and run "
                    f"`daosupctl reload`, or run `daosupctl stop {source}`"
                )
            await supervisor.lasting.change(lambda desired: desired.without(source))
        supervisor.post(e.MirrorReleased(source, None if holder == OPERATOR else holder))
        key = WorkerKey(WorkerKind.MIRROR, source)
        await supervisor.until(lambda: source in mirrors or key not in supervisor.state.crew.workers, wait_s)
        await supervisor.desk.settle()
        return {}

    def _check_may_be(self, source: Source) -> None:
        state = self._supervisor.state
        if state.is_stopping:
            raise UnavailableError("this daosupd is stopping; ask again when it is back")
        if source in state.mirrors.stopped:
            raise UnavailableError(f"{source} is stopped on this host; `daosupctl start {source}` starts it")
        namesake = state.mirrors.namesake(source)
        if namesake is not None:
            raise UsageError(
                f"{source} and {namesake} would both be mirrored as {state.mirrors.name_of(source)}; release one first"
            )

    async def _until_running(self, mirror: Mirror, key: WorkerKey, wait_s: float, *, is_writing: bool) -> None:
        """Wait until a mirror runs and, if that ``is_writing``, may write."""
        supervisor, source = self._supervisor, key.source

        def is_held() -> bool:
            return supervisor.state.mirrors.get(source) is mirror and source not in supervisor.state.mirrors.stopped

        def is_done() -> bool:
            return self._does_its_work(key, is_writing=is_writing)

        def is_settled() -> bool:
            is_hopeless = mirror.is_unknown or mirror.is_unsupported or self._is_denied(key)
            return not is_held() or is_done() or is_hopeless

        try:
            await supervisor.until(is_settled, wait_s)
        except NoAnswerError:
            why = self._why(source, mirror)
            raise NoAnswerError(f"{source}: {why} (waited {wait_s:g} s)") from None
        if not is_held():
            raise UnavailableError(f"{source} was released or stopped meanwhile")
        if is_done():
            if is_writing:
                self._check_may_write(key)
            return
        if self._is_denied(key):
            raise UnsupportedError(f"{source}: {self._why(source, mirror)}")
        if mirror.is_unknown:
            near = await likely_source(supervisor, source)
            raise NotFoundError(f"{mirror.reason}{near or '; `daosupctl ls` lists what there is'}")
        raise UnsupportedError(f"{source}: {mirror.reason}")

    def _does_its_work(self, key: WorkerKey, *, is_writing: bool) -> bool:
        """Whether a mirror runs and, if that ``is_writing``, knows whether it may."""
        is_answered = not is_writing or self._supervisor.seen.of(key).writing_back is not WritingBack.ASKING
        return self._supervisor.is_running(key) and is_answered

    def _is_denied(self, key: WorkerKey) -> bool:
        """Whether the process of now was told by the owner that frames do not come so."""
        worker = self._supervisor.state.crew.workers.get(key)
        is_trying = worker is not None and worker.phase is Phase.STARTING and worker.pid != 0
        return is_trying and self._supervisor.seen.of(key).is_denied

    def _check_may_write(self, key: WorkerKey) -> None:
        seen = self._supervisor.seen.of(key)
        if seen.writing_back is WritingBack.REFUSED:
            reason = seen.refusal or f"{key.source.host} refuses it"
            raise DeniedError(
                f"{key.source} cannot be written back: {reason}; mirror it without --write-back, or have "
                f"{key.source.host} allow it ([publish] in its configuration)"
            )

    def _why(self, source: Source, mirror: Mirror) -> str:
        state, seen = self._supervisor.state, self._supervisor.seen.of(WorkerKey(WorkerKind.MIRROR, source))
        told = seen.waits_for(seen.statistics) or seen.reason
        if told:
            return told
        if self._supervisor.is_running(WorkerKey(WorkerKind.MIRROR, source)):
            return f"it is mirrored, but {source.host} does not say whether it may be written back"
        if not state.standing.is_up:
            return f"the registry is away: {state.standing.error}"
        if source in state.mirrors and (reason := state.mirrors.reason_of(source)):
            return reason
        return f"its owner's stream at {mirror.endpoint} does not come; is the port open to this host?"


def _geometry(path: str) -> Optional[Geometry]:
    """Of a mirror's segment; None if it is just being made anew."""
    try:
        fd = open_file(path, is_writable=False)
    except SegmentError:
        return None
    try:
        return examine(path, fd)[0]
    except SegmentError:
        return None
    finally:
        os.close(fd)
