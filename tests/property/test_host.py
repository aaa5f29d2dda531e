"""Two hosts with drifting clocks, an unreliable registry and unruly processes: the invariants of daosup.core.host.

Whatever happened, a healthy while later each mirror that is held runs and is connected to its owner's port of now, and
nothing else runs; a host that is told to end ends, once, and leaves nothing behind.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.mirror import ADOPTED
from daosup.core.types import SegmentFacts, Source, WorkerKey, WorkerKind
from tests.property.processes import Process
from tests.property.worlds import OLD_ADDRESS, OLD_PORT, OLD_SOURCE, OLD_WRITER, Host, World

HOSTS = st.sampled_from(["rts", "desk"])
NAMES = st.sampled_from(["wfs", "dm"])
HOLDERS = st.sampled_from(["operator", "client"])
RATES = st.floats(0.95, 1.05)
#: Longer than each time-out in the core: a heartbeat, a reader's silence, the longest back-off, the time to end.
LONG_S = 60.0


def facts_of(name: str, identity: int = 0) -> SegmentFacts:
    return SegmentFacts(name, (4, 4), "float32", "fifo", 1, 64, str(identity))


def other(host: str) -> str:
    return "desk" if host == "rts" else "rts"


class Hosts(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World({"rts": 1.0, "desk": 1.0})
        self.held: dict[str, dict[Source, set[str]]] = {"rts": {}, "desk": {}}
        #: Those of the holders that write.
        self.writing: dict[str, dict[Source, set[str]]] = {"rts": {}, "desk": {}}
        self.stopped: set[str] = set()

    @initialize(rts=RATES, desk=RATES, asked=st.sets(st.tuples(HOSTS, NAMES)), seconds=st.integers(0, 5))
    def begin(self, rts: float, desk: float, asked: set[tuple[str, str]], seconds: int) -> None:
        self.world.hosts["rts"].rate, self.world.hosts["desk"].rate = rts, desk
        for host in self.world.hosts.values():
            host.files = {name: facts_of(name) for name in ("wfs", "dm")}
        self.world.registry.old_daemon_announces()
        for name, segment in sorted(asked):
            self.ask(name, segment, "operator", is_old=False, is_written_back=False)
        self.world.settle(seconds)

    def host(self, name: str) -> Host:
        return self.world.hosts[name]

    # -- time

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 12.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(host=HOSTS)
    def tick(self, host: str) -> None:
        self.host(host).look()
        self.host(host).post(e.Ticked())

    @rule(seconds=st.integers(1, 5))
    def all_goes_well(self, seconds: int) -> None:
        self.world.settle(seconds)

    @rule(host=HOSTS)
    def links_are_looked_at(self, host: str) -> None:
        self.world.show_links(self.host(host))

    # -- segments

    @rule(host=HOSTS, name=NAMES, identity=st.integers(0, 2))
    def segment_is_made(self, host: str, name: str, identity: int) -> None:
        self.host(host).files[name] = facts_of(name, identity)

    @rule(host=HOSTS, name=NAMES)
    def segment_is_removed(self, host: str, name: str) -> None:
        self.host(host).files.pop(name, None)

    # -- readers that speak the old protocol

    @rule(host=HOSTS, name=NAMES)
    def old_reader_asks(self, host: str, name: str) -> None:
        self.world.old_reading.add(Source(host, name))
        self.world.registry.old_requests.add(Source(host, name))
        self.world.old_readers_beat()

    @rule(host=HOSTS, name=NAMES)
    def old_reader_is_killed(self, host: str, name: str) -> None:
        self.world.old_reading.discard(Source(host, name))

    @rule()
    def old_readers_beat(self) -> None:
        self.world.old_readers_beat()

    # -- people

    @rule(host=HOSTS, name=NAMES, holder=HOLDERS, is_old=st.booleans(), is_written_back=st.booleans())
    def ask(self, host: str, name: str, holder: str, is_old: bool, is_written_back: bool) -> None:
        source = OLD_SOURCE if is_old else Source(other(host), name)
        if host not in self.stopped:
            self.held[host].setdefault(source, set()).add(holder)
            self.writing[host].setdefault(source, set()).discard(holder)
            if is_written_back:
                self.writing[host][source].add(holder)
        self.host(host).post(e.MirrorAsked(source, holder, is_written_back))

    @rule(host=HOSTS, name=NAMES, holder=st.none() | HOLDERS)
    def release(self, host: str, name: str, holder: str | None) -> None:
        source = Source(other(host), name)
        holders = self.held[host].get(source, set())
        self.held[host][source] = holders - {holder} if holder else set()
        self._only_holders_write(host)
        self.host(host).post(e.MirrorReleased(source, holder))

    @rule(host=HOSTS, holder=HOLDERS)
    def holder_ends(self, host: str, holder: str) -> None:
        for holders in self.held[host].values():
            holders.discard(holder)
        self._only_holders_write(host)
        self.host(host).post(e.HolderGone(holder))

    def _only_holders_write(self, host: str) -> None:
        for source, writers in self.writing[host].items():
            writers.intersection_update(self.held[host].get(source, set()))

    @rule(host=HOSTS, is_in=st.booleans())
    def register(self, host: str, is_in: bool) -> None:
        self.host(host).post(e.AnnounceAsked() if is_in else e.WithdrawAsked())

    @precondition(lambda self: not self.stopped)
    @rule(host=HOSTS)
    def stop(self, host: str) -> None:
        self.stopped.add(host)
        self.held[host].clear()
        self.writing[host].clear()
        self.host(host).post(e.StopAsked())

    @rule(host=HOSTS, is_renewed=st.booleans(), are_programs_back=st.booleans(), has_otherwise=st.booleans())
    def supervisor_is_killed(self, host: str, is_renewed: bool, are_programs_back: bool, has_otherwise: bool) -> None:
        if host in self.stopped:
            return
        for process in self.host(host).processes.alive:
            process.is_matching = not has_otherwise
        self.host(host).crash()
        self.host(host).processes.all_match()
        for source, holders in self.held[host].items():
            if "client" in holders and are_programs_back:
                is_written_back = "client" in self.writing[host].get(source, set())
                self.host(host).post(e.MirrorAsked(source, "client", is_written_back))
            holders.intersection_update({"operator", "client"} if are_programs_back else {"operator"})
        self._only_holders_write(host)
        if is_renewed:
            self.host(host).post(e.RenewAsked(tuple(self.host(host).state.crew.workers)))

    # -- the registry

    @rule(host=HOSTS, times=st.sampled_from([1, 2]), count=st.integers(1, 4))
    def registry_carries_out(self, host: str, times: int, count: int) -> None:
        for _ in range(count):
            self.host(host).carry_out(times=times)

    @rule(host=HOSTS, is_silent=st.booleans())
    def registry_is_lost(self, host: str, is_silent: bool) -> None:
        if is_silent:  # it comes out at the next order
            self.host(host).is_linked = False
        else:
            self.host(host).lose_registry()

    @rule(host=HOSTS, times=st.sampled_from([1, 2]), notices=st.sampled_from([0, 1, 2]))
    def something_arrives(self, host: str, times: int, notices: int) -> None:
        self.host(host).deliver(self.host(host).answers, times)
        self.host(host).deliver(self.host(host).notices, notices)

    @rule()
    def registry_forgets(self) -> None:
        self.world.registry.forget_everything()
        self.world.registry.old_daemon_announces()

    # -- processes

    def _process(self, host: str, number: int) -> Process | None:
        alive = self.host(host).processes.alive
        return alive[number % len(alive)] if alive else None

    @rule(host=HOSTS, number=st.integers(0, 5))
    def process_becomes_ready(self, host: str, number: int) -> None:
        process = self._process(host, number)
        if process is not None:
            self.host(host).become_ready(process)

    @rule(host=HOSTS, number=st.integers(0, 5), is_noticed=st.booleans())
    def process_ends(self, host: str, number: int, is_noticed: bool) -> None:
        process = self._process(host, number)
        if process is not None:
            process.end()
        if is_noticed:
            self.host(host).reap()

    @rule(host=HOSTS, has_room=st.booleans(), ports=st.sets(st.integers(5000, 5003), max_size=2))
    def machine_changes(self, host: str, has_room: bool, ports: set[int]) -> None:
        self.host(host).processes.has_room, self.host(host).processes.foreign_ports = has_room, ports

    # -- what always holds

    @invariant()
    def what_runs_is_wanted(self) -> None:
        for host in self.world.hosts.values():
            state = host.state
            for process in host.processes.alive:
                worker = state.crew.workers[process.order.key]
                assert worker.pid == process.pid
                assert (worker.phase is Phase.STOPPING) == (process.asked_s is not None)
                if process.asked_s is None:
                    source = process.order.key.source
                    if process.order.key.kind is WorkerKind.MIRROR:
                        held = self.held[host.name].get(source, set())
                        assert state.mirrors[source].holders - {ADOPTED} == held
                        writers = self.writing[host.name].get(source, set())
                        assert state.mirrors[source].writers - {ADOPTED} == writers
                        assert process.order.is_written_back == state.mirrors[source].is_written_back
                        assert state.mirrors[source].endpoint == process.order.endpoint
                    else:
                        assert source.name in state.segments
                        is_read = state.readership.of(source.name) or source.name in state.reconciling.subscribed
                        assert is_read or source.name in state.reconciling.presumed.names

    @invariant()
    def what_is_wanted_runs_or_is_on_its_way(self) -> None:
        for host in self.world.hosts.values():
            state = host.state
            if state.is_stopping:
                continue
            for name in state.readership.names & state.segments.keys():
                assert WorkerKey(WorkerKind.PUBLISHER, Source(host.name, name)) in state.crew.workers
            for source, mirror in state.mirrors.items():
                assert not mirror.endpoint or WorkerKey(WorkerKind.MIRROR, source) in state.crew.workers

    @invariant()
    def no_port_is_given_twice(self) -> None:
        for host in self.world.hosts.values():
            ports = [process.order.port for process in host.processes.alive if process.order.port]
            assert len(ports) == len(set(ports))

    @invariant()
    def ends_once(self) -> None:
        for host in self.world.hosts.values():
            assert host.finishes <= (host.name in self.stopped)

    # -- and in the end

    def teardown(self) -> None:
        for host in self.world.hosts.values():
            host.processes.foreign_ports.clear()
            if host.name not in self.stopped:
                host.post(e.AnnounceAsked())
        self.world.registry.old_requests |= self.world.old_reading  # the last one may have been forgotten
        self.world.settle(LONG_S)
        for name in self.world.hosts:
            self._check_settled(name)
        running = [host for host in self.world.hosts.values() if host.name not in self.stopped]
        told = sorted(self.world.registry.roles[host.name].value for host in running)
        assert told == ["master", "minion"][: len(running)]
        for host in self.world.hosts.values():
            host.post(e.StopAsked())
        self.world.settle(5.0)
        for host in self.world.hosts.values():
            assert host.finishes == 1
            assert not host.processes.by_pid
            if host.name not in self.stopped:  # else its last words may have been lost, and its keys expire
                assert host.name not in self.world.registry.roles
                held = [source for source, holders in self.held[host.name].items() if holders]
                assert not any(host.name in self.world.registry.readers_of(source) for source in held)

    def _check_settled(self, name: str) -> None:
        host = self.host(name)
        owner = self.host(other(name))
        held = {source for source, holders in self.held[name].items() if holders}
        assert name in self.stopped or host.state.mirrors.keys() == held
        running = {process.order.key.source: process for process in host.processes.alive}
        for source, process in running.items():
            if source.host != name:
                assert process.order.is_written_back == bool(self.writing[name].get(source))
        published = [p for p in owner.processes.alive if p.order.key.kind is WorkerKind.PUBLISHER]
        publishers = {process.order.key.source.name: process for process in published}
        live = set() if owner.name in self.stopped else {source for source in held if source.name in owner.files}
        is_old_there = OLD_SOURCE in held and name not in self.stopped
        live.discard(OLD_SOURCE)
        old = {source.name for source in self.world.old_reading if source.host == owner.name} & owner.files.keys()
        assert {source.name for source in live} | (set() if owner.name in self.stopped else old) == publishers.keys()
        if owner.name not in self.stopped:
            writing = {name for name, told in owner.old_writers.items() if told}
            assert old <= writing <= {source.name for source in self.world.old_reading if source.host == owner.name}
            assert all(told in ((), (OLD_WRITER,)) for told in owner.old_writers.values())
        for source in live:
            endpoint = f"tcp://{owner.state.facts.ip}:{publishers[source.name].port}"
            assert running[source].order.endpoint == endpoint
            assert running[source].is_ready
        mirrors = {source for source in running if source.host != name}
        assert live <= mirrors <= held
        assert mirrors <= host.mirror_files <= held
        if is_old_there:
            order = running[OLD_SOURCE].order
            assert (order.endpoint, order.protocol) == (f"tcp://{OLD_ADDRESS}:{OLD_PORT}", 1)
            followed = {each.client_pub_port for each in self.world.registry.records[OLD_SOURCE] if each.bidirectional}
            assert not order.is_written_back or running[OLD_SOURCE].port in followed
        assert name in self.stopped or self._is_in_the_registry(host)

    def _is_in_the_registry(self, host: Host) -> bool:
        return self.world.registry.segments.get(host.name) == host.files.keys()


TestHosts = Hosts.TestCase
TestHosts.settings = settings(max_examples=100, stateful_step_count=60)
