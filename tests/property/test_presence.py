"""Hosts that come, stop and die while the holder of the lease looks: the invariants of daosup.core.presence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from daosup.core.presence import MOST_TOLD, Presence
from daosup.core.types import HostSign

LOOK_S, BEAT_S, LIFETIME_S = 15.0, 30.0, 120.0
NAMES = ("lab", "desk", "old")


@dataclass
class Host:
    """As it really is; ``written_s`` is when it wrote itself down, None when nothing is there."""

    is_alive: bool = False
    written_s: Optional[float] = None


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence("rts")
        self.hosts = {name: Host() for name in NAMES}
        self.now = 1000.0
        #: Who was in the registry at the last look; None before the first.
        self.shown: Optional[set[str]] = None
        #: Whose entries ran out since the last look.
        self.ran_out: set[str] = set()
        #: Who died since it was last seen alive: whether its entries ran out or were taken away cannot always be told.
        self.died: set[str] = set()

    @rule(name=st.sampled_from(NAMES), is_alive=st.booleans())
    def starts_or_dies(self, name: str, is_alive: bool) -> None:
        self.hosts[name].is_alive = is_alive
        if is_alive:
            self.hosts[name].written_s = self.now
        else:
            self.died.add(name)

    @rule(name=st.sampled_from(NAMES))
    def stops_or_is_removed(self, name: str) -> None:
        self.hosts[name] = Host()

    @rule()
    def another_has_the_lease(self) -> None:
        self.presence.begin_anew()
        self.shown = None

    @rule(times=st.integers(1, 10))
    def time_goes_by(self, times: int) -> None:
        for _ in range(times):
            self.now += LOOK_S
            for name, host in self.hosts.items():
                if host.is_alive and host.written_s is not None and self.now >= host.written_s + BEAT_S:
                    host.written_s = self.now
                if name != "old" and host.written_s is not None and self.now >= host.written_s + LIFETIME_S:
                    host.written_s = None
                    self.ran_out.add(name)
            self.look()

    def look(self) -> None:
        signs = [HostSign("rts", "master", "mine", 0.0, is_lasting=False, left_s=1.0)]
        for name, host in self.hosts.items():
            if host.written_s is not None:
                left_s = host.written_s + LIFETIME_S - self.now
                signs.append(HostSign(name, "minion", "sign", 0.0, name == "old", 0.0 if name == "old" else left_s))
        reports = [(each.notice.name, dict(each.fields)["peer"]) for each in self.presence.look(signs, self.now)]
        there = {sign.host for sign in signs} - {"rts"}
        before = there if self.shown is None else self.shown
        lost = {name for notice, name in reports if notice == "host-lost"}
        assert (before - there) & self.ran_out <= lost <= (before - there) & (self.ran_out | self.died - {"old"})
        expected = [("host-lost", name) for name in sorted(lost)]
        expected += [("host-seen", name) for name in sorted(there - before)]
        assert reports == expected
        self.shown = there
        self.ran_out.clear()
        self.died -= {name for name, host in self.hosts.items() if host.is_alive}


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=100, stateful_step_count=30)


def test_a_registry_full_of_hosts_does_not_fill_the_log() -> None:
    presence = Presence("rts")
    assert list(presence.look([], 0.0)) == []
    many = [HostSign(f"h{i}", "minion", "sign", 0.0, is_lasting=True) for i in range(10_000)]
    assert len(list(presence.look(many, 1.0))) == MOST_TOLD
    assert list(presence.look(many, 2.0)) == []
