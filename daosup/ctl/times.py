"""Times as people write and read them.

Invariant: what is not understood is a UsageError that shows how to write it; a time of day is of this machine's zone.
"""

from __future__ import annotations

import re
import time

from daosup.errors import UsageError

_UNITS_S = {
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "w": 604800.0,
    "week": 604800.0,
}
_PIECE = r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?=\s|\d|\Z)\s*"
_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M")
_DAYS_AGO = {"today": 0, "yesterday": 1}


def moment(text: str, now_s: float) -> float:
    """What ``text`` means when it is ``now_s`` (seconds since 1970): 10min (ago), 2h, today, 12:00, 2026-11-20 12:00.

    Raises:
        UsageError: If it means nothing.
    """
    words = text.strip().lower()
    if words == "now":
        return now_s
    if words in _DAYS_AGO:
        return _midnight(now_s, _DAYS_AGO[words])
    ago_s = _duration(words.removesuffix("ago"))
    if ago_s is not None:
        return now_s - ago_s
    for form in _FORMS:
        try:
            parsed = time.strptime(words.replace("t", " "), form)
        except ValueError:
            continue
        fields = parsed[:6] if "%Y" in form else (*time.localtime(now_s)[:3], *parsed[3:6])
        try:
            return time.mktime((*fields, 0, 0, -1))
        except (OverflowError, ValueError):
            break
    raise UsageError(f"--since {text!r} is not a time; write 10min, 2h, today, 12:00 or 2026-11-20 12:00")


def ago(seconds: float) -> str:
    """How long ago something was, in its largest unit: 200 is ``3 min ago``."""
    for unit, size_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size_s:
            return f"{int(seconds // size_s)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def stamp(seconds: float) -> str:
    """A moment as a time of this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def clock(seconds: float, now_s: float) -> str:
    """A moment as a time of day; if it was on another day, with that."""
    form = "%H:%M:%S" if time.localtime(seconds)[:3] == time.localtime(now_s)[:3] else "%m-%d %H:%M"
    return time.strftime(form, time.localtime(seconds))


def _duration(words: str) -> float | None:
    """1h30min as seconds."""
    if not re.fullmatch(f"(?:{_PIECE})+", words):
        return None
    total_s = 0.0
    for number, unit in re.findall(_PIECE, words):
        size_s = next((size_s for units, size_s in _UNITS_S.items() if unit in units), None)
        if size_s is None:
            return None
        total_s += float(number) * size_s
    return total_s


def _midnight(now_s: float, days: int) -> float:
    year, month, day = time.localtime(now_s)[:3]
    return time.mktime((year, month, day - days, 0, 0, 0, 0, 0, -1))
