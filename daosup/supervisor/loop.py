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
from dataclasses import replace
from typing import Any, Optional, Union

from daosup import __version__, log
from daosup.adapters.control import ControlServer
from daosup.adapters.leftovers import MirrorLedger
from daosup.adapters.own_address import own_address
from daosup.adapters.processes import Processes, allow_many_files
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.registry import Instance, Registry
from daosup.adapters.segment_folder import SegmentFolder
from daosup.adapters.state_file import StateFile
from daosup.adapters.systemd import Systemd
from daosup.config import Config
from daosup.config.changes import Change
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.host import HostState
from daosup.core.types import PROTOCOL, Source, WorkerKey, WorkerKind
from daosup.errors import NoAnswerError, UnavailableError
from daosup.supervisor.commands import Commands
from daosup.supervisor.discovery_desk import DiscoveryDesk
from daosup.supervisor.host_facts import host_facts
from daosup.supervisor.lasting import Lasting
from daosup.supervisor.old_writers import OldWriterFiles
from daosup.supervisor.port_memory import PortMemory
from daosup.supervisor.reexec import Renewing
from daosup.supervisor.registry_desk import RegistryDesk
from daosup.supervisor.reloading import Reloading
from daosup.supervisor.worker_health import WorkerHealth
from daosup.supervisor.worker_news import Facts, ToldSocket, bury
from daosup.supervisor.worker_orders import WorkerOrders
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.records import TakenError

TICK_S = 0.25

_log = log.get("daosup.supervisor")


