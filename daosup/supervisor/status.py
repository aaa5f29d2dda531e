"""What ``daosupctl status`` is told: one object, the same for people and programs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

from daosup import __version__
from daosup.core.crew import WAITING, Phase, Worker
from daosup.core.election import Election
from daosup.core.types import PROTOCOL, Source, WorkerKey, WorkerKind
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
        "lease": _lease(state.election, now),
        "clock": {"offset_s": state.clock.offset_s, "is_off": state.clock.is_off},
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": now - supervisor.began_s,
        "config": supervisor.reloading.status,
        "state_error": supervisor.lasting.error,
        "registry": _registry(supervisor, now),
        "segment_folder": supervisor.discovery.status(),
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


def _lease(election: Election, now: float) -> Object:
    """Who is master: ``left_s`` is for how long this host may trust that it holds the lease."""
    holder, own = election.holder, election.lease(now)
    return {
        "state": "held" if own else "none" if holder is None else "lapsed" if election.is_own(holder) else "other",
        "holder": holder.host if holder else None,
        "ip": holder.ip if holder else None,
        "pid": holder.pid if holder else None,
        "epoch": holder.epoch if holder else None,
        "left_s": election.left_s(now) if own else None,
        "yields_to": election.yields_to,
    }


def _workers(supervisor: Supervisor, now: float) -> list[Object]:
    state = supervisor.state
    rows = [_worker(supervisor, key, worker, now) for key, worker in state.crew.workers.items()]
    started = {key.source for key in state.crew.workers if key.kind is WorkerKind.MIRROR}
    for source in (state.mirrors.keys() - started) - state.mirrors.stopped:
        row = _row(WorkerKey(WorkerKind.MIRROR, source), supervisor, "waiting")
        rows.append(row | {"reason": state.mirrors.reason_of(source), "link": "waiting"})
    rows += [
        _row(key, supervisor, "stopped") | {"reason": f"`daosupctl start {name}` starts it"}
        for name, key in _stopped(supervisor)
        if key not in state.crew.workers
    ]
    return sorted(rows, key=lambda row: (row["kind"] != "publisher", row["source"]))


def _stopped(supervisor: Supervisor) -> Iterator[tuple[str, WorkerKey]]:
    state = supervisor.state
    for name in state.stopped_segments:
        yield name, WorkerKey(WorkerKind.PUBLISHER, Source(state.facts.host, name))
    for source in state.mirrors.stopped:
        yield str(source), WorkerKey(WorkerKind.MIRROR, source)


def _row(key: WorkerKey, supervisor: Supervisor, state: str) -> Object:
    source = key.source
    is_publisher = key.kind is WorkerKind.PUBLISHER
    mirror = supervisor.state.mirrors.get(source)
    if is_publisher:
        peers = [(reader.host, reader.protocol) for reader in supervisor.state.readership.of(source.name)]
    else:
        peers = [(source.host, mirror.protocol if mirror is not None else PROTOCOL)]
    return {
        "kind": key.kind.value,
        "source": str(source),
        "segment": source.name if is_publisher else supervisor.state.mirrors.name_of(source),
        "peer": ", ".join(host for host, _ in peers),
        "peers": [{"host": host, "protocol": protocol} for host, protocol in peers],
        # The oldest that is spoken.
        "protocol": min((protocol for _, protocol in peers), default=PROTOCOL),
        "holders": [] if is_publisher else sorted(getattr(mirror, "holders", ())),
        "state": state,
        "pid": None,
        "port": None,
        "endpoint": getattr(mirror, "endpoint", "") or None,
        "rate_hz": 0.0,
        "bytes_per_s": 0.0,
        "age_s": None,
        "frames": 0,
        "skipped": 0,
        "passed_over": 0,
        "gaps": 0,
        "retries": 0,
        "rejected": 0,
        "connected": 0,
        # Frames: those that mirrors sent back to their source, as each end counts them.
        "written": 0,
        "refused": 0,
        "echoes": 0,
        "writing": supervisor.config.writing_of(source.name).value if is_publisher else None,
        "write_back": _write_back(supervisor, key),
        "link": "down",
        "restarts": 0,
        "hangs": 0,
        "uptime_s": None,
        "last_exit": None,
        "last_details": None,
        "next_try_s": None,
        "reason": None,
        "warning": None,
    }


def _worker(supervisor: Supervisor, key: WorkerKey, worker: Worker, now: float) -> Object:
    seen = supervisor.seen.of(key)
    statistics = supervisor.seen.current(key, worker)
    row = _row(key, supervisor, worker.phase.value)
    row |= {
        "pid": worker.pid or None,
        "port": worker.port or None,
        "restarts": worker.restarts,
        "hangs": worker.hangs,
        "last_exit": worker.last_exit,
        "last_details": worker.last_details or None,
        "reason": _reason(supervisor, key, worker),
        "warning": seen.warning,
        "rate_hz": seen.rate_hz,
        "bytes_per_s": seen.bytes_per_s,
    }
    if worker.phase in WAITING:
        row["next_try_s"] = max(0.0, worker.retry_s - now)
    else:
        row["uptime_s"] = now - worker.since_s
    if statistics is not None:
        age_s = (time.time_ns() - statistics.write_time_utc_ns) / 1e9 if statistics.write_time_utc_ns else None
        row |= {
            "age_s": age_s,
            "frames": statistics.frames,
            "skipped": statistics.skipped,
            "passed_over": statistics.passed_over,
            "gaps": statistics.gaps,
            "retries": statistics.retries,
            "rejected": statistics.rejected,
            "connected": statistics.reader_count,
            "written": statistics.written,
            "refused": statistics.refused,
            "echoes": statistics.echoes,
            "link": "up" if statistics.has_link else "down",
        }
    return row


def _write_back(supervisor: Supervisor, key: WorkerKey) -> Optional[Object]:
    """Whether a mirror may write into its source; None of one that does not want to, and of a publisher."""
    mirror = supervisor.state.mirrors.get(key.source) if key.kind is WorkerKind.MIRROR else None
    if mirror is None or not mirror.is_written_back:
        return None
    seen = supervisor.seen.of(key)
    return {"state": seen.writing_back.value, "reason": seen.refusal}


def _reason(supervisor: Supervisor, key: WorkerKey, worker: Worker) -> Optional[str]:
    if worker.phase is Phase.QUEUED:
        return "waiting for its turn: others are starting"
    if worker.phase in WAITING:
        return worker.last_exit
    reason = supervisor.seen.of(key).reason
    if reason:
        return reason
    mirror = supervisor.state.mirrors.get(key.source)
    return mirror.reason if mirror is not None and key.kind is WorkerKind.MIRROR else None
