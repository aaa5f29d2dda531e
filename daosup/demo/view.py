"""What the demonstration shows, as lines of text.

Invariant: lines are made from facts only; asking and drawing are done elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from daosup.ctl.ink import Ink, width_of
from daosup.ctl.picture import Scale, bars, image
from daosup.ctl.tables import Column, Style, safe, table
from daosup.ctl.units import UNKNOWN, count, duration, quantity, shape
from daosup.ctl.watching import Shot
from daosup.ctl.worker_table import STATE_COLOURS, trouble_of

_COLUMNS = (
    Column("HOST"),
    Column("WORKER"),
    Column("SOURCE", is_name=True),
    Column("STATE"),
    Column("PID", is_number=True),
    Column("RATE", is_number=True),
    Column("DATA", is_number=True),
    Column("AGE", is_number=True),
    Column("SKIP", is_number=True),
)
_BETWEEN = "   "
_LEAST_ROWS = 4


def report(
    statuses: Mapping[str, Union[dict[str, Any], str]], deaths: Sequence[str], style: Style, width: Optional[int]
) -> list[str]:
    """The workers of all hosts, then all trouble in words.

    Args:
        statuses: What each host answered to ``status``, or why it did not.
        deaths: Processes that ended, in words.
        style: Colours.
        width: Columns of the terminal; None for a pipe.
    """
    rows: list[tuple[object, ...]] = []
    told = [style(death, "bad") for death in deaths]
    for host, status in statuses.items():
        if isinstance(status, str):
            told.append(f"{host}: {style(safe(status), 'bad')}")
            continue
        registry = status.get("registry", {})
        if registry.get("state") != "up":
            why = f" ({registry['error']})" if registry.get("error") else ""
            told.append(f"{host}: registry {style(safe(registry.get('state')), 'bad')}{safe(why)}")
        for worker in status.get("workers", ()):
            rows.append(_row(host, worker))
            trouble = trouble_of(worker)
            if trouble:
                told.append(f"{host}: {safe(worker.get('kind'))} {safe(worker.get('source'))}: {safe(trouble)}")
    return [*table(_COLUMNS, rows, style, width, STATE_COLOURS), *told]


def segments(status: Union[dict[str, Any], str, None]) -> str:
    """One line about a host's own segments."""
    if not isinstance(status, dict):
        return ""
    return "   ".join(
        safe(f"{status.get('host')}:{each.get('name')} {shape(each.get('shape'))} {each.get('dtype')}")
        for each in status.get("segments", ())
    )


def pictures(camera: Optional[Shot], mirror: Optional[Shot], rows: int, columns: int, ink: Ink) -> list[str]:
    """The camera's frame and, to its right, the mirror's commands; nothing if there is too little room."""
    rows -= 1
    if rows < _LEAST_ROWS:
        return []
    left_width = min(2 * rows, columns // 2)
    right_width = columns - left_width - len(_BETWEEN)
    left = [] if camera is None else image(camera.frame, rows, left_width, ink)
    values = None if mirror is None else mirror.frame.reshape(-1)
    right = [] if values is None else bars(values, rows, right_width, ink, Scale.symmetric(values))
    lines = [_caption("camera", camera).ljust(left_width) + _BETWEEN + _caption("deformable mirror", mirror)]
    for row in range(rows):
        part = left[row] if row < len(left) else ""
        blanks = " " * (left_width - width_of(part))
        lines.append(part + blanks + _BETWEEN + (right[row] if row < len(right) else ""))
    return lines


def _row(host: str, worker: dict[str, Any]) -> tuple[object, ...]:
    return (
        host,
        worker.get("kind"),
        worker.get("source"),
        worker.get("state"),
        worker.get("pid") or UNKNOWN,
        quantity(worker.get("rate_hz"), "Hz"),
        quantity(worker.get("bytes_per_s"), "B/s"),
        duration(worker.get("age_s")),
        count(worker.get("skipped")),
    )


def _caption(what: str, shot: Optional[Shot]) -> str:
    return f"{what}: no frame yet" if shot is None else f"{what} {shot.source}, frame {shot.counter}"
