"""Which rounds of a measurement count."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Noise
from bench.machine import NoiseMeter
from bench.plan import Plan
from bench.rounds import QUIET_STEAL, chosen, quietest


class Pretended(NoiseMeter):
    """A machine of which so much was stolen in each round."""

    def __init__(self, steals: Sequence[float]) -> None:
        super().__init__()
        self._left = list(steals)

    def take(self) -> Noise:
        return Noise((1.0,), self._left.pop(0), 0.5)


@given(st.lists(st.floats(0.0, 1.0), min_size=1), st.data())
def test_those_with_the_least_steal_in_their_order(steals: list[float], data: st.DataObject) -> None:
    kept = chosen(steals, data.draw(st.integers(1, len(steals))))
    assert kept == sorted(set(kept))
    others = set(range(len(steals))) - set(kept)
    assert all(steals[number] <= steals[other] for number in kept for other in others)


def _rounds(steals: Sequence[float], count: int) -> tuple[list[int], Noise]:
    numbers = iter(range(len(steals)))
    return quietest(Plan(meter=Pretended(steals)), "it", count, lambda: next(numbers))


def test_a_quiet_machine_is_asked_no_more_often_than_it_must() -> None:
    assert _rounds([0.0, QUIET_STEAL, 0.0], 3) == ([0, 1, 2], Noise((1.0,) * 3, QUIET_STEAL, 0.5))


def test_a_round_that_was_not_ours_is_made_again() -> None:
    assert _rounds([0.0, 0.5, 0.01], 2) == ([0, 2], Noise((1.0,) * 2, 0.01, 0.5, left_out=1))


def test_patience_ends_and_the_quietest_count() -> None:
    assert _rounds([0.5, 0.3, 0.4, 0.6, 0.7, 0.2], 2) == ([1, 5], Noise((1.0,) * 2, 0.3, 0.5, left_out=4))
