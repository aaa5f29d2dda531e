"""Daemons that speak for one host name: whatever happens, in the end there is one, and it is the one that was first.

A predecessor that was dead before, also one whose words a Redis that failed over brings back, ends nobody. Only one
that wrote itself down again and died a moment later may end another, which systemd then starts again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.host import HostFacts, HostState
from daosup.core.registry_values import Instance
from daosup.core.types import Role

POLL_S = 2.5


@dataclass
class Process:
    """A daemon; ``instance`` is what it wrote last."""

    state: HostState
    instance: Instance
    is_running: bool = True


class Namesakes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.written: Optional[Instance] = None
        self.history: list[Instance] = []
        self.now = 1000.0
        self.is_misled = False

    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.one_starts(0.0)

    def _running(self) -> list[Process]:
        return [process for process in self.processes if process.is_running]

    def _tell(self, process: Process, event: e.Event) -> None:
        for action in process.state.handle(event, self.now):
            if isinstance(action, do.Announce):
                replaced, own = self.written, process.instance
                process.instance = self.written = replace(own, beat=own.beat + 1)
                self.history.append(self.written)
                if replaced is not None and replaced.instance != own.instance:
                    self._tell(process, e.ReplacedInstance(replaced))
            elif isinstance(action, do.Finish):
                assert action.error is not None
                process.is_running = False
                mine = (process.instance.started_ms, process.instance.instance)
                older = [o for o in self.processes if (o.instance.started_ms, o.instance.instance) < mine]
                if not any(other.is_running for other in older):
                    self.is_misled = True
                    assert any(other.instance.beat > 1 for other in older), "ended for one that was never seen alive"

    def _look(self, process: Process) -> None:
        """Read who speaks for the host, as every two seconds and when told to."""
        is_ours = self.written is not None and self.written.instance == process.instance.instance
        other = None if is_ours else self.written
        self._tell(process, e.ReadersSeen({}, is_ours, other))

    @rule(later_s=st.sampled_from([0.0, 0.001, 5.0]))
    def one_starts(self, later_s: float) -> None:
        self.now += later_s
        number = len(self.processes)
        instance = Instance(f"i{number}", 2, "1", number + 1, "10.0.0.1", started_ms=int(self.now * 1000))
        state = HostState(HostFacts("rts", "10.0.0.1", Role.MINION, instance=instance.instance))
        process = Process(state, instance)
        self.processes.append(process)
        self._tell(process, e.RegistryConnected("redis", instance.started_ms))

    @rule(number=st.integers(0, 5))
    def one_crashes(self, number: int) -> None:
        running = self._running()
        if running:
            running[number % len(running)].is_running = False

    @rule(number=st.integers(0, 5), seconds=st.sampled_from([0.0, 0.1, POLL_S]))
    def one_looks(self, number: int, seconds: float) -> None:
        self.now += seconds
        running = self._running()
        if running:
            self._look(running[number % len(running)])

    @rule()
    def redis_forgets(self) -> None:
        self.written = None

    @rule(number=st.integers(0, 10))
    def redis_fails_over_to_an_older_state(self, number: int) -> None:
        """What it brings back is of the last second: of the process that is the newest, or of its predecessor."""
        running = {process.instance.instance for process in self._running()}
        old = [each for each in self.history[-3:] if each.instance not in running]
        if old:
            last = {each.instance: each for each in self.history}
            self.written = last[old[number % len(old)].instance]

    @rule()
    def time_goes_on(self) -> None:
        before = self._running()
        self.is_misled = False
        for _ in range(6):
            self.now += POLL_S
            for process in self._running():
                self._look(process)
        left = self._running()
        if before:
            first = min(before, key=lambda each: (each.instance.started_ms, each.instance.instance))
            assert self.is_misled or left == [first]
            assert len(left) <= 1
            assert not left or self.written == left[0].instance

    def teardown(self) -> None:
        self.time_goes_on()


TestNamesakes = Namesakes.TestCase
TestNamesakes.settings = settings(max_examples=200, stateful_step_count=30)
