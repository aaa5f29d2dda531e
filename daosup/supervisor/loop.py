"""The loop of a host: what happened goes into ``HostState``, what it says is done.

Invariants: one thread, one loop; nothing in it waits for Redis, a worker or a client. Events are handled one after the
other, also those that an action causes. An exception while one is handled is a bug: the supervisor ends with it, for a
state that nobody understands must not go on deciding. The workers go on without it, and its successor adopts them; only
one that is stopped takes them along.
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
from daosup.adapters.processes import Processes, allow_many_files
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.registry import Instance, Registry
from daosup.adapters.segment_folder import SegmentFolder
from daosup.adapters.systemd import Systemd
from daosup.config import Config
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.host import HostFacts, HostState
from daosup.core.types import PROTOCOL, WorkerKey
from daosup.errors import NoAnswerError
from daosup.shm.making import unlink_segment
from daosup.supervisor.commands import Commands
from daosup.supervisor.reexec import Renewing
from daosup.supervisor.registry_desk import RegistryDesk
from daosup.supervisor.worker_news import Facts, ToldSocket, bury
from daosup.supervisor.worker_orders import WorkerOrders
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.records import TakenError

TICK_S = 0.25
LOOK_INTERVAL_S = 1.0

_log = log.get("daosup.supervisor")


class Supervisor:
    """Supervises one host until it is told to stop.

    Args:
        config: Everything it may be told.
        address: Where Redis is.
        renewing: Which of the workers that are found are to be renewed.
    """

    def __init__(self, config: Config, address: RedisAddress, renewing: Renewing = Renewing.NONE) -> None:
        self.config = config
        self.address = address
        self.began_s = time.monotonic()
        self.instance = uuid.uuid4().hex
        self.folder = SegmentFolder(config.segment_folder)
        self.state = HostState(_host_facts(config, address))
        self.workers_folder = WorkersFolder(config)
        self.orders = WorkerOrders(config, self.folder, self.workers_folder)
        self.seen = WorkersSeen(self.workers_folder.page_of)
        self.processes = Processes("daosup.workers.fork_server", self._on_started, self._on_failed, self._on_ended)
        self._renewing = renewing
        self.systemd = Systemd()
        self._events: deque[e.Event] = deque()
        self._is_handling = False
        self._watchers: set[asyncio.Future[None]] = set()
        self._finished: Optional[asyncio.Future[Optional[Renewing]]] = None
        self._looked_s = 0.0
        self._refused: set[str] = set()
        self._performers: dict[type, Callable[[Any], None]] = {
            e.StartWorker: self._start_worker,
            e.StopWorker: lambda action: self.processes.stop(action.pid, is_forced=action.is_forced),
            e.RemoveMirror: self._remove_mirror,
            e.RememberMirrors: self._remember_mirrors,
            e.Finish: self._finish,
            e.Report: lambda action: getattr(_log, action.level)(action.message, **dict(action.fields)),
        }

    async def run(self, *, on_ready: Callable[[], None] = lambda: None) -> Optional[Renewing]:
        """Serve until stopped.

        Returns:
            None; or, if a new supervisor is to take our place and go on with our workers, which of them it renews.

        Raises:
            UnavailableError: If another supervisor has the control socket.
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
        is_left = self.config.workers.survive_supervisor  # unless it ends in order
        try:
            self.workers_folder.take()
        except BaseException:
            await server.close()
            raise
        told: Optional[ToldSocket] = None
        try:
            allow_many_files()
            told = ToldSocket(self.workers_folder.path, self.processes.is_running, self._on_told)
            with suppress(OSError):  # then the first worker tries again, and says why it cannot be
                self.processes.prepare()
            registry = Registry(self.address, self.config.host, self._instance(), RegistryDesk.events_to(self.post))
            self.desk = RegistryDesk(registry, self.state, self.config.heartbeat_interval_s, self.instance, self.post)
            self.desk.on_failure(self._fail)
            _log.info("supervisor started", host=self.config.host, version=__version__, registry=str(self.address))
            self.look()
            self._find_workers(self.workers_folder.remembered())
            self._tick()
            self.systemd.ready(f"host {self.config.host}")
            on_ready()
            successor = await self._finished
            is_left = successor is not None
            if successor is None:
                self.systemd.stopping()
            await self.desk.close()
        finally:
            await server.close()
            if told is not None:
                told.close()
            if is_left:
                self.processes.leave()
                self.workers_folder.let_go()
            else:
                self.processes.close()
                self.workers_folder.remove()
        _log.info("supervisor is replaced" if is_left else "supervisor stopped", host=self.config.host)
        return successor

    def leave(self, renewing: Renewing) -> None:
        """Let ``run`` return with the workers going on."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(renewing)

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
            for key, worker in list(self.state.crew.workers.items()):
                if worker.phase is Phase.STARTING and worker.pid:
                    self._see_if_ready(key, worker.pid)
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

    def _find_workers(self, remembered: e.RememberMirrors) -> None:
        """Take over what runs already."""
        adopted, old = [], []
        for found in self.orders.found():
            key, record = found.worker.order.key, found.record
            known = self.state.crew.workers.get(key)
            if known is not None and known.pid == record.pid:
                continue
            with suppress(ProcessLookupError):
                if not self.processes.is_running(key, record.pid):
                    self.processes.adopt(key, record.pid, record.start_time)
                adopted.append(found.worker)
                if self._renewing.includes(record.version):
                    old.append(key)
        self.post(e.WorkersFound(tuple(adopted), remembered.by_operator, remembered.by_others))
        if old:
            self.post(e.RenewAsked(tuple(old)))
        self._renewing = Renewing.NONE

    def _see_if_ready(self, key: WorkerKey, pid: int) -> None:
        """Look at its page: what it said may have been lost."""
        statistics = self.seen.of(key).reader.read(pid)
        if statistics is not None and statistics.is_ready:
            self.post(e.WorkerReady(key, pid, statistics.port))

    def _on_started(self, key: WorkerKey, pid: int) -> None:
        self.post(e.WorkerStarted(key, pid))
        self._see_if_ready(key, pid)

    def _on_failed(self, key: WorkerKey, reason: str) -> None:
        self.post(e.WorkerExited(key, 0, f"cannot be started: {reason}"))

    def _on_told(self, key: WorkerKey, pid: int, event: str, facts: Facts) -> None:
        if event == "ready":
            self._see_if_ready(key, pid)
        else:
            self.seen.told(key, facts)
            _log.info(f"{key.kind.value} {event}", worker=str(key), pid=pid, **facts)

    def _on_ended(self, key: WorkerKey, pid: int, status: Optional[int]) -> None:
        if status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == TakenError.exit_code:
            self.post(e.WorkerExited(key, pid, "another process does its work already"))
            self._find_workers(e.RememberMirrors((), ()))
            return
        cause, details = bury(self.workers_folder.page_of(key), status)
        if details:
            _log.error("last words of a worker", worker=str(key), pid=pid, cause=cause, details=details)
        self.post(e.WorkerExited(key, pid, cause, details))

    # -- what is to be done

    def _start_worker(self, action: e.StartWorker) -> None:
        self.seen.forget(action.key)
        self.processes.start(action.key, self.orders.request_for(action))

    def _remove_mirror(self, action: e.RemoveMirror) -> None:
        unlink_segment(self.folder.path_of(action.source.mirror_name))

    def _remember_mirrors(self, action: e.RememberMirrors) -> None:
        try:
            self.workers_folder.remember(action)
        except OSError as error:
            _log.warning("what is mirrored would be forgotten in a crash", reason=str(error))

    def _fail(self, error: BaseException) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(error)

    def _finish(self, action: e.Finish) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _instance(self) -> Instance:
        return Instance(self.instance, PROTOCOL, __version__, os.getpid())


def _host_facts(config: Config, address: RedisAddress) -> HostFacts:
    publish = config.publish

    def may_publish(name: str) -> bool:
        return any(fnmatchcase(name, each) for each in publish.include) and not any(
            fnmatchcase(name, each) for each in publish.exclude
        )

    return HostFacts(
        host=config.host,
        ip=config.network.advertise or own_address(address.server_host),
        role=config.role,
        heartbeat_interval_s=config.heartbeat_interval_s,
        base_port=config.network.base_pub_port,
        port_count=config.network.port_count,
        may_publish=may_publish,
    )
