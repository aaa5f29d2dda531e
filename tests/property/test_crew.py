"""The workers of a host against processes that do as they like: the invariant of daosup.core.crew."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import STOP_TIMEOUT_S, WAITING, Crew, Phase, Worker
from daosup.core.restart import HEALTHY_S, MAX_DELAY_S, QUARANTINE_S, RESTARTS_IN_A_ROW
from daosup.core.types import Source, WorkerKey, WorkerKind
from tests.property.processes import Process, Processes

PUBLISHERS = [WorkerKey(WorkerKind.PUBLISHER, Source("rts", name)) for name in ("wfs", "dm")]
MIRRORS = [WorkerKey(WorkerKind.MIRROR, Source("desk", "wfs"))]
SETTLING_S = 4.0
KEYS = st.sampled_from(PUBLISHERS + MIRRORS)
ENDPOINTS = st.sampled_from(["tcp://10.0.0.2:5000", "tcp://10.0.0.2:5001"])


class Crews(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.crew = Crew()
        self.processes = Processes()
        self.wanted: dict[WorkerKey, do.StartWorker] = {}
        self.now = 0.0
        self.port_of: dict[WorkerKey, int] = {}
        # What the policy says of each key, worked out here for itself: deaths in a row, and when it may start again.
        self.deaths: dict[WorkerKey, int] = {}
        self.due_s: dict[WorkerKey, float] = {}
        self.began_s: dict[WorkerKey, float] = {}
        self.births: deque[e.WorkerStarted] = deque()
        self.hung: set[int] = set()

    def perform(self, actions: Iterable[do.Action]) -> None:
        """Carry out actions and all that follows; each event is followed by a look at what is wanted."""
        waiting = deque(list(actions))
        while waiting:
            action = waiting.popleft()
            if isinstance(action, do.Report):
                continue
            if isinstance(action, do.StartWorker):
                assert action.key in self.wanted
                assert action.endpoint == self.wanted[action.key].endpoint
                assert action.port in (self.port_of.get(action.key), self.wanted[action.key].port)
                assert action.port == self.port_of.get(action.key, action.port), "it had a port that readers know"
                assert self.now >= self.due_s.get(action.key, 0.0), "started sooner than the policy allows"
                self.began_s[action.key] = self.now
            event = self.processes.perform(action, self.now)
            if isinstance(event, e.WorkerStarted):
                self.births.append(event)
            elif event is not None:
                waiting.extend(self.handle(event))
            waiting.extend(self.reconcile())

    def handle(self, event: e.Event) -> list[do.Action]:
        if isinstance(event, e.WorkerStarted):
            return list(self.crew.started(event.key, event.pid, self.now))
        if isinstance(event, e.WorkerReady):
            self.crew.ready(event.key, event.pid, event.port)
            return []
        if isinstance(event, e.WorkerHung):
            return list(self.crew.hung(event.key, event.pid, event.beat_age_s, self.now))
        assert isinstance(event, e.WorkerExited)
        return self._exited(event)

    def _exited(self, event: e.WorkerExited) -> list[do.Action]:
        key = event.key
        was = self.crew.workers[key]
        is_last, asked = was.phase is Phase.STOPPING and was.replacement is None, was.replacement
        actions = list(self.crew.exited(key, event.pid, event.cause, self.now))
        if is_last:
            self._forget(key)
            assert key not in self.crew.workers
            return actions
        worker = self.crew.workers[key]
        if asked is not None and not asked.cause:
            self.deaths[key], self.due_s[key] = 0, self.now
        else:
            lived_s = asked.lived_s if asked else self.now - self.began_s[key]
            self._count(key, lived_s >= HEALTHY_S, may_be_failed=event.pid != 0)
            assert worker.last_exit is not None
            assert worker.last_exit.startswith("hung") == (event.pid in self.hung)
            delay_s = worker.retry_s - self.now
            assert delay_s <= (QUARANTINE_S if worker.phase is Phase.FAILED else MAX_DELAY_S)
            assert (delay_s == 0) == (self.deaths[key] == 1)
            self.due_s[key] = worker.retry_s
        assert worker.backoff.deaths == self.deaths[key]
        assert (worker.phase is Phase.FAILED) == (self.deaths[key] > RESTARTS_IN_A_ROW)
        if self.wanted.get(key, worker.order) != worker.order:
            self._wanted_otherwise(key, worker)
        return actions

    def _wanted_otherwise(self, key: WorkerKey, worker: Worker) -> None:
        """It waits for its next try, but what made it die may be gone with what it was told."""
        self.due_s[key] = self.now
        self.deaths[key] = 0 if worker.phase is Phase.FAILED else self.deaths[key]

    def _count(self, key: WorkerKey, was_healthy: bool, *, may_be_failed: bool) -> None:
        before = self.deaths.get(key, 0)
        if not may_be_failed:
            before = min(before, RESTARTS_IN_A_ROW - 1)
        self.deaths[key] = 1 if was_healthy else before + 1

    def _forget(self, key: WorkerKey) -> None:
        for known in (self.port_of, self.deaths, self.due_s, self.began_s):
            known.pop(key, None)  # type: ignore[attr-defined]

    def reconcile(self) -> list[do.Action]:
        actions = list(self.crew.reconcile(self.wanted, self.now))
        for key in PUBLISHERS + MIRRORS:
            if key not in self.crew.workers:
                self._forget(key)
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
            self.wanted[key] = do.StartWorker(key, port)
        else:
            self.wanted[key] = self.crew.workers[key].order
        self.turn()

    @rule(key=st.sampled_from(MIRRORS), endpoint=ENDPOINTS)
    def want_mirror(self, key: WorkerKey, endpoint: str) -> None:
        worker = self.crew.workers.get(key)
        if worker is not None and worker.order.endpoint != endpoint and worker.phase in WAITING:
            self._wanted_otherwise(key, worker)
        self.wanted[key] = do.StartWorker(key, 0, endpoint)
        self.turn()

    @rule(key=KEYS)
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

    @rule(key=KEYS, pid=st.integers(1, 99))
    def a_stranger_speaks(self, key: WorkerKey, pid: int) -> None:
        before = {each: (worker.phase, worker.pid, worker.port) for each, worker in self.crew.workers.items()}
        assert not self.crew.ready(key, pid, 9999)
        assert list(self.crew.exited(key, pid, "killed by SIGKILL", self.now)) == []
        assert before == {each: (worker.phase, worker.pid, worker.port) for each, worker in self.crew.workers.items()}

    @rule(number=st.integers(0, 3), beat_age_s=st.sampled_from([1.3, 10.5, 1000.0]))
    def process_hangs(self, number: int, beat_age_s: float) -> None:
        self.births_are_noticed()
        process = self._process(number)
        if process is None:
            return
        is_news = process.asked_s is None
        with self.others_are_let_alone(process.order.key):
            self.perform(self.handle(self.processes.hang(process, beat_age_s)))
        assert process.is_alive != is_news, "one that hangs is killed at once, unless it was asked to end"
        if is_news:
            self.hung.add(process.pid)

    @rule(key=KEYS)
    def keeps_failing(self, key: WorkerKey) -> None:
        """It dies whenever it is started, and time passes, until it is in quarantine."""
        self.births_are_noticed()
        for _ in range(2 * RESTARTS_IN_A_ROW):
            with self.others_are_let_alone(key):
                for process in [each for each in self.processes.alive if each.order.key == key]:
                    process.end()
                for event in self.processes.reap(key):
                    self.perform(self.handle(event))
                self.turn()
                self.births_are_noticed()
            worker = self.crew.workers.get(key)
            if worker is None or worker.phase is Phase.FAILED:
                return
            self.time_passes(max(0.0, self.due_s.get(key, 0.0) - self.now) if worker.phase in WAITING else 0.0)
            self.births_are_noticed()
        assert not self.processes.has_room or worker.phase is Phase.STOPPING

    @rule(key=KEYS)
    def cause_changes(self, key: WorkerKey) -> None:
        worker = self.crew.workers.get(key)
        was_failed = worker is not None and worker.phase is Phase.FAILED
        if was_failed:
            self.deaths[key], self.due_s[key] = 0, self.now
        with self.others_are_let_alone(key):
            self.perform(self.crew.nudge(key, self.now, "its cause changed"))
            self.turn()
        if was_failed and key in self.wanted and self.processes.has_room:
            assert worker is not None
            assert worker.phase is Phase.STARTING

    @rule(key=KEYS)
    def somebody_asks_for_a_restart(self, key: WorkerKey) -> None:
        worker = self.crew.workers.get(key)
        was_waiting = worker is not None and worker.phase in WAITING
        if was_waiting or (worker is not None and worker.phase is Phase.STOPPING and worker.replacement is not None):
            self.deaths[key] = 0
        if was_waiting:
            self.due_s[key] = self.now
        with self.others_are_let_alone(key):
            self.perform(self.crew.restart(key, self.now))
            self.turn()
        if worker is not None and key in self.wanted and self.processes.has_room:
            assert worker.phase is (Phase.STARTING if was_waiting else Phase.STOPPING)

    @contextmanager
    def others_are_let_alone(self, key: WorkerKey) -> Iterator[None]:
        """Whatever happens to one worker changes nothing for another, and not when it is started again."""

        def others() -> dict[WorkerKey, Worker]:
            return {each: replace(worker) for each, worker in self.crew.workers.items() if each != key}

        self.turn()
        self.births_are_noticed()
        before = others()
        yield
        assert others() == before

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
            assert (worker.pid == 0) == (worker.phase in WAITING or key in unborn)

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
            assert worker.phase not in WAITING or self.now < self.due_s[key]

    # -- and in the end

    def settle(self) -> None:
        self.processes.has_room = True
        for _ in range(int(2 * QUARANTINE_S / SETTLING_S)):
            self.time_passes(SETTLING_S)
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
