"""Keywords: what is written is what is read, or it is refused; and reading never fails."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.errors import UsageError
from daosup.shm import Keyword, Keywords
from daosup.shm.keywords import Value, decode, encode, without

values = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(), st.floats(allow_nan=False), st.text(max_size=17), st.booleans()
)
names = st.one_of(st.sampled_from("ABCD"), st.text(max_size=17))


NAMES = st.sampled_from(["NET_LINK", "NET_LINKS", "XNET_LINK", "GAIN", ""])
SLOTS = st.builds(
    lambda name, after, rest: ((name.encode() + b"\0" + after)[:16]).ljust(16, b"\0") + rest,
    NAMES,
    st.binary(max_size=16),
    st.binary(min_size=104, max_size=104),
)


@given(st.lists(SLOTS | st.binary(min_size=120, max_size=120), max_size=6))
def test_keywords_of_a_name_are_taken_out_and_all_others_stay_in_their_slots(slots: list[bytes]) -> None:
    left = without(b"".join(slots), ("NET_LINK",))
    assert len(left) == 120 * len(slots)
    for number, slot in enumerate(slots):
        now = left[120 * number : 120 * (number + 1)]
        if slot[:16].split(b"\0")[0] == b"NET_LINK":
            assert decode(now) is None
        else:
            assert now == slot


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
