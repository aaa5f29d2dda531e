"""Other processes that speak for this host's name: on another machine by mistake, or our own predecessor.

Invariants: a process is alive only if it was seen to write itself down again, so a dead predecessor delays nobody; of
two that live, the one that started later ends, by one order that both see alike (start in Redis's time, then the
instance's name). The other one stays and writes itself down again.
"""

from __future__ import annotations

from typing import Optional

from daosup.core.registry_values import Instance

#: Whoever stays answers at once, then at most this often: two that both stay must not make a storm.
ANSWER_INTERVAL_S = 0.5
_MOST = 64


class Namesakes:
    """What is known of other processes under our host name. ``started_ms``: our own start, in Redis's time."""

    def __init__(self, instance: str) -> None:
        self.started_ms = 0
        self._instance = instance
        self._beats: dict[str, int] = {}
        self._answered_s: Optional[float] = None

    def met(self, other: Instance) -> bool:
        """Take in what another process wrote; returns whether we have to end for its sake."""
        beat = self._beats.get(other.instance)
        if beat is None:
            if len(self._beats) >= _MOST:
                self._beats.clear()
            self._beats[other.instance] = other.beat
            return False
        is_alive = other.beat > beat
        return is_alive and (other.started_ms, other.instance) < (self.started_ms, self._instance)

    def is_known(self, other: Instance) -> bool:
        """Whether it was met before."""
        return other.instance in self._beats

    def may_answer(self, now: float) -> bool:
        """Whether to write ourselves down over another now; if so it counts as done."""
        if self._answered_s is not None and now < self._answered_s + ANSWER_INTERVAL_S:
            return False
        self._answered_s = now
        return True
