"""A small world for the decisions of hosts: a registry, segments, and clocks that drift apart.

Invariant: the world only ever does what real supervisors and a real Redis could do, and it protests at once when a host
orders what no host may order: to end a worker because the registry is away, or to begin anything while it stops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional

from hypothesis import note

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.host import HostFacts, HostState
from daosup.core.registry_values import Instance, StreamRequest
from daosup.core.types import OldWriter, Reader, Role, SegmentFacts, Source, StreamRecord, WorkerKey, WorkerKind
from tests.property.lease_model import LEASE_ORDERS, LeaseModel
from tests.property.processes import Process, Processes

BASE_PORT = 5000
BEGAN_S = 1.7e9
#: A host that runs the existing daemon, and its segment.
OLD_SOURCE = Source("old", "cam")
OLD_ADDRESS, OLD_PORT = "10.0.0.9", 5000
#: A host that runs the existing daemon, too, and reads.
OLD_READER = StreamRequest("10.0.0.8", "gui", "zmq", True, 6100, 1)
OLD_WRITER = OldWriter("gui", "10.0.0.8", 6100)
ROUTINE = (
    do.CheckRegistry, do.ReadReaders, do.TakeRequests, do.ReadHeartbeats, do.FindHeartbeats, do.ReadRecords, do.Ask,
    do.RequestStream, do.LookAtLease, do.RenewLease, do.ReadHosts, do.RememberMirrors, do.RememberPorts,
    do.TellOldWriters, do.Report,
)  # fmt: skip
NEVER_WHILE_STOPPING = (
    do.StartWorker, do.ConnectRegistry, do.Announce, do.PutSegment, do.DropLeftovers, do.PutRecords, do.Ask,
    do.RequestStream, do.TakeLease, do.RenewLease, do.Evict,
)  # fmt: skip


class SimulatedRegistry:
    """What Redis would hold, without lifetimes but that of the master's lease."""

    def __init__(self) -> None:
        self.lease = LeaseModel(BEGAN_S)
        self._forget()

    def _forget(self) -> None:
        self.roles: dict[str, Role] = {}
        self.segments: dict[str, set[str]] = {}
        self.records: dict[Source, tuple[StreamRecord, ...]] = {}
        self.readers: dict[str, dict[str, dict[str, Reader]]] = {}
        self.old_requests: set[Source] = set()
        self.old_beats: dict[Source, int] = {}

    def readers_of(self, source: Source) -> dict[str, Reader]:
        return self.readers.setdefault(source.host, {}).setdefault(source.name, {})

    def forget_everything(self) -> None:
        self.lease.flush()
        self._forget()

    def forget_host(self, host: str) -> None:
        self.roles.pop(host, None)
        self.segments.pop(host, None)
        self.records = {source: records for source, records in self.records.items() if source.host != host}

    def perform(self, order: do.Action, facts: HostFacts, instance: int) -> Optional[e.Event]:  # noqa: C901 -- a branch for each order
        """Do what a host orders; returns the answer if there is one."""
        host = facts.host
        if isinstance(order, do.ConnectRegistry):
            return e.RegistryConnected("redis")
        if isinstance(order, LEASE_ORDERS):
            return self.lease.perform(order, host, Instance(facts.instance, 2, "1", 1, facts.ip))
        if isinstance(order, do.ReadHosts):
            return e.HostsSeen((), self.lease.now_s)
        if isinstance(order, do.ReadReaders):
            readers = {name: dict(by_host) for name, by_host in self.readers.get(host, {}).items()}
            return e.ReadersSeen(readers, host in self.roles, entry_count=self._entry_count(host))
        if isinstance(order, do.CheckRegistry):
            return e.RegistryChecked(host in self.roles, self._entry_count(host))
        if isinstance(order, do.TakeRequests):
            taken = self.old_requests & {Source(host, name) for name in order.names}
            self.old_requests -= taken
            return e.RequestsTaken({source.name: OLD_READER for source in taken}) if taken else None
        if isinstance(order, (do.ReadHeartbeats, do.FindHeartbeats)):
            found = {(s.name, OLD_READER.client_hostname): str(n) for s, n in self.old_beats.items() if s.host == host}
            return e.HeartbeatsSeen(found)
        if isinstance(order, do.ReadRecords):
            return e.RecordsSeen(tuple(map(self._seen, order.sources)))
        if isinstance(order, do.Announce):
            self.forget_host(host)
            self.roles[host] = order.role
            self.segments[host] = set(order.segments)
            self.records.update({Source(host, name): records for name, records in order.records.items()})
        elif isinstance(order, do.PutSegment):
            self.segments.setdefault(host, set()).add(order.facts.name)
            self.records[Source(host, order.facts.name)] = order.records
        elif isinstance(order, do.DropSegment):
            self.segments.get(host, set()).discard(order.name)
            self.records.pop(Source(host, order.name), None)
        elif isinstance(order, do.DropLeftovers):
            self.segments.get(host, set()).intersection_update(order.names)
        elif isinstance(order, do.PutRecords):
            self.records[Source(host, order.name)] = order.records
        elif isinstance(order, do.DropReaders):
            for name, client in order.pairs:
                self.readers_of(Source(host, name)).pop(client, None)
        elif isinstance(order, do.Ask):
            for source in order.sources:
                is_writing = source in order.written_back
                reader = Reader(host, facts.ip, order.beat, f"{host}-{instance}", bidirectional=is_writing)
                self.readers_of(source)[host] = reader
        elif isinstance(order, do.Unask):
            for source in order.sources:
                self.readers_of(source).pop(host, None)
        elif isinstance(order, do.RequestStream):
            self._ask_old_daemon(order, facts)
        elif isinstance(order, do.Withdraw):
            self.forget_host(host)
        else:
            raise AssertionError(f"no order for the registry: {order}")
        return None

    def old_daemon_announces(self) -> None:
        """It is there, and nobody reads from it."""
        self.roles[OLD_SOURCE.host], self.segments[OLD_SOURCE.host] = Role.MINION, {OLD_SOURCE.name}
        self.records.setdefault(OLD_SOURCE, ())

    def _ask_old_daemon(self, order: do.RequestStream, facts: HostFacts) -> None:
        """It adds a record, whoever asks and however often."""
        source, is_bidirectional, port = order.source, order.bidirectional, order.client_pub_port
        assert source == OLD_SOURCE, f"a request to {source.host}, which has our daemon"
        assert is_bidirectional == (port is not None)
        if source in self.records:
            record = StreamRecord(OLD_ADDRESS, OLD_PORT, facts.host, facts.ip, "zmq", is_bidirectional, port, 1)
            self.records[source] = (*self.records[source], record)

    def _entry_count(self, host: str) -> int:
        return sum(map(len, self.readers.get(host, {}).values()))

    def _seen(self, source: Source) -> e.SourceSeen:
        is_known = source.name in self.segments.get(source.host, ())
        is_old = source == OLD_SOURCE
        return e.SourceSeen(source, source.host in self.roles, is_known, self.records.get(source, ()), is_old)


