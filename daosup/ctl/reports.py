"""What the daemon's results look like to people.

Invariant: a report shows every trouble in words, whatever the width; a field the daemon does not know is ``-``.
"""

from __future__ import annotations

from daosup.ctl.tables import Column, Style, safe, table, wrapped
from daosup.ctl.units import UNKNOWN, duration, moment, quantity, shape
from daosup.ctl.worker_table import STATE_COLOURS, worker_table

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Longer delays than these are told in colour: others begin to notice.
LONG_LAG_S = 0.5
LONG_ROUND_TRIP_S = 0.5
_SEGMENT_COLUMNS = (
    Column("SEGMENT", is_name=True),
    Column("SHAPE"),
    Column("DTYPE"),
    Column("LAYOUT"),
    Column("SIZE", is_number=True),
    Column("READERS", is_name=True),
)


def is_well(status: dict[str, Any]) -> bool:
    """Whether the registry is up, and every worker that is not stopped on purpose runs."""
    is_up = status.get("registry", {}).get("state") == "up"
    return bool(is_up and all(map(is_fine, status.get("workers", ()))))


def is_fine(worker: dict[str, Any]) -> bool:
    """Whether a worker runs, or is not meant to."""
    return worker.get("state") in ("running", "stopped", "idle")


def status_report(status: dict[str, Any], style: Style, width: int | None, *, is_verbose: bool = False) -> list[str]:
    """The lines of ``daosupctl status``; with ``is_verbose`` times are absolute as well."""
    lines = daemon_lines(status, style, width, is_verbose=is_verbose)
    return [*lines, "", *segment_table(status, style, width), "", *worker_table(status, style, width)]


def daemon_lines(status: dict[str, Any], style: Style, width: int | None, *, is_verbose: bool) -> list[str]:
    """What is said of the daemon itself."""

    def since(ago_s: object) -> str:
        return f"{duration(ago_s)}, since {moment(ago_s)}" if is_verbose else duration(ago_s)

    registry, config = status.get("registry", {}), status.get("config", {})
    name = safe(status.get("host"))
    role = safe(status.get("role") or "role not yet decided")
    about = f"instance {safe(status.get('instance'))}, pid {status.get('pid')}, daosup {safe(status.get('version'))}"
    state = str(registry.get("state"))
    where = f"{safe(registry.get('address'))} for {since(registry.get('since_s'))}"
    server = f", {safe(registry['server'])}" if registry.get("server") else ""
    lines = [
        f"{style(name, 'strong')}  {role}, up {since(status.get('uptime_s'))}",
        f"{about}, {safe(config.get('file') or 'no configuration file')}",
        *_degraded_lines(status.get("degraded"), style, width, since),
        *(style(line, "bad") for told in _told_of_config(status) for line in wrapped(told, width)),
        f"registry {style(safe(state), STATE_COLOURS.get(state, ''))}  {where}{server}",
    ]
    if registry.get("error"):
        lines += [style(line, "bad") for line in wrapped(registry["error"], width)]
    if registry.get("effect"):
        lines += [style(line, "doubtful") for line in wrapped(registry["effect"], width)]
    lines += _delay_lines(status, style)
    lines += lease_lines(status.get("lease") or {}, style)
    if (status.get("clock") or {}).get("is_off"):
        told = f"off by {duration(abs(status['clock'].get('offset_s') or 0))} against the registry's; set it (NTP)"
        lines.append(f"clock    {style(told, 'bad')}")
    return [*lines, *_metrics_lines(status.get("metrics") or {}, style), *_dnet_lines(status.get("dnet") or {}, style)]


def _delay_lines(status: dict[str, Any], style: Style) -> list[str]:
    """How long the daemon, and Redis, keep others waiting."""
    loop, registry = status.get("loop"), status.get("registry", {})
    if loop is None:  # of an older version
        return []
    told = [
        style(f"{who} {duration(last_s)}, worst {duration(worst_s)}", "doubtful" if (worst_s or 0) > limit_s else "")
        for who, last_s, worst_s, limit_s in (
            ("loop", loop.get("lag_s"), loop.get("worst_lag_s"), LONG_LAG_S),
            ("Redis", registry.get("round_trip_s"), registry.get("worst_round_trip_s"), LONG_ROUND_TRIP_S),
        )
    ]
    return [f"delays   {'; '.join(told)} (last minute)"]


def _metrics_lines(metrics: dict[str, Any], style: Style) -> list[str]:
    if not metrics:
        return []
    if metrics.get("error"):
        told = f"not served at {metrics.get('listen')}: {metrics['error']}"
        return [f"metrics  {style(safe(told), 'doubtful')}"]
    return [f"metrics  at {safe(metrics.get('listen'))}"]


def _dnet_lines(dnet: dict[str, Any], style: Style) -> list[str]:
    """The nodes of DAO's network service, if they are listened to."""
    if not dnet:
        return []
    if dnet.get("error"):
        told = f"nobody can be heard: {dnet['error']}"
        return [f"dnet     {style(safe(told), 'doubtful')}"]
    nodes = [
        safe(each.get("node")) + (f" ({safe(each['error'])})" if each.get("error") else "")
        for each in dnet.get("nodes", ())
    ]
    return [f"dnet     domain {safe(dnet.get('domain'))}, heard: {', '.join(nodes) or 'nobody'}"]


def _degraded_lines(
    degraded: dict[str, Any] | None, style: Style, width: int | None, since: Callable[[object], str]
) -> list[str]:
    if not degraded:
        return []
    reasons = [line for reason in degraded.get("reasons", ()) for line in wrapped(reason, width)]
    return [style(f"degraded for {since(degraded.get('since_s'))}", "bad"), *reasons]


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
