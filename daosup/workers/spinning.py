"""A worker that may spin does so on a CPU that it has taken for that, of all workers on this machine alone.

A CPU is taken by the name of a socket in the abstract namespace: that is one for the whole machine, whatever instance a
worker belongs to, needs no file and no rights, and is free again when its process ends, however it does. Nobody else is
kept off the CPU, and the worker is not bound to it; there are just never more that spin than CPUs they may run on.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Optional

from daosup.core.spinning import FrameFlow, cpus_to_spin_on
from daosup.workers.limits import Limits

#: After all CPUs were taken.
RETRY_S = 1.0
_NAME = "daosup-spins-on-cpu-"


class Spinner:
    """Says how long to spin for the next frame.

    Args:
        limits: Of this worker; they have been applied.
        tell: Called with an event's name and its facts.
        name: The sockets' names, up to the CPU's number.
    """

    def __init__(self, limits: Limits, tell: Callable[..., None], name: str = _NAME) -> None:
        self._spin_s = limits.spin_ms / 1000
        self._flow = FrameFlow(self._spin_s)
        self._tell, self._name = tell, name
        self._claim: Optional[socket.socket] = None
        self._retry_s = 0.0

    def spin_s(self, now: float, frames: int, *, is_wanted: bool = True) -> float:
        """For how long at most; 0: sleep. To be asked often.

        Args:
            now: In seconds, on the monotonic clock.
            frames: How many there were so far.
            is_wanted: Whether anybody would have something of it.
        """
        if not (self._flow.is_fast(now, frames) and is_wanted):
            self.close()
        elif self._claim is None and now >= self._retry_s:
            self._retry_s = now + RETRY_S
            self._claim = self._claimed()
        return self._spin_s if self._claim is not None else 0.0

    def close(self) -> None:
        """Leave the CPU to others."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _claimed(self) -> Optional[socket.socket]:
        cpus = cpus_to_spin_on(os.sched_getaffinity(0), os.cpu_count() or 1)
        for cpu in cpus:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0{self._name}{cpu}")
            except OSError:
                claim.close()
            else:
                return claim
        why = f"on CPU {', '.join(map(str, cpus))} others spin already" if cpus else "this machine has one CPU only"
        self._tell("limited", warning=f"spin_ms: {why}; this worker sleeps between frames, and tries again")
        return None
