"""What the service manager is told of a host: whether it serves, and how it is, in one line.

Invariant: a host serves as soon as the registry knows it; one whose registry is away serves too, degraded, and says so.
It never takes longer than PATIENCE_S until one or the other is told, so no start of a service waits for Redis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from daosup.core.crew import Phase, Worker
from daosup.core.standing import RegistryPhase, Standing
from daosup.core.types import Role, WorkerKey

#: A start that takes longer is told as it is.
PATIENCE_S = 8.0
_MOST_NAMED = 3


def is_serving(standing: Standing, *, is_registered: bool, up_s: float) -> bool:
    """Whether a host that runs for ``up_s`` seconds is ready, for good or ill.

    Args:
        standing: How it stands with the registry.
        is_registered: Whether everything it has was told to the registry.
        up_s: For how long it has been trying.
    """
    return is_registered or standing.phase is RegistryPhase.DOWN or up_s >= PATIENCE_S


def status_line(
    role: Optional[Role],
    registry: str,
    standing: Standing,
    workers: Mapping[WorkerKey, Worker],
    lost_at: str,
    mistakes: int,
) -> str:
    """One line for ``systemctl status``: role, Redis, workers, and what is wrong.

    Args:
        role: What this host is; None if that is not known yet.
        registry: Where Redis is.
        standing: How this host stands with it.
        workers: All of them.
        lost_at: When the registry was lost, as people read it; empty if it is there.
        mistakes: How many there are in a newer configuration, which therefore is not in force.
    """
    if standing.is_leaving:
        return f"stopping: {len(workers)} workers are to end"
    parts = [role.value if role else "role not known yet", _registry(registry, standing, lost_at), _crew(workers)]
    if mistakes:
        parts.append("new configuration refused, the one before is in force (daosupctl doctor)")
    return ("degraded: " if standing.phase is RegistryPhase.DOWN else "") + "; ".join(parts)


def _registry(address: str, standing: Standing, lost_at: str) -> str:
    if standing.is_up:
        return f"Redis {address}"
    if standing.phase is RegistryPhase.CONNECTING:
        return f"connecting to Redis {address}"
    return f"Redis {address} is away since {lost_at} ({standing.error}), streams go on"


def _crew(workers: Mapping[WorkerKey, Worker]) -> str:
    running = sum(worker.phase is Phase.RUNNING for worker in workers.values())
    failed = sorted(str(key) for key, worker in workers.items() if worker.phase is Phase.FAILED)
    others = len(workers) - running - len(failed)
    told = f"{running} workers up"
    if others:
        told += f", {others} starting or stopping"
    if failed:
        names = ", ".join(failed[:_MOST_NAMED]) + (", ..." if len(failed) > _MOST_NAMED else "")
        told += f", {len(failed)} failed ({names})"
    return told
