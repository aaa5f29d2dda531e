"""Readers that beat, leave and vanish; a registry that is away or forgets: the invariant of daosup.core.readership."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.core.readership import EXCUSE_S, READER_TIMEOUT_S, Readership
from daosup.core.types import Reader

ALL_PAIRS = [(name, host) for name in ("wfs", "dm") for host in ("desk", "lab")]
PAIRS = st.sampled_from(ALL_PAIRS)


class Readers(RuleBasedStateMachine):
    """The model remembers for each pair when its beat was first seen as it is now, and until when it may be missing."""

    def __init__(self) -> None:
        super().__init__()
        self.readership = Readership()
        self.now = 0.0
        self.written: dict[tuple[str, str], Reader] = {}
        self.known: dict[tuple[str, str], Reader] = {}
        self.since_s: dict[tuple[str, str], float] = {}
        self.may_be_missing: dict[tuple[str, str], float] = {}
        self.silent: set[tuple[str, str]] = set()
        self.beat(*ALL_PAIRS)

    @rule(pairs=st.sets(PAIRS, min_size=1))
    def some_beat(self, pairs: set[tuple[str, str]]) -> None:
        self.beat(*pairs)

    def beat(self, *pairs: tuple[str, str]) -> None:
        for pair in pairs:
            before = self.written.get(pair) or self.known.get(pair) or Reader(pair[1], "10.0.0.2", 0, "i")
            self.written[pair] = replace(before, beat=before.beat + 1)

    @rule(pair=PAIRS)
    def comes_back_as_another(self, pair: tuple[str, str]) -> None:
        before = self.written.get(pair)
        if before is not None:
            self.written[pair] = replace(before, beat=1, instance=before.instance + "i")

    @rule(pair=PAIRS)
    def leaves(self, pair: tuple[str, str]) -> None:
        self.written.pop(pair, None)

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, READER_TIMEOUT_S, 26.0]), is_looked=st.booleans())
    def time_passes(self, seconds: float, is_looked: bool) -> None:
        self.now += seconds
        if is_looked:
            self.look()

    @rule(is_forgetful=st.booleans())
    def registry_was_away(self, is_forgetful: bool) -> None:
        if is_forgetful:
            self.written.clear()
        self.readership.forgive(self.now)
        self.since_s = dict.fromkeys(self.known, self.now)
        self.may_be_missing = dict.fromkeys(self.known.keys() - self.silent, self.now + EXCUSE_S)

    @rule()
    def look(self) -> None:
        for pair, reader in self.written.items():
            if self.known.get(pair) != reader:
                self.known[pair], self.since_s[pair] = reader, self.now
                self.silent.discard(pair)
            self.may_be_missing.pop(pair, None)
        excused = {pair for pair, until_s in self.may_be_missing.items() if self.now < until_s}
        for pair in self.known.keys() - self.written.keys() - excused:
            del self.known[pair]
            self.silent.discard(pair)
        self.silent |= {pair for pair in self.known if self.now - self.since_s[pair] > READER_TIMEOUT_S}
        for pair in self.silent:
            self.may_be_missing.pop(pair, None)
        readers: dict[str, dict[str, Reader]] = {}
        for (name, host), reader in self.written.items():
            readers.setdefault(name, {})[host] = reader
        vanished = self.readership.update(readers, self.now)
        assert sorted(vanished) == sorted(self.silent)

    @invariant()
    def those_count_who_were_heard(self) -> None:
        counted = self.known.keys() - self.silent
        assert self.readership.names == {name for name, _ in counted}
        for name in ("wfs", "dm", "other"):
            expected = [self.known[pair] for pair in sorted(counted) if pair[0] == name]
            assert list(self.readership.of(name)) == expected


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=150, stateful_step_count=40)
