"""Who may spin, and for how long, whatever frames come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daosup.core.spinning import PERIODS, SHORTEST_S, FrameFlow, cpus_to_spin_on

#: As configurations have them.
PERIOD_S = st.integers(1, 100).map(lambda ms: ms / 1000)
#: Between two looks, and how many frames came meanwhile.
LOOK = st.tuples(st.floats(0.0, 0.3), st.integers(0, 1000))


def window_of(period_s: float) -> float:
    return max(SHORTEST_S, PERIODS * period_s)


def looked_at(flow: FrameFlow, frame_s: float, look_s: float, until_s: float, began_s: float = 5.0) -> list[bool]:
    """What it says at each look while a frame comes every ``frame_s``."""
    count = int(until_s / look_s)
    return [flow.is_fast(began_s + i * look_s, int(i * look_s / frame_s)) for i in range(count)]


@given(st.lists(LOOK))
def test_without_a_period_it_never_spins(looks: list[tuple[float, int]]) -> None:
    flow, now, frames = FrameFlow(0.0), 0.0, 0
    for wait_s, more in looks:
        now, frames = now + wait_s, frames + more
        assert not flow.is_fast(now, frames)


@given(PERIOD_S, st.floats(0.1, 0.8), st.floats(0.001, 0.05))
def test_a_fast_stream_is_spun_for_from_the_second_window_on(period_s: float, share: float, look_s: float) -> None:
    # A look must find a frame at least each period, or the stream seems to rest.
    said = looked_at(FrameFlow(period_s), share * period_s, min(look_s, 0.1 * period_s), 2.5 * window_of(period_s))
    assert said[-1]
    assert not said[0]


@given(PERIOD_S, st.floats(1.001, 50.0), st.floats(0.001, 0.3))
def test_a_slower_one_never_is(period_s: float, times: float, look_s: float) -> None:
    assert not any(looked_at(FrameFlow(period_s), times * period_s, look_s, 5 * window_of(period_s)))


@given(PERIOD_S, st.lists(LOOK, min_size=1))
def test_it_ends_with_the_first_look_that_finds_no_frame_for_a_period(
    period_s: float, looks: list[tuple[float, int]]
) -> None:
    flow, now, frames, came_s = FrameFlow(period_s), 0.0, 0, 0.0
    for wait_s, more in looks:
        now, frames = now + wait_s, frames + more
        came_s = now if more else came_s
        is_fast = flow.is_fast(now, frames)
        if now > came_s + period_s:
            assert not is_fast


@given(PERIOD_S, st.lists(LOOK, min_size=1))
def test_of_all_time_what_was_spun_for_had_enough_frames(period_s: float, looks: list[tuple[float, int]]) -> None:
    """Each spin follows a window with a frame each period: so it is paid for, at most one window later."""
    flow, now, frames = FrameFlow(period_s), 0.0, 0
    spun_s, paid_s = 0.0, 0.0
    flow.is_fast(now, frames)
    was_fast = False
    for wait_s, more in looks:
        now, frames = now + wait_s, frames + more
        paid_s += more * period_s
        spun_s += min(wait_s, 0.0 if not was_fast else wait_s)
        assert spun_s <= paid_s + window_of(period_s) + 0.3
        was_fast = flow.is_fast(now, frames)


@given(PERIOD_S, st.integers(0, 50))
def test_one_that_is_counted_anew_begins_anew(period_s: float, frames: int) -> None:
    flow = FrameFlow(period_s)
    assert looked_at(flow, 0.1 * period_s, 0.1 * period_s, 3 * window_of(period_s))[-1]
    assert not flow.is_fast(5.0 + 3 * window_of(period_s), 0)


@pytest.mark.parametrize(
    ("allowed", "present", "wanted"),
    [({3, 1}, 4, [1, 3]), ({0}, 8, [0]), ({0}, 1, []), (set(), 2, [])],
    ids=["its own", "pinned", "the only one", "none"],
)
def test_cpus_to_spin_on(allowed: set[int], present: int, wanted: list[int]) -> None:
    assert cpus_to_spin_on(allowed, present) == wanted
