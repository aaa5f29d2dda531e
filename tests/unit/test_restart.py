"""When a worker that died is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daosup.core.restart import FIRST_DELAY_S, HEALTHY_S, MAX_DELAY_S, Backoff


def delays(*lives_s: float) -> list[float]:
    backoff, found = Backoff(), []
    for lived_s in lives_s:
        delay_s, backoff = backoff.died(lived_s)
        found.append(delay_s)
    return found


def test_the_first_restart_comes_at_once_and_the_next_ones_later_and_later() -> None:
    assert delays(*[0.0] * 9) == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_healthy_life_makes_the_next_death_a_first_one() -> None:
    assert delays(0.0, 0.0, 0.0, HEALTHY_S, 0.0, 0.0) == [0.0, 0.1, 0.2, 0.0, 0.1, 0.2]


def test_a_life_just_too_short_does_not() -> None:
    assert delays(0.0, HEALTHY_S - 0.001, HEALTHY_S - 0.001) == [0.0, 0.1, 0.2]


def test_a_worker_that_dies_for_ever_is_tried_for_ever() -> None:
    assert delays(*[0.0] * 5000)[-1] == MAX_DELAY_S


@given(st.lists(st.floats(0.0, 1e6), max_size=40))
def test_no_delay_exceeds_the_cap_and_only_a_healthy_life_shortens_it(lives_s: list[float]) -> None:
    found = delays(*lives_s)
    assert all(FIRST_DELAY_S <= delay_s <= MAX_DELAY_S for delay_s in found)
    for (before_s, delay_s), lived_s in zip(zip(found, found[1:]), lives_s[1:]):
        assert delay_s == FIRST_DELAY_S if lived_s >= HEALTHY_S else delay_s >= before_s
