"""What ``daosupctl status`` is told: one object, the same for people and programs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Optional

from daosup import __version__
from daosup.core.crew import Phase, Worker
from daosup.core.types import WorkerKey, WorkerKind
from daosup.supervisor.registry_desk import lifetime_s

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]


def status_of(supervisor: Supervisor) -> Object:
    """The whole state of a supervisor."""
    state, config, now = supervisor.state, supervisor.config, time.monotonic()
    role = state.role.value if state.role else None
    return {
        "host": config.host,
        "instance": config.instance,
        "role": role,
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": now - supervisor.began_s,
        "config_file": str(config.file) if config.file else None,
        "registry": _registry(supervisor, now),
        "segments": [
            {
                "name": facts.name,
                "shape": list(facts.shape),
                "dtype": facts.dtype,
                "layout": facts.layout,
                "depth": facts.depth,
                "nbytes": facts.nbytes,
                "readers": [reader.host for reader in state.readership.of(facts.name)],
            }
            for facts in state.segments.values()
        ],
        "workers": _workers(supervisor, now),
    }


def _registry(supervisor: Supervisor, now: float) -> Object:
    standing = supervisor.state.standing
    since_s = None if standing.since_s is None else now - standing.since_s
    known_s = lifetime_s(supervisor.config.heartbeat_interval_s)
    return {
        "address": str(supervisor.address),
        "state": standing.phase.value,
        "since_s": since_s,
        "server": standing.server or None,
        "error": standing.error,
        "effect": None if standing.is_up else _effect(since_s or 0.0, known_s),
    }


def _effect(away_s: float, known_s: float) -> str:
    """What it means for this host that the registry is away."""
    told = "streams go on; what changes here or on other hosts is not told, and nothing new can be mirrored"
    if away_s > known_s:
        told += "; other hosts may not list this one any more"
    return told


def _workers(supervisor: Supervisor, now: float) -> list[Object]:
    state = supervisor.state
    rows = [_worker(supervisor, key, worker, now) for key, worker in state.crew.workers.items()]
    started = {key.source for key in state.crew.workers if key.kind is WorkerKind.MIRROR}
    for source, mirror in state.mirrors.items():
        if source not in started:
            rows.append(
                _row(WorkerKey(WorkerKind.MIRROR, source), supervisor, "waiting")
                | {"reason": mirror.reason, "link": "waiting"}
            )
    return sorted(rows, key=lambda row: (row["kind"] != "publisher", row["source"]))


def _row(key: WorkerKey, supervisor: Supervisor, state: str) -> Object:
    source = key.source
    is_publisher = key.kind is WorkerKind.PUBLISHER
    readers = ", ".join(reader.host for reader in supervisor.state.readership.of(source.name))
    return {
        "kind": key.kind.value,
        "source": str(source),
        "segment": source.name if is_publisher else source.mirror_name,
        "peer": readers if is_publisher else source.host,
        "state": state,
        "pid": None,
        "port": None,
        "rate_hz": 0.0,
        "bytes_per_s": 0.0,
        "age_s": None,
        "frames": 0,
        "skipped": 0,
        "gaps": 0,
        "retries": 0,
        "rejected": 0,
        "link": "down",
        "restarts": 0,
        "uptime_s": None,
        "last_exit": None,
        "reason": None,
    }


def _worker(supervisor: Supervisor, key: WorkerKey, worker: Worker, now: float) -> Object:
    seen = supervisor.seen.of(key)
    statistics = supervisor.seen.current(key, worker)
    row = _row(key, supervisor, worker.phase.value)
    row |= {
        "pid": worker.pid or None,
        "port": worker.port or None,
        "restarts": worker.restarts,
        "last_exit": worker.last_exit,
        "reason": _reason(supervisor, key, worker),
        "rate_hz": seen.rate_hz,
        "bytes_per_s": seen.bytes_per_s,
    }
    if worker.phase is not Phase.RESTARTING:
        row["uptime_s"] = now - worker.since_s
    if statistics is not None:
        age_s = (time.time_ns() - statistics.write_time_utc_ns) / 1e9 if statistics.write_time_utc_ns else None
        row |= {
            "age_s": age_s,
            "frames": statistics.frames,
            "skipped": statistics.skipped,
            "gaps": statistics.gaps,
            "retries": statistics.retries,
            "rejected": statistics.rejected,
            "link": "up" if statistics.has_link else "down",
        }
    return row


def _reason(supervisor: Supervisor, key: WorkerKey, worker: Worker) -> Optional[str]:
    if worker.phase is Phase.RESTARTING:
        return worker.last_exit
    reason = supervisor.seen.of(key).reason
    if reason:
        return reason
    mirror = supervisor.state.mirrors.get(key.source)
    return mirror.reason if mirror is not None and key.kind is WorkerKind.MIRROR else None
