"""A source, a wire that loses, repeats and delays, and a reader: the invariant of daosup.core.gaps."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daosup.core.gaps import GapTracker, Verdict

TAKEN = (Verdict.FIRST, Verdict.NEXT, Verdict.GAP)


@dataclass(frozen=True)
class Message:
    epoch: int
    segment: int
    counter: int
    is_description: bool


class Gaps(RuleBasedStateMachine):
    """Messages of one epoch keep their order, as they do on one connection; those of an ended epoch may still come."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = GapTracker()
        self.epoch, self.segment, self.counter = 1, 1, 0
        self.wire: list[Message] = []
        self.seen: list[Message] = []
        self.adopted: list[int] = []
        self.taken: list[tuple[int, int]] = []
        self.first: dict[int, int] = {}
        self.skipped_before: dict[int, int] = {}
        self._describe()

    # -- the source

    def _describe(self) -> None:
        self.wire.append(Message(self.epoch, self.segment, self.counter, is_description=True))

    @rule(count=st.integers(1, 6))
    def source_writes(self, count: int) -> None:
        for _ in range(count):
            self.counter += 1
            self.wire.append(Message(self.epoch, self.segment, self.counter, is_description=False))

    @rule()
    def publisher_describes(self) -> None:
        self._describe()

    @rule()
    def publisher_restarts(self) -> None:
        self.epoch += 1
        self._describe()

    @rule(is_counter_kept=st.booleans())
    def segment_is_made_anew(self, is_counter_kept: bool) -> None:
        self.epoch += 1
        self.segment += 1
        self.counter = self.counter if is_counter_kept else 0
        self._describe()

    # -- the wire

    @rule(count=st.integers(1, 12))
    def messages_arrive(self, count: int) -> None:
        for message in self.wire[:count]:
            self._arrive(message)
        del self.wire[:count]

    @rule()
    def frames_arrive_that_somebody_else_judges(self) -> None:
        """As many of those just expected as are there, in one go."""
        mine = [counter for segment, counter in self.taken if segment == self.segment]
        count = 0
        while mine and self._is_next(count, mine[-1] + 1 + count):
            count += 1
        self.seen += self.wire[:count]
        self.taken += [(message.segment, message.counter) for message in self.wire[:count]]
        del self.wire[:count]
        if count:
            self.tracker.advance(count)
            assert (self.tracker.counter, self.tracker.expected) == (mine[-1] + count, mine[-1] + count + 1)

    def _is_next(self, place: int, counter: int) -> bool:
        expected = Message(self.adopted[-1], self.segment, counter, is_description=False)
        return self.wire[place : place + 1] == [expected]

    @rule(place=st.integers(0, 10), count=st.integers(1, 3))
    def messages_are_lost(self, place: int, count: int) -> None:
        del self.wire[place : place + count]

    @rule(back=st.integers(1, 8))
    def a_message_comes_again(self, back: int) -> None:
        # Not of an epoch so long over that the reader has forgotten it.
        late = [message for message in self.seen if message.epoch in self.adopted[-8:]]
        if late:
            self._arrive(late[-min(back, len(late))])

    # -- the reader

    def _arrive(self, message: Message) -> None:
        self.seen.append(message)
        if message.is_description:
            self._adopt(message)
        else:
            self._take(message)

    def _adopt(self, message: Message) -> None:
        is_over = message.epoch in self.adopted[:-1]
        assert self.tracker.adopt(message.epoch, float(message.segment), message.counter) != is_over
        if not is_over and message.epoch not in self.adopted:
            self.adopted.append(message.epoch)
            self.skipped_before.setdefault(message.segment, self.tracker.skipped)

    def _take(self, message: Message) -> None:
        verdict = self.tracker.take(message.epoch, message.counter)
        mine = [counter for segment, counter in self.taken if segment == message.segment]
        if message.epoch not in self.adopted:
            assert verdict is Verdict.UNKNOWN
        elif message.epoch != self.adopted[-1]:
            assert verdict is Verdict.STALE
        elif not mine:
            assert verdict is Verdict.FIRST
            self.first[message.segment] = message.counter
        elif message.counter > mine[-1]:
            assert verdict is (Verdict.NEXT if message.counter == mine[-1] + 1 else Verdict.GAP)
        else:
            assert verdict is (Verdict.REPEAT if message.counter == mine[-1] else Verdict.STALE)
        if verdict in TAKEN:
            self.taken.append((message.segment, message.counter))
            taken = len(mine) + 1
            skipped = self.tracker.skipped - self.skipped_before[message.segment]
            assert taken + skipped == message.counter - (self.first[message.segment] - 1)
            assert self.tracker.counter == message.counter

    @invariant()
    def nothing_is_taken_twice_nor_out_of_order(self) -> None:
        assert self.taken == sorted(set(self.taken))

    @invariant()
    def gaps_are_some_of_what_was_skipped(self) -> None:
        assert 0 <= self.tracker.gaps <= self.tracker.skipped
        assert (self.tracker.gaps == 0) == (self.tracker.skipped == 0)


TestGaps = Gaps.TestCase
TestGaps.settings = settings(max_examples=150, stateful_step_count=40)
