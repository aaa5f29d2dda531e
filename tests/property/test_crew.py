"""The workers of a host against processes that do as they like: the invariant of daosup.core.crew."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daosup.core import events as e
from daosup.core.crew import STOP_TIMEOUT_S, Crew, Phase
from daosup.core.restart import MAX_DELAY_S
from daosup.core.types import Source, WorkerKey, WorkerKind
from tests.property.processes import Process, Processes

PUBLISHERS = [WorkerKey(WorkerKind.PUBLISHER, Source("rts", name)) for name in ("wfs", "dm")]
MIRRORS = [WorkerKey(WorkerKind.MIRROR, Source("desk", "wfs"))]
ENDPOINTS = st.sampled_from(["tcp://10.0.0.2:5000", "tcp://10.0.0.2:5001"])


class Crews(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.crew = Crew()
        self.processes = Processes()
        self.wanted: dict[WorkerKey, e.StartWorker] = {}
        self.now = 0.0
        self.port_of: dict[WorkerKey, int] = {}
        self.due_s: dict[WorkerKey, float] = {}
        self.births: deque[e.WorkerStarted] = deque()

    def perform(self, actions: Iterable[e.Action]) -> None:
        """Carry out actions and all that follows; each event is followed by a look at what is wanted."""
        waiting = deque(list(actions))
        while waiting:
            action = waiting.popleft()
            if isinstance(action, e.Report):
                continue
            if isinstance(action, e.StartWorker):
                assert action.key in self.wanted
                assert action.endpoint == self.wanted[action.key].endpoint
                assert action.port in (self.port_of.get(action.key), self.wanted[action.key].port)
                assert action.port == self.port_of.get(action.key, action.port), "it had a port that readers know"
            event = self.processes.perform(action, self.now)
            if isinstance(event, e.WorkerStarted):
                self.births.append(event)
            elif event is not None:
                waiting.extend(self.handle(event))
            waiting.extend(self.reconcile())

    def handle(self, event: e.Event) -> list[e.Action]:
        if isinstance(event, e.WorkerStarted):
            return list(self.crew.started(event.key, event.pid, self.now))
        if isinstance(event, e.WorkerReady):
            self.crew.ready(event.key, event.pid, event.port)
            return []
        assert isinstance(event, e.WorkerExited)
        actions = list(self.crew.exited(event.key, event.pid, event.cause, self.now))
        if event.key in self.crew.workers:
            self.due_s[event.key] = self.now + MAX_DELAY_S
        else:
            self.port_of.pop(event.key, None)
        return actions

    def reconcile(self) -> list[e.Action]:
        actions = list(self.crew.reconcile(self.wanted, self.now))
        for key in list(self.port_of):
            if key not in self.crew.workers:
                del self.port_of[key]
        return actions

    def turn(self) -> None:
        self.perform(self.reconcile())

    # -- what is wanted

    @initialize(is_at_work=st.booleans())
    def begin(self, is_at_work: bool) -> None:
        for key in PUBLISHERS:
            self.want_publisher(key, 0)
        self.want_mirror(MIRRORS[0], "tcp://10.0.0.2:5000")
        for number in range(3 * is_at_work):
            self.process_becomes_ready(number)

    @rule(key=st.sampled_from(PUBLISHERS), port=st.sampled_from([0, 5000]))
    def want_publisher(self, key: WorkerKey, port: int) -> None:
        if key not in self.crew.workers:
            self.wanted[key] = e.StartWorker(key, port)
        else:
            self.wanted[key] = self.crew.workers[key].order
        self.turn()

    @rule(key=st.sampled_from(MIRRORS), endpoint=ENDPOINTS)
    def want_mirror(self, key: WorkerKey, endpoint: str) -> None:
        self.wanted[key] = e.StartWorker(key, 0, endpoint)
        self.turn()

    @rule(key=st.sampled_from(PUBLISHERS + MIRRORS))
    def want_no_more(self, key: WorkerKey) -> None:
        self.wanted.pop(key, None)
        self.turn()

    # -- what happens

    @rule()
    def births_are_noticed(self) -> None:
        while self.births:
            self.perform(self.handle(self.births.popleft()))

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, STOP_TIMEOUT_S, 6.0, 15.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.turn()

    def _process(self, number: int) -> Process | None:
        alive = self.processes.alive
        return alive[number % len(alive)] if alive else None

    @rule(number=st.integers(0, 3))
    def process_becomes_ready(self, number: int) -> None:
        self.births_are_noticed()
        process = self._process(number)
        if process is None:
            return
        event = self.processes.become_ready(process)
        if process.asked_s is None and process.port:
            self.port_of[process.order.key] = process.port
        self.perform(self.handle(event))

    @rule(number=st.integers(0, 3))
    def process_ends(self, number: int) -> None:
        process = self._process(number)
        if process is not None:
            process.end()

    @rule()
    def ends_are_noticed(self) -> None:
        self.births_are_noticed()
        for event in self.processes.reap():
            self.perform(self.handle(event))
        self.turn()

    @rule(key=st.sampled_from(PUBLISHERS + MIRRORS), pid=st.integers(1, 99))
    def a_stranger_speaks(self, key: WorkerKey, pid: int) -> None:
        before = {each: (worker.phase, worker.pid, worker.port) for each, worker in self.crew.workers.items()}
        assert not self.crew.ready(key, pid, 9999)
        assert list(self.crew.exited(key, pid, "killed by SIGKILL", self.now)) == []
        assert before == {each: (worker.phase, worker.pid, worker.port) for each, worker in self.crew.workers.items()}

    @rule(has_room=st.booleans())
    def room_changes(self, has_room: bool) -> None:
        self.processes.has_room = has_room

    # -- what always holds

    @property
    def unborn(self) -> set[int]:
        """Processes that the crew has not heard of yet."""
        return {birth.pid for birth in self.births}

    @invariant()
    def what_is_known_is_so(self) -> None:
        pids = {worker.pid for worker in self.crew.workers.values() if worker.pid}
        assert pids == self.processes.by_pid.keys() - self.unborn
        unborn = {self.processes.by_pid[pid].order.key for pid in self.unborn}
        for key, worker in self.crew.workers.items():
            assert (worker.pid == 0) == (worker.phase is Phase.RESTARTING or key in unborn)

    @invariant()
    def what_is_not_wanted_was_asked_to_end(self) -> None:
        for process in self.processes.alive:
            wanted = self.wanted.get(process.order.key)
            if wanted is None or wanted.endpoint != process.order.endpoint:
                assert process.asked_s is not None or process.pid in self.unborn

    @invariant()
    def who_does_not_end_is_ended(self) -> None:
        assert not any(p.asked_s is not None and self.now >= p.asked_s + STOP_TIMEOUT_S for p in self.processes.alive)

    @invariant()
    def what_is_wanted_is_tried_again_in_time(self) -> None:
        for key in self.wanted:
            worker = self.crew.workers[key]
            assert worker.phase is not Phase.RESTARTING or self.now < self.due_s[key]

    # -- and in the end

    def settle(self) -> None:
        self.processes.has_room = True
        for _ in range(20):
            self.time_passes(1.0)
            self.ends_are_noticed()

    def teardown(self) -> None:
        self.settle()
        assert sorted(process.order.key for process in self.processes.alive) == sorted(self.wanted)
        for process in self.processes.alive:
            assert process.asked_s is None
            assert process.order.endpoint == self.wanted[process.order.key].endpoint
        self.wanted.clear()
        self.settle()
        assert not self.processes.by_pid
        assert not self.crew.workers


TestCrews = Crews.TestCase
TestCrews.settings = settings(max_examples=100, stateful_step_count=40)
