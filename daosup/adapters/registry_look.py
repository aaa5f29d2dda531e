"""A look at the registry by somebody who wants to know how it is, and changes nothing there.

Invariant: it takes a few times the address's ``timeout_s`` at most, whatever Redis does meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_link import Command, RedisLink, Refusal
from daosup.adapters.registry_clock import wall_clock_s
from daosup.adapters.registry_commands import check_accepted, is_writable, read
from daosup.adapters.registry_scan import read_machines
from daosup.core import keys
from daosup.core.registry_values import Instance, decode_instance
from daosup.core.types import Machine
from daosup.errors import ProtocolError, UnavailableError

_TIME_LOOKS = 5


@dataclass(frozen=True)
class RegistryLook:
    """How a registry is.

    ``offset_s``: this host's clock ahead of Redis's, give or take half of ``round_trip_s``, both in seconds.
    ``redis_s``: Redis's time, seconds since 1970. ``refused``: why it takes no writes, None if it does.
    ``memory``: what INFO memory says, empty if that is forbidden to us. ``machines`` are all hosts, ``instances`` the
    daemons of ours by host; ``skipped`` is how many keys and values are none of the schema.
    """

    server: str
    round_trip_s: float
    offset_s: float
    redis_s: float
    refused: Optional[str]
    memory: Mapping[str, str]
    machines: tuple[Machine, ...]
    instances: Mapping[str, Instance]
    skipped: int


def look_at_registry(address: RedisAddress, host: str) -> RegistryLook:
    """See how the registry is, as ``host`` sees it; blocks.

    Raises:
        UnavailableError: If it is away, with the reason and what to do.
    """
    return asyncio.run(_look(address, host))


async def _look(address: RedisAddress, host: str) -> RegistryLook:
    link = RedisLink(address, lambda channel, message: None, lambda reason: None)
    facts = await link.open(keys.notify_channel(host))

    async def run(commands: Sequence[Command]) -> list[Any]:
        replies = await link.run(commands)
        check_accepted(replies, str(address))
        return replies

    try:
        redis_s, round_trip_s, offset_s = min([await _time(link) for _ in range(_TIME_LOOKS)], key=lambda each: each[1])
        (written, memory) = await link.run([is_writable(host), ("INFO", "memory")])
        machines, skipped = await read_machines(run)
        hosts = [machine.hostname for machine in machines]
        values = await run([read(keys.instance_key(each)) for each in hosts])
        found = {each: instance for each, instance in zip(hosts, map(_instance, values)) if instance is not None}
    finally:
        await link.close()
    return RegistryLook(
        str(facts),
        round_trip_s,
        offset_s,
        redis_s,
        written.text if isinstance(written, Refusal) else None,
        _said(memory),
        tuple(machines),
        found,
        skipped,
    )


async def _time(link: RedisLink) -> tuple[float, float, float]:
    """Redis's time, how long it took to hear it, and how far our clock is ahead."""
    asked_s = time.monotonic()
    (reply,) = await link.run([("TIME",)])
    round_trip_s = time.monotonic() - asked_s
    if not isinstance(reply, list) or len(reply) != 2:
        raise UnavailableError(
            f"Redis answered {str(reply)[:80]!r} to TIME; the user in [redis] must be allowed to ask"
        )
    redis_s = int(reply[0]) + int(reply[1]) / 1e6
    return redis_s, round_trip_s, wall_clock_s() - round_trip_s / 2 - redis_s


def _instance(raw: Any) -> Optional[Instance]:
    try:
        return decode_instance(raw) if isinstance(raw, bytes) and raw else None
    except ProtocolError:
        return None


def _said(raw: Any) -> dict[str, str]:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
