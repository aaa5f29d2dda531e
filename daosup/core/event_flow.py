"""Which events of a host are told to the fleet, and which only counted.

Why: the stream of events is bounded, so one host must not push out what the others told. What repeats is counted as in
the log (core/repeats.py); beside that, a host tells of one notice at most `MOST_OF_KIND` times in 30 s, since a host
that starts 1,500 workers says nothing more by the thousandth of them.

Invariant: an event is told or counted, and every count is told within the next 30 s, or at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from daosup.core.repeats import Repeated, Repeats, Subject

MOST_OF_KIND = 200
#: By these fields events of one notice are told from each other, as entries of the log are.
_IDENTIFYING = ("segment", "source", "worker_kind", "peer")


class EventFlow:
    """The events of one host. Times are of one clock that never goes back, in seconds."""

    def __init__(self) -> None:
        self._subjects, self._kinds = Repeats(), Repeats(MOST_OF_KIND)

    def is_told(self, name: str, fields: Mapping[str, object], now: float) -> bool:
        """Whether an event is told; else it is counted. Call ``due`` before."""
        identity = tuple((field, str(fields[field])) for field in _IDENTIFYING if field in fields)
        return self._subjects.is_written(Subject(name, identity), now) and self._kinds.is_written(Subject(name), now)

    def due(self, now: float) -> Iterator[Repeated]:
        """What is to be told now of events that were counted."""
        return chain(self._subjects.due(now), self._kinds.due(now))
