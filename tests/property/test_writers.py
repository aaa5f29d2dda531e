"""Writers that ask, write, leave and fall silent: a segment with a single writer never has two."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.core.types import Writing
from daosup.core.writing import HOLD_S, Ask, Verdict, Write, Writers, writer_of

HOSTS = st.sampled_from(["desk", "lab", "obs"])


class SingleWriter(RuleBasedStateMachine):
    """The model: who was let write last, and when each was last heard."""

    def __init__(self) -> None:
        super().__init__()
        self.writers = Writers("rts:dm", Writing.SINGLE_WRITER)
        self.now = 0.0
        self.holder: str | None = None
        self.heard_s: dict[str, float] = {}

    @rule(seconds=st.sampled_from([0.1, 1.0, HOLD_S - 0.1, HOLD_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if self.holder is not None and self.now >= self.heard_s[self.holder] + HOLD_S:
            self.holder = None
        self.heard_s = {host: heard_s for host, heard_s in self.heard_s.items() if self.now < heard_s + HOLD_S}

    @rule(host=HOSTS)
    def asks(self, host: str) -> None:
        self.heard_s[host] = self.now
        self.judged(host, self.writers.asked(Ask(writer_of(host), host, False), self.now).verdict)

    @rule(host=HOSTS)
    def writes(self, host: str) -> None:
        verdict = self.writers.wrote(Write(writer_of(host), 1, 0, 0), self.now).verdict
        if verdict is Verdict.STALE:
            assert self.holder != host
            return
        self.heard_s[host] = self.now
        self.judged(host, verdict)

    def judged(self, host: str, verdict: Verdict) -> None:
        if self.holder is None:
            self.holder = host
        assert (verdict is Verdict.WRITTEN) == (self.holder == host)

    @rule(host=HOSTS)
    def leaves(self, host: str) -> None:
        self.writers.asked(Ask(writer_of(host), host, True), self.now)
        self.heard_s.pop(host, None)
        if self.holder == host:
            self.holder = None

    @invariant()
    def the_holder_is_one_of_those_heard(self) -> None:
        self.writers.expire(self.now)
        assert self.writers.holder == self.holder
        assert set(self.writers.hosts) == self.heard_s.keys()


TestSingleWriter = SingleWriter.TestCase
TestSingleWriter.settings = settings(max_examples=150, stateful_step_count=40)
