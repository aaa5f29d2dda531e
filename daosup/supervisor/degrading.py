"""Looks, once a second, whether the host is as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from daosup.core.degraded import Degraded, reasons_of

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

LOOK_INTERVAL_S = 1.0


class Degrading:
    """Of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._degraded = Degraded()
        self._looked_s = float("-inf")

    def tick(self, now: float) -> None:
        """A turn of the loop, at ``now`` on the monotonic clock."""
        if now >= self._looked_s + LOOK_INTERVAL_S:
            self._looked_s = now
            self._look(now)

    def as_json(self, now: float) -> Optional[dict[str, Any]]:
        """Since when, and why; None if all is as it should be."""
        self._look(now)
        degraded = self._degraded
        if degraded.since_s is None:
            return None
        return {"since_s": now - degraded.since_s, "reasons": list(degraded.reasons)}

    def _look(self, now: float) -> None:
        supervisor = self._supervisor
        mistakes = len(supervisor.reloading.status["mistakes"])
        self._degraded.look(tuple(reasons_of(supervisor.state, mistakes, supervisor.lasting.error, now)), now)
