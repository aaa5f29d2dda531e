"""A frame as `daosupctl view` shows it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from daosup.ctl.ink import Ink, width_of
from daosup.ctl.picture import Scale
from daosup.ctl.seen import Rate, Seen, facts_line, flattened, pixels, statistics_of
from daosup.ctl.tables import Style
from daosup.ctl.watching import Shot

PLAIN = Style(False)
FRAME = np.arange(12 * 9, dtype="f4").reshape(12, 9)


def shot(frame: Any = FRAME, **facts: Any) -> Shot:
    return Shot("rts:wfs", 7, np.asarray(frame), time_ns=time.time_ns() - 2_000_000_000, **facts)


def lines(seen: Seen, of: Any = None, rate_hz: Any = 500.0, trouble: str = "", size: Any = (80, 24)) -> list[str]:
    return seen.lines(of or shot(), rate_hz, trouble, size, Ink.UNICODE, PLAIN)


def test_the_screen_is_full_and_no_wider() -> None:
    for size in ((80, 24), (160, 50), (20, 6)):
        drawn = lines(Seen(), size=size)
        assert len(drawn) == size[1]
        assert all(width_of(line) <= size[0] for line in drawn[2:])
    assert lines(Seen())[0].startswith("rts:wfs  12x9 float32  frame 7  500 Hz  2 s old")
    assert lines(Seen())[1] == "min 0  max 107  mean 53.5  std 31.1756"
    assert lines(Seen())[-2] == "scale 0 to 107"
    assert len(lines(Seen())[-1]) <= 80


def test_there_is_room_for_nothing_but_words_on_a_small_terminal() -> None:
    assert len(lines(Seen(), size=(10, 3))) == 4


def test_keys_change_the_scale() -> None:
    seen = Seen()
    values = np.array([0.0, 100.0])
    seen.press("+")
    assert seen.scale(values) == Scale(0.0, 80.0)
    seen.press("-")
    seen.press("-")
    assert seen.scale(values) == Scale(0.0, 125.0)
    seen.press("l")
    assert seen.scale(values) == Scale(0.0, 125.0, True)
    seen.press("0")
    assert seen.scale(values) == Scale(0.0, 100.0)
    seen.press("page up")


def test_a_locked_scale_stays_until_it_is_unlocked() -> None:
    seen = Seen()
    seen.press("k")
    assert seen.scale(np.array([0.0, 100.0])) == Scale(0.0, 100.0)
    assert seen.scale(np.array([5.0, 7.0])) == Scale(0.0, 100.0)
    assert "scale 0 to 100, locked" in lines(seen)
    seen.press("k")
    assert seen.scale(np.array([5.0, 7.0])) == Scale(5.0, 7.0)


def test_a_vector_is_bars_as_long_as_it_fits_and_a_key_makes_it_a_trace() -> None:
    few, many = shot(np.arange(20.0)), shot(np.arange(1000.0))
    assert any("█" in line for line in lines(Seen(), few))
    assert not any("█" in line for line in lines(Seen(), many))
    seen = Seen()
    seen.press("t")
    assert not any("█" in line for line in lines(seen, few))
    for column in ((20, 1), (1, 20), (1, 20, 1)):
        assert lines(Seen(), shot(np.arange(20.0).reshape(column)))[3:-2] == lines(Seen(), few)[3:-2]


def test_of_three_axes_one_plane_is_shown() -> None:
    cube = np.stack([np.zeros((4, 5)), np.ones((4, 5)), np.full((4, 5), 2.0)])
    seen = Seen()
    assert lines(seen, shot(cube))[-2] == "scale 0 to 0, plane 0 of 3"
    seen.press("]")
    assert lines(seen, shot(cube))[-2] == "scale 1 to 1, plane 1 of 3"
    seen.press("[")
    seen.press("[")
    assert lines(seen, shot(cube))[-2] == "scale 2 to 2, plane 2 of 3"


def test_trouble_is_told_in_words() -> None:
    assert "link down" in lines(Seen(), shot(has_link=False))[0]
    assert "link" not in lines(Seen(), shot(has_link=True))[0]
    assert lines(Seen(), trouble="it is \033 gone")[0].endswith("it is ? gone")
    assert Seen().lines(None, None, "", (80, 24), Ink.ASCII, PLAIN) == ["no frame yet"]
    assert "never written" in lines(Seen(), Shot("rts:wfs", 0, FRAME))[0]


def test_statistics_are_of_what_is_finite() -> None:
    assert facts_line(np.array([1.0, np.nan, 3.0, np.inf])) == "min 1  max 3  mean 2  std 1  2 not finite"
    assert facts_line(np.array([np.nan])) == "min -  max -  mean -  std -  1 not finite"
    assert statistics_of(np.array([3 + 4j], "c8"))["max"] == 5.0
    assert statistics_of(np.array([2**63], np.uint64))["max"] == 2**63
    assert statistics_of(np.full(9, 3e38, "f4"))["mean"] == pytest.approx(3e38)


def test_flattened_is_an_image_or_a_vector() -> None:
    assert flattened(np.zeros((1, 1)))[0].shape == (1,)
    assert flattened(np.zeros((5, 1)))[0].shape == (5,)
    assert flattened(np.zeros((2, 3, 4)), 5)[0].shape == (3, 4)
    assert flattened(np.array([3 + 4j]))[0].tolist() == [5.0]


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.take(100, 0.0) is None
    assert rate.take(200, 0.2) is None
    assert rate.take(300, 0.4) == pytest.approx(500.0)
    for tick in range(5, 100):
        told = rate.take(300 + 2 * tick, tick * 0.1)
    assert told == pytest.approx(20.0)
    assert rate.take(5, 10.0) is None
    assert rate.take(None, 10.1) is None


@pytest.mark.parametrize(
    ("shape", "size"),
    [((240, 240), (240, 240)), ((11, 11), (253, 253)), ((97, 1), (256, 485)), ((20000,), (256, 8192))],
)
def test_a_picture_for_a_file_is_large_enough_to_be_seen(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    levels, _ = pixels(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape))
    assert (levels.shape, levels.dtype) == (size, np.dtype("uint8"))
