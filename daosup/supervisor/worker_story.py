"""All that is known of one worker, for ``daosupctl status NAME``.

Invariant: what is read for it is bounded, and of this host alone: its process, its segment's file, and memory.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.adapters.process_facts import own_memory_bytes, resident_bytes, shared_out_bytes
from daosup.adapters.segment_look import look_at
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.supervisor.requests import named_of, only_looks
from daosup.supervisor.unknown_names import no_such_segment, not_mirrored
from daosup.supervisor.worker_rows import worker_row

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]


class WorkerStory:
    """Tells of the workers of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.by_name = {"worker": self._worker}

    @only_looks
    async def _worker(self, request: Request) -> Object:
        """Of the worker that ``name`` is about.

        Raises:
            NotFoundError: If there is no such segment, mirror or gate.
        """
        supervisor, now = self._supervisor, time.monotonic()
        key = self._key(request)
        row = worker_row(supervisor, key, now)
        is_publisher = key.kind is WorkerKind.PUBLISHER
        return {
            "worker": row,
            "segment": None if key.kind is WorkerKind.GATE else _segment(supervisor.folder.path_of(row["segment"])),
            "process": self._process(key, now),
            "limits": _limits(supervisor, key),
            "readers": self._readers(key.source.name) if is_publisher else None,
            "owner": self._owner(key.source) if key.kind is WorkerKind.MIRROR else None,
            "history": supervisor.journal.stories.of(key, now),
        }

    def _key(self, request: Request) -> WorkerKey:
        """NAME is a segment of this host, its gate, or what a mirror is called here; HOST:NAME a mirror's source."""
        state, host = self._supervisor.state, self._supervisor.config.host
        asked = named_of(request, host)
        if asked.host == host:
            key = state.own_worker(asked.name)
            is_known = asked.name in state.segments or state.is_stopped(key) or key in state.crew.workers
            if is_known or key.kind is WorkerKind.GATE:
                return key
            sources = (source for source in state.mirrors if state.mirrors.name_of(source) == asked.name)
        else:
            sources = (source for source in (*state.mirrors, *state.mirrors.stopped) if source == asked)
        source = next(sources, None)
        if source is None:
            unknown = no_such_segment(self._supervisor, asked.name) if asked.host == host else None
            raise unknown or not_mirrored(self._supervisor, asked)
        return WorkerKey(WorkerKind.MIRROR, source)

    def _process(self, key: WorkerKey, now: float) -> Optional[Object]:
        supervisor = self._supervisor
        worker = supervisor.state.crew.workers.get(key)
        if worker is None or not worker.pid:
            return None
        pid, statistics = worker.pid, supervisor.seen.current(key, worker)
        read_s = time.monotonic()  # it may have beaten since ``now``
        return {
            "pid": pid,
            "uptime_s": now - worker.began_s,
            "beat_age_s": read_s - statistics.beat_ns / 1e9 if statistics is not None else None,
            "cpu": supervisor.seen.of(key).cpu,
            "memory_bytes": resident_bytes(pid),
            "shared_out_bytes": shared_out_bytes(pid),
            "own_bytes": own_memory_bytes(pid) or None,
        }

    def _readers(self, name: str) -> list[Object]:
        return [
            {"host": each.host, "ip": each.ip or None, "protocol": each.protocol, "writes": each.bidirectional}
            for each in self._supervisor.state.readership.of(name)
        ]

    def _owner(self, source: Source) -> Object:
        mirror = self._supervisor.state.mirrors.get(source)
        return {
            "host": source.host,
            "segment": source.name,
            "endpoint": (mirror.endpoint or None) if mirror is not None else None,
            "protocol": mirror.protocol if mirror is not None else None,
        }


def _segment(path: str) -> Object:
    """The file here: the segment that is published, or the mirror's own."""
    look = look_at(path)
    geometry = look.geometry
    return {
        "file": path,
        "shape": list(geometry.shape) if geometry is not None else None,
        "dtype": geometry.dtype if geometry is not None else None,
        "layout": geometry.layout.value if geometry is not None else None,
        "depth": geometry.depth if geometry is not None else None,
        "nbytes": geometry.frame_bytes if geometry is not None else None,
        "keywords": [
            {"name": each.name, "value": _plain(each.value), "comment": each.comment} for each in look.keywords
        ],
        "error": look.error,
    }


def _plain(value: object) -> object:
    """A keyword's value as JSON has it: what is no number there (NaN, infinity) in words."""
    return str(value) if isinstance(value, float) and value - value != 0 else value


def _limits(supervisor: Supervisor, key: WorkerKey) -> Object:
    limits = asdict(supervisor.orders.limits_of(key))
    if limits["cpu_affinity"] is not None:
        limits["cpu_affinity"] = list(limits["cpu_affinity"])
    return limits
