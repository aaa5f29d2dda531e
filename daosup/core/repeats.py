"""Which log entries are written, and which only counted because they say the same again.

Why five in 30 s: the first deaths of a worker that cannot live come within a second, and are worth reading; a fault
that comes more often than once in six seconds says nothing new by each of its entries. So a crash loop, a registry that
comes and goes or a hostile peer costs at most an entry in five seconds for each thing that fails.

Invariants: an entry is written or counted, and every count is told: when 30 s are over, as long as it lasts and when it
ends. At most `MOST_SUBJECTS` subjects are remembered one by one; if there are more, the others share one for each kind.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Optional

MOST_WRITTEN = 5
WINDOW_S = 30.0
MOST_SUBJECTS = 4096


@dataclass(frozen=True)
class Subject:
    """What an entry is about; entries of one subject say the same.

    ``identity`` tells subjects of one kind from each other; None stands for all for which there is no room.
    """

    kind: str
    identity: Optional[tuple[tuple[str, Hashable], ...]] = ()


@dataclass(frozen=True)
class Repeated:
    """So many entries of a subject were not written."""

    subject: Subject
    count: int


class _Window:
    __slots__ = ("counted", "end_s", "written")

    def __init__(self, end_s: float) -> None:
        self.end_s = end_s
        self.written = self.counted = 0


class Repeats:
    """The entries of one log. Times are of one clock that never goes back, in seconds.

    Args:
        most_written: How many of a subject within `WINDOW_S`; by default `MOST_WRITTEN`.
    """

    def __init__(self, most_written: Optional[int] = None) -> None:
        self._most_written = most_written
        # In the order in which the windows end, for they are all of one length.
        self._windows: dict[Subject, _Window] = {}

    def is_written(self, subject: Subject, now: float) -> bool:
        """Whether an entry is to be written; else it is counted. Call ``due`` before."""
        window = self._windows.get(subject)
        if window is None:
            if len(self._windows) >= MOST_SUBJECTS and subject.identity is not None:
                return self.is_written(Subject(subject.kind, None), now)
            window = self._windows[subject] = _Window(now + WINDOW_S)
        if window.written < (self._most_written or MOST_WRITTEN):
            window.written += 1
            return True
        window.counted += 1
        return False

    def due(self, now: float) -> Iterator[Repeated]:
        """What is to be told now of entries that were counted: of each subject whose time is over."""
        while self._windows:
            subject, window = next(iter(self._windows.items()))
            if now < window.end_s:
                return
            del self._windows[subject]
            if window.counted:
                yield Repeated(subject, window.counted)

    def rest(self) -> Iterator[Repeated]:
        """What is to be told at the end."""
        return self.due(float("inf"))
