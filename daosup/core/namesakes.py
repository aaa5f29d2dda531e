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

    def __init__(self, host: str, instance: str) -> None:
        self.started_ms = 0
        self._host = host
        self._instance = instance
        self._beats: dict[str, int] = {}
        self._answered_s: Optional[float] = None

    def met(self, other: Instance) -> Optional[str]:
        """Take in what another process wrote; returns why we have to end for its sake, if we have to."""
        beat = self._beats.get(other.instance)
        if beat is None:
            if len(self._beats) >= _MOST:
                self._beats.clear()
            self._beats[other.instance] = other.beat
            return None
        is_older = (other.started_ms, other.instance) < (self.started_ms, self._instance)
        if other.beat <= beat or not is_older:
            return None
        return (
            f"another daosupd, pid {other.pid} at {other.ip or 'unknown'}, has served host {self._host} for longer; "
            "stop that one, or give this one another name (host in the configuration)"
        )

    def may_answer(self, now: float) -> bool:
        """Whether to write ourselves down over another now; if so it counts as done."""
        if self._answered_s is not None and now < self._answered_s + ANSWER_INTERVAL_S:
            return False
        self._answered_s = now
        return True
