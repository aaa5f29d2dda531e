"""What time it is in Redis, the one clock that all hosts of a fleet share.

Invariant: between two comparisons Redis's time goes on with our monotonic clock, so a step of this host's wall clock
changes nothing that is written.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import Optional


def wall_clock_s() -> float:
    """This host's clock: seconds since 1970."""
    return time.time()


@dataclass(frozen=True)
class Comparison:
    """Our clock is ``offset_s`` ahead of Redis's, give or take half of ``round_trip_s``."""

    offset_s: float
    round_trip_s: float


class RegistryClock:
    """Redis's time as told from here. Until the first comparison it is this host's own."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._ahead_s = wall_clock_s() - self._began_s  # Redis's time minus our monotonic clock
        self._offset_s: Optional[float] = None

    def compare(self, asked_s: float, seconds: int, microseconds: int) -> Comparison:
        """Take in what Redis answered just now to a question of ``asked_s``, by our monotonic clock."""
        redis_s = seconds + microseconds / 1e6
        round_trip_s = time.monotonic() - asked_s
        self._ahead_s = redis_s - (asked_s + round_trip_s / 2)
        self._offset_s = wall_clock_s() - round_trip_s / 2 - redis_s
        return Comparison(self._offset_s, round_trip_s)

    @property
    def offset_ms(self) -> Optional[int]:
        """How far this host's clock was ahead of Redis's at the last comparison; None before it."""
        return None if self._offset_s is None else round(self._offset_s * 1000)

    def now_s(self) -> float:
        """Seconds since 1970, by Redis's clock."""
        return time.monotonic() + self._ahead_s

    def stamp(self) -> bytes:
        """The same as the schema wants it: ISO-8601, UTC, with its offset."""
        return datetime.datetime.fromtimestamp(self.now_s(), datetime.timezone.utc).isoformat().encode()

    def began_ms(self) -> int:
        """When this clock, and with it this process, began, by Redis's clock."""
        return max(0, round((self._began_s + self._ahead_s) * 1000))


def parse_stamp(text: str) -> Optional[float]:
    """Seconds since 1970 of an ISO-8601 time, UTC if it has no offset; None if it is no time."""
    try:
        parsed = datetime.datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None
