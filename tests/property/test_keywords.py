"""Keywords: what is written is what is read, or it is refused; and reading never fails."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.errors import UsageError
from daosup.shm import Keyword, Keywords
from daosup.shm.keywords import Value, decode, encode

values = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(), st.floats(allow_nan=False), st.text(max_size=17), st.booleans()
)
names = st.one_of(st.sampled_from("ABCD"), st.text(max_size=17))


@given(names, values, st.text(max_size=81))
def test_what_is_written_is_what_is_read_or_it_is_refused(name: str, value: Value, comment: str) -> None:
    keyword = Keyword(name, value, comment)
    try:
        raw = encode(keyword)
    except UsageError:
        return
    assert decode(raw) == keyword


@given(st.binary(min_size=120, max_size=120), st.sampled_from([None, b"L", b"D", b"S", b"N"]))
def test_any_bytes_can_be_read(raw: bytes, kind: bytes | None) -> None:
    found = decode(raw if kind is None else raw[:16] + kind + raw[17:])
    assert found is None or isinstance(found, Keyword)


class KeywordsAreADict(RuleBasedStateMachine):
    """A segment's keywords behave as a dict of limited size."""

    COUNT = 3

    def __init__(self) -> None:
        super().__init__()
        self.keywords = Keywords(memoryview(bytearray(120 * self.COUNT)), self.COUNT)
        self.model: dict[str, Value] = {}

    @rule(name=names, value=values)
    def put(self, name: str, value: Value) -> None:
        try:
            encode(Keyword(name, value))
            is_possible = name in self.model or len(self.model) < self.COUNT
        except UsageError:
            is_possible = False
        if is_possible:
            self.model[name] = value
        try:
            self.keywords[name] = value
        except UsageError:
            assert not is_possible
        else:
            assert is_possible

    @rule(name=names)
    def remove(self, name: str) -> None:
        assert self.keywords.pop(name, None) == self.model.pop(name, None)

    @invariant()
    def is_the_same(self) -> None:
        assert dict(self.keywords) == self.model
        assert len(self.keywords) == len(self.model)


TestKeywordsAreADict = KeywordsAreADict.TestCase
