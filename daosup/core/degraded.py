"""Whether a host is as it should be, what is not, and since when.

Invariant: what begins and ends by itself (a worker that starts, a registry that is being connected to) is no reason; a
host is degraded from when there first was a reason until there is none, whichever these are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from daosup.core.crew import Phase
from daosup.core.host import HostState
from daosup.core.standing import RegistryPhase
from daosup.core.types import WorkerKey, WorkerKind

#: So long a mirror's process may have no link after it began.
LINKING_S = 3.0
_MOST_NAMED = 3


class Degraded:
    """How long one host has been so; times are the supervisor's monotonic clock in seconds.

    Attributes:
        reasons: What is wrong, as of the last look; none if nothing is.
        since_s: Since when something is; None if nothing is.
    """

    def __init__(self) -> None:
        self.reasons: tuple[str, ...] = ()
        self.since_s: Optional[float] = None

    def look(self, reasons: tuple[str, ...], now: float) -> None:
        """This is wrong now."""
        self.reasons = reasons
        self.since_s = None if not reasons else now if self.since_s is None else self.since_s


def reasons_of(state: HostState, mistakes: int, state_error: Optional[str], now: float) -> Iterator[str]:
    """What is not as it should be.

    Args:
        state: Of the host.
        mistakes: How many there are in a newer configuration, which therefore is not in force.
        state_error: Why what lasts over restarts cannot be written down, if so.
        now: Seconds, monotonic.
    """
    if state.standing.phase is RegistryPhase.DOWN:
        yield f"the registry is away: {state.standing.error}"
    if state.clock.is_off:
        yield "this host's clock is off against the registry's"
    if mistakes:
        yield "the new configuration was refused, the one before is in force"
    if state_error:
        yield state_error
    workers = state.crew.workers
    for phase, what in ((Phase.FAILED, "failed"), (Phase.RESTARTING, "restarting")):
        yield from _told(what, [str(key) for key, worker in workers.items() if worker.phase is phase])
    mirrors = [
        (source, mirror, workers.get(WorkerKey(WorkerKind.MIRROR, source)))
        for source, mirror in state.mirrors.items()
        if source not in state.mirrors.stopped
    ]
    yield from _told("waiting", [f"mirror {source}" for source, _, worker in mirrors if worker is None])
    is_stale = [
        f"mirror {source}"
        for source, mirror, worker in mirrors
        if worker is not None and worker.phase is Phase.RUNNING and not mirror.is_linked
        if now >= worker.since_s + LINKING_S
    ]
    yield from _told("without a link", is_stale)


def _told(what: str, workers: list[str]) -> Iterator[str]:
    if workers:
        names = ", ".join(sorted(workers)[:_MOST_NAMED]) + (", ..." if len(workers) > _MOST_NAMED else "")
        yield f"{len(workers)} worker{'s' * (len(workers) != 1)} {what}: {names}"
