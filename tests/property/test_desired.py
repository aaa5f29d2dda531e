"""What is stopped never runs and what is kept or configured is always held, whatever else happens to two hosts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.core import events as e
from daosup.core.checked_json import parse_json
from daosup.core.delivery import Delivery
from daosup.core.desired import Desired
from daosup.core.host import HostState
from daosup.core.host_facts import HostFacts
from daosup.core.layout import MAX_DEPTH
from daosup.core.mirror import CONFIGURED, KEPT
from daosup.core.types import SegmentFacts, Source, Transport, WorkerKey, WorkerKind
from daosup.errors import ProtocolError
from tests.property.processes import Processes
from tests.property.worlds import BASE_PORT, Host, World

SEGMENTS = st.sampled_from(["wfs", "dm"])
SOURCES = st.builds(Source, st.just("rts"), SEGMENTS)
LONG_S = 60.0


class Operators(RuleBasedStateMachine):
    """rts owns wfs and dm; lab mirrors. Operators say what lasts on both, and supervisors come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World({"rts": 1.0, "lab": 1.0})
        self.rts.files = {name: SegmentFacts(name, (4, 4), "float32", "fifo", 1, 64, "") for name in ("wfs", "dm")}
        self.desired = {"rts": Desired(), "lab": Desired()}
        self.configured: tuple[Source, ...] = ()
        self.written_back: frozenset[Source] = frozenset()
        self.terms: dict[WorkerKey, int] = {}
        self.held_by_operator: set[Source] = set()
        self.starts = 0
        for host in (self.rts, self.lab):
            host.post(e.ConfigChanged(self.facts_of(host)))
        self.world.settle(3)

    @property
    def rts(self) -> Host:
        return self.world.hosts["rts"]

    @property
    def lab(self) -> Host:
        return self.world.hosts["lab"]

    def facts_of(self, host: Host) -> HostFacts:
        terms = dict(self.terms)
        before = host.state.facts
        mirrors = self.configured if host is self.lab else ()
        return HostFacts(
            before.host, before.ip, base_port=BASE_PORT, terms_of=lambda key: terms.get(key, 0), mirrors=mirrors,
            written_back=self.written_back if mirrors else frozenset(),
        )  # fmt: skip

    def change(self, host: Host, **names: frozenset[Any]) -> None:
        before = self.desired[host.name]
        self.desired[host.name] = Desired(**{**vars(before), **names})
        host.post(e.DesiredChanged(self.desired[host.name]))

    # -- what operators do

    @rule(source=SOURCES, is_kept=st.booleans(), is_written_back=st.booleans())
    def keep(self, source: Source, is_kept: bool, is_written_back: bool) -> None:
        before = self.desired["lab"]
        kept = before.keeping(source, is_written_back=is_written_back)
        changed = kept if is_kept else before.without(source)
        self.change(self.lab, kept_mirrors=changed.kept_mirrors, written_back=changed.written_back)

    @rule(source=SOURCES, is_stopped=st.booleans())
    def stop_mirror(self, source: Source, is_stopped: bool) -> None:
        stopped = self.desired["lab"].stopped_mirrors
        self.change(self.lab, stopped_mirrors=stopped | {source} if is_stopped else stopped - {source})

    @rule(name=SEGMENTS, is_stopped=st.booleans())
    def stop_segment(self, name: str, is_stopped: bool) -> None:
        stopped = self.desired["rts"].stopped_segments
        self.change(self.rts, stopped_segments=stopped | {name} if is_stopped else stopped - {name})

    @rule(source=SOURCES)
    def ask(self, source: Source) -> None:
        self.held_by_operator.add(source)
        self.lab.post(e.MirrorAsked(source, "operator"))

    @rule(source=SOURCES, holder=st.sampled_from([None, "operator"]))
    def release(self, source: Source, holder: str | None) -> None:
        self.held_by_operator.discard(source)
        self.lab.post(e.MirrorReleased(source, holder))

    @rule(sources=st.sets(SOURCES), written=st.sets(SOURCES), number=st.integers(0, 2), name=SEGMENTS)
    def reload(self, sources: set[Source], written: set[Source], number: int, name: str) -> None:
        """The configuration names other mirrors, and says something else of one source's workers."""
        before, self.configured = dict(self.terms), tuple(sorted(sources))
        self.written_back = frozenset(sources & written)
        self.terms = {WorkerKey(kind, Source("rts", name)): number for kind in WorkerKind}
        for host in (self.rts, self.lab):
            working = [process for process in host.processes.alive if process.asked_s is None]
            host.post(e.ConfigChanged(self.facts_of(host)))
            for process in working:
                key = process.order.key
                is_wanted = host is self.rts or key.source in host.state.mirrors
                is_other = before.get(key, 0) != self.terms.get(key, 0)
                if host is self.lab and is_wanted:
                    is_other |= process.order.is_written_back != host.state.mirrors[key.source].is_written_back
                assert (process.asked_s is not None) == (is_other or not is_wanted)

    # -- what happens

    @rule(host=st.sampled_from(["rts", "lab"]))
    def supervisor_is_killed_and_comes_back(self, host: str) -> None:
        """Its workers end with it; it knows nothing but its configuration and what was written down."""
        this = self.world.hosts[host]
        self.starts += 1
        facts = replace(self.facts_of(this), instance=f"{host}{self.starts}")
        this.state, this.processes, this.is_linked = HostState(facts), Processes(), False
        this.orders.clear()
        this.answers.clear()
        this.notices.clear()
        if this is self.lab:
            self.held_by_operator.clear()
        this.post(e.WorkersFound((), by_others=tuple(sorted(this.mirror_files))))
        this.post(e.DesiredChanged(self.desired[host]))
        this.post(e.ConfigChanged(facts))

    @rule(host=st.sampled_from(["rts", "lab"]))
    def registry_is_lost(self, host: str) -> None:
        self.world.hosts[host].lose_registry()

    @rule()
    def registry_forgets(self) -> None:
        self.world.registry.forget_everything()

    @rule(host=st.sampled_from(["rts", "lab"]), number=st.integers(0, 5))
    def process_dies(self, host: str, number: int) -> None:
        alive = self.world.hosts[host].processes.alive
        if alive:
            alive[number % len(alive)].end()
            self.world.hosts[host].reap()

    @rule(seconds=st.sampled_from([1, 3, 12]))
    def time_passes(self, seconds: int) -> None:
        self.world.settle(seconds)

    # -- what always holds

    @invariant()
    def what_is_stopped_is_ended_or_asked_to(self) -> None:
        for process in self.lab.processes.alive:
            assert process.asked_s is not None or process.order.key.source not in self.desired["lab"].stopped_mirrors
        for process in self.rts.processes.alive:
            name = process.order.key.source.name
            assert process.asked_s is not None or name not in self.desired["rts"].stopped_segments

    @invariant()
    def what_is_kept_or_configured_is_held_by_that_and_nothing_else(self) -> None:
        mirrors = self.lab.state.mirrors
        assert {source for source in mirrors if KEPT in mirrors[source].holders} == self.desired["lab"].kept_mirrors
        assert {source for source in mirrors if CONFIGURED in mirrors[source].holders} == set(self.configured)
        assert {source for source in mirrors if KEPT in mirrors[source].writers} == self.desired["lab"].written_back
        assert {source for source in mirrors if CONFIGURED in mirrors[source].writers} == self.written_back
        assert {source for source in mirrors if "operator" in mirrors[source].holders} == self.held_by_operator

    # -- and in the end

    def teardown(self) -> None:
        self.world.settle(LONG_S)
        desired, held = self.desired["lab"], self.lab.state.mirrors.keys()
        wanted = held - desired.stopped_mirrors
        published = {source.name for source in wanted} - self.desired["rts"].stopped_segments
        assert {p.order.key.source.name for p in self.rts.processes.alive} == published
        running = {p.order.key.source for p in self.lab.processes.alive if p.is_ready}
        assert {source for source in wanted if source.name in published} <= running <= wanted
        assert running <= self.lab.mirror_files <= held, "what nobody holds is removed, also what a crash left"
        for host in (self.rts, self.lab):
            for process in host.processes.alive:
                terms = self.terms.get(process.order.key, 0)
                assert process.order.terms == ((terms, 9) if process.order.is_written_back else terms)
        for process in self.lab.processes.alive:
            source = process.order.key.source
            assert process.order.is_written_back == (source in desired.written_back | self.written_back)


