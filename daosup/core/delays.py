"""How long something takes that happens again and again: counted by size since the start, and the worst of late.

Invariant: it takes the same little room however often it happens.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from itertools import accumulate
from typing import Optional

#: Upper bounds of the sizes that are counted, in seconds; what is longer is counted as well.
BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: For so long the worst is remembered.
WINDOW_S = 60.0


class Delays:
    """One kind of delay; times are of one clock that never goes back, in seconds.

    Attributes:
        last_s: The last one; None before the first.
        total_s: All of them together.
        counts: How many there were of each size: up to each bound and above the bound before, and longer than all.
    """

    def __init__(self) -> None:
        self.last_s: Optional[float] = None
        self.total_s = 0.0
        self.counts = [0] * (len(BOUNDS_S) + 1)
        # Those that may yet be the worst: each is longer than all that came after it.
        self._worst: deque[tuple[float, float]] = deque()

    def add(self, delay_s: float, now: float) -> None:
        """It took ``delay_s``, and was over at ``now``."""
        self.last_s = delay_s
        self.total_s += delay_s
        self.counts[bisect_left(BOUNDS_S, delay_s)] += 1
        while self._worst and self._worst[-1][1] <= delay_s:
            self._worst.pop()
        self._worst.append((now, delay_s))
        self._forget(now)

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, and how many there were up to it."""
        return zip(BOUNDS_S, accumulate(self.counts))

    def worst_s(self, now: float) -> Optional[float]:
        """The longest of the last ``WINDOW_S``; None if there was none."""
        self._forget(now)
        return self._worst[0][1] if self._worst else None

    def _forget(self, now: float) -> None:
        while self._worst and self._worst[0][0] < now - WINDOW_S:
            self._worst.popleft()


class Lateness(Delays):
    """How late something is that should come again and again.

    Args:
        interval_s: How long after one time the next one should come.
    """

    def __init__(self, interval_s: float) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._came_s: Optional[float] = None

    def came(self, now: float) -> None:
        """Here it is."""
        if self._came_s is not None:
            self.add(max(0.0, now - self._came_s - self._interval_s), now)
        self._came_s = now
