"""What the daemon's results look like to people.

Invariant: a report shows every trouble in words, whatever the width; a field the daemon does not know is ``-``.
"""

from __future__ import annotations

from daosup.ctl.tables import Column, Style, safe, table
from daosup.ctl.units import UNKNOWN, count, duration, quantity, shape

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

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
    "stopped": "doubtful",
}
_WORKER_COLUMNS = (
    Column("WORKER"),
    Column("SOURCE", is_name=True),
    Column("STATE"),
    Column("PEER", is_name=True),
    Column("RATE", is_number=True),
    Column("DATA", is_number=True),
    Column("AGE", is_number=True),
    Column("SKIP", is_number=True),
)
_SEGMENT_COLUMNS = (
    Column("SEGMENT", is_name=True),
    Column("SHAPE"),
    Column("DTYPE"),
    Column("LAYOUT"),
    Column("SIZE", is_number=True),
    Column("READERS", is_name=True),
)
_MACHINE_COLUMNS = (Column("HOST", is_name=True), Column("ROLE"), Column("ADDRESS"), Column("LAST SEEN"))
_SOURCE_COLUMNS = (
    Column("SOURCE", is_name=True),
    Column("SHAPE"),
    Column("DTYPE"),
    Column("READERS", is_number=True),
)


def is_well(status: dict[str, Any]) -> bool:
    """Whether the registry is up, and every worker that is not stopped on purpose runs."""
    states = [worker.get("state") for worker in status.get("workers", ())]
    is_up = status.get("registry", {}).get("state") == "up"
    return bool(is_up and all(state in ("running", "stopped") for state in states))


