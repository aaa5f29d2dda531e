"""A worker as ``daosupctl status`` is told of it: what it does, how well, and what it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.process_facts import resident_bytes
from daosup.adapters.turns import Turns
from daosup.core.crew import WAITING, Phase, Worker
from daosup.core.delivery import roi_text, stride_text
from daosup.core.mirror import Mirror
from daosup.core.transport import UNREACHABLE, Via, via_of
from daosup.core.types import PROTOCOL, WorkerKey, WorkerKind
from daosup.supervisor.workers_seen import Seen
from daosup.workers.statistics import Statistics

if TYPE_CHECKING:
    from daosup.core.host import HostState
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]
#: A mirror that begins hears its owner within less, or something is in the way.
_LONG_S = 2.0
_SHARES = (0.5, 0.99)


async def worker_rows(supervisor: Supervisor, now: float) -> list[Object]:
    """All workers of a host, and what has none although it is wanted or was stopped; publishers first.

    A thousand of them take some time, so the loop has its turn in between.
    """
    state = supervisor.state
    keys = dict.fromkeys(state.crew.workers)
    keys |= dict.fromkeys(WorkerKey(WorkerKind.MIRROR, source) for source in {*state.mirrors, *state.mirrors.stopped})
    keys |= dict.fromkeys(state.facts.publisher_of(name) for name in state.stopped_segments)
    keys |= dict.fromkeys([state.facts.gate] if state.facts.gate is not None else ())
    rows, turns = [], Turns()
    for key in keys:
        if _is_told(state, key):  # still
            rows.append(worker_row(supervisor, key, now))
        await turns.pause()
    return sorted(rows, key=lambda row: (row["kind"] != "publisher", row["source"]))


def _is_told(state: HostState, key: WorkerKey) -> bool:
    if key.kind is WorkerKind.PUBLISHER:
        return key in state.crew.workers or state.is_stopped(key)
    return key in state.crew.workers or key.source in state.mirrors or state.is_stopped(key)


def worker_row(supervisor: Supervisor, key: WorkerKey, now: float) -> Object:
    """One worker, or why there is none: it was stopped, waits for its owner, or nobody wants it."""
    state, source = supervisor.state, key.source
    worker = state.crew.workers.get(key)
    if worker is not None:
        return _worker(supervisor, key, worker, now)
    if state.is_stopped(key):
        name = source if key.kind is WorkerKind.MIRROR else source.name
        return _row(key, supervisor, "stopped") | {"reason": f"`daosupctl start {name}` starts it"}
    if key.kind is WorkerKind.PUBLISHER:
        return _row(key, supervisor, "idle") | {"reason": "nobody reads it"}
    reason = state.mirrors.reason_of(source) if key.kind is WorkerKind.MIRROR else None
    return _row(key, supervisor, "waiting") | {"reason": reason, "link": "waiting"}


def _row(key: WorkerKey, supervisor: Supervisor, state: str) -> Object:
    source = key.source
    is_publisher = key.kind is WorkerKind.PUBLISHER
    is_mirror = key.kind is WorkerKind.MIRROR
    mirror = supervisor.state.mirrors.get(source) if is_mirror else None
    peers: list[tuple[str, int]] = []
    if is_publisher:
        peers = [(reader.host, reader.protocol) for reader in supervisor.state.readership.of(source.name)]
    elif is_mirror:
        peers = [(source.host, mirror.protocol if mirror is not None else PROTOCOL)]
    return {
        "kind": key.kind.value,
        "source": str(source),
        "segment": supervisor.state.mirrors.name_of(source) if is_mirror else source.name,
        "peer": ", ".join(host for host, _ in peers),
        "peers": [{"host": host, "protocol": protocol} for host, protocol in peers],
        # The oldest that is spoken.
        "protocol": min((protocol for _, protocol in peers), default=PROTOCOL),
        "holders": sorted(getattr(mirror, "holders", ())),
        "state": state,
        "pid": None,
        "port": None,
        "endpoint": getattr(mirror, "endpoint", "") or None,
        "direct_endpoint": _direct_endpoint(mirror),
        "cpu": None,
        "memory_bytes": None,
        "rate_hz": 0.0,
        "bytes_per_s": 0.0,
        "age_s": None,
        "latency": None,
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
        # How frames come to a mirror; to a publisher's readers, all ways that are used. And why not directly.
        "transport": None,
        "transport_reason": None,
        "direct_port": None,
        "connected_direct": 0,
        # In which form they are asked for.
        "delivery": _delivery(supervisor, key) if is_mirror else None,
        "restarts": 0,
        "hangs": 0,
        "uptime_s": None,
        "last_exit": None,
        "last_exit_s": None,
        "last_details": None,
        "next_try_s": None,
        "reason": None,
        "warning": None,
    }


def _delivery(supervisor: Supervisor, key: WorkerKey) -> Object:
    """Of a mirror; a rate is also one that is enough for whoever holds it."""
    mirrors, worker = supervisor.state.mirrors, supervisor.state.crew.workers.get(key)
    delivery, enough_hz = mirrors.delivery_of(key.source), worker.order.enough_hz if worker else 0.0
    return {
        "frames": delivery.mode,
        "rate_hz": delivery.rate_hz or enough_hz or None,
        "roi": roi_text(delivery.roi) or None,
        "stride": stride_text(delivery.stride) or None,
        "compress": delivery.compress,
    }


def _direct_endpoint(mirror: Optional[Mirror]) -> Optional[str]:
    """Where a mirror's owner offers its frames directly, if it does."""
    if mirror is None or not mirror.endpoint or not mirror.direct_port:
        return None
    return f"{mirror.endpoint.rpartition(':')[0]}:{mirror.direct_port}"


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
        "last_exit_s": None if worker.last_exit_s is None else now - worker.last_exit_s,
        "last_details": worker.last_details or None,
        "reason": seen.waits_for(statistics) or _reason(supervisor, key, worker, now),
        "warning": seen.warning,
        "cpu": seen.cpu,
        "memory_bytes": resident_bytes(worker.pid) if worker.pid else None,
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
            "latency": _latency(seen),
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
            **_transport(key, statistics, seen),
        }
    return row


