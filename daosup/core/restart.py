"""When a worker that died is started again.

Invariants: the first restart comes at once; no delay exceeds the cap; whoever dies young too often in a row is put in
quarantine, and tried from there slowly and for ever; a healthy period makes the next death a first one again. Two
workers that go on dying together do not go on coming back together, and yet nothing here is left to chance: what one
death of one worker leads to is always the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

FIRST_DELAY_S = 0.0
SECOND_DELAY_S = 0.1
MAX_DELAY_S = 5.0
#: Whoever dies of something of its own does so sooner than this.
HEALTHY_S = 3.0
#: So many deaths in a row, each young, are answered by a restart; the next one by quarantine. It takes some 10 s.
RESTARTS_IN_A_ROW = 8
QUARANTINE_S = 60.0
#: The part of a delay by which workers differ.
SPREAD = 0.25


@dataclass(frozen=True)
class Backoff:
    """How often in a row a worker died young."""

    deaths: int = 0

    @property
    def is_quarantined(self) -> bool:
        """Whether trying again soon has not helped."""
        return self.deaths > RESTARTS_IN_A_ROW

    def spared(self) -> Backoff:
        """The same, but so that one death more does not lead into quarantine."""
        return Backoff(min(self.deaths, RESTARTS_IN_A_ROW - 1))

    def died(self, lived_s: float, who: str = "", healthy_s: float = HEALTHY_S) -> tuple[float, Backoff]:
        """Return the delay before the next start in seconds, and the state after it.

        Args:
            lived_s: How long the life was that ended, in seconds.
            who: Whose; the delays of others differ a little.
            healthy_s: How long a life must be to count as healthy.
        """
        deaths = 1 if lived_s >= healthy_s else self.deaths + 1
        after = Backoff(deaths)
        if deaths == 1:
            return FIRST_DELAY_S, after
        if after.is_quarantined:
            longest_s = QUARANTINE_S
        else:
            longest_s = min(MAX_DELAY_S, SECOND_DELAY_S * 2.0 ** (deaths - 2))
        return longest_s * (1 - SPREAD * _spread(who, deaths)), after


def _spread(who: str, deaths: int) -> float:
    """A number from 0 to 1 that looks like chance."""
    return zlib.crc32(f"{who} {deaths}".encode()) / 0xFFFFFFFF
