"""Commands about the registry: who is in it, and who is not to be.

Invariant: a command that needs the registry fails with what is wrong with it rather than doing half.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from daosup.adapters.control import Request
from daosup.adapters.registry_clock import parse_stamp
from daosup.adapters.registry_lease import Removal
from daosup.core import events as e
from daosup.core.lease import Lease
from daosup.core.types import Machine, check_host
from daosup.errors import DeniedError, UsageError
from daosup.supervisor.requests import number_of, only_looks

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]


class RegistryCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.by_name = {
            "machines": self._machines,
            "register": self._register,
            "deregister": self._deregister,
            "cleanup": self._cleanup,
        }

    @only_looks
    async def _machines(self, request: Request) -> list[Object]:
        self._supervisor.need_registry()
        machines: tuple[Machine, ...] = await self._supervisor.desk.machines()
        return [
            {
                "hostname": machine.hostname,
                "ip": machine.ip,
                "role": machine.role,
                "last_connect": machine.last_connect,
                "segments": [
                    {"name": each.name, "shape": list(each.shape), "dtype": each.dtype, "readers": each.readers}
                    for each in machine.segments
                ],
            }
            for machine in machines
        ]

    async def _register(self, request: Request) -> Object:
        self._supervisor.discovery.look()
        self._supervisor.post(e.AnnounceAsked())
        await self._carried_out()
        return {}

    async def _deregister(self, request: Request) -> Object:
        supervisor = self._supervisor
        host = request.arguments.get("host") or supervisor.config.host
        if not isinstance(host, str):
            raise UsageError(f"host is {host!r}, not a name")
        self._supervisor.need_registry()
        if check_host(host) == supervisor.config.host:
            supervisor.post(e.WithdrawAsked())
            await self._carried_out()
        else:
            lease = self._need_mandate(f"deregister {host}")
            self._check_removal(await supervisor.desk.remove_host(lease, host), host)
        return {}

    async def _cleanup(self, request: Request) -> list[str]:
        ttl_s = number_of(request.arguments, "ttl_s", 120.0, 1e9)
        self._supervisor.need_registry()
        lease = self._need_mandate("remove stale hosts")
        desk, silence = self._supervisor.desk, self._supervisor.state.election.silence
        removed = []
        machines = await desk.machines()
        redis_s = await desk.redis_s()
        for machine in machines:
            name, sign = machine.hostname, machine.last_connect
            if name != self._supervisor.config.host and silence.is_stale(name, parse_stamp(sign), redis_s, ttl_s):
                removal = await desk.remove_host(lease, name, sign)
                self._check_removal(removal, name)
                if removal is Removal.DONE:
                    removed.append(name)
        return removed

    async def _carried_out(self) -> None:
        self._supervisor.need_registry()
        await self._supervisor.desk.settle()
        self._supervisor.need_registry()

    def _need_mandate(self, what: str) -> Lease:
        election = self._supervisor.state.election
        lease = election.mandate(time.monotonic())
        if lease is None:
            holder = election.holder
            master = election.yields_to or (holder.host if holder else None)
            who = f"the master is {master}" if master else "there is no master now"
            raise DeniedError(f"only the master may {what}; this host is a minion, {who}")
        return lease

    @staticmethod
    def _check_removal(removal: Removal, host: str) -> None:
        if removal is Removal.NOT_MASTER:
            raise DeniedError(f"{host} was not removed: this host has just ceased to be master; ask the new one")
