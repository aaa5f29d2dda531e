"""Whether a loop that waits for frames may spin: look again and again instead of sleeping, which takes a whole CPU.

Invariants: it spins only while frames come faster than one each period, as seen over a while, so a stream that rests
or is slow costs what it would without; it is over at the first look without a frame for that period. A CPU is spun on
by one worker only, for two would each take from the other what it is to save; and the only CPU of a machine by none,
as whoever brings the frame needs it.
"""

from __future__ import annotations

from collections.abc import Collection

#: How long frames are counted: for so many periods, and not shorter than this.
PERIODS = 10
SHORTEST_S = 0.1


class FrameFlow:
    """Whether frames flow fast enough.

    Args:
        period_s: Frames that come less often than one each ``period_s`` are not spun for; 0: none are.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._window_s = max(SHORTEST_S, PERIODS * period_s)
        self._frames = self._counted = -1
        self._came_s = self._began_s = 0.0
        self._is_fast = False

    def is_fast(self, now: float, frames: int) -> bool:
        """To be asked often.

        Args:
            now: In seconds, on a clock that never goes back.
            frames: How many have come so far; fewer than before: they are counted anew.
        """
        if not self._period_s:
            return False
        if frames < self._frames or self._counted < 0:
            self._is_fast, self._counted, self._began_s = False, frames, now
        if frames != self._frames:
            self._frames, self._came_s = frames, now
        elif now > self._came_s + self._period_s:
            self._is_fast, self._counted, self._began_s = False, frames, now
        elapsed_s = now - self._began_s
        if elapsed_s >= self._window_s:
            # Between n frames there are n - 1 periods: so none that is too slow ever counts as fast.
            self._is_fast = (frames - self._counted - 1) * self._period_s >= elapsed_s
            self._counted, self._began_s = frames, now
        return self._is_fast


def cpus_to_spin_on(allowed: Collection[int], present: int) -> list[int]:
    """Those that a worker may try to have for itself, in this order.

    Args:
        allowed: The CPUs that it may run on.
        present: How many the machine has.
    """
    return sorted(allowed) if present > 1 else []