def left_undone(state: HostState, now: float) -> list[do.Action]:
    """What a look at all workers finds to do, which may be nothing; it leaves no trace if it finds nothing."""
    reconciling = state.reconciling
    before = reconciling.is_settled, reconciling._count, reconciling._wanted
    reconciling.is_settled = False
    found = list(state._reconcile(None, now))
    reconciling.is_settled, reconciling._count, reconciling._wanted = before
    return found


@dataclass
class Host:
    """One host in the world: its state, and whatever is under way to and from it."""

    state: HostState
    registry: SimulatedRegistry
    tell: Callable[[str, e.Event], None]
    rate: float = 1.0
    now: float = 0.0
    processes: Processes = field(default_factory=Processes)
    files: dict[str, SegmentFacts] = field(default_factory=dict)
    mirror_files: set[Source] = field(default_factory=set)
    remembered: do.RememberMirrors = field(default_factory=lambda: do.RememberMirrors((), ()))
    ports: Mapping[str, int] = field(default_factory=dict)
    old_writers: dict[str, tuple[OldWriter, ...]] = field(default_factory=dict)
    instance: int = 0
    orders: deque[do.Action] = field(default_factory=deque)
    answers: deque[e.Event] = field(default_factory=deque)
    notices: deque[e.Event] = field(default_factory=deque)
    is_linked: bool = False
    finishes: int = 0
    _events: deque[e.Event] = field(default_factory=deque)

    @property
    def name(self) -> str:
        return self.state.facts.host

    def post(self, event: e.Event) -> None:
        """Let the host know, and carry out what it orders, as its supervisor would."""
        self._events.append(event)
        while self._events:
            event = self._events.popleft()
            was_stopping = self.state.is_stopping
            actions = self.state.handle(event, self.now)
            if not all(isinstance(action, ROUTINE) for action in actions):
                note(f"{self.name} at {self.now:.2f} s: {event} -> {actions}")
            undone = left_undone(self.state, self.now)
            assert undone == [], f"{event} left undone: {undone}"
            for action in actions:
                self._check(event, action, was_stopping)
                self._perform(action)

    def _check(self, event: e.Event, action: do.Action, was_stopping: bool) -> None:
        if isinstance(event, e.RegistryLost) and isinstance(action, do.StopWorker):
            assert action.is_forced, f"the registry's loss stopped {action.key}"
        if was_stopping:
            assert not isinstance(action, NEVER_WHILE_STOPPING), f"{action} after the end was asked for"

    def _perform(self, action: do.Action) -> None:
        if isinstance(action, (do.StartWorker, do.StopWorker)):
            answer = self.processes.perform(action, self.now)
            self._events.extend([answer] if answer else [])
        elif isinstance(action, do.RemoveMirror):
            assert WorkerKey(WorkerKind.MIRROR, action.source) not in [p.order.key for p in self.processes.alive]
            self.mirror_files.discard(action.source)
        elif isinstance(action, do.RememberMirrors):
            self.remembered = action
        elif isinstance(action, do.RememberPorts):
            self.ports = action.ports
        elif isinstance(action, do.TellOldWriters):
            self.old_writers[action.name] = action.writers
        elif isinstance(action, do.Finish):
            self.finishes += 1
            assert not self.processes.alive, "finished with processes left"
            assert not self.mirror_files, "finished with mirrors left"
        elif not isinstance(action, do.Report):
            self.orders.append(action)

    def become_ready(self, process: Process) -> None:
        if process.order.key.kind is WorkerKind.MIRROR:
            self.mirror_files.add(process.order.key.source)
        self.post(self.processes.become_ready(process))

    def reap(self) -> None:
        for event in self.processes.reap():
            self.post(event)

    def look(self) -> None:
        gone = self.state.segments.keys() - self.files.keys()
        self.post(e.SegmentsChanged(tuple(self.files.values()), tuple(sorted(gone))))

    def carry_out(self, times: int = 1) -> None:
        """Let the registry do the oldest order; if the link is broken all that wait are lost."""
        if not self.orders:
            return
        order = self.orders.popleft()
        is_connect = isinstance(order, do.ConnectRegistry)
        self.is_linked = self.is_linked or is_connect
        if not self.is_linked:
            self.lose_registry()
            return
        for _ in range(times):
            answer = self.registry.perform(order, self.state.facts, self.instance)
        if isinstance(order, do.PutRecords):
            for host in order.notify:
                self.tell(host, e.RecordNotified(Source(self.name, order.name)))
        if isinstance(order, (do.Ask, do.Unask)) and getattr(order, "is_news", True):
            for host in {source.host for source in order.sources}:
                self.tell(host, e.ReadersNotified())
        if is_connect and answer is not None:
            self.post(answer)
        elif answer is not None:
            self.answers.append(answer)

    def lose_registry(self) -> None:
        self.is_linked = False
        self.orders.clear()
        self.post(e.RegistryLost("connection reset"))

    def deliver(self, waiting: deque[e.Event], times: int = 1) -> None:
        """Hand over the oldest answer or notice that is under way."""
        if waiting:
            event = waiting.popleft()
            for _ in range(times):
                self.post(event)

    def crash(self) -> None:
        """The supervisor is killed and another begins: processes go on, everything under way is lost."""
        self.state = HostState(self.state.facts)
        for waiting in (self._events, self.orders, self.answers, self.notices):
            waiting.clear()
        self.is_linked = False
        self.instance += 1
        self.processes.abandon()
        self.post(e.PortsRemembered(self.ports))
        self.post(e.OldWritersRemembered({name: told for name, told in self.old_writers.items() if told}))
        self.look()
        known = self.remembered
        self.post(e.WorkersFound(self.processes.found(), known.by_operator, known.by_others, known.written_back))

    def heal(self) -> None:
        """Let all that is under way arrive, and let processes do what they should."""
        self.processes.has_room = True
        for process in self.processes.alive:
            if process.asked_s is not None:
                process.end()
            elif not process.is_ready:
                self.become_ready(process)
        self.reap()
        while self.orders or self.answers or self.notices:
            self.carry_out()
            self.deliver(self.answers)
            self.deliver(self.notices)


