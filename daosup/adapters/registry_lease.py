"""The master's lease in Redis, and what only its holder may do.

Invariant: each of these is one script, so nothing happens between its look and its deed, and each answers with the
lease as it stands afterwards and Redis's time. Scripts compare bytes and count; core/election.py decides.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional, Union

from daosup.adapters.redis_link import Command
from daosup.adapters.registry_clock import Comparison, RegistryClock
from daosup.adapters.registry_commands import milliseconds
from daosup.adapters.registry_scan import keys_of_host
from daosup.core import keys
from daosup.core.lease import (
    EPOCH_TTL_S,
    LEASE_TTL_S,
    MAX_EPOCH,
    MAX_LEASE_BYTES,
    Lease,
    encode_lease,
    lease_prefix,
    read_lease,
)
from daosup.core.registry_values import Instance
from daosup.errors import UnavailableError

_STEP = 200

_CURRENT = f"""
local function current()
  local kind = redis.call('TYPE', KEYS[1])['ok']
  if kind == 'none' then return '' end
  if kind ~= 'string' then return '?' end
  return redis.call('GETRANGE', KEYS[1], 0, {MAX_LEASE_BYTES})
end
"""
_ANSWER = """
local now = redis.call('TIME')
return {current(), redis.call('PTTL', KEYS[1]), tonumber(now[1]), tonumber(now[2])}
"""
# KEYS: the lease, the epoch's counter. Redis's time keeps epochs growing if the counter is lost.
_TAKE = f"""
if current() == ARGV[1] then
  local time = redis.call('TIME')
  local epoch = math.max(tonumber(ARGV[4]) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
  local counter = redis.pcall('GET', KEYS[2])
  counter = type(counter) == 'string' and tonumber(counter)
  if counter and counter > 0 and counter < {MAX_EPOCH} then epoch = math.max(epoch, math.floor(counter) + 1) end
  epoch = string.format('%.0f', epoch)
  redis.call('SET', KEYS[2], epoch, 'PX', ARGV[5])
  redis.call('SET', KEYS[1], ARGV[2] .. epoch .. '}}', 'PX', ARGV[3])
end
"""
_RENEW = """
if current() == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
"""
_GIVE_UP = """
if string.sub(current(), 1, #ARGV[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
# KEYS: the lease, the host's last sign of life, what is to go. ARGV: our lease; the sign it must still have, or ''.
_REMOVE = """
if current() ~= ARGV[1] then return -1 end
if ARGV[2] ~= '' and redis.pcall('GETRANGE', KEYS[2], 0, 1023) ~= ARGV[2] then return -2 end
local count = 0
for i = 3, #KEYS do count = count + redis.call('UNLINK', KEYS[i]) end
return count
"""


class Removal(Enum):
    """What became of an order to remove a host."""

    DONE = "done"
    NOT_MASTER = "not master"
    HOST_IS_BACK = "host is back"


@dataclass(frozen=True)
class LeaseAnswer:
    """The lease as it stands, and what Redis's clock says of ours. ``holder`` is None if ``value`` is no lease."""

    value: bytes
    holder: Optional[Lease]
    left_s: float
    comparison: Comparison


class RegistryLease:
    """The lease as one host uses it. Every coroutine raises :class:`UnavailableError` if Redis is away or refuses.

    Args:
        run: Carries out commands.
        host: This host's name.
        instance: The process that speaks for it.
        clock: Is compared with Redis's with each answer.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Command]], Awaitable[list[Any]]],
        host: str,
        instance: Instance,
        clock: RegistryClock,
    ) -> None:
        self._run = run
        self._prefix = lease_prefix(host, instance)
        self._clock = clock

    async def look(self) -> LeaseAnswer:
        """Who holds it."""
        return await self._ask("")

    async def take(self, expected: bytes, above: int) -> LeaseAnswer:
        """Take it if ``expected`` still stands there, with an epoch greater than ``above`` and all before."""
        lifetimes = milliseconds(LEASE_TTL_S), above, milliseconds(EPOCH_TTL_S)
        return await self._ask(_TAKE, expected, self._prefix, *lifetimes)

    async def renew(self, lease: Lease) -> LeaseAnswer:
        """Renew it if it still is ``lease``."""
        return await self._ask(_RENEW, encode_lease(lease), milliseconds(LEASE_TTL_S))

    async def give_up(self) -> LeaseAnswer:
        """Remove it if it is this process's."""
        return await self._ask(_GIVE_UP, self._prefix)

    async def remove_host(self, lease: Lease, host: str, last_connect: str = "") -> Removal:
        """Remove every key of a host, whoever wrote it; if its daemon lives it comes back.

        Args:
            lease: Under which this is done; if another stands there by now nothing more is removed.
            host: Its name.
            last_connect: Its last sign of life; if there is another one by now nothing more is removed. Empty: any.
        """
        sign = keys.machine_key(host, "last_connect")
        found = [key for key in await keys_of_host(self._run, host) if key != sign]
        found += [keys.instance_key(host), keys.readers_key(host), sign]  # what is looked at goes last
        told = encode_lease(lease), last_connect.encode("utf-8", "surrogateescape")
        for start in range(0, len(found), _STEP):
            step = found[start : start + _STEP]
            (count,) = await self._run([("EVAL", _CURRENT + _REMOVE, len(step) + 2, keys.LEASE, sign, *step, *told)])
            if count == -1:
                return Removal.NOT_MASTER
            if count == -2:
                return Removal.HOST_IS_BACK
        return Removal.DONE

    async def _ask(self, script: str, *arguments: Union[bytes, int]) -> LeaseAnswer:
        asked_s = time.monotonic()
        (reply,) = await self._run([("EVAL", _CURRENT + script + _ANSWER, 2, keys.LEASE, keys.EPOCH, *arguments)])
        if not isinstance(reply, list) or len(reply) != 4 or not isinstance(reply[0], bytes):
            raise UnavailableError(f"Redis answered {str(reply)[:80]!r} to a script of ours; is it a proxy?")
        value, left_ms, seconds, microseconds = reply
        comparison = self._clock.compare(asked_s, seconds, microseconds)
        return LeaseAnswer(value, read_lease(value), left_ms / 1000, comparison)
