"""What the segments of all hosts look like to people."""

from __future__ import annotations

import time

from daosup.ctl.tables import Column, Style, safe, table, wrapped
from daosup.ctl.units import UNKNOWN, count, duration, quantity, shape

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

_HOSTS = (
    Column("HOST", is_name=True),
    Column("ROLE"),
    Column("ADDRESS"),
    Column("LAST SEEN", is_number=True),
    Column("SEGMENTS", is_number=True),
    Column("RATES"),
)
_SOURCES = (
    Column("SOURCE", is_name=True),
    Column("SHAPE"),
    Column("DTYPE"),
    Column("LAYOUT", rank=1),
    Column("RATE", is_number=True),
    Column("SIZE", is_number=True),
    Column("READERS", is_name=True),
    Column("WRITERS", is_name=True),
    Column("WRITTEN", is_number=True, rank=2),
    Column("USER", rank=3),
)
#: How many of them are there only if more is asked for.
_MORE = 2
#: The role of hosts that run DAO's network service, which tell no rates.
_NODE = "dnet"
_COLOURS = {"from them": "good", "not known": "doubtful"}


def segments_report(
    hosts: list[dict[str, Any]], options: Options, style: Style, width: int | None, trouble: str = ""
) -> list[str]:
    """The lines of ``daosupctl ls``: hosts, if all were asked for, then segments in the words that ``mirror`` takes.

    ``trouble``: why others than this host are not told of.
    """
    told = wrapped(f"this host only: {trouble}", width, "") if trouble else []
    lines = [*(style(line, "bad") for line in told), *([""] if told else [])]
    if not hosts:
        return [*lines, "no hosts in the registry"]
    if options.verbose or not options.name:
        lines += [*table(_HOSTS, [_host_row(host, options) for host in hosts], style, width, _COLOURS), ""]
    rows = [_row(host, segment) for host in hosts for segment in host["segments"]]
    shown = len(_SOURCES) - (0 if options.verbose else _MORE)
    if rows:
        lines += table(_SOURCES[:shown], [row[:shown] for row in rows], style, width)
    else:
        lines.append("no segments on any of them")
    return lines + [style(line, "doubtful") for told in _unanswered(hosts) for line in wrapped(told, width, "")]


def _unanswered(hosts: list[dict[str, Any]]) -> list[str]:
    """Why hosts did not say more than the registry knows; those that have the same reason together."""
    reasons: dict[str, list[str]] = {}
    for host in hosts:
        if not host["is_answering"]:
            reasons.setdefault(safe(host["error"].get("message")), []).append(safe(host["hostname"]))
    return [
        f"{', '.join(names)}: {reason}; shown is what the registry knows"
        for reason, names in sorted(reasons.items(), key=lambda each: each[1])
    ]


def _host_row(host: dict[str, Any], options: Options) -> tuple[str, ...]:
    seen = str(host["last_connect"] or UNKNOWN)
    age_s = _age_s(seen)
    if age_s is not None and not options.verbose:
        seen = f"{duration(round(max(0.0, age_s)))} ago"
    return (
        str(host["hostname"]),
        host["role"] or UNKNOWN,
        host["ip"] or UNKNOWN,
        seen,
        str(len(host["segments"])),
        "from them" if host["is_answering"] and host["role"] != _NODE else "not known",
    )


def _age_s(stamp: str) -> float | None:
    """How long ago a time is that the registry has; by this host's clock."""
    import datetime

    try:
        return time.time() - datetime.datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return None


def _ago(age_s: object) -> str:
    if not isinstance(age_s, (int, float)):
        return UNKNOWN
    return "just now" if age_s < 1 else f"{duration(age_s)} ago"


def _row(host: dict[str, Any], segment: dict[str, Any]) -> tuple[str, ...]:
    depth = segment["depth"]
    readers, writers = segment["reader_hosts"], segment["writers"]
    layout = str(segment["layout"] or UNKNOWN)
    return (
        f"{host['hostname']}:{segment['name']}",
        shape(segment["shape"]),
        segment["dtype"] or UNKNOWN,
        f"{layout} x{depth}" if isinstance(depth, int) and depth > 1 else layout,
        quantity(segment["rate_hz"], "Hz"),
        quantity(segment["nbytes"], "B"),
        ", ".join(map(str, readers)) or UNKNOWN if isinstance(readers, list) else count(segment["readers"]),
        ", ".join(map(str, writers or ())) or {"read_only": "read-only"}.get(str(segment["writing"]), UNKNOWN),
        _ago(segment["age_s"]),
        str(segment["user"] or UNKNOWN),
    )
