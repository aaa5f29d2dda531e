"""The table of workers, and each one's trouble in words.

Invariant: trouble is told in words, whatever the width; a field that the daemon does not know is ``-``.
"""

from __future__ import annotations

from daosup.ctl.tables import Column, Style, safe, table, wrapped
from daosup.ctl.units import UNKNOWN, count, duration, percent, quantity

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

#: So large a part of the frames cannot come before they were written, unless clocks differ.
_MOST_AHEAD = 0.01
#: Of those at the other end, what is worth a word.
_PROTOCOLS = {1: "protocol 1", 3: "DAO's service"}
STATE_COLOURS = {
    "up": "good",
    "running": "good",
    "down": "bad",
    "restarting": "bad",
    "failed": "bad",
    "connecting": "doubtful",
    "queued": "doubtful",
    "starting": "doubtful",
    "stopping": "doubtful",
    "waiting": "doubtful",
    "idle": "faint",
    "stopped": "doubtful",
}
#: As wide as numbers mostly are, so that columns neither move nor come and go with them.
COLUMNS = (
    Column("WORKER", least=9),
    Column("SOURCE", is_name=True),
    Column("STATE", least=7),
    Column("PEER", is_name=True),
    Column("TRANSPORT", rank=9),
    Column("RATE", is_number=True, least=8),
    Column("DATA", is_number=True, rank=3, least=9),
    Column("AGE", is_number=True, least=7),
    Column("P50", is_number=True, rank=4, least=7),
    Column("P99", is_number=True, rank=1, least=7),
    Column("SKIP", is_number=True, least=5),
    Column("GAPS", is_number=True, rank=5, least=5),
    Column("RESTARTS", is_number=True, rank=2),
    Column("CPU", is_number=True, rank=6, least=6),
    Column("MEMORY", is_number=True, rank=7, least=7),
    Column("PID", is_number=True, rank=8, least=7),
)


def worker_table(status: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """The host's workers, then one line for each that has something to say."""
    workers = status.get("workers", ())
    rows = [cells_of(worker) for worker in workers]
    if not rows:
        return ["no workers: nothing is read from here or mirrored to here"]
    lines = table(COLUMNS, rows, style, width, STATE_COLOURS)
    for worker in workers:
        told = trouble_of(worker)
        if told:
            name = f"{safe(worker.get('kind'))} {safe(worker.get('source'))}: "
            first, *rest = wrapped(f"{name}{told}", None if width is None else width - 2, "")
            lines.append(name + style(first[len(name) :], "doubtful"))
            lines += [f"  {style(line, 'doubtful')}" for line in rest]
        if worker.get("state") == "failed":
            lines += [f"  {safe(line)}" for line in str(worker.get("last_details") or "").splitlines()]
    return lines


def cells_of(worker: dict[str, Any]) -> tuple[object, ...]:
    """A worker's row, as COLUMNS has it."""
    return (
        worker.get("kind"),
        worker.get("source"),
        worker.get("state"),
        peers_of(worker) or UNKNOWN,
        worker.get("transport") or UNKNOWN,
        quantity(worker.get("rate_hz"), "Hz"),
        quantity(worker.get("bytes_per_s"), "B/s"),
        duration(worker.get("age_s")),
        *latency_of(worker),
        count(worker.get("skipped")),
        count(worker.get("gaps")),
        count(worker.get("restarts")),
        percent(worker.get("cpu")),
        quantity(worker.get("memory_bytes"), "B"),
        worker.get("pid") or UNKNOWN,
    )


def peers_of(worker: dict[str, Any]) -> str:
    """Who is at the other end; marked are those that speak the old protocol, and those that are written to."""
    peers = worker.get("peers")
    if not peers:
        return str(worker.get("peer") or "")
    is_written = (worker.get("write_back") or {}).get("state") == "open"
    told = []
    for each in peers:
        protocol = _PROTOCOLS.get(each.get("protocol"))
        marks = [*([protocol] if protocol else []), *(["written"] if is_written else [])]
        told.append(f"{each['host']} ({', '.join(marks)})" if marks else str(each["host"]))
    return ", ".join(told)


def latency_of(worker: dict[str, Any]) -> tuple[str, str]:
    """The median and the 99th percentile of the last seconds."""
    latency = worker.get("latency") or {}
    return duration(latency.get("p50_s")), duration(latency.get("p99_s"))


def trouble_of(worker: dict[str, Any]) -> str:
    """What is, or was, not right with ``worker``; empty if nothing."""
    told = []
    if worker.get("reason"):
        told.append(str(worker["reason"]))
    if worker.get("link", "up") != "up" and worker.get("state") == "running":
        told.append(f"link {worker['link']}")
    write_back = worker.get("write_back") or {}
    if write_back.get("state") == "refused":
        told.append(f"not written back: {write_back.get('reason') or 'its owner refuses'}")
    if worker.get("next_try_s") is not None:
        told.append(f"next try in {duration(worker['next_try_s'])}")
    if worker.get("restarts"):
        hangs = f" ({worker['hangs']} hung)" if worker.get("hangs") else ""
        is_told = worker.get("last_exit") in (None, worker.get("reason"))
        told.append(f"restarted {worker['restarts']}x{hangs}" + ("" if is_told else f", last: {worker['last_exit']}"))
    if worker.get("warning"):
        told.append(str(worker["warning"]))
    latency = worker.get("latency") or {}
    if latency.get("ahead", 0) > _MOST_AHEAD * latency.get("frames", 0):
        told.append("frames seem to come before they were written: the clocks of the two hosts differ")
    if worker.get("refused"):
        told.append(f"{count(worker['refused'])} writes refused")
    if worker.get("rejected"):
        told.append(f"{count(worker['rejected'])} messages rejected")
    return "; ".join(told)
