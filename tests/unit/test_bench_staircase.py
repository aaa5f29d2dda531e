"""How the highest rate is searched for: from anywhere, past a pause of the machine, and no further than the writer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.staircase import Staircase


def _searched(search: Staircase, most_hz: float, trials: int, *, writers_hz: float = 1e9, pauses: float = 0.0) -> float:
    """What is found of a line that keeps up to a rate, unless the machine pauses in so many trials of one."""
    chance = random.Random(1)
    for trial in range(trials):
        if trial == trials // 2:
            assert search.has_found
            search.take()
        if search.rate_hz > most_hz or chance.random() < pauses:
            search.failed()
        elif search.rate_hz > writers_hz * 1.1:
            search.all_written_kept(writers_hz)
        else:
            search.kept()
    return search.take()


@given(st.floats(10.0, 1e5), st.floats(20.0, 1e5))
def test_it_is_found_from_below_and_from_above(begin_hz: float, most_hz: float) -> None:
    assert _searched(Staircase(begin_hz), most_hz, 160) == pytest.approx(most_hz, rel=0.08)


def test_a_pause_in_every_tenth_trial_hardly_matters() -> None:
    assert _searched(Staircase(100.0), 1000.0, 80, pauses=0.1) == pytest.approx(1000.0, rel=0.1)


def test_what_one_bad_time_took_away_is_given_back() -> None:
    search = Staircase(1000.0)
    _searched(search, 1000.0, 40)
    for _ in range(20):
        search.failed()
    assert search.rate_hz < 500.0
    assert _searched(search, 1000.0, 80) == pytest.approx(1000.0, rel=0.1)


def test_what_the_writer_can_do_is_not_searched_beyond() -> None:
    search = Staircase(1000.0)
    assert _searched(search, 1e9, 40, writers_hz=5000.0) == pytest.approx(5000.0, rel=0.1)
    assert search.has_found


def test_who_keeps_nothing_has_no_rate() -> None:
    search = Staircase(1000.0)
    assert _searched(search, 0.0, 60) == 0.0
    assert search.has_found
