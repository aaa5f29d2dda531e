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
from dataclasses import replace
from typing import Any, Optional, Union

from daosup import __version__, log
from daosup.adapters.control import ControlServer
from daosup.adapters.leftovers import MirrorLedger
from daosup.adapters.own_address import own_address
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.registry import Instance, Registry
from daosup.adapters.segment_folder import SegmentFolder
from daosup.adapters.state_file import StateFile
from daosup.config import Config
from daosup.config.changes import Change
from daosup.config.reader import ConfigReader
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core import questions
from daosup.core.crew import Phase
from daosup.core.delays import Lateness
from daosup.core.host import HostState
from daosup.core.notices import running
from daosup.core.types import PROTOCOL, Source, WorkerKey
from daosup.errors import NoAnswerError, UnavailableError
from daosup.supervisor.commands import Commands
from daosup.supervisor.degrading import Degrading
from daosup.supervisor.discovery_desk import DiscoveryDesk
from daosup.supervisor.dnet_desk import DnetDesk
from daosup.supervisor.events_desk import EventsDesk
from daosup.supervisor.hooks_desk import HooksDesk
from daosup.supervisor.host_facts import host_facts
from daosup.supervisor.journal import RUN_LENGTH, Journal
from daosup.supervisor.lasting import Lasting
from daosup.supervisor.metrics_desk import MetricsDesk
from daosup.supervisor.old_writers import OldWriterFiles
from daosup.supervisor.port_memory import PortMemory
from daosup.supervisor.reexec import Renewing
from daosup.supervisor.registry_desk import RegistryDesk
from daosup.supervisor.reloading import Reloading
from daosup.supervisor.secret import Secret
from daosup.supervisor.service_desk import ServiceDesk
from daosup.supervisor.worker_orders import WorkerOrders
from daosup.supervisor.workers_desk import WorkersDesk
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.supervisor.workers_seen import WorkersSeen

TICK_S = 0.25
#: By whether another supervisor takes over.
_NOTICES_OF_END = {False: running.SUPERVISOR_STOPPED, True: running.SUPERVISOR_REPLACED}


