"""What is believed of the segment folder becomes true soon after whatever happened to it, and then all is quiet."""

from __future__ import annotations

from typing import Optional

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daosup.core.discovery import MISSED_S, PATIENCE_S, PAUSES_S, TOLD_S, Discovery
from daosup.core.types import SegmentFacts

NAMES = ("wfs", "dm", "cam")
KINDS = ("small", "large")
#: However long whoever makes a segment takes to fill it in, it is seen so soon after.
SEEN_S = PAUSES_S[-1]


def facts(name: str, kind: str) -> SegmentFacts:
    return SegmentFacts(name, (4, 4), "float32", "fifo", 1, 64, kind)


class Files(RuleBasedStateMachine):
    """Files that programs make, fill in, cut, remove; looks that come late; a host that takes the changes."""

    def __init__(self) -> None:
        super().__init__()
        self.discovery = Discovery()
        self.now = 100.0
        self.files: dict[str, Optional[str]] = {}
        self.believed: dict[str, SegmentFacts] = {}
        self.changed_s = dict.fromkeys(NAMES, 0.0)
        self.touched_s = dict.fromkeys(NAMES, 0.0)
        self.missed_s: dict[str, Optional[float]] = dict.fromkeys(NAMES)

    def look(self) -> None:
        due = self.discovery.due(self.now)
        assert len(set(due)) == len(due)
        for name in due:
            kind = self.files.get(name)
            reason = "no segment" if name in self.files else None
            self.discovery.saw(name, facts(name, kind) if kind else None, None if kind else reason, self.now)
            if kind is None and name in self.believed and self.missed_s[name] is None:
                self.missed_s[name] = self.now
            if kind is not None:
                self.missed_s[name] = None
        found, gone = self.discovery.take_changes()
        assert not {each.name for each in found} & set(gone)
        for each in found:
            assert self.believed.get(each.name) != each, "nothing new"
            self.believed[each.name] = each
        for name in gone:
            if self.believed.pop(name, None) is not None:
                missed_s = self.missed_s[name]
                assert missed_s is not None
                assert self.now >= missed_s + MISSED_S, "gone too soon"

    def change(self, name: str, kind: Optional[str], is_told: bool) -> None:
        self.files[name] = kind
        self.changed_s[name] = self.now
        if is_told:
            self.touch(name)

    @initialize()
    def begin(self) -> None:
        self.look()

    @rule(name=st.sampled_from(NAMES))
    def touch(self, name: str) -> None:
        self.touched_s[name] = self.now
        self.discovery.touch(name, self.now)

    @rule(name=st.sampled_from(NAMES), kind=st.none() | st.sampled_from(KINDS))
    def make(self, name: str, kind: Optional[str]) -> None:
        self.change(name, kind, is_told=True)

    @rule(name=st.sampled_from(NAMES), kind=st.sampled_from(KINDS))
    def fill_in(self, name: str, kind: str) -> None:
        """Through memory, so nobody is told; only soon after the file was touched is it seen."""
        is_half_made = name in self.files and self.files[name] is None and name not in self.believed
        if is_half_made and self.now < self.touched_s[name] + PATIENCE_S - 1.0:
            self.change(name, kind, is_told=False)

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        if name in self.files:
            del self.files[name]
            self.changed_s[name] = self.now
            self.touch(name)

    @rule(seconds=st.floats(0.001, 0.2))
    def look_late(self, seconds: float) -> None:
        self.now += seconds
        self.look()

    @rule(seconds=st.floats(0.01, 8.0))
    def look_in_time(self, seconds: float) -> None:
        end_s = self.now + seconds
        while self.discovery.next_s is not None and self.discovery.next_s <= end_s:
            self.now = max(self.now, self.discovery.next_s)
            self.look()
        self.now = end_s
        for name, kind in self.files.items():
            if kind and end_s > max(self.changed_s[name], self.touched_s[name]) + SEEN_S:
                assert self.believed.get(name) == facts(name, kind)
        for name in NAMES:
            if not self.files.get(name) and end_s > self.touched_s[name] + MISSED_S + 2 * SEEN_S:
                assert name not in self.believed
            if not self.files.get(name) and end_s > self.touched_s[name] + TOLD_S + 2 * SEEN_S:
                assert (name in self.discovery.refused) == (name in self.files)
        if end_s > max(self.touched_s.values()) + PATIENCE_S + 2 * SEEN_S:
            assert self.discovery.next_s is None, "looks at files that nothing happens to"

    @invariant()
    def what_is_known_is_told(self) -> None:
        if not self.discovery.due(self.now):
            assert self.discovery.segments == self.believed


TestFiles = Files.TestCase


def test_a_file_that_is_written_without_end_is_looked_at_now_and_then_and_stays_what_it_is() -> None:
    discovery, now, looks = Discovery(), 0.0, 0
    while now < 10.0:
        now += 0.001
        discovery.touch("wfs", now)
        for name in discovery.due(now):
            looks += 1
            discovery.saw(name, facts(name, "small"), None, now)
    assert looks <= 10.0 / PAUSES_S[0]
    assert discovery.take_changes() == ((facts("wfs", "small"),), ())


def test_what_the_slow_scan_asks_for_again_is_looked_at_once() -> None:
    discovery = Discovery()
    discovery.touch("junk", 0.0)
    now = 0.0
    while discovery.next_s is not None:
        now = discovery.next_s
        discovery.saw("junk", None, "no segment", now)
    assert discovery.refused == {"junk": "no segment"}
    discovery.touch("junk", now + 10.0, patience_s=0.0)
    assert discovery.due(now + 10.0) == ["junk"]
    discovery.saw("junk", None, "no segment", now + 10.0)
    assert discovery.next_s is None
    discovery.touch("junk", now + 20.0, patience_s=0.0)
    discovery.saw("junk", facts("junk", "small"), None, now + 20.0)
    assert discovery.take_changes()[0] == (facts("junk", "small"),)
    assert discovery.refused == {}


def test_a_touch_begins_patience_anew() -> None:
    files = Files()
    files.begin()
    files.make("wfs", None)
    files.look_in_time(PATIENCE_S)
    files.touch("wfs")
    files.look_in_time(1.0)
    files.fill_in("wfs", "small")
    files.look_in_time(1.0)
    assert files.believed["wfs"] == facts("wfs", "small")
