"""Commands that look closer at this host's segments, and change nothing: how fast they are written, who has one open.

Invariant: what takes long, or many system calls, is done in another thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from daosup.adapters.control import Request
from daosup.adapters.segment_users import look_at_users
from daosup.core.crew import Phase
from daosup.core.segment_patterns import fits
from daosup.core.types import Source, WorkerKey, WorkerKind, check_name, clean_name
from daosup.errors import UsageError
from daosup.shm.glance import Glance, facts_between, glance_or_none
from daosup.supervisor.requests import named_of, only_looks
from daosup.supervisor.unknown_names import no_such_segment, not_mirrored
from daosup.supervisor.workers_seen import WritingBack

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]
_Seen = TypeVar("_Seen")

#: How long the frames of segments are counted.
_COUNT_S = 0.5
_MOST_PATTERNS, _LONGEST_PATTERN = 100, 256


class LookingCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._one_look = asyncio.Lock()
        self.by_name = {"segments": self._segments, "nodes": self._nodes, "who": self._who}

    # -- segments

    @only_looks
    async def _segments(self, request: Request) -> Object:
        """This host's segments and how often they are written; and which of other hosts' are written from here.

        ``names``: patterns of HOST:NAME, or of NAME for that of every host; of which one must fit.
        """
        patterns, host = _patterns(request), self._supervisor.config.host
        segments = self._supervisor.state.segments
        names = [name for name in segments if any(fits(each, host, name) for each in patterns)]
        before = await self._glances(names)
        if before:
            await asyncio.sleep(_COUNT_S)
        after = await self._glances(list(before))
        told = [self._segment(name, before[name], after.get(name)) for name in before if name in segments]
        return {"host": host, "segments": told, "writes_to": self._written_sources()}

    def _written_sources(self) -> list[str]:
        """Of other hosts, those that are open to the writes of this one."""
        supervisor = self._supervisor
        return [
            str(source)
            for source, mirror in supervisor.state.mirrors.items()
            if mirror.is_written_back
            and supervisor.seen.of(WorkerKey(WorkerKind.MIRROR, source)).writing_back is WritingBack.OPEN
        ]

    async def _glances(self, names: list[str]) -> dict[str, Glance]:
        paths = {name: self._supervisor.folder.path_of(name) for name in names}
        return await _elsewhere(
            lambda: {name: seen for name, path in paths.items() if (seen := glance_or_none(path)) is not None}
        )

    def _segment(self, name: str, before: Glance, after: Optional[Glance]) -> Object:
        state = self._supervisor.state
        return {
            "name": name,
            **facts_between(before, after or before),
            "readers": [reader.host for reader in state.readership.of(name)],
            "writers": [reader.host for reader in state.readership.of(name) if reader.bidirectional],
            "writing": self._supervisor.config.writing_of(name).value,
        }

    # -- nodes

    @only_looks
    async def _nodes(self, request: Request) -> list[Object]:
        """The nodes of DAO's network service that are heard here, and what they have; ``names``: as of segments."""
        patterns = _patterns(request)
        return self._supervisor.dnet.machines(lambda host, name: any(fits(each, host, name) for each in patterns))

    # -- who

    @only_looks
    async def _who(self, request: Request) -> Object:
        """Which processes of this host have a segment open; ``name``: NAME, or HOST:NAME for the mirror of that."""
        name, source = self._file_of(request)
        path = self._supervisor.folder.path_of(name)
        async with self._one_look:
            if not await _elsewhere(lambda: os.path.lexists(path)):
                raise no_such_segment(self._supervisor, name)
            others = self._workers_of_others(name)
            before, use, after = await _elsewhere(
                lambda: (glance_or_none(path), look_at_users(path, others), glance_or_none(path))
            )
        told = use.as_json()
        for process in told["processes"]:
            process.update(self._work_of(process["pid"], before))
        return {
            "host": self._supervisor.config.host,
            "name": name,
            "source": str(source),
            "path": path,
            **facts_between(before, after),
            **told,
        }

    def _workers_of_others(self, name: str) -> set[int]:
        """Our workers that have to do with other segments."""
        state = self._supervisor.state
        return {
            worker.pid
            for key, worker in state.crew.workers.items()
            if name != (key.source.name if key.kind is WorkerKind.PUBLISHER else state.mirrors.name_of(key.source))
        }

    def _file_of(self, request: Request) -> tuple[str, Source]:
        """The segment's name here, and whose it is; a mirror may also be called by its own name."""
        host, mirrors = self._supervisor.config.host, self._supervisor.state.mirrors
        text = request.arguments.get("name")
        if isinstance(text, str) and ":" not in text:
            name = check_name(clean_name(text))
            source = next((each for each in mirrors if mirrors.name_of(each) == name), Source(host, name))
            return name, source
        source = named_of(request, host)
        if source.host == host:
            return source.name, source
        if source not in mirrors:
            raise not_mirrored(self._supervisor, source)
        return mirrors.name_of(source), source

    def _work_of(self, pid: int, segment: Optional[Glance]) -> Object:
        """Whether a process is one of our workers; and how many frames it is behind, if that can be told.

        ``segment`` is what it was half a second ago: the newest frames may be taken and only not yet told of.
        """
        supervisor = self._supervisor
        for key, worker in supervisor.state.crew.workers.items():
            if worker.pid == pid:
                page = supervisor.seen.current(key, worker)
                is_reading = key.kind is WorkerKind.PUBLISHER and worker.phase is Phase.RUNNING
                behind = None
                if page is not None and segment is not None and is_reading and page.source_counter:
                    behind = max(0, segment.counter - page.source_counter)
                return {"worker": key.kind.value, "worker_source": str(key.source), "behind": behind}
        return {"worker": None, "worker_source": None, "behind": None}


async def _elsewhere(look: Callable[[], _Seen]) -> _Seen:
    """In another thread: files, and the names of users that a directory service may have to be asked for."""
    return await asyncio.get_running_loop().run_in_executor(None, look)


def _patterns(request: Request) -> list[str]:
    patterns = request.arguments.get("names", ["*"])
    if (
        not isinstance(patterns, list)
        or len(patterns) > _MOST_PATTERNS
        or not all(isinstance(each, str) and len(each) <= _LONGEST_PATTERN for each in patterns)
    ):
        raise UsageError(f"names is {str(patterns)[:80]!r}, not a list of at most {_MOST_PATTERNS} patterns")
    return patterns