class Supervisor:
    """Supervises one host until it is told to stop.

    Args:
        config: Everything it may be told.
        address: Where Redis is.
        reader: Reads the configuration anew.
        is_takeover: Whether to become master although another host is.
        renewing: Which of the workers that are found are to be renewed.
    """

    def __init__(
        self,
        config: Config,
        address: RedisAddress,
        reader: ConfigReader,
        *,
        is_takeover: bool = False,
        renewing: Renewing = Renewing.NONE,
    ) -> None:
        self.config = config
        self.address = address
        self.began_s = time.monotonic()
        self.instance = uuid.uuid4().hex
        self.folder = SegmentFolder(config.segment_folder)
        self.workers_folder = WorkersFolder(config)
        self.orders = WorkerOrders(
            config, self.folder, self.workers_folder, self._name_of, lambda: self.lasting.desired
        )
        facts = host_facts(config, self._ip(config), self.orders.terms_of)
        self.state = HostState(replace(facts, instance=self.instance, is_takeover=is_takeover))
        self.hooks = HooksDesk(config.host, config.hook)
        self.events = EventsDesk(config.host, self.instance[:RUN_LENGTH], self.hooks)
        self.journal = Journal(self.state, config.host, self.instance, self.events.add)
        self.discovery = DiscoveryDesk(self.folder, self.post, self.fail, self.journal)
        self.seen = WorkersSeen(self.workers_folder.page_of)
        self.old_writers = OldWriterFiles(config.host, self.workers_folder.page_of, self.journal)
        self.workers = WorkersDesk(
            self.state,
            self.journal,
            self.folder,
            self.workers_folder,
            MirrorLedger(config.runtime_folder / f"{config.instance}.mirrors"),
            self.orders,
            self.seen,
            self.post,
            self._wake,
            TICK_S,
            renewing,
            self.fail,
        )
        self.service = ServiceDesk(self)
        self.lag = Lateness(TICK_S)
        self.degrading = Degrading(self)
        self.dnet = DnetDesk(self)
        self.secret = Secret(self.journal)
        self._reader = reader
        self._events: deque[e.Event] = deque()
        self._is_handling = False
        self._watchers: set[asyncio.Future[None]] = set()
        self._finished: Optional[asyncio.Future[Union[str, Renewing, None]]] = None
        self._performers: dict[type, Callable[[Any], None]] = {
            do.StartWorker: self.workers.start,
            do.StopWorker: self.workers.stop,
            do.RemoveMirror: self.workers.remove_mirror,
            do.RememberMirrors: self.workers.remember,
            do.RememberPorts: lambda action: self.port_memory.remember(action.ports),
            do.TellOldWriters: self.old_writers.tell,
            do.FetchCatalogue: self.dnet.fetch,
            do.Finish: self._finish,
            do.Report: self.journal.report,
        }

    async def run(self, *, on_ready: Callable[[], None] = lambda: None) -> Optional[Renewing]:
        """Serve until stopped.

        Returns:
            None; or, if a new supervisor is to take our place and go on with our workers, which of them it renews.

        Raises:
            UnavailableError: If another supervisor has the control socket, this host's name, or the role it must have.
            ConfigError: If the control socket or the runtime folder can never be made as configured.
        """
        loop = asyncio.get_running_loop()
        self._finished = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.post, e.StopAsked())
        self.reloading = Reloading(self, self._reader)
        kept = self.config.state_folder / self.config.instance
        self.lasting = Lasting(StateFile(kept.with_name(f"{kept.name}.json")), self.post, self.journal)
        self.port_memory = PortMemory(StateFile(kept.with_name(f"{kept.name}.ports.json")), self.journal)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up, os.isatty(0))
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
        try:
            self.workers.open()
            told = RegistryDesk.events_to(self.post, commands.answering.take, commands.asking.take)
            registry = Registry(self.address, self.config.host, self._instance(), told)
            self.desk = RegistryDesk(registry, self.state, self.config.heartbeat_interval_s, self.instance, self.post)
            self.desk.on_failure(self.fail)
            self.events.open(registry, self.journal.tell, self.fail)
            self.metrics = MetricsDesk(self)
            named = {"host": self.config.host, "version": __version__, "registry": str(self.address)}
            self.journal.tell(running.SUPERVISOR_STARTED, **named)
            mirrored = self.workers.mirrored()
            self.lasting.load()
            self.secret.load(self.config.control.secret_file)
            self.post(e.PortsRemembered(self.port_memory.load()))
            self.post(e.OldWritersRemembered(self.old_writers.remembered()))
            self.post(e.ConfigChanged(self.state.facts))
            self.discovery.start()
            self.workers.tell_strangers()
            self.workers.find(mirrored)
            self._tick()
            self.reloading.serve()
            on_ready()
            end = await self._finished
            is_left = end is not None
            if not isinstance(end, Renewing):
                self.service.stopping(time.monotonic())
            ending = None if isinstance(end, str) else _NOTICES_OF_END[end is not None]
            await self.events.close(ending)
            await self.metrics.close()
            await self.dnet.close()
            await commands.close()
            await self.desk.close()
            await self.port_memory.settle()
        finally:
            await server.close()
            self.discovery.close()
            self.workers.close(is_left=is_left)
        if isinstance(end, str):
            raise UnavailableError(end)
        self.journal.tell(_NOTICES_OF_END[end is not None], host=self.config.host)
        return end

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
                event = self._events.popleft()
                with self.journal.event(event):
                    for action in self.state.handle(event, time.monotonic()):
                        performer = self._performers.get(type(action))
                        if performer is None:
                            self.desk.put(action)
                        else:
                            performer(action)
        except Exception as error:
            self.fail(error)
        finally:
            self._is_handling = False
        self._wake()

    def _wake(self) -> None:
        """Let those that wait for something look whether it is so now."""
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)

    def is_running(self, key: WorkerKey) -> bool:
        """Whether a worker does its work."""
        worker = self.state.crew.workers.get(key)
        return worker is not None and worker.phase is Phase.RUNNING

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

    def need_registry(self) -> None:
        """See that the registry is there.

        Raises:
            UnavailableError: If it is away, with the reason.
        """
        if not self.state.standing.is_up:
            raise UnavailableError(f"the registry at {self.address} is away: {self.state.standing.error}")

    def reconfigure(self, change: Change) -> None:
        """Put another configuration in force; nothing is touched but what it says otherwise."""
        is_elsewhere = "network.advertise" in change.changed
        ip = self._ip(change.config) if is_elsewhere else self.state.facts.ip
        self.config = change.config
        self.orders.config = change.config
        self.desk.set_heartbeat(change.config.heartbeat_interval_s)
        log.set_level(change.config.log.level)
        self.hooks.configure(change.config.hook)
        self.secret.load(change.config.control.secret_file)
        self.post(e.ConfigChanged(host_facts(change.config, ip, self.orders.terms_of)))
        self.discovery.look()
        self.metrics.reconfigure()

    # -- what happens by itself

    def _tick(self) -> None:
        now = time.monotonic()
        self.lag.came(now)  # with what the last turn itself took
        try:
            self.discovery.tick(now)
            self.workers.tick(now)
            self.dnet.tick(now)
        except Exception as error:
            self.fail(error)
        self.post(e.Ticked())
        self.events.tick(now)
        self.service.tick(now)
        self.degrading.tick(now)
        log.tick()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _hang_up(self, had_terminal: bool) -> None:
        """SIGHUP came: the terminal we were started in was closed, or somebody wants the configuration read."""
        if had_terminal and not os.isatty(0):
            self.post(e.StopAsked())
        else:
            self.reloading.on_signal()

    # -- what is to be done

    def _name_of(self, source: Source) -> str:
        return self.state.mirrors.name_of(source)

    def fail(self, error: BaseException) -> None:
        """End with ``error``, which is a bug."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(error)

    def _finish(self, action: do.Finish) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(action.error)

    def _ip(self, config: Config) -> str:
        return config.network.advertise or own_address(self.address.server_host)

    def _instance(self) -> Instance:
        return Instance(
            self.instance, PROTOCOL, __version__, os.getpid(), self.state.facts.ip, questions=questions.VERSION
        )
