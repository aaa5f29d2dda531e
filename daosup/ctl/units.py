"""Numbers as people read them.

Invariant: three digits at most and a unit with its prefix; what is not known is ``-``.
"""

from __future__ import annotations

import time

UNKNOWN = "-"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def quantity(value: object, unit: str) -> str:
    """``value`` in ``unit`` with a decimal prefix: 57600000.0, "B/s" is ``57.6 MB/s``."""
    if not isinstance(value, (int, float)) or value != value:
        return UNKNOWN
    size = abs(value)
    for scale, prefix in _PREFIXES:
        # What rounds up to 1000 belongs to the larger prefix.
        if size >= scale * 0.9995:
            return f"{_three_digits(value / scale)} {prefix}{unit}"
    return f"0 {unit}"


def duration(seconds: object) -> str:
    """A time in seconds as its one or two largest units: 7400 is ``2 h 3 min``."""
    if not isinstance(seconds, (int, float)) or seconds != seconds:
        return UNKNOWN
    if seconds < 59.5:
        return quantity(seconds, "s")
    minutes, left_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left_s} s" if left_s else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(ago_s: object) -> str:
    """When that was, by this host's clock and time zone: ``2026-11-21 15:04:02``."""
    if not isinstance(ago_s, (int, float)) or ago_s != ago_s:
        return UNKNOWN
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - ago_s))


def count(value: object) -> str:
    """A count: whole up to 99999, then with a prefix."""
    if not isinstance(value, (int, float)):
        return UNKNOWN
    return str(value) if abs(value) < 100_000 else quantity(value, "").replace(" ", "")


def percent(value: object) -> str:
    """A part of one, as 3.4 %."""
    return f"{_three_digits(value * 100)} %" if isinstance(value, (int, float)) and value == value else UNKNOWN


def shape(value: object) -> str:
    """A shape, as 240x240."""
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) and value else UNKNOWN


def _three_digits(value: float) -> str:
    size = abs(value)
    text = f"{value:.0f}" if size >= 99.95 else f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
