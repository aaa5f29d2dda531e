"""Answers what comes in on the control socket.

Invariant: a command returns when what it asked for is so, or raises the reason why it is not; a client that goes away
takes along what it held.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.host import RegistryPhase
from daosup.core.layout import Geometry
from daosup.core.mirrors import OPERATOR, Mirror
from daosup.core.types import Machine, Role, Source, WorkerKey, WorkerKind, check_host
from daosup.errors import (
    DeniedError,
    NoAnswerError,
    NotFoundError,
    SegmentError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from daosup.shm.memory import examine, open_file
from daosup.supervisor.reexec import Renewing, installed_version
from daosup.supervisor.status import Object, status_of

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

MAX_HOLDER_LENGTH = 128
MAX_WAIT_S = 3600.0


class Commands:
    """The commands of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._held_by: dict[str, set[str]] = {}
        self._commands: dict[str, Callable[[Request], Awaitable[object]]] = {
            "status": self._status,
            "hold": self._hold,
            "machines": self._machines,
            "mirror": self._mirror,
            "release": self._release,
            "register": self._register,
            "deregister": self._deregister,
            "cleanup": self._cleanup,
            "stop": self._stop,
            "reexec": self._reexec,
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
        for holder in self._held_by.pop(connection, ()):
            self._supervisor.post(e.HolderGone(holder))

    async def _hold(self, request: Request) -> bool:
        """What ``holder`` asks for, over any connection, ends with this connection; True if that is news.

        ``sources``: what it asked for before, of a supervisor that is gone.
        """
        holders = self._held_by.setdefault(request.connection, set())
        holder = _holder(request)
        sources = request.arguments.get("sources", [])
        if not isinstance(sources, list) or not all(isinstance(each, str) for each in sources):
            raise UsageError("sources is not a list of HOST:NAME")
        for source in [Source.parse(each) for each in sources]:
            if source.host != self._supervisor.config.host:
                self._need_room_for(source)
                self._supervisor.post(e.MirrorAsked(source, holder))
        is_news = holder not in holders
        holders.add(holder)
        return is_news

    async def _status(self, request: Request) -> Object:
        return status_of(self._supervisor)

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

    async def _mirror(self, request: Request) -> Object:
        source = self._source(request)
        if source.host == self._supervisor.config.host:
            return self._local(source)
        wait_s = _number(request.arguments, "wait_s", 30.0, MAX_WAIT_S)
        if request.arguments.get("bidirectional"):
            raise UnsupportedError("bidirectional mirrors are not supported by this version; mirror it one way")
        holder = _holder(request)
        supervisor = self._supervisor
        self._need_room_for(source)
        supervisor.post(e.MirrorAsked(source, holder))
        mirror = supervisor.state.mirrors[source]
        key = WorkerKey(WorkerKind.MIRROR, source)
        try:
            await supervisor.until(lambda: self._is_settled(mirror, key), wait_s)
            self._check(mirror, key)
        except NoAnswerError:
            supervisor.post(e.MirrorReleased(source, holder))
            raise NoAnswerError(f"{source}: {self._why(mirror)} (waited {wait_s:g} s)") from None
        except BaseException:
            supervisor.post(e.MirrorReleased(source, holder))
            raise
        path = supervisor.folder.path_of(source.mirror_name)
        made = _geometry(path)
        return {
            "name": source.mirror_name,
            "path": path,
            "shape": list(made.shape) if made else None,
            "dtype": made.dtype if made else None,
            "state": Phase.RUNNING.value,
        }

    def _local(self, source: Source) -> Object:
        """A segment of this host needs no mirror."""
        facts = self._supervisor.state.segments.get(source.name)
        if facts is None:
            raise NotFoundError(f"this host has no segment {source.name}; `daosupctl status` lists what it has")
        path = self._supervisor.folder.path_of(source.name)
        return {"name": source.name, "path": path, "shape": list(facts.shape), "dtype": facts.dtype, "state": "local"}

    def _need_room_for(self, source: Source) -> None:
        if self._supervisor.state.is_stopping:
            raise UnavailableError("this daosupd is stopping; ask again when it is back")
        namesake = self._supervisor.state.mirrors.namesake(source)
        if namesake is not None:
            raise UsageError(
                f"{source} and {namesake} would both be mirrored as {source.mirror_name}; release one first"
            )

    def _is_settled(self, mirror: Mirror, key: WorkerKey) -> bool:
        is_released = self._supervisor.state.mirrors.get(key.source) is not mirror
        return is_released or self._is_running(key) or mirror.is_unknown or mirror.is_unsupported

    def _is_running(self, key: WorkerKey) -> bool:
        worker = self._supervisor.state.crew.workers.get(key)
        return worker is not None and worker.phase is Phase.RUNNING

    def _check(self, mirror: Mirror, key: WorkerKey) -> None:
        if self._supervisor.state.mirrors.get(key.source) is not mirror:
            raise UnavailableError(f"{key.source} was released meanwhile")
        if self._is_running(key):
            return
        if mirror.is_unknown:
            raise NotFoundError(f"{mirror.reason}; `daosupctl ls` lists what there is")
        if mirror.is_unsupported:
            raise UnsupportedError(f"{key.source}: {mirror.reason}")

    def _why(self, mirror: Mirror) -> str:
        state = self._supervisor.state
        if state.registry is not RegistryPhase.UP:
            return f"the registry is away: {state.registry_error}"
        return mirror.reason or f"its owner's stream at {mirror.endpoint} does not come; is the port open to this host?"

    async def _release(self, request: Request) -> Object:
        source = self._source(request)
        supervisor = self._supervisor
        if source not in supervisor.state.mirrors:
            raise NotFoundError(f"{source} is not mirrored here; `daosupctl status` lists what is")
        holder = _holder(request)
        supervisor.post(e.MirrorReleased(source, None if holder == OPERATOR else holder))
        key = WorkerKey(WorkerKind.MIRROR, source)
        await supervisor.until(
            lambda: source in supervisor.state.mirrors or key not in supervisor.state.crew.workers, 10.0
        )
        await supervisor.desk.settle()
        return {}

    async def _register(self, request: Request) -> Object:
        self._supervisor.look()
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
        ttl_s = _number(request.arguments, "ttl_s", 120.0, 1e9)
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

    async def _stop(self, request: Request) -> Object:
        asyncio.get_running_loop().call_soon(self._supervisor.post, e.StopAsked())
        return {}

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

    async def _carried_out(self) -> None:
        self._need_registry()
        await self._supervisor.desk.settle()
        self._need_registry()

    def _need_registry(self) -> None:
        state = self._supervisor.state
        if state.registry is not RegistryPhase.UP:
            raise UnavailableError(f"the registry at {self._supervisor.address} is away: {state.registry_error}")

    def _need_master(self, what: str) -> None:
        if self._supervisor.state.role is not Role.MASTER:
            raise DeniedError(f"only the master may {what}; this host is a minion")

    def _source(self, request: Request) -> Source:
        text = request.arguments.get("source")
        if not isinstance(text, str):
            raise UsageError(f"source is {text!r}, not HOST:NAME")
        return Source.parse(text)


def _holder(request: Request) -> str:
    holder = request.arguments.get("holder", OPERATOR)
    if not isinstance(holder, str) or not 0 < len(holder) <= MAX_HOLDER_LENGTH:
        raise UsageError(f"holder is {str(holder)[:80]!r}, not a name of 1 to {MAX_HOLDER_LENGTH} characters")
    return holder


def _geometry(path: str) -> Optional[Geometry]:
    """Of a mirror's segment; None if it is just being made anew."""
    try:
        fd = open_file(path, is_writable=False)
    except SegmentError:
        return None
    try:
        return examine(path, fd)[0]
    except SegmentError:
        return None
    finally:
        os.close(fd)


def _number(arguments: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise UsageError(f"{name} is {value!r}, not a number from 0 to {most:g}")
    return float(value)


def _parsed(stamp: str) -> Optional[datetime]:
    try:
        parsed = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
