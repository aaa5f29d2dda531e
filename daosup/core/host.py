"""All decisions of a host's supervisor: events in, actions out.

Invariants:
- a segment is published exactly while it exists here, may be published and somebody reads it;
- a source is mirrored from when its owner has a stream of ours for somebody here who holds it until nobody holds it;
- what was found running goes on as long as it may be wanted: a publisher until its readers are known, a mirror until
  those who held it had the time to come back;
- losing the registry, or what it knew, stops nothing: what runs goes on, and is announced anew when it is back;
- after StopAsked nothing is started, announced or asked for, and Finish comes once every worker has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Optional

from daosup.core import events as e
from daosup.core.adoption import Presumed
from daosup.core.crew import Crew, Phase
from daosup.core.mirrors import POLL_INTERVAL_S, Mirrors
from daosup.core.readership import Readership
from daosup.core.renewal import Renewal
from daosup.core.restart import Backoff
from daosup.core.types import Role, SegmentFacts, Source, StreamRecord, WorkerKey, WorkerKind


@dataclass(frozen=True)
class HostFacts:
    """What a host is told about itself."""

    host: str
    ip: str
    role: Optional[Role] = None
    heartbeat_interval_s: float = 30.0
    base_port: int = 0
    port_count: int = 2000
    may_publish: Callable[[str], bool] = lambda name: True


class RegistryPhase(Enum):
    """How we stand with Redis."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"


