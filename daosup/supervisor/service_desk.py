"""Tells the service manager how this host is, from the loop that decides.

Invariants: ready is told once, when the registry has everything it is to know of this host, or when it is known that it
cannot be had for now; the watchdog is fed by the loop's own turns and by nothing else; a stop is told when it begins,
and asks for time as long as it goes on.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Optional

from daosup.adapters.systemd import Systemd
from daosup.core.service_status import is_serving, status_line
from daosup.core.standing import RegistryPhase

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

#: A stop that is under way gets so long from the last turn of the loop on.
STOP_PATIENCE_S = 10.0
#: The line is not renewed more often, whatever happens to a thousand workers.
STATUS_INTERVAL_S = 1.0


class ServiceDesk:
    """Speaks for one supervisor.

    Args:
        supervisor: Which.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._systemd = Systemd()
        self._is_ready = self._is_stopping = False
        self._registered: Optional[asyncio.Task[None]] = None
        self._lost_at = ""
        self._told = ""
        self._told_s = float("-inf")

    def tick(self, now: float) -> None:
        """A turn of the loop, at ``now`` on the monotonic clock."""
        self._systemd.feed_watchdog()
        self._follow_registry()
        if self._supervisor.state.is_stopping:
            self.stopping(now)
        elif not self._is_ready and self._is_serving(now):
            self._is_ready = True
            self._systemd.ready(self._line())
        elif now >= self._told_s + STATUS_INTERVAL_S:
            self._tell(now)

    def stopping(self, now: float) -> None:
        """The host ends, and needs some time for it."""
        if not self._is_stopping:
            self._is_stopping = True
            self._systemd.stopping()
        self._systemd.extend_timeout(STOP_PATIENCE_S)
        self._tell(now)

    def reloading(self) -> None:
        """The configuration is being read anew; ``reloaded`` ends that."""
        if self._is_ready:
            self._systemd.reloading()

    def reloaded(self) -> None:
        """Another configuration is in force, or was refused."""
        if self._is_ready:
            self._systemd.ready(self._line())

    def _is_serving(self, now: float) -> bool:
        supervisor = self._supervisor
        return is_serving(supervisor.state.standing, is_registered=self._is_registered(), up_s=now - supervisor.began_s)

    def _is_registered(self) -> bool:
        """Whether the registry was told everything: all that was ordered of it up to now was carried out."""
        if not self._supervisor.state.announcing.is_on:
            if self._registered is not None:
                self._registered.cancel()
                self._registered = None
            return False
        if self._registered is None:
            self._registered = asyncio.get_running_loop().create_task(self._supervisor.desk.settle())
        return self._registered.done()

    def _follow_registry(self) -> None:
        if self._supervisor.state.standing.phase is not RegistryPhase.DOWN:
            self._lost_at = ""
        elif not self._lost_at:
            self._lost_at = time.strftime("%H:%M:%S")

    def _tell(self, now: float) -> None:
        line = self._line()
        self._told_s = now
        if line != self._told:
            self._told = line
            self._systemd.status(line)

    def _line(self) -> str:
        supervisor = self._supervisor
        state = supervisor.state
        mistakes = len(supervisor.reloading.status["mistakes"])
        return status_line(
            state.role, str(supervisor.address), state.standing, state.crew.workers, self._lost_at, mistakes
        )
