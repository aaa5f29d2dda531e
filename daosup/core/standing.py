"""How a host stands with the registry, and when it tries to reach it again.

Invariant: an outage lasts from the loss of a registry that worked until one has worked for HEALTHY_S. A registry that
answers and fails again at once belongs to the same outage: it neither begins the outage's time anew nor shortens the
pauses between tries, and each reason is told once. A lost registry is tried again within MAX_PAUSE_S, for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Optional, Union

from daosup.core.actions import ConnectRegistry, Report
from daosup.core.notices import fleet

FIRST_PAUSE_S = 0.05
#: With the time between two ticks and one exchange, all is back within 1 s of Redis being back.
MAX_PAUSE_S = 0.5
HEALTHY_S = 3.0
_MOST_REASONS = 20


class RegistryPhase(Enum):
    """How we stand with Redis; CONNECTING only until the first try has ended."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"


class Standing:
    """How a host stands with the registry; times are the supervisor's monotonic clock in seconds.

    Attributes:
        phase: How it is.
        since_s: When that began: the connection, or the outage, however often Redis answered for a moment since.
        server: Who answered last.
        error: Why the registry is away; None while it is up.
        is_leaving: Whether the host ends, and asks the registry for nothing any more.
    """

    def __init__(self) -> None:
        self.phase = RegistryPhase.CONNECTING
        self.since_s: Optional[float] = None
        self.server = ""
        self.error: Optional[str] = None
        self.is_leaving = False
        self._outage_s: Optional[float] = None
        self._failures = 0
        self._is_trying = False
        self._retry_s = 0.0
        self._is_relapsing = False
        self._is_told_up = False
        self._told: set[str] = set()

    @property
    def is_up(self) -> bool:
        """Whether the registry can be used."""
        return self.phase is RegistryPhase.UP

    @property
    def is_serving(self) -> bool:
        """Whether the registry can be asked for something now."""
        return self.is_up and not self.is_leaving

    def connected(self, server: str, now: float) -> Iterator[Report]:
        """Redis answers, and takes what is written."""
        self.phase, self.since_s, self.server, self.error = RegistryPhase.UP, now, server, None
        self._is_trying = False
        if not self._is_relapsing:
            yield self._tell_up()

    def lost(self, reason: str, now: float) -> Iterator[Report]:
        """Redis does not answer (any more), or refuses."""
        if self.is_up:
            assert self.since_s is not None
            self._is_relapsing = self._outage_s is not None and now < self.since_s + HEALTHY_S
        if self._outage_s is None or (self.is_up and not self._is_relapsing):
            self._outage_s, self._failures = now, 0
            self._told.clear()
        if (self._is_told_up or reason not in self._told) and len(self._told) < _MOST_REASONS:
            yield Report(fleet.REGISTRY_AWAY, fields=(("reason", reason),))
        self._told.add(reason)
        self._is_told_up = False
        self.phase, self.since_s, self.error = RegistryPhase.DOWN, self._outage_s, reason
        self._is_trying = False
        self._retry_s = now + min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        self._failures += 1

    def tick(self, now: float) -> Iterator[Union[ConnectRegistry, Report]]:
        """Try again if it is time to."""
        if self.is_up:
            assert self.since_s is not None
            if not self._is_told_up and now >= self.since_s + HEALTHY_S:
                self._is_relapsing = False
                yield self._tell_up()
        elif not self._is_trying and now >= self._retry_s:
            self._is_trying = True
            if self.since_s is None:
                self.since_s = now
            yield ConnectRegistry()

    def _tell_up(self) -> Report:
        self._is_told_up = True
        return Report(fleet.REGISTRY_CONNECTED, fields=(("server", self.server),))