class World:
    """Hosts that share a registry."""

    def __init__(self, rates: dict[str, float]) -> None:
        self.registry = SimulatedRegistry()
        self.hosts: dict[str, Host] = {}
        self.old_reading: set[Source] = set()
        self._beats = 0
        for number, (name, rate) in enumerate(rates.items()):
            facts = HostFacts(name, f"10.0.0.{number + 1}", instance=name, base_port=BASE_PORT)
            state = HostState(facts)
            state.crew.starts_at_once = 1
            self.hosts[name] = Host(state, self.registry, self._tell, rate, now=1000.0 * number)

    def _tell(self, host: str, event: e.Event) -> None:
        if host in self.hosts and self.hosts[host].state.standing.is_up:
            self.hosts[host].notices.append(event)

    def advance(self, seconds: float) -> None:
        self.registry.lease.now_s += seconds
        for host in self.hosts.values():
            host.now += seconds * host.rate

    def old_readers_beat(self) -> None:
        """Those that live say so."""
        self._beats += 1
        self.registry.old_beats.update(dict.fromkeys(self.old_reading, self._beats))

    def show_links(self, host: Host) -> None:
        """Let a host know who is connected to whom at this moment."""
        alive = [(owner, process) for owner in self.hosts.values() for process in owner.processes.alive]
        published = {f"tcp://{owner.state.facts.ip}:{p.port}": p.order.key.source for owner, p in alive if p.port}
        mirrors = [(owner, p) for owner, p in alive if p.order.key.kind is WorkerKind.MIRROR]
        linked = {p.order.key.source for owner, p in mirrors if published.get(p.order.endpoint) == p.order.key.source}
        subscribed = {published[p.order.endpoint] for _, p in mirrors if p.order.endpoint in published}
        own = {p.order.key.source for owner, p in mirrors if owner is host}
        names = frozenset(source.name for source in subscribed if source.host == host.name)
        host.post(e.LinksSeen(frozenset(linked & own), names))

    def settle(self, seconds: float) -> None:
        """Let time pass with everything healthy."""
        for _ in range(int(seconds)):
            self.advance(1.0)
            self.old_readers_beat()
            for host in self.hosts.values():
                host.look()
                self.show_links(host)
                host.post(e.Ticked())
            for _ in range(3):
                for host in self.hosts.values():
                    host.heal()