class Supervisor:
    """Supervises one host until it is told to stop.

    Args:
        config: Everything it may be told.
        address: Where Redis is.
        read_config: Reads the configuration anew.
        is_takeover: Whether to become master although another host is.
        renewing: Which of the workers that are found are to be renewed.
    """

    def __init__(
        self,
        config: Config,
        address: RedisAddress,
        read_config: Callable[[], Config],
        *,
        is_takeover: bool = False,
        renewing: Renewing = Renewing.NONE,
    ) -> None:
        self.config = config
        self.address = address
        self.began_s = time.monotonic()
        self.instance = uuid.uuid4().hex
        self.folder = SegmentFolder(config.segment_folder)
        self.discovery = DiscoveryDesk(self.folder, self.post, self.fail)
        self.workers_folder = WorkersFolder(config)
        self.orders = WorkerOrders(config, self.folder, self.workers_folder, self._name_of)
        facts = host_facts(config, self._ip(config), self.orders.terms_of)
        self.state = HostState(replace(facts, instance=self.instance, is_takeover=is_takeover))
        self.ledger = MirrorLedger(config.runtime_folder / f"{config.instance}.mirrors")
        self.seen = WorkersSeen(self.workers_folder.page_of)
        self.old_writers = OldWriterFiles(config.host, self.workers_folder.page_of)
        self.health = WorkerHealth(self.state.crew.workers, self.seen, self.orders.limits_of, self.post, TICK_S)
        self.processes = Processes("daosup.workers.fork_server", self._on_started, self._on_failed, self._on_ended)
        self._renewing = renewing
        self.systemd = Systemd()
        self._read_config = read_config
        self._events: deque[e.Event] = deque()
        self._is_handling = False
        self._watchers: set[asyncio.Future[None]] = set()
        self._finished: Optional[asyncio.Future[Union[str, Renewing, None]]] = None
        self._performers: dict[type, Callable[[Any], None]] = {
            e.StartWorker: self._start_worker,
            e.StopWorker: lambda action: self.processes.stop(action.pid, is_forced=action.is_forced),
            e.RemoveMirror: self._remove_mirror,
            e.RememberMirrors: self._remember_mirrors,
            e.RememberPorts: lambda action: self.port_memory.remember(action.ports),
            e.TellOldWriters: self.old_writers.tell,
            e.Finish: self._finish,
            e.Report: lambda action: getattr(_log, action.level)(action.message, **dict(action.fields)),
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
        self.reloading = Reloading(self, self._read_config)
        self.lasting = Lasting(StateFile(self.config.state_folder / f"{self.config.instance}.json"), self.post)
        self.port_memory = PortMemory(StateFile(self.config.state_folder / f"{self.config.instance}.ports.json"))
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
        told: Optional[ToldSocket] = None
        try:
            allow_many_files()
            told = ToldSocket(self.workers_folder.path, self.processes.is_running, self._on_told)
            with suppress(OSError):  # then the first worker tries again, and says why it cannot be
                self.processes.prepare()
            registry = Registry(self.address, self.config.host, self._instance(), RegistryDesk.events_to(self.post))
            self.desk = RegistryDesk(registry, self.state, self.config.heartbeat_interval_s, self.instance, self.post)
            self.desk.on_failure(self.fail)
            _log.info("supervisor started", host=self.config.host, version=__version__, registry=str(self.address))
            mirrored = self._find_mirrors()
            self.lasting.load()
            self.post(e.PortsRemembered(self.port_memory.load()))
            self.post(e.OldWritersRemembered(self.old_writers.remembered()))
            self.post(e.ConfigChanged(self.state.facts))
            self.discovery.start()
            self._tell_strangers()
            self._find_workers(mirrored)
            self._tick()
            self.systemd.ready(f"host {self.config.host}")
            self.reloading.serve()
            on_ready()
            end = await self._finished
            is_left = end is not None
            if not isinstance(end, Renewing):
                self.systemd.stopping()
            await self.desk.close()
            await self.port_memory.settle()
        finally:
            await server.close()
            self.discovery.close()
            if told is not None:
                told.close()
            if is_left:
                self.processes.leave()
                self.workers_folder.let_go()
            else:
                self.processes.close()
                self.workers_folder.remove()
            self.ledger.close()
        if isinstance(end, str):
            raise UnavailableError(end)
        _log.info("supervisor is replaced" if end else "supervisor stopped", host=self.config.host)
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
                for action in self.state.handle(self._events.popleft(), time.monotonic()):
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

    def reconfigure(self, change: Change) -> None:
        """Put another configuration in force; nothing is touched but what it says otherwise."""
        is_elsewhere = "network.advertise" in change.changed
        ip = self._ip(change.config) if is_elsewhere else self.state.facts.ip
        self.config = change.config
        self.orders.config = change.config
        self.desk.set_heartbeat(change.config.heartbeat_interval_s)
        log.set_level(change.config.log.level)
        self.post(e.ConfigChanged(host_facts(change.config, ip, self.orders.terms_of)))
        self.discovery.look()

    # -- what happens by itself

    def _tick(self) -> None:
        now = time.monotonic()
        try:
            self.discovery.tick(now)
            self.health.turn(now)
            for key, worker in list(self.state.crew.workers.items()):
                if worker.phase is Phase.STARTING and worker.pid:
                    self._see_if_ready(key, worker.pid)
        except Exception as error:
            self.fail(error)
        self.post(e.Ticked())
        self.systemd.feed_watchdog()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _hang_up(self, had_terminal: bool) -> None:
        """SIGHUP came: the terminal we were started in was closed, or somebody wants the configuration read."""
        if had_terminal and not os.isatty(0):
            self.post(e.StopAsked())
        else:
            self.reloading.on_signal()

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
        by_operator, by_others = remembered.by_operator, remembered.by_others
        self.post(e.WorkersFound(tuple(adopted), by_operator, by_others, remembered.written_back))
        if old:
            self.post(e.RenewAsked(tuple(old)))
        self._renewing = Renewing.NONE

    def _see_if_ready(self, key: WorkerKey, pid: int) -> None:
        """Look at its page: what it said may have been lost."""
        statistics = self.seen.of(key).reader.read(pid)
        if statistics is not None and statistics.is_ready:
            self.post(e.WorkerReady(key, pid, statistics.port))
        elif statistics is not None and statistics.beat_ns > statistics.started_ns:
            self.post(e.WorkerBegan(key, pid))

    def _on_started(self, key: WorkerKey, pid: int) -> None:
        self.post(e.WorkerStarted(key, pid))
        self._see_if_ready(key, pid)

    def _on_failed(self, key: WorkerKey, reason: str) -> None:
        self.post(e.WorkerExited(key, 0, f"cannot be started: {reason}"))

    def _on_told(self, key: WorkerKey, pid: int, event: str, facts: Facts) -> None:
        if event == "ready":
            self._see_if_ready(key, pid)
        else:
            self.seen.told(key, event, facts)
            self._wake()
            say = _log.warning if facts.get("reason") or "warning" in facts else _log.info
            say(f"{key.kind.value} {event}", worker=str(key), pid=pid, **facts)

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

    def _name_of(self, source: Source) -> str:
        return self.state.mirrors.name_of(source)

    def _start_worker(self, action: e.StartWorker) -> None:
        self.seen.forget(action.key)
        if action.key.kind is WorkerKind.MIRROR:
            source = action.key.source
            reason = self.ledger.note(source, self.folder.path_of(self._name_of(source)))
            if reason is not None:
                _log.warning("a crash would leave a mirror behind: it cannot be written down", reason=reason)
        self.processes.start(action.key, self.orders.request_for(action))

    def _remove_mirror(self, action: e.RemoveMirror) -> None:
        reason = self.ledger.remove(action.source)
        if reason is not None:
            _log.warning("a mirror's file is left alone", source=str(action.source), reason=reason)

    def _find_mirrors(self) -> e.RememberMirrors:
        """What the supervisors before us mirrored, as they wrote down: what was wanted, and which files were made."""
        remembered = self.workers_folder.remembered()
        known = {*remembered.by_operator, *remembered.by_others}
        made = tuple(source for source in self.ledger.find() if source not in known)
        return replace(remembered, by_others=remembered.by_others + made)

    def _tell_strangers(self) -> None:
        strangers = self.ledger.strangers(self.folder)
        if strangers:
            _log.info(
                "mirrors of unknown origin are left alone; remove them if nobody uses them",
                count=len(strangers),
                files=", ".join(strangers[:3]),
            )

    def _remember_mirrors(self, action: e.RememberMirrors) -> None:
        try:
            self.workers_folder.remember(action)
        except OSError as error:
            _log.warning("what is mirrored would be forgotten in a crash", reason=str(error))

    def fail(self, error: BaseException) -> None:
        """End with ``error``, which is a bug."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(error)

    def _finish(self, action: e.Finish) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(action.error)

    def _ip(self, config: Config) -> str:
        return config.network.advertise or own_address(self.address.server_host)

    def _instance(self) -> Instance:
        return Instance(self.instance, PROTOCOL, __version__, os.getpid(), self.state.facts.ip)
