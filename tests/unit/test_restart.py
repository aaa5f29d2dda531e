"""When a worker that died is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daosup.core.restart import (
    FIRST_DELAY_S,
    HEALTHY_S,
    MAX_DELAY_S,
    QUARANTINE_S,
    RESTARTS_IN_A_ROW,
    SECOND_DELAY_S,
    SPREAD,
    Backoff,
)


def delays(*lives_s: float, who: str = "mirror rts:wfs") -> list[float]:
    backoff, found = Backoff(), []
    for lived_s in lives_s:
        delay_s, backoff = backoff.died(lived_s, who)
        found.append(delay_s)
    return found


def are_about(found: list[float], longest_s: list[float]) -> bool:
    """Whether each is at most so long, and shorter by the spread at most."""
    pairs = list(zip(found, longest_s))
    return len(found) == len(longest_s) and all((1 - SPREAD) * most_s <= each <= most_s for each, most_s in pairs)


def test_the_first_restart_comes_at_once_and_the_next_ones_later_and_later_up_to_quarantine() -> None:
    assert are_about(delays(*[0.0] * 10), [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 60.0, 60.0])


def test_a_healthy_life_makes_the_next_death_a_first_one() -> None:
    assert are_about(delays(0.0, 0.0, 0.0, HEALTHY_S, 0.0, 0.0), [0.0, 0.1, 0.2, 0.0, 0.1, 0.2])


def test_a_life_just_too_short_does_not() -> None:
    assert are_about(delays(0.0, HEALTHY_S - 0.001, HEALTHY_S - 0.001), [0.0, 0.1, 0.2])


def test_how_long_a_healthy_life_is_can_be_told() -> None:
    assert Backoff(3).died(HEALTHY_S, healthy_s=HEALTHY_S + 1)[1] == Backoff(4)
    assert Backoff(3).died(HEALTHY_S + 1, healthy_s=HEALTHY_S + 1)[1] == Backoff(1)


def test_a_worker_that_dies_for_ever_is_tried_for_ever() -> None:
    assert QUARANTINE_S * (1 - SPREAD) <= delays(*[0.0] * 5000)[-1] <= QUARANTINE_S


def test_quarantine_begins_with_one_death_too_many() -> None:
    assert not Backoff(RESTARTS_IN_A_ROW).is_quarantined
    assert Backoff(RESTARTS_IN_A_ROW + 1).is_quarantined
    assert not Backoff(9999).spared().died(0.0)[1].is_quarantined


def test_workers_that_die_together_do_not_come_back_together() -> None:
    """Of a thousand that died twice, few come back in the same millisecond; as spread as chance would do it."""
    back_s = [delays(0.0, 0.0, 0.0, 0.0, who=f"mirror rts:s{number}")[-1] for number in range(1000)]
    longest_s = SECOND_DELAY_S * 4
    shares = [
        sum(low <= (longest_s - each) / (longest_s * SPREAD) * 10 <= low + 1 for each in back_s) for low in range(10)
    ]
    assert all(60 < share < 140 for share in shares)


@given(st.lists(st.floats(0.0, 1e6), max_size=40), st.text(max_size=20))
def test_no_delay_exceeds_its_cap_and_only_a_healthy_life_forgets(lives_s: list[float], who: str) -> None:
    backoff = Backoff()
    for lived_s in lives_s:
        before = backoff
        delay_s, backoff = before.died(lived_s, who)
        assert backoff.deaths == (1 if lived_s >= HEALTHY_S else before.deaths + 1)
        assert FIRST_DELAY_S <= delay_s <= (QUARANTINE_S if backoff.is_quarantined else MAX_DELAY_S)
        assert (delay_s == FIRST_DELAY_S) == (backoff.deaths == 1)
        assert before.died(lived_s, who) == (delay_s, backoff)
