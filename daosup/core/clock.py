"""Whether this host's clock agrees with Redis's.

Invariant: nothing between hosts is decided by a host's own clock; that it is off is only told, once, and once more when
it is right again. What the round trip may have hidden is in its favour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from daosup.core.actions import Report
from daosup.core.events import ClockCompared
from daosup.core.notices import fleet

#: What people see in the ages of frames and in log files; well synchronised hosts are a thousand times better.
MOST_OFFSET_S = 2.0
#: Between this and that it stays as it was, so that a clock at the limit is not reported again and again.
_RIGHT_AGAIN_S = 1.0


class Clock:
    """This host's clock against Redis's. ``offset_s``: seconds ahead, None if they were never compared."""

    def __init__(self) -> None:
        self.offset_s: Optional[float] = None
        self.is_off = False

    def compared(self, event: ClockCompared) -> Iterator[Report]:
        """Take in a comparison."""
        self.offset_s = event.offset_s
        least_s = max(0.0, abs(event.offset_s) - event.round_trip_s / 2)
        if not self.is_off and least_s > MOST_OFFSET_S:
            self.is_off = True
            yield Report(fleet.CLOCK_OFF, fields=(("offset_s", round(event.offset_s, 1)),))
        elif self.is_off and least_s < _RIGHT_AGAIN_S:
            self.is_off = False
            yield Report(fleet.CLOCK_RIGHT, fields=(("offset_s", round(event.offset_s, 3)),))
