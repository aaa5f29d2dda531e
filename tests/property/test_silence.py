"""Hosts of old daemons with clocks of any kind: the invariants of daosup.core.silence and daosup.core.clock.

A host that writes its sign of life anew is never evicted, whatever its clock says and however Redis's jumps; one that
does not is, once it was watched for long enough; and a host's clock is called off exactly when it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daosup.core.actions import Report
from daosup.core.clock import MOST_OFFSET_S, Clock
from daosup.core.events import ClockCompared
from daosup.core.silence import EVICTION_S, SCAN_INTERVAL_S, Silence
from daosup.core.types import HostSign

BEGAN_S = 1.7e9
OFFSETS = st.sampled_from([0.0, 0.5, -0.5, 60.0, -60.0, 3600.0, -3600.0])
#: What the daemons of the old kind do, and the longest that one may be late.
HEARTBEAT_S, LATE_S = 30.0, 60.0


@dataclass
class OldHost:
    """One host as it really is; ``watched_s``: for how long its text stood still while the master looked."""

    offset_s: float
    wrote_s: float
    stamp_s: float
    is_alive: bool = True
    watched_s: float = 0.0
    shown: str = ""


class Watch(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.silence = Silence("rts")
        self.hosts: dict[str, OldHost] = {}
        self.real_s = BEGAN_S
        self.redis_ahead_s = 0.0
        self.looked_s = BEGAN_S
        self.has_redis_jumped = False
        self.called_off: dict[str, bool] = {}

    @initialize(offsets=st.tuples(OFFSETS, OFFSETS))
    def begin(self, offsets: tuple[float, float]) -> None:
        for name, offset_s in zip(("old", "older"), offsets):
            self.hosts[name] = OldHost(offset_s, 0.0, 0.0)
            self._write(name)
        self.look()

    def _write(self, name: str) -> None:
        host = self.hosts[name]
        host.wrote_s, host.stamp_s = self.real_s, self.real_s + host.offset_s

    @rule(seconds=st.sampled_from([1.0, SCAN_INTERVAL_S, SCAN_INTERVAL_S]), times=st.integers(1, 12))
    def the_master_watches(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.real_s += seconds
            for name, host in self.hosts.items():
                if host.is_alive and self.real_s >= host.wrote_s + HEARTBEAT_S:
                    self._write(name)
            self.look()

    @rule(seconds=st.sampled_from([5.0, 600.0]))
    def nobody_can_look(self, seconds: float) -> None:
        self.real_s += seconds  # nor can anybody write

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def redis_clock_jumps(self, seconds: float) -> None:
        self.redis_ahead_s += seconds
        self.has_redis_jumped = True

    @rule(name=st.sampled_from(["old", "older"]), is_alive=st.booleans())
    def dies_or_returns(self, name: str, is_alive: bool) -> None:
        self.hosts[name].is_alive = is_alive

    @rule(name=st.sampled_from(["old", "older"]), offset_s=OFFSETS)
    def its_clock_is_set(self, name: str, offset_s: float) -> None:
        self.hosts[name].offset_s = offset_s

    @rule()
    def another_is_elected(self) -> None:
        self.silence.begin_anew()
        self.called_off.clear()
        for host in self.hosts.values():
            host.watched_s, host.shown = 0.0, ""

    def look(self) -> None:
        signs = [HostSign("rts", "master", "mine of old", 0.0, is_lasting=True)]
        signs.append(HostSign("ours", "master", "expires", 0.0, is_lasting=False))
        for name, host in self.hosts.items():
            text = str(host.stamp_s)
            host.watched_s = host.watched_s + self.real_s - self.looked_s if text == host.shown else 0.0
            host.shown = text
            signs.append(HostSign(name, "master", text, host.stamp_s, is_lasting=True))
        self.looked_s = self.real_s
        for report in self.silence.look(signs, self.real_s + self.redis_ahead_s):
            name = dict(report.fields)["peer"]
            assert isinstance(name, str)
            self.called_off[name] = report.notice.level == "warning"
            if not self.has_redis_jumped and self.called_off[name]:
                assert abs(self.hosts[name].offset_s) > MOST_OFFSET_S

    @invariant()
    def who_lives_stays(self) -> None:
        evicted = {sign.host for sign in self.silence.silent()}
        assert evicted <= self.hosts.keys(), "a host of ours, or this one, was judged"
        for name in evicted:
            host = self.hosts[name]
            assert host.watched_s >= EVICTION_S - 1.0 or self.has_redis_jumped
            assert not host.is_alive or self.real_s - host.wrote_s > LATE_S

    @precondition(lambda self: self.hosts)
    @rule()
    def who_is_silent_for_long_goes(self) -> None:
        for _ in range(int(EVICTION_S / SCAN_INTERVAL_S) + 2):
            self.the_master_watches(SCAN_INTERVAL_S, 1)
        dead = {name for name, host in self.hosts.items() if not host.is_alive}
        assert {sign.host for sign in self.silence.silent()} == dead
        assert set(self.silence.masters()) == self.hosts.keys() - dead
        now_s = self.real_s + self.redis_ahead_s
        for name, host in self.hosts.items():
            assert self.silence.is_stale(name, host.stamp_s, now_s, 120.0) == (name in dead)
            if host.is_alive and not self.has_redis_jumped and abs(host.offset_s) > HEARTBEAT_S:
                assert self.called_off[name]


TestWatch = Watch.TestCase
TestWatch.settings = settings(max_examples=100, stateful_step_count=30)


@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(0, 3.0))))
def test_a_clock_is_off_when_it_certainly_is_and_that_is_told_once(comparisons: list[tuple[float, float]]) -> None:
    clock, reports = Clock(), list[Report]()
    for true_offset_s, round_trip_s in comparisons:
        reports += clock.compared(ClockCompared(true_offset_s, round_trip_s))
        if abs(true_offset_s) - round_trip_s / 2 > MOST_OFFSET_S:
            assert clock.is_off
        if abs(true_offset_s) < 1.0:
            assert not clock.is_off
        assert clock.offset_s == true_offset_s
    levels = [report.notice.level for report in reports]
    assert levels == ["warning", "info"] * (len(levels) // 2) + ["warning"] * (len(levels) % 2)
    assert clock.is_off == bool(levels and levels[-1] == "warning")
