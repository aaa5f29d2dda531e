"""Commands about the registry: who is in it, and who is not to be.

Invariant: a command that needs the registry fails with what is wrong with it rather than doing half.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.core import events as e
from daosup.core.types import Machine, Role, check_host
from daosup.errors import DeniedError, UnavailableError, UsageError
from daosup.supervisor.requests import number_of

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

    async def _machines(self, request: Request) -> list[Object]:
        self._need_registry()
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
        self._need_registry()
        if check_host(host) == supervisor.config.host:
            supervisor.post(e.WithdrawAsked())
            await self._carried_out()
        else:
            self._need_master(f"deregister {host}")
            await supervisor.desk.remove_machine(host)
        return {}

    async def _cleanup(self, request: Request) -> list[str]:
        ttl_s = number_of(request.arguments, "ttl_s", 120.0, 1e9)
        self._need_registry()
        self._need_master("remove stale hosts")
        removed = []
        now = datetime.now(timezone.utc)
        for machine in await self._supervisor.desk.machines():
            last = _parsed(machine.last_connect)
            is_stale = last is None or (now - last).total_seconds() > ttl_s
            if is_stale and machine.hostname != self._supervisor.config.host:
                await self._supervisor.desk.remove_machine(machine.hostname)
                removed.append(machine.hostname)
        return removed

    async def _carried_out(self) -> None:
        self._need_registry()
        await self._supervisor.desk.settle()
        self._need_registry()

    def _need_registry(self) -> None:
        state = self._supervisor.state
        if not state.standing.is_up:
            raise UnavailableError(f"the registry at {self._supervisor.address} is away: {state.standing.error}")

    def _need_master(self, what: str) -> None:
        if self._supervisor.state.role is not Role.MASTER:
            raise DeniedError(f"only the master may {what}; this host is a minion")


def _parsed(stamp: str) -> Optional[datetime]:
    try:
        parsed = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
