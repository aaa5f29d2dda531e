"""How long something takes: sizes, sum, and the worst of late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daosup.core.delays import BOUNDS_S, WINDOW_S, Delays


def test_before_the_first_nothing_is_known() -> None:
    delays = Delays()
    assert (delays.last_s, delays.worst_s(5.0), sum(delays.counts)) == (None, None, 0)


def test_each_is_counted_at_the_first_bound_that_it_does_not_exceed() -> None:
    delays = Delays()
    for delay_s in (0.0, 0.0005, 0.00051, 10.0, 11.0):
        delays.add(delay_s, 0.0)
    assert (delays.counts[0], delays.counts[1], delays.counts[-2], delays.counts[-1]) == (2, 1, 1, 1)
    assert len(delays.counts) == len(BOUNDS_S) + 1
    assert delays.last_s == 11.0


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20)), max_size=40), st.floats(0, 100))
def test_the_worst_is_that_of_the_window_and_nothing_is_kept_for_longer(
    taken: list[tuple[float, float]], later_s: float
) -> None:
    delays, now, all_of_them = Delays(), 0.0, []
    for pause_s, delay_s in taken:
        now += pause_s
        delays.add(delay_s, now)
        all_of_them.append((now, delay_s))
        late = [delay for at, delay in all_of_them if at >= now - WINDOW_S]
        assert delays.worst_s(now) == max(late)
        assert len(delays._worst) <= len(late)
    now += later_s
    assert delays.worst_s(now) == max((delay for at, delay in all_of_them if at >= now - WINDOW_S), default=None)
    assert sum(delays.counts) == len(taken)
    assert abs(delays.total_s - sum(delay for _, delay in taken)) < 1e-6
