"""How often workers look around while frames flow: often enough, and not all of them at once."""

from __future__ import annotations

from daosup.workers.limits import Limits
from daosup.workers.looking import LOOK_INTERVAL_S, NEAR_LOOK_INTERVAL_S, look_interval_s

STREAMS = 200


def test_workers_that_begin_together_look_at_times_of_their_own() -> None:
    intervals_s = [look_interval_s(Limits()) for _ in range(STREAMS)]
    assert all(LOOK_INTERVAL_S / 2 < each <= LOOK_INTERVAL_S for each in intervals_s)
    # Of the first look's time no twentieth of a second has more than a third of them.
    assert all(sum(abs(each - other) <= 0.025 for other in intervals_s) < STREAMS / 3 for each in intervals_s)


def test_who_may_spin_looks_more_often() -> None:
    assert look_interval_s(Limits(spin_ms=1.0)) == NEAR_LOOK_INTERVAL_S
