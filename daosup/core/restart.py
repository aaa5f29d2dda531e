"""When a worker that died is started again.

Invariant: the first restart comes at once, the delay never exceeds the cap, and a healthy period makes the next death
a first one again.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_S = 0.0
SECOND_DELAY_S = 0.1
MAX_DELAY_S = 5.0
#: Whoever dies of something of its own does so sooner than this.
HEALTHY_S = 3.0


@dataclass(frozen=True)
class Backoff:
    """How often in a row a worker died young."""

    deaths: int = 0

    def died(self, lived_s: float) -> tuple[float, Backoff]:
        """Return the delay before the next start in seconds, and the state after it."""
        deaths = 1 if lived_s >= HEALTHY_S else self.deaths + 1
        if deaths == 1:
            return FIRST_DELAY_S, Backoff(deaths)
        return min(MAX_DELAY_S, SECOND_DELAY_S * 2.0 ** min(deaths - 2, 32)), Backoff(deaths)