class HostState:
    """The state of one host; ``handle`` is the only way in."""

    def __init__(self, facts: HostFacts) -> None:
        self.facts = facts
        self.role = facts.role
        self.segments: dict[str, SegmentFacts] = {}
        self.readership = Readership()
        self.presumed = Presumed()
        self.mirrors = Mirrors(facts.host)
        self.crew = Crew()
        self.renewal = Renewal(self.crew)
        self.registry = RegistryPhase.DOWN
        self.registry_since_s = 0.0
        self.registry_server = ""
        self.registry_error: Optional[str] = None
        self.is_registered = True
        self.is_stopping = False
        self._is_finished = False
        self._retry_registry_s = 0.0
        self._registry_backoff = Backoff()
        self._beat_s = 0.0
        self._looked_s = 0.0
        self._told: dict[str, tuple[StreamRecord, ...]] = {}

    def handle(self, event: e.Event, now: float) -> list[e.Action]:
        """Take in an event at ``now`` (seconds, monotonic) and say what is to be done."""
        actions = list(self._handlers[type(event)](self, event, now))
        actions += self._reconcile(now)
        return actions

    # -- the registry

    def _registry_connected(self, event: e.RegistryConnected, now: float) -> Iterator[e.Action]:
        self.registry, self.registry_since_s, self.registry_error = RegistryPhase.UP, now, None
        self.registry_server = event.server
        self._registry_backoff = Backoff()
        self.readership.forgive(now)
        self.presumed.interrupt()
        yield e.Report("info", "registry connected", (("server", event.server),))
        if self.is_stopping:
            return
        self._looked_s = now
        if self.role is None:
            yield e.ReadMachines()
        else:
            yield from self._introduce(now)
        yield from self.mirrors.ask_all(now)

    def _registry_lost(self, event: e.RegistryLost, now: float) -> Iterator[e.Action]:
        if self.registry is RegistryPhase.UP:
            self.registry_since_s = now
        if event.reason != self.registry_error:
            yield e.Report("warning", "registry away; streams go on", (("reason", event.reason),))
        self.registry, self.registry_error = RegistryPhase.DOWN, event.reason
        delay_s, self._registry_backoff = self._registry_backoff.died(0.0)
        self._retry_registry_s = now + min(1.0, max(0.1, delay_s))

    def _machines_seen(self, event: e.MachinesSeen, now: float) -> Iterator[e.Action]:
        if self.role is None:
            others = [each for each in event.machines if each.hostname != self.facts.host]
            has_master = any(each.role == Role.MASTER.value for each in others)
            self.role = Role.MINION if has_master else Role.MASTER
            yield e.Report("info", "role chosen: the configuration asks for none", (("role", self.role.value),))
            yield from self._introduce(now)

    def _introduce(self, now: float) -> Iterator[e.Action]:
        if self._is_serving:
            yield self._announce(now) if self.is_registered else e.Withdraw()
            yield e.ReadReaders()

    def _announce(self, now: float) -> e.Announce:
        self._beat_s = now
        records = {name: self._records_of(name) for name in self.segments}
        self._told = {name: told for name, told in records.items() if told}
        return e.Announce(self.role or Role.MINION, dict(self.segments), records)

    def _announce_asked(self, event: e.AnnounceAsked, now: float) -> Iterator[e.Action]:
        self.is_registered = True
        if self._is_announced:
            yield self._announce(now)

    def _withdraw_asked(self, event: e.WithdrawAsked, now: float) -> Iterator[e.Action]:
        self.is_registered = False
        self._told.clear()
        if self.registry is RegistryPhase.UP:
            yield e.Withdraw()

    # -- what we own

    def _segments_seen(self, event: e.SegmentsSeen, now: float) -> Iterator[e.Action]:
        found = {facts.name: facts for facts in event.segments if self.facts.may_publish(facts.name)}
        gone = [name for name in self.segments if name not in found]
        changed = [facts for facts in found.values() if self.segments.get(facts.name) != facts]
        self.segments = found
        for name in gone:
            yield e.Report("info", "segment gone", (("segment", name),))
            if self._is_announced:
                yield e.DropSegment(name)
                self._told.pop(name, None)
        for facts in changed:
            shape = "x".join(map(str, facts.shape))
            yield e.Report("info", "segment found", (("segment", facts.name), ("shape", shape), ("dtype", facts.dtype)))
            if self._is_announced:
                yield e.PutSegment(facts, self._told.get(facts.name, ()))

    def _readers_notified(self, event: e.ReadersNotified, now: float) -> Iterator[e.Action]:
        if self._is_serving:
            yield e.ReadReaders()

    def _readers_seen(self, event: e.ReadersSeen, now: float) -> Iterator[e.Action]:
        is_forgotten = self._is_announced and not event.is_announced
        if is_forgotten:
            self.readership.forgive(now)
        vanished = self.readership.update(event.readers, now)
        self.presumed.readers_told(self.readership.names, now)
        if vanished:
            yield e.DropReaders(vanished)
            for name, host in vanished:
                yield e.Report("warning", "reader vanished", (("segment", name), ("peer", host)))
        if is_forgotten:
            yield e.Report("warning", "the registry forgot this host; announcing it anew")
            yield self._announce(now)
            yield from self.mirrors.ask_all(now)

    def _records_of(self, name: str) -> tuple[StreamRecord, ...]:
        worker = self.crew.workers.get(self._publisher_key(name))
        if worker is None or worker.phase is not Phase.RUNNING:
            return ()
        return tuple(
            StreamRecord(self.facts.ip, worker.port, reader.host, reader.ip) for reader in self.readership.of(name)
        )

    # -- what we mirror

    def _mirror_asked(self, event: e.MirrorAsked, now: float) -> Iterable[e.Action]:
        return self.mirrors.hold(event.source, event.holder, now, is_serving=self._is_serving)

    def _mirror_released(self, event: e.MirrorReleased, now: float) -> Iterable[e.Action]:
        return self.mirrors.release(event.source, event.holder, is_connected=self.registry is RegistryPhase.UP)

    def _holder_gone(self, event: e.HolderGone, now: float) -> Iterator[e.Action]:
        for source in list(self.mirrors):
            yield from self._mirror_released(e.MirrorReleased(source, event.holder), now)

    def _record_notified(self, event: e.RecordNotified, now: float) -> Iterable[e.Action]:
        return self.mirrors.look(event.source, now) if self._is_serving else ()

    def _records_seen(self, event: e.RecordsSeen, now: float) -> Iterable[e.Action]:
        self.mirrors.take(event)
        return ()

    # -- workers

    def _workers_found(self, event: e.WorkersFound, now: float) -> Iterator[e.Action]:
        yield from self.mirrors.find(event, now, is_serving=self._is_serving, is_stopping=self.is_stopping)
        for found in event.workers:
            if found.order.key.kind is WorkerKind.PUBLISHER:
                self.presumed.add(found.order.key.source.name)
            yield from self.crew.adopt(found, now)

    def _renew_asked(self, event: e.RenewAsked, now: float) -> Iterable[e.Action]:
        self.renewal.ask(event.keys)
        return self.renewal.step(now)

    def _worker_started(self, event: e.WorkerStarted, now: float) -> Iterable[e.Action]:
        return self.crew.started(event.key, event.pid, now)

    def _worker_ready(self, event: e.WorkerReady, now: float) -> Iterator[e.Action]:
        if self.crew.ready(event.key, event.pid, event.port):
            yield e.Report(
                "info", "worker ready", (("worker", str(event.key)), ("pid", event.pid), ("port", event.port or None))
            )
            yield from self.renewal.step(now)

    def _worker_exited(self, event: e.WorkerExited, now: float) -> Iterable[e.Action]:
        return self.crew.exited(event.key, event.pid, event.cause, now)

    # -- time and the end

    def _ticked(self, event: e.Ticked, now: float) -> Iterator[e.Action]:
        if self.is_stopping:
            return
        yield from self.renewal.step(now)
        yield from self.mirrors.release_adopted(now, is_connected=self.registry is RegistryPhase.UP)
        if self.registry is RegistryPhase.DOWN and now >= self._retry_registry_s:
            self.registry = RegistryPhase.CONNECTING
            yield e.ConnectRegistry()
        if self.registry is not RegistryPhase.UP:
            return
        if self._is_announced and now >= self._beat_s + self.facts.heartbeat_interval_s:
            yield self._announce(now)
        if self.role is not None and now >= self._looked_s + POLL_INTERVAL_S:
            self._looked_s = now
            yield e.ReadReaders()
        yield from self.mirrors.tick(now)

    def _stop_asked(self, event: e.StopAsked, now: float) -> Iterator[e.Action]:
        self.is_stopping = True
        for source in list(self.mirrors):
            yield from self._mirror_released(e.MirrorReleased(source, None), now)

    @property
    def _is_serving(self) -> bool:
        return self.registry is RegistryPhase.UP and not self.is_stopping

    @property
    def _is_announced(self) -> bool:
        return self._is_serving and self.role is not None and self.is_registered

    def _publisher_key(self, name: str) -> WorkerKey:
        return WorkerKey(WorkerKind.PUBLISHER, Source(self.facts.host, name))

    def _wanted(self) -> dict[WorkerKey, e.StartWorker]:
        if self.is_stopping:
            return {}
        wanted: dict[WorkerKey, e.StartWorker] = {}
        for name in sorted((self.readership.names | self.presumed.names) & self.segments.keys()):
            key = self._publisher_key(name)
            running = self.crew.workers.get(key)
            wanted[key] = running.order if running else e.StartWorker(key, self._free_port(wanted.values()))
        wanted.update((order.key, order) for order in self.mirrors.orders())
        return wanted

    def _free_port(self, orders: Iterable[e.StartWorker]) -> int:
        """The first port that no publisher of ours has or is given; another program may still have it."""
        if not self.facts.base_port:
            return 0
        taken = {worker.port for worker in self.crew.workers.values()} | {order.port for order in orders}
        last = self.facts.base_port + self.facts.port_count
        return next((port for port in range(self.facts.base_port, last) if port not in taken), 0)

    def _reconcile(self, now: float) -> Iterator[e.Action]:
        wanted = self._wanted()
        yield from self.crew.reconcile(wanted, now)
        yield from self.mirrors.tidy(wanted.keys(), self.crew.workers.keys(), is_stopping=self.is_stopping)
        if self._is_announced:
            for name in sorted((self.readership.names | self._told.keys()) & self.segments.keys()):
                records = self._records_of(name)
                if records != self._told.get(name, ()):
                    self._told[name] = records
                    yield e.PutRecords(name, records, tuple(record.client_hostname for record in records))
        if self.is_stopping and not self.crew.workers and not self._is_finished:
            self._is_finished = True
            if self.registry is RegistryPhase.UP:
                yield e.Withdraw()
            yield e.Finish()

    _handlers: ClassVar[dict[type, Callable[..., Iterable[e.Action]]]] = {
        e.RegistryConnected: _registry_connected,
        e.RegistryLost: _registry_lost,
        e.MachinesSeen: _machines_seen,
        e.ReadersSeen: _readers_seen,
        e.RecordsSeen: _records_seen,
        e.ReadersNotified: _readers_notified,
        e.RecordNotified: _record_notified,
        e.SegmentsSeen: _segments_seen,
        e.MirrorAsked: _mirror_asked,
        e.MirrorReleased: _mirror_released,
        e.HolderGone: _holder_gone,
        e.WorkerStarted: _worker_started,
        e.WorkerReady: _worker_ready,
        e.WorkerExited: _worker_exited,
        e.WorkersFound: _workers_found,
        e.RenewAsked: _renew_asked,
        e.AnnounceAsked: _announce_asked,
        e.WithdrawAsked: _withdraw_asked,
        e.Ticked: _ticked,
        e.StopAsked: _stop_asked,
    }