TestOperators = Operators.TestCase
TestOperators.settings = settings(max_examples=100, stateful_step_count=40)

DELIVERIES = (Delivery("every"), Delivery(rate_hz=0.5, compress="lz4"), Delivery(roi=((0, 4), (1, 9)), stride=(2, 1)))
names = st.text("abcXYZ09_.-", min_size=1, max_size=8).filter(lambda text: text[0].isalnum())
sources = st.builds(Source, names, names)
mirror_names = st.dictionaries(sources, st.sampled_from(["wfs", "{name}", "remote_{host}_x"]), max_size=3)
states = st.builds(
    lambda written_back, transports, deliveries, depths, is_gate_stopped, kept, *others: Desired(
        kept | written_back, *others, written_back, transports, deliveries, depths, is_gate_stopped
    ),
    st.frozensets(sources), st.dictionaries(sources, st.sampled_from(Transport), max_size=3),
    st.dictionaries(sources, st.sampled_from(DELIVERIES), max_size=3),
    st.dictionaries(sources, st.integers(1, MAX_DEPTH), max_size=3), st.booleans(),
    st.frozensets(sources), st.frozensets(sources), st.frozensets(names), mirror_names,
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(states)
def test_a_state_is_the_same_after_it_was_json(desired: Desired) -> None:
    assert Desired.of_json(parse_json(json.dumps(desired.as_json()).encode())) == desired


@given(
    states,
    st.sampled_from(sorted(Desired().as_json())),
    anything,
)
def test_json_that_is_anything_else_is_a_protocol_error(desired: Desired, field: str, value: object) -> None:
    changed = {**desired.as_json(), field: value}
    try:
        assert Desired.of_json(changed).as_json() == changed
    except ProtocolError:
        pass


@given(anything)
def test_any_json_is_a_state_or_a_protocol_error(value: object) -> None:
    with pytest.raises(ProtocolError):
        Desired.of_json(value)


@given(states, st.sampled_from(["compress=none", "mode=newest", "rate=010", "compress=lz4 rate=1", "", "colour=red"]))
def test_a_delivery_that_was_not_written_down_by_us_is_a_protocol_error(desired: Desired, text: str) -> None:
    with pytest.raises(ProtocolError):
        Desired.of_json({**desired.as_json(), "deliveries": {"rts:wfs": text}})


@given(states, st.sampled_from([0, MAX_DEPTH + 1, -1, 4.0, True, "4", None, [4]]))
def test_a_depth_that_no_segment_has_is_a_protocol_error(desired: Desired, depth: object) -> None:
    with pytest.raises(ProtocolError):
        Desired.of_json({**desired.as_json(), "depths": {"rts:wfs": depth}})


@given(states, st.builds(WorkerKey, st.sampled_from(WorkerKind), sources))
def test_what_is_stopped_and_started_again_is_not_stopped(desired: Desired, key: WorkerKey) -> None:
    stopped = desired.stopping(key)
    assert stopped.is_stopped(key)
    assert not stopped.starting(key).is_stopped(key)
    assert stopped.starting(key) == desired.starting(key)


@given(states)
def test_a_state_of_before_there_was_writing_back_is_read(desired: Desired) -> None:
    written = {name: value for name, value in desired.as_json().items() if name != "written_back"}
    assert Desired.of_json(written) == replace(desired, written_back=frozenset())
