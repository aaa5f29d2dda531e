"""What a reader missed.

Invariant: after every frame taken, ``taken + skipped`` equals the source's counter minus the counter before the first
frame taken, as long as the segment is the same one; a frame is never taken twice and an old one never after a new one.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

_RETIRED_KEPT = 8


class Verdict(Enum):
    """How a frame stands to the one before it."""

    FIRST = "first"
    NEXT = "next"
    GAP = "gap"
    REPEAT = "repeat"
    STALE = "stale"
    UNKNOWN = "unknown"


class GapTracker:
    """Follows one source through its epochs.

    Attributes:
        skipped: Frames the source had and this reader never got.
        gaps: How often at least one was missing.
        counter: The source's counter of the last frame taken.
        expected: The counter of the frame that comes next, or -1 if no frame was taken yet.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.gaps = 0
        self.counter = 0
        self.expected = -1
        self._epoch: int | None = None
        self._creation_time: float | None = None
        self._retired: deque[int] = deque(maxlen=_RETIRED_KEPT)

    def adopt(self, epoch: int, creation_time: float, counter: int) -> bool:
        """Take note of a description; False if it is a late one of an epoch that is over.

        A new epoch of the same segment (its publisher was restarted) goes on counting; a segment made anew, or whose
        counter was set back, begins anew.
        """
        if epoch in self._retired:
            return False
        if epoch != self._epoch:
            if self._epoch is not None:
                self._retired.append(self._epoch)
            self._epoch = epoch
            if creation_time != self._creation_time or counter < self.counter:
                self.expected = -1
            self._creation_time = creation_time
        return True

    def take(self, epoch: int, counter: int) -> Verdict:
        """Judge a frame; FIRST, NEXT and GAP mean that it is new and is now the last one taken."""
        if epoch != self._epoch:
            return Verdict.STALE if epoch in self._retired else Verdict.UNKNOWN
        is_first = self.expected < 0
        missing = 0 if is_first else counter - self.expected
        if missing < 0:
            return Verdict.REPEAT if missing == -1 else Verdict.STALE
        self.counter, self.expected = counter, counter + 1
        if is_first:
            return Verdict.FIRST
        if missing == 0:
            return Verdict.NEXT
        self.gaps += 1
        self.skipped += missing
        return Verdict.GAP

    def advance(self, count: int, skipped: int = 0, gaps: int = 0) -> None:
        """Take so many frames, as somebody else has judged, with so many missing between them, in so many gaps."""
        self.expected += count + skipped
        self.skipped += skipped
        self.gaps += gaps
        self.counter = self.expected - 1

    def is_behind(self, counter: int) -> bool:
        """Whether the source, by its word, has a newer frame than the last one taken."""
        return counter > 0 and (self.expected < 0 or counter >= self.expected)
