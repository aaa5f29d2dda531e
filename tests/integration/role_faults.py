"""What makes the office of the master hard to hold: wrong clocks, silent hosts, daemons of the old kind."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from daosup.adapters.redis_address import RedisAddress
from tests.integration.fleet import Host
from tests.integration.registry_hosts import raw

#: A machine whose clock is wrong: what a daemon uses of it for the registry comes through this one function.
WRONG_CLOCK = """
import time
import daosup.adapters.registry_clock as registry_clock
registry_clock.wall_clock_s = lambda: time.time() + {ahead_s}
"""
#: Two minutes are too long for a test; that the time is Redis's and the text is what counts stays as it is.
QUICK_EVICTION = """
import daosup.core.election as election
import daosup.core.silence as silence
silence.EVICTION_S = 6.0
election.SCAN_INTERVAL_S = 0.5
"""


def role(host: Host) -> object:
    """What a host says it is."""
    return host.status()["role"]


def old_daemon(registry: RedisAddress, name: str = "old", role: str = "master", ahead_s: float = 0.0) -> None:
    """What a daoServer of the old kind writes with each heartbeat."""
    now = datetime.now(timezone.utc) + timedelta(seconds=ahead_s)
    facts = {"ip": "10.0.0.7", "hostname": name, "role": role, "last_connect": now.isoformat()}
    raw(registry, *(("SET", f"dao:machines:{name}:{field}", value) for field, value in facts.items()))
