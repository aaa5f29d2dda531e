"""The loop of a host: what happened goes into ``HostState``, what it says is done.

Invariants: one thread, one loop; nothing in it waits for Redis, a worker or a client. Events are handled one after the
other, also those that an action causes. An exception while one is handled is a bug: the supervisor ends with it, for a
state that nobody understands must not go on deciding.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, Optional

from daosup import __version__, log
from daosup.adapters.control import ControlServer
from daosup.adapters.own_address import own_address
from daosup.adapters.processes import Processes
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.registry import Instance, Registry
from daosup.adapters.segment_folder import SegmentFolder
from daosup.adapters.systemd import Systemd
from daosup.config import Config
from daosup.core import events as e
from daosup.core.host import HostFacts, HostState
from daosup.core.types import PROTOCOL, WorkerKey
from daosup.errors import NoAnswerError, UnavailableError
from daosup.shm.making import unlink_segment
from daosup.supervisor.commands import Commands
from daosup.supervisor.registry_desk import RegistryDesk
from daosup.supervisor.worker_orders import WorkerOrders
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.life import run_worker

TICK_S = 0.25
LOOK_INTERVAL_S = 1.0

_log = log.get("daosup.supervisor")


class Supervisor:
    """Supervises one host until it is told to stop.

    Args:
        config: Everything it may be told.
        address: Where Redis is.
        is_takeover: Whether to become master although another host is.
    """

    def __init__(self, config: Config, address: RedisAddress, *, is_takeover: bool = False) -> None:
        self.config = config
        self.address = address
        self.began_s = time.monotonic()
        self.instance = uuid.uuid4().hex
        self.folder = SegmentFolder(config.segment_folder)
        self.state = HostState(_host_facts(config, address, self.instance, is_takeover=is_takeover))
        self.orders = WorkerOrders(config, self.folder)
        self.seen = WorkersSeen(self.orders.page_of)
        self.processes = Processes("daosup.workers.preload", self.orders.folder, self._on_message, self._on_exit)
        self.systemd = Systemd()
        self._events: deque[e.Event] = deque()
        self._is_handling = False
        self._watchers: set[asyncio.Future[None]] = set()
        self._finished: Optional[asyncio.Future[Optional[str]]] = None
        self._looked_s = 0.0
        self._refused: set[str] = set()
        self._performers: dict[type, Callable[[Any], None]] = {
            e.StartWorker: self._start_worker,
            e.StopWorker: lambda action: self.processes.stop(action.pid, is_forced=action.is_forced),
            e.RemoveMirror: self._remove_mirror,
            e.Finish: self._finish,
            e.Report: lambda action: getattr(_log, action.level)(action.message, **dict(action.fields)),
        }

    async def run(self, *, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped.

        Raises:
            UnavailableError: If another supervisor has the control socket, this host's name, or the role it must have.
            ConfigError: If the control socket or the runtime folder can never be made as configured.
        """
        loop = asyncio.get_running_loop()
        self._finished = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.post, e.StopAsked())
        commands = Commands(self)
        control = self.config.control
        server = ControlServer(control.socket, control.mode, control.group, commands.answer, commands.closed)
        await server.start()
        try:
            self.orders.make_folder()
            with suppress(OSError):  # then the first worker tries again, and says why it cannot be
                self.processes.prepare()
            registry = Registry(self.address, self.config.host, self._instance(), RegistryDesk.events_to(self.post))
            self.desk = RegistryDesk(registry, self.state, self.config.heartbeat_interval_s, self.instance, self.post)
            self.desk.on_failure(self._fail)
            _log.info("supervisor started", host=self.config.host, version=__version__, registry=str(self.address))
            self._tick()
            self.systemd.ready(f"host {self.config.host}")
            on_ready()
            error = await self._finished
            self.systemd.stopping()
            await self.desk.close()
        finally:
            await server.close()
            self.processes.close()
            self.orders.remove_folder()
        if error is not None:
            raise UnavailableError(error)
        _log.info("supervisor stopped", host=self.config.host)

    def post(self, event: e.Event) -> None:
        """Take in an event and do what follows from it."""
        self._events.append(event)
        if self._is_handling:
            return
        self._is_handling = True
        try:
            while self._events:
                for action in self.state.handle(self._events.popleft(), time.monotonic()):
                    performer = self._performers.get(type(action))
                    if performer is None:
                        self.desk.put(action)
                    else:
                        performer(action)
        except Exception as error:
            self._fail(error)
        finally:
            self._is_handling = False
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the state is as asked.

        Raises:
            NoAnswerError: If it is not within ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        while not is_so():
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.add(watcher)
            try:
                await asyncio.wait_for(watcher, max(0.0, deadline - time.monotonic()))
            except asyncio.TimeoutError:
                raise NoAnswerError(f"not within {timeout_s:g} s") from None
            finally:
                self._watchers.discard(watcher)

    # -- what happens by itself

    def _tick(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._looked_s + LOOK_INTERVAL_S:
                self._looked_s = now
                self.look()
                self.seen.sample(self.state.crew.workers, now)
        except Exception as error:
            self._fail(error)
        self.post(e.Ticked())
        self.systemd.feed_watchdog()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def look(self) -> None:
        """Look through the segment folder now."""
        self.post(e.SegmentsSeen(self.folder.look()))
        for name in self.folder.refused.keys() - self._refused:
            _log.warning("not a segment", file=name, reason=self.folder.refused[name])
        self._refused = set(self.folder.refused)

    def _on_message(self, key: WorkerKey, pid: int, message: dict[str, Any]) -> None:
        event = message.pop("event")
        if event == "ready":
            self.seen.ready(key, message)
            self.post(e.WorkerReady(key, pid, message["port"]))
        elif event != "failed":
            self.seen.told(key, message)
            _log.info(f"{key.kind.value} {event}", worker=str(key), pid=pid, **message)

    def _on_exit(self, key: WorkerKey, pid: int, cause: str) -> None:
        self.post(e.WorkerExited(key, pid, cause))

    # -- what is to be done

    def _start_worker(self, action: e.StartWorker) -> None:
        self.seen.forget(action.key)
        try:
            pid = self.processes.start(action.key, run_worker, self.orders.order_for(action))
        except OSError as error:
            self.post(e.WorkerExited(action.key, 0, f"cannot be started: {error.strerror or error}"))
        else:
            self.post(e.WorkerStarted(action.key, pid))

    def _remove_mirror(self, action: e.RemoveMirror) -> None:
        unlink_segment(self.folder.path_of(action.source.mirror_name))

    def _fail(self, error: BaseException) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(error)

    def _finish(self, action: e.Finish) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(action.error)

    def _instance(self) -> Instance:
        return Instance(self.instance, PROTOCOL, __version__, os.getpid(), self.state.facts.ip)


def _host_facts(config: Config, address: RedisAddress, instance: str, *, is_takeover: bool) -> HostFacts:
    publish = config.publish

    def may_publish(name: str) -> bool:
        return any(fnmatchcase(name, each) for each in publish.include) and not any(
            fnmatchcase(name, each) for each in publish.exclude
        )

    return HostFacts(
        host=config.host,
        ip=config.network.advertise or own_address(address.server_host),
        role=config.role,
        instance=instance,
        is_takeover=is_takeover,
        heartbeat_interval_s=config.heartbeat_interval_s,
        base_port=config.network.base_pub_port,
        port_count=config.network.port_count,
        may_publish=may_publish,
    )