def status_report(status: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """The lines of ``daosupctl status``."""
    registry, config = status.get("registry", {}), status.get("config", {})
    name = safe(status.get("host"))
    role = safe(status.get("role") or "role not yet decided")
    about = f"instance {safe(status.get('instance'))}, pid {status.get('pid')}, daosup {safe(status.get('version'))}"
    state = str(registry.get("state"))
    where = f"{safe(registry.get('address'))} for {duration(registry.get('since_s'))}"
    server = f", {safe(registry['server'])}" if registry.get("server") else ""
    lines = [
        f"{style(name, 'strong')}  {role}, up {duration(status.get('uptime_s'))}",
        f"{about}, {safe(config.get('file') or 'no configuration file')}",
        *(f"  {style(safe(told), 'bad')}" for told in _told_of_config(status)),
        f"registry {style(safe(state), STATE_COLOURS.get(state, ''))}  {where}{server}",
    ]
    if registry.get("error"):
        lines.append(f"  {style(safe(registry['error']), 'bad')}")
    if registry.get("effect"):
        lines.append(f"  {style(safe(registry['effect']), 'doubtful')}")
    lines += lease_lines(status.get("lease") or {}, style)
    if (status.get("clock") or {}).get("is_off"):
        told = f"off by {duration(abs(status['clock'].get('offset_s') or 0))} against the registry's; set it (NTP)"
        lines.append(f"clock    {style(told, 'bad')}")
    lines += ["", *segment_table(status, style, width), "", *worker_table(status, style, width)]
    return lines


def _told_of_config(status: dict[str, Any]) -> list[str]:
    config = status.get("config", {})
    told = [f"refused, the one before is in force: {mistake}" for mistake in config.get("mistakes", ())]
    if config.get("needs_restart"):
        told.append(f"needs a restart: {', '.join(config['needs_restart'])}")
    return [*told, status["state_error"]] if status.get("state_error") else told


def lease_lines(lease: dict[str, Any], style: Style) -> list[str]:
    """Who is master, as far as this host knows."""
    if not lease:
        return []
    epoch = f"epoch {lease.get('epoch')}"
    if lease.get("state") == "held":
        told = f"{style('held', 'good')} by this host, {epoch}, for {duration(lease.get('left_s'))} more at least"
    elif lease.get("state") == "none":
        told = style("nobody's", "doubtful")
    else:
        word = "held" if lease.get("state") == "other" else style("lapsed", "bad")
        told = f"{word} by {safe(lease.get('holder'))} ({safe(lease.get('ip'))}, pid {lease.get('pid')}), {epoch}"
    lines = [f"lease    {told}"]
    if lease.get("yields_to"):
        lines.append(f"  {safe(lease['yields_to'])}, a daemon without leases, is master; this host only keeps watch")
    return lines


def segment_table(status: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """The host's own segments."""
    rows = [
        (
            segment.get("name"),
            shape(segment.get("shape")),
            segment.get("dtype"),
            _layout(segment),
            quantity(segment.get("nbytes"), "B"),
            ", ".join(segment.get("readers", ())) or UNKNOWN,
        )
        for segment in status.get("segments", ())
    ]
    return table(_SEGMENT_COLUMNS, rows, style, width) if rows else ["no segments here"]


def _layout(segment: dict[str, Any]) -> str:
    depth = segment.get("depth", 1)
    return f"{segment.get('layout')} x{depth}" if depth != 1 else str(segment.get("layout"))


def worker_table(status: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """The host's workers, then one line for each that has something to say."""
    workers = status.get("workers", ())
    rows = [
        (
            worker.get("kind"),
            worker.get("source"),
            worker.get("state"),
            _peers(worker) or UNKNOWN,
            quantity(worker.get("rate_hz"), "Hz"),
            quantity(worker.get("bytes_per_s"), "B/s"),
            duration(worker.get("age_s")),
            count(worker.get("skipped")),
        )
        for worker in workers
    ]
    if not rows:
        return ["no workers: nothing is read from here or mirrored to here"]
    lines = table(_WORKER_COLUMNS, rows, style, width, STATE_COLOURS)
    for worker in workers:
        told = trouble_of(worker)
        if told:
            lines.append(f"{safe(worker.get('kind'))} {safe(worker.get('source'))}: {style(safe(told), 'doubtful')}")
        if worker.get("state") == "failed":
            lines += [f"  {safe(line)}" for line in str(worker.get("last_details") or "").splitlines()]
    return lines


def _peers(worker: dict[str, Any]) -> str:
    """Who is at the other end; marked are those that speak the old protocol, and those that are written to."""
    peers = worker.get("peers")
    if not peers:
        return str(worker.get("peer") or "")
    is_written = (worker.get("write_back") or {}).get("state") == "open"
    told = []
    for each in peers:
        marks = ["protocol 1"] * (each.get("protocol") == 1) + ["written"] * is_written
        told.append(f"{each['host']} ({', '.join(marks)})" if marks else str(each["host"]))
    return ", ".join(told)


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
    if worker.get("refused"):
        told.append(f"{count(worker['refused'])} writes refused")
    if worker.get("rejected"):
        told.append(f"{count(worker['rejected'])} messages rejected")
    return "; ".join(told)


def machines_report(machines: list[dict[str, Any]], style: Style, width: int | None) -> list[str]:
    """The lines of ``daosupctl ls``: hosts, then what they offer in the words that ``mirror`` takes."""
    if not machines:
        return ["no hosts in the registry"]
    hosts = [
        (machine.get("hostname"), machine.get("role"), machine.get("ip"), machine.get("last_connect") or UNKNOWN)
        for machine in machines
    ]
    sources = [
        (
            f"{machine.get('hostname')}:{segment.get('name')}",
            shape(segment.get("shape")),
            segment.get("dtype"),
            count(segment.get("readers")),
        )
        for machine in machines
        for segment in machine.get("segments", ())
    ]
    offered = table(_SOURCE_COLUMNS, sources, style, width) if sources else ["no segments on any of them"]
    return [*table(_MACHINE_COLUMNS, hosts, style, width), "", *offered]
