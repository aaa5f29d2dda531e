"""What is believed of the files of a segment folder, and when each is to be looked at.

Invariants:
- a file is looked at as soon as something happened to it, and again soon after: until two looks in succession found
  the same segment, for a segment may be filled in through memory, which nobody is told of; or until patience is over;
- a segment counts as gone only when it was missed for a while: who makes a file anew is given that time;
- a file that nothing happens to is not looked at, so quiet segments cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from daosup.core.types import SegmentFacts

#: Pauses between the looks at one file; the last one is repeated.
PAUSES_S = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3)
#: A segment that is not there, or is none, for so long is gone; what it is then is told of.
MISSED_S = 0.5
#: A file that never was one is told of later: one of another user is to be opened up first (giving_access.py).
TOLD_S = 2.0
#: A file that is no segment for so long is left to itself until something happens to it.
PATIENCE_S = 5.0


@dataclass
class _Watched:
    due_s: float
    until_s: float
    looks: int = 0
    seen: Optional[SegmentFacts] = None
    missed_s: Optional[float] = None


class Discovery:
    """The files of one folder by name; times are seconds on any monotonic clock.

    Attributes:
        segments: What is there.
        refused: Why files that look like segments by name are none.
    """

    def __init__(self) -> None:
        self.segments: dict[str, SegmentFacts] = {}
        self.refused: dict[str, str] = {}
        self._watched: dict[str, _Watched] = {}
        self._found: dict[str, SegmentFacts] = {}
        self._gone: set[str] = set()

    def touch(self, name: str, now: float, *, patience_s: float = PATIENCE_S) -> None:
        """Something may have happened to a file; without patience it is only looked at once, unless that gives news."""
        watched = self._watched.get(name)
        if watched is None:
            self._watched[name] = _Watched(now, now + patience_s)
        else:
            watched.until_s = max(watched.until_s, now + patience_s)
            # However often it is touched, it is not looked at more often; and a look before this does not count.
            watched.due_s = min(watched.due_s, now + PAUSES_S[0]) if watched.looks else watched.due_s
            watched.looks, watched.seen = min(watched.looks, 1), None

    def due(self, now: float) -> list[str]:
        """The files to look at now, each to be answered by ``saw``."""
        return [name for name, watched in self._watched.items() if watched.due_s <= now]

    @property
    def next_s(self) -> Optional[float]:
        """When the next look is due; None if all is quiet."""
        return min((watched.due_s for watched in self._watched.values()), default=None)

    def saw(self, name: str, facts: Optional[SegmentFacts], reason: Optional[str], now: float) -> None:
        """A file was looked at.

        Args:
            name: Which.
            facts: What it is, if it is a segment.
            reason: Why it is none; None if there is no file.
            now: When.
        """
        watched = self._watched.setdefault(name, _Watched(now, now))
        if facts is not None:
            watched.until_s, watched.missed_s = now + PATIENCE_S, None
            self._take(name, facts)
            is_over = watched.seen == facts
        else:
            watched.missed_s = now if watched.missed_s is None else watched.missed_s
            since_s = now - watched.missed_s
            is_over = self._miss(name, reason, since_s) or (now >= watched.until_s and name not in self.segments)
        if is_over:
            del self._watched[name]
            return
        watched.seen = facts
        watched.due_s = now + PAUSES_S[min(watched.looks, len(PAUSES_S) - 1)]
        watched.looks += 1

    def _take(self, name: str, facts: SegmentFacts) -> None:
        self.refused.pop(name, None)
        if self.segments.get(name) != facts:
            self.segments[name] = self._found[name] = facts
            self._gone.discard(name)

    def _miss(self, name: str, reason: Optional[str], since_s: float) -> bool:
        """Draw the conclusions from a look that found no segment; whether no further one is needed."""
        if name in self.segments and since_s < MISSED_S:
            return False
        was_segment = self.segments.pop(name, None) is not None
        if was_segment:
            self._found.pop(name, None)
            self._gone.add(name)
        if reason is None:
            self.refused.pop(name, None)
            return True
        if was_segment or since_s >= TOLD_S or name in self.refused:
            self.refused[name] = reason
        return False

    def take_changes(self) -> tuple[tuple[SegmentFacts, ...], tuple[str, ...]]:
        """What was found, or found to be otherwise, and what is gone since this was asked last."""
        changes = tuple(self._found.values()), tuple(sorted(self._gone))
        self._found, self._gone = {}, set()
        return changes
