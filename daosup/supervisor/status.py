"""What ``daosupctl status`` is told: one object, the same for people and programs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from daosup import __version__
from daosup.core.election import Election
from daosup.supervisor.registry_desk import lifetime_s
from daosup.supervisor.worker_rows import worker_rows

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]

#: Whose the master's lease is: this host's, this host's until it was not renewed, another host's, nobody's.
LEASE_STATES = ("held", "lapsed", "other", "none")


async def status_of(supervisor: Supervisor) -> Object:
    """The whole state of a supervisor."""
    state, config, now = supervisor.state, supervisor.config, time.monotonic()
    role = state.role.value if state.role else None
    return {
        "host": config.host,
        "instance": config.instance,
        "role": role,
        "lease": _lease(state.election, now),
        "clock": {"offset_s": state.clock.offset_s, "is_off": state.clock.is_off},
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": now - supervisor.began_s,
        "config": supervisor.reloading.status,
        "state_error": supervisor.lasting.error,
        "remote_control": supervisor.secret.status,
        "registry": _registry(supervisor, now),
        "events": {
            "waiting": supervisor.events.waiting,
            "dropped": supervisor.events.dropped,
            "error": supervisor.events.error,
        },
        "loop": {"lag_s": supervisor.lag.last_s, "worst_lag_s": supervisor.lag.worst_s(now)},
        "metrics": supervisor.metrics.status,
        "dnet": supervisor.dnet.status(now),
        "segment_folder": supervisor.discovery.status(),
        "segments": [
            {
                "name": facts.name,
                "shape": list(facts.shape),
                "dtype": facts.dtype,
                "layout": facts.layout,
                "depth": facts.depth,
                "nbytes": facts.nbytes,
                "readers": [reader.host for reader in state.readership.of(facts.name)],
            }
            for _, facts in sorted(state.segments.items())
        ],
        "degraded": supervisor.degrading.as_json(now),
        "workers": await worker_rows(supervisor, now),
    }


def _registry(supervisor: Supervisor, now: float) -> Object:
    standing = supervisor.state.standing
    since_s = None if standing.since_s is None else now - standing.since_s
    known_s = lifetime_s(supervisor.config.heartbeat_interval_s)
    return {
        "address": str(supervisor.address),
        "state": standing.phase.value,
        "since_s": since_s,
        "server": standing.server or None,
        "error": standing.error,
        "effect": None if standing.is_up else _effect(since_s or 0.0, known_s),
        "round_trip_s": supervisor.desk.round_trip.last_s if standing.is_up else None,
        "worst_round_trip_s": supervisor.desk.round_trip.worst_s(now),
    }


def _effect(away_s: float, known_s: float) -> str:
    """What it means for this host that the registry is away."""
    told = "streams go on; what changes here or on other hosts is not told, and nothing new can be mirrored"
    if away_s > known_s:
        told += "; other hosts may not list this one any more"
    return told


def _lease(election: Election, now: float) -> Object:
    """Who is master: ``left_s`` is for how long this host may trust that it holds the lease."""
    holder, own = election.holder, election.lease(now)
    return {
        "state": lease_state(election, now),
        "holder": holder.host if holder else None,
        "ip": holder.ip if holder else None,
        "pid": holder.pid if holder else None,
        "epoch": holder.epoch if holder else None,
        "left_s": election.left_s(now) if own else None,
        "yields_to": election.yields_to,
    }


def lease_state(election: Election, now: float) -> str:
    """One of ``LEASE_STATES``: as this host knows it."""
    if election.lease(now):
        return "held"
    if election.holder is None:
        return "none"
    return "lapsed" if election.is_own(election.holder) else "other"