def _transport(key: WorkerKey, statistics: Statistics, seen: Seen) -> Object:
    """How frames come or go."""
    if key.kind is WorkerKind.PUBLISHER:
        direct = statistics.direct_count
        used = ["direct"] * bool(direct) + ["zmq"] * (statistics.reader_count > direct)
        return {
            "transport": ", ".join(used) or None,
            "direct_port": statistics.direct_port or None,
            "connected_direct": direct,
        }
    via = via_of(statistics.via)
    is_told = via in (*UNREACHABLE, Via.ZMQ_DENIED, Via.ZMQ_BROKEN, Via.WAITING, Via.DENIED)
    return {
        "transport": via.transport or None,
        "transport_reason": (seen.not_direct if is_told else None) or via.reason or None,
    }


def _latency(seen: Seen) -> Optional[Object]:
    """Of the frames of the last seconds; None if there were none."""
    latencies = seen.latencies(_SHARES)
    if latencies is None:
        return None
    frames, ahead, (p50_s, p99_s) = latencies
    return {"p50_s": p50_s, "p99_s": p99_s, "frames": frames, "ahead": ahead}


def _write_back(supervisor: Supervisor, key: WorkerKey) -> Optional[Object]:
    """Whether a mirror may write into its source; None of one that does not want to, and of a publisher."""
    mirror = supervisor.state.mirrors.get(key.source) if key.kind is WorkerKind.MIRROR else None
    if mirror is None or not mirror.is_written_back:
        return None
    seen = supervisor.seen.of(key)
    return {"state": seen.writing_back.value, "reason": seen.refusal}


def _reason(supervisor: Supervisor, key: WorkerKey, worker: Worker, now: float) -> Optional[str]:
    if worker.phase is Phase.QUEUED:
        return "waiting for its turn: others are starting"
    if worker.phase in WAITING:
        return worker.last_exit
    reason = supervisor.seen.of(key).reason
    if reason:
        return reason
    mirror = supervisor.state.mirrors.get(key.source)
    if mirror is None or key.kind is not WorkerKind.MIRROR:
        return None
    if mirror.reason is None and worker.phase is Phase.STARTING and now - worker.since_s > _LONG_S:
        return f"its owner's stream at {mirror.endpoint} does not come; is the port open to this host?"
    return mirror.reason
