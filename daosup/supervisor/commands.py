"""Answers what comes in on the control socket.

Invariants: a command returns when what it asked for is so, or raises the reason why it is not; a client that goes away
takes along what it held. A command that is not marked as one that only looks is for callers who may change things.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from daosup import __version__
from daosup.adapters.control import Request
from daosup.adapters.control_settings import Settings
from daosup.errors import DeniedError, UnavailableError, UnsupportedError
from daosup.supervisor.answering import Answering
from daosup.supervisor.asking import Asking
from daosup.supervisor.config_commands import ConfigCommands
from daosup.supervisor.doctor_commands import DoctorCommands
from daosup.supervisor.echo_commands import EchoCommands
from daosup.supervisor.event_commands import EventCommands
from daosup.supervisor.log_commands import LogCommands
from daosup.supervisor.looking_commands import LookingCommands
from daosup.supervisor.mirror_commands import MirrorCommands
from daosup.supervisor.reexec import Renewing, installed_version
from daosup.supervisor.registry_commands import RegistryCommands
from daosup.supervisor.requests import is_looking, only_looks
from daosup.supervisor.status import Object, status_of
from daosup.supervisor.worker_commands import WorkerCommands
from daosup.supervisor.worker_story import WorkerStory

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor


#: They are about the connection by which they come, or about other hosts themselves.
_HERE_ONLY = ("hold", "ask")


class Commands:
    """The commands of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._mirrors = MirrorCommands(supervisor)
        self._echoes = EchoCommands(supervisor, self._mirrors)
        self.asking = Asking(supervisor, self)
        self.answering = Answering(supervisor, self)
        self._commands: dict[str, Callable[[Request], Awaitable[object]]] = {
            "status": self._status,
            "settings": self._settings,
            "reload": self._reload,
            "reexec": self._reexec,
            **self._mirrors.by_name,
            **WorkerCommands(supervisor).by_name,
            **WorkerStory(supervisor).by_name,
            **RegistryCommands(supervisor).by_name,
            **EventCommands(supervisor).by_name,
            **LogCommands(supervisor).by_name,
            **DoctorCommands(supervisor).by_name,
            **self._echoes.by_name,
            **ConfigCommands(supervisor).by_name,
            **LookingCommands(supervisor).by_name,
            **self.asking.by_name,
        }

    async def answer(self, request: Request) -> object:
        """Carry out one request.

        Raises:
            DaosupError: Why it cannot be done.
        """
        self.check(request)
        return await self._commands[request.command](request)

    async def answer_host(self, request: Request) -> object:
        """Carry out one request for another host, or for this one among others.

        Raises:
            DaosupError: Why it cannot be done.
        """
        if request.command in _HERE_ONLY:
            raise UnsupportedError(f"{request.command} cannot be asked from another host")
        return await self.answer(request)

    def check(self, request: Request) -> None:
        """See whether there is such a command, and its caller may have it carried out.

        Raises:
            UnsupportedError: If this version has none.
            DeniedError: If he may not.
        """
        if request.command not in self._commands:
            raise UnsupportedError(
                f"the daosupd of {self._supervisor.config.host} is {__version__}, which has no command "
                f"{request.command[:40]!r}; update it"
            )
        if not request.caller.may_change and not self.is_looking(request.command):
            raise DeniedError(request.caller.refusal)

    def is_order(self, command: str) -> bool:
        """Whether there is such a command, and it changes something."""
        return command in self._commands and not is_looking(self._commands[command])

    def is_looking(self, command: str) -> bool:
        """Whether there is such a command, and it changes nothing."""
        return command in self._commands and is_looking(self._commands[command])

    async def close(self) -> None:
        """End what was begun for other hosts."""
        await self._echoes.close()
        await self.answering.close()

    def closed(self, connection: str) -> None:
        """A client went away."""
        self._mirrors.closed(connection)

    @only_looks
    async def _status(self, request: Request) -> Object:
        return await status_of(self._supervisor)

    @only_looks
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
