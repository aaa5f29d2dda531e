"""How the highest rate is searched for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from bench.bare_programs import Sight, Written
from bench.contenders import Contender, Course, Turn
from bench.rates import Search

SOMEONE = Contender("someone", Path("source"), Path("target"), lambda: nullcontext((1, 2)))


class Pretended:
    """Delivers all frames up to a rate and half of them above it; its writer writes no faster than it can."""

    def __init__(self, most_hz: float, writers_hz: float = 1e9) -> None:
        self.most_hz = most_hz
        self.writers_hz = writers_hz
        self.tried_hz: list[float] = []

    def turn(self, contender: Contender, *, rate_hz: float, seconds: float, is_at_once: bool) -> Turn:
        assert contender is SOMEONE
        assert not is_at_once
        self.tried_hz.append(rate_hz)
        written = int(min(rate_hz, self.writers_hz) * seconds)
        delivered = written if rate_hz <= self.most_hz else written // 2
        sight = Sight(np.zeros(delivered), 0, written, delivered)
        return Turn(Written(written, seconds, is_at_once=False), sight, 0.0)


@pytest.mark.parametrize("begin_hz", [100.0, 990.0, 1010.0, 9000.0])
def test_the_highest_rate_is_found_from_below_and_from_above(begin_hz: float) -> None:
    place, search = Pretended(1000.0), Search(SOMEONE, begin_hz)
    for _ in range(3):
        search.run(cast(Course, place))
    assert all(0.93 * 1000.0 <= found <= 1000.0 for found in search.found_hz)
    assert not search.is_writers_limit


def test_what_the_writer_can_do_is_not_searched_beyond() -> None:
    place, search = Pretended(1e9, writers_hz=5000.0), Search(SOMEONE, 1000.0)
    search.run(cast(Course, place))
    assert search.is_writers_limit
    assert search.found_hz == pytest.approx([5000.0], rel=0.01)
    assert max(place.tried_hz) < 5000.0 * 2


def test_who_delivers_nothing_has_no_rate() -> None:
    search = Search(SOMEONE, 1000.0)
    search.run(cast(Course, Pretended(0.0)))
    assert search.found_hz == [0.0]
