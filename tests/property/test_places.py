"""Mirrors that come, go and are renamed beside segments that come and go: no file ever has two owners.

Whatever happened, a healthy while later each source that is held and may have its name is mirrored under it.
"""

from __future__ import annotations

from typing import Optional

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.host import HostFacts, HostState
from daosup.core.mirror_names import MirrorNames, semaphore_base_of
from daosup.core.types import Role, SegmentFacts, Source, StreamRecord, WorkerKey, WorkerKind
from tests.property.processes import Process, Processes
from tests.property.worlds import left_undone

OWNERS = (Source("rts", "wfs"), Source("obs", "wfs"), Source("rts", "dm"), Source("rts", "dm.part"))
SOURCES = st.sampled_from(OWNERS)
NAMES = st.builds(
    MirrorNames,
    st.sampled_from(["remote_{host}_{name}", "{name}", "{host}_{name}"]),
    st.dictionaries(SOURCES, st.sampled_from(["wfs", "dm", "a", "b", "remote_rts_wfs", "{name}"]), max_size=3),
)
LOCAL = st.sampled_from(["wfs", "dm", "dm.other", "a", "rts_wfs"])
RECORDS = tuple(
    e.SourceSeen(source, True, True, (StreamRecord("10.0.0.2", 6000, "lab", "10.0.0.1"),)) for source in OWNERS
)


class Naming(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.names = MirrorNames()
        self.state = HostState(self._facts())
        self.processes = Processes()
        self.local: set[str] = set()
        self.held: set[Source] = set()
        self.files: dict[str, Source] = {}

    def _facts(self) -> HostFacts:
        names = self.names

        def terms_of(key: WorkerKey) -> Optional[str]:
            return names.of(key.source) if key.kind is WorkerKind.MIRROR else None

        return HostFacts("lab", "10.0.0.1", Role.MINION, names=names, terms_of=terms_of)

    @initialize(names=NAMES)
    def begin(self, names: MirrorNames) -> None:
        self.post(e.RegistryConnected("redis"))
        self.rename(names)

    def post(self, event: e.Event) -> None:
        events = [event]
        while events:
            for action in self.state.handle(events.pop(0), self.now):
                if isinstance(action, (do.StartWorker, do.StopWorker)):
                    if isinstance(action, do.StartWorker):
                        self._check_start(action)
                    answer = self.processes.perform(action, self.now)
                    events.extend([answer] if answer else [])
                elif isinstance(action, do.RemoveMirror):
                    assert all(each.order.key.source != action.source for each in self.processes.alive)
                    self.files = {name: source for name, source in self.files.items() if source != action.source}
        assert left_undone(self.state, self.now) == []

    def _check_start(self, order: do.StartWorker) -> None:
        name, source = str(order.terms), order.key.source
        assert name == self.names.of(source), "under a name that is over"
        bases = {semaphore_base_of(each) for each in self.local}
        assert semaphore_base_of(name) not in bases, "a segment of this host has it"
        assert name not in [each.order.terms for each in self.processes.alive], "two write one file"
        assert self.files.get(name, source) == source, "in the file of another"
        assert source not in [of for other, of in self.files.items() if other != name], "the old file is still there"
        self.files[name] = source

    @rule(names=NAMES)
    def rename(self, names: MirrorNames) -> None:
        self.names = names
        self.post(e.ConfigChanged(self._facts()))

    @rule(source=SOURCES)
    def hold(self, source: Source) -> None:
        self.held.add(source)
        self.post(e.MirrorAsked(source, "client"))
        self.post(e.RecordsSeen(RECORDS))

    @rule(source=SOURCES)
    def release(self, source: Source) -> None:
        self.held.discard(source)
        self.post(e.MirrorReleased(source, "client"))

    @rule(name=LOCAL, is_there=st.booleans())
    def segment(self, name: str, is_there: bool) -> None:
        facts = SegmentFacts(name, (4, 4), "float32", "fifo", 1, 64, "first")
        (self.local.add if is_there else self.local.discard)(name)
        self.post(e.SegmentsChanged((facts,), ()) if is_there else e.SegmentsChanged((), (name,)))

    @rule(data=st.data())
    def process_moves(self, data: st.DataObject) -> None:
        alive = self.processes.alive
        if alive:
            self.move(data.draw(st.sampled_from(alive)))

    def move(self, process: Process) -> None:
        if process.asked_s is not None:
            process.end()
            for event in self.processes.reap():
                self.post(event)
        elif not process.is_ready:
            self.post(self.processes.become_ready(process))

    @rule(seconds=st.sampled_from([0.1, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.post(e.Ticked())

    @invariant()
    def no_two_have_one_name(self) -> None:
        names = [each.order.terms for each in self.processes.alive]
        assert len(set(names)) == len(names)

    def teardown(self) -> None:
        for _ in range(8):
            for process in self.processes.alive:
                self.move(process)
            for event in self.processes.reap():  # also of those that were killed
                self.post(event)
            self.now += 6.0
            self.post(e.Ticked())
        mirrors = self.state.mirrors
        assert mirrors.keys() == self.held
        running = {each.order.key.source: each.order.terms for each in self.processes.alive}
        for source in self.held:
            first = mirrors.places.claims(mirrors)[self.names.of(source)]
            if mirrors.places.obstacle(source) is None and first == source:
                assert running.pop(source) == self.names.of(source)
            else:
                assert mirrors.reason_of(source), "it waits, and nothing tells why"
        assert running == {}


TestNaming = Naming.TestCase
