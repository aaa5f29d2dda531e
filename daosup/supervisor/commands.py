"""Answers what comes in on the control socket.

Invariant: a command returns when what it asked for is so, or raises the reason why it is not; a client that goes away
takes along what it held.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from daosup.adapters.control import Request
from daosup.adapters.control_settings import Settings
from daosup.errors import UnavailableError, UnsupportedError, UsageError
from daosup.supervisor.mirror_commands import MirrorCommands
from daosup.supervisor.reexec import Renewing, installed_version
from daosup.supervisor.registry_commands import RegistryCommands
from daosup.supervisor.status import Object, status_of
from daosup.supervisor.worker_commands import WorkerCommands

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor


class Commands:
    """The commands of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._mirrors = MirrorCommands(supervisor)
        self._commands: dict[str, Callable[[Request], Awaitable[object]]] = {
            "status": self._status,
            "settings": self._settings,
            "reload": self._reload,
            "reexec": self._reexec,
            **self._mirrors.by_name,
            **WorkerCommands(supervisor).by_name,
            **RegistryCommands(supervisor).by_name,
        }

    async def answer(self, request: Request) -> object:
        """Carry out one request.

        Raises:
            DaosupError: Why it cannot be done.
        """
        command = self._commands.get(request.command)
        if command is None:
            raise UsageError(f"unknown command {request.command!r}; known are {', '.join(self._commands)}")
        return await command(request)

    def closed(self, connection: str) -> None:
        """A client went away."""
        self._mirrors.closed(connection)

    async def _status(self, request: Request) -> Object:
        return status_of(self._supervisor)

    async def _settings(self, request: Request) -> Object:
        """What is in force of the configuration and the command line, without secrets."""
        supervisor = self._supervisor
        return Settings.of(supervisor.config, supervisor.address, supervisor.state.facts.ip).as_json()

    async def _reload(self, request: Request) -> Object:
        return await self._supervisor.reloading.reload()

    async def _reexec(self, request: Request) -> Object:
        """Replace this process by the installed version; ``is_thorough``: renew workers of this very version too."""
        supervisor = self._supervisor
        if supervisor.state.is_stopping:
            raise UnavailableError("this daosupd is stopping; start it again")
        if not supervisor.config.workers.survive_supervisor:
            raise UnsupportedError("workers.survive_supervisor is false: streams would end; restart daosupd instead")
        version = await installed_version()
        renewing = Renewing.ALL if request.arguments.get("is_thorough") else Renewing.CHANGED
        asyncio.get_running_loop().call_soon(supervisor.leave, renewing)
        return {"pid": os.getpid(), "version": version}
