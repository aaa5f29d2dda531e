"""Whoever asks much does not silence others: what comes waits its turn, within bounds."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.core.question_line import (
    MAX_AT_ONCE,
    MAX_LOOKS_AT_ONCE,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    Asked,
    QuestionLine,
)
from daosup.core.questions import MAX_QUESTION_BYTES, Purpose, Question, Sealed

SECRET = b"secret"
BODIES = {size: bytes(size) for size in (100, MAX_QUESTION_BYTES)}


def asked(number: int, *, is_signed: bool = False, size: int = 100) -> Asked:
    question = Question(f"{number:032x}", "lab", "rts", "one", 0, 3, "status", {})
    signed_by = SECRET if is_signed else None
    return Asked(question, Sealed(Purpose.QUESTION, signed_by, question.ident, BODIES[size]), signed_by)


class Line(RuleBasedStateMachine):
    """The line beside a list that is searched from the front."""

    def __init__(self) -> None:
        super().__init__()
        self.line = QuestionLine()
        self.waiting: list[Asked] = []
        self.working: list[Asked] = []
        self.number = 0

    @rule(
        is_signed=st.booleans(),
        size=st.sampled_from(list(BODIES)),
        count=st.sampled_from([1, 1, 40, MAX_WAITING]),
    )
    def new_ones_come(self, is_signed: bool, size: int, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self._take(asked(self.number, is_signed=is_signed, size=size))

    @rule(data=st.data())
    def one_comes_again(self, data: st.DataObject) -> None:
        here = [each for each in self.waiting + self.working if each.signed_by is None]
        if here:
            assert self.line.take(data.draw(st.sampled_from(here))) == 1

    @rule()
    def there_is_room(self) -> None:
        while (begun := self.line.next()) is not None:
            assert begun is self.waiting.pop(self._first(is_order=True))
            self.working.append(begun)
        looks = sum(each.signed_by is None for each in self.working)
        only_looks_wait = all(each.signed_by is None for each in self.waiting)
        full = len(self.working) == MAX_AT_ONCE or (looks == MAX_LOOKS_AT_ONCE and only_looks_wait)
        assert full or not self.waiting

    @rule(data=st.data())
    def some_are_answered(self, data: st.DataObject) -> None:
        for _ in range(data.draw(st.integers(0, len(self.working)))):
            self.line.done(self.working.pop(0))

    @invariant()
    def bounds_are_kept(self) -> None:
        assert len(self.working) <= MAX_AT_ONCE
        assert sum(each.signed_by is None for each in self.working) <= MAX_LOOKS_AT_ONCE
        assert len(self.waiting) <= MAX_WAITING
        assert sum(len(each.sealed.body) for each in self.waiting) <= MAX_WAITING_BYTES

    def _take(self, new: Asked) -> None:
        dropped = self.line.take(new)
        self.waiting.append(new)
        for _ in range(dropped):
            self.waiting.pop(self._first(is_order=False))

    def _first(self, *, is_order: bool) -> int:
        """Where the first order, or question that is none, waits; the first of all if there is none."""
        return next((at for at, each in enumerate(self.waiting) if (each.signed_by is not None) is is_order), 0)


TestLine = Line.TestCase


def test_who_asks_after_a_flood_is_answered_when_its_turn_comes() -> None:
    line = QuestionLine()
    assert sum(line.take(asked(number)) for number in range(2 * MAX_WAITING)) == MAX_WAITING
    line.take(asked(10**6))
    answered = []
    while (begun := line.next()) is not None:
        answered.append(begun.question.ident)
        line.done(begun)
    assert answered[-1] == f"{10**6:032x}"
    assert len(answered) == MAX_WAITING
