"""Commands about mirrors: to have one, for now or for good, and to let it go.

Invariants: a mirror is there when the command that asked for it returns; one that failed leaves everything as it was.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.desired import Desired
from daosup.core.layout import Geometry
from daosup.core.mirrors import CONFIGURED, OPERATOR, Mirror
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
from daosup.supervisor.requests import MAX_WAIT_S, holder_of, number_of, source_of

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]


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

        ``sources``: what it asked for before, of a supervisor that is gone.
        """
        holders = self._held_by.setdefault(request.connection, set())
        holder = holder_of(request)
        sources = request.arguments.get("sources", [])
        if not isinstance(sources, list) or not all(isinstance(each, str) for each in sources):
            raise UsageError("sources is not a list of HOST:NAME")
        for source in [Source.parse(each) for each in sources]:
            if source.host != self._supervisor.config.host:
                self._check_may_be(source)
                self._supervisor.post(e.MirrorAsked(source, holder))
        is_news = holder not in holders
        holders.add(holder)
        return is_news

    async def _mirror(self, request: Request) -> Object:
        source = source_of(request)
        is_kept = bool(request.arguments.get("keep"))
        if source.host == self._supervisor.config.host:
            return self._local(source, is_kept=is_kept)
        wait_s = number_of(request.arguments, "wait_s", 30.0, MAX_WAIT_S)
        if request.arguments.get("bidirectional"):
            raise UnsupportedError("bidirectional mirrors are not supported by this version; mirror it one way")
        holder = holder_of(request)
        supervisor = self._supervisor
        self._check_may_be(source)
        was_held = holder in getattr(supervisor.state.mirrors.get(source), "holders", ())
        supervisor.post(e.MirrorAsked(source, holder))
        mirror = supervisor.state.mirrors[source]
        key = WorkerKey(WorkerKind.MIRROR, source)
        try:
            await self._until_running(mirror, key, wait_s)
            if is_kept:
                await supervisor.lasting.change(lambda desired: _with_kept(desired, source))
        except BaseException:
            if not was_held:
                supervisor.post(e.MirrorReleased(source, holder))
            raise
        path = supervisor.folder.path_of(source.mirror_name)
        made = _geometry(path)
        return {
            "name": source.mirror_name,
            "path": path,
            "shape": list(made.shape) if made else None,
            "dtype": made.dtype if made else None,
            "state": Phase.RUNNING.value,
        }

    def _local(self, source: Source, *, is_kept: bool) -> Object:
        """A segment of this host needs no mirror."""
        if is_kept:
            raise UsageError(f"{source} is a segment of this host itself, and only mirrors are kept")
        facts = self._supervisor.state.segments.get(source.name)
        if facts is None:
            raise NotFoundError(f"this host has no segment {source.name}; `daosupctl status` lists what it has")
        path = self._supervisor.folder.path_of(source.name)
        return {"name": source.name, "path": path, "shape": list(facts.shape), "dtype": facts.dtype, "state": "local"}

    async def _keep(self, request: Request) -> Object:
        """Hold a mirror for good, whether or not its host is there now."""
        source, supervisor = source_of(request), self._supervisor
        if source.host == supervisor.config.host:
            self._local(source, is_kept=True)
        self._check_may_be(source)
        await supervisor.lasting.change(lambda desired: _with_kept(desired, source))
        is_running = supervisor.is_running(WorkerKey(WorkerKind.MIRROR, source))
        reason = None if is_running else supervisor.state.mirrors.reason_of(source)
        return {"name": source.mirror_name, "state": "running" if is_running else "waiting", "reason": reason}

    async def _release(self, request: Request) -> Object:
        source, supervisor = source_of(request), self._supervisor
        mirrors = supervisor.state.mirrors
        if source not in mirrors:
            raise NotFoundError(f"{source} is not mirrored here; `daosupctl status` lists what is")
        holder = holder_of(request)
        if holder == OPERATOR:
            if CONFIGURED in mirrors[source].holders:
                raise DeniedError(
                    f"{source} is in the configuration, {supervisor.config.file}; take its [[mirror]] out and run "
                    f"`daosupctl reload`, or run `daosupctl stop {source}`"
                )
            await supervisor.lasting.change(
                lambda desired: replace(
                    desired,
                    kept_mirrors=desired.kept_mirrors - {source},
                    stopped_mirrors=desired.stopped_mirrors - {source},
                )
            )
        supervisor.post(e.MirrorReleased(source, None if holder == OPERATOR else holder))
        key = WorkerKey(WorkerKind.MIRROR, source)
        await supervisor.until(lambda: source in mirrors or key not in supervisor.state.crew.workers, 10.0)
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
                f"{source} and {namesake} would both be mirrored as {source.mirror_name}; release one first"
            )

    async def _until_running(self, mirror: Mirror, key: WorkerKey, wait_s: float) -> None:
        supervisor, source = self._supervisor, key.source

        def is_held() -> bool:
            return supervisor.state.mirrors.get(source) is mirror and source not in supervisor.state.mirrors.stopped

        def is_settled() -> bool:
            return not is_held() or supervisor.is_running(key) or mirror.is_unknown or mirror.is_unsupported

        try:
            await supervisor.until(is_settled, wait_s)
        except NoAnswerError:
            why = supervisor.seen.of(key).reason or self._why(mirror)
            raise NoAnswerError(f"{source}: {why} (waited {wait_s:g} s)") from None
        if not is_held():
            raise UnavailableError(f"{source} was released or stopped meanwhile")
        if supervisor.is_running(key):
            return
        if mirror.is_unknown:
            raise NotFoundError(f"{mirror.reason}; `daosupctl ls` lists what there is")
        raise UnsupportedError(f"{source}: {mirror.reason}")

    def _why(self, mirror: Mirror) -> str:
        state = self._supervisor.state
        if not state.standing.is_up:
            return f"the registry is away: {state.standing.error}"
        return mirror.reason or f"its owner's stream at {mirror.endpoint} does not come; is the port open to this host?"


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


def _with_kept(desired: Desired, source: Source) -> Desired:
    return replace(desired, kept_mirrors=desired.kept_mirrors | {source})
