"""Which part of a frame a reader gets: only what is wholly there, and why not."""

from __future__ import annotations

import pytest

from daosup.core.cutting import Axis, cut_axes, cut_geometry
from daosup.core.delivery import Delivery
from daosup.core.layout import Layout, make_geometry
from daosup.errors import UsageError

CAMERA = (480, 640)


def cut(*words: str, shape: tuple[int, ...] = CAMERA) -> tuple[Axis, ...]:
    return cut_axes(Delivery.parse(list(words)), shape)


def test_a_part_is_cut_out_of_each_axis() -> None:
    assert cut("roi=0:64,10:20") == (Axis(480, 0, 64, 1), Axis(640, 10, 10, 1))
    assert cut("stride=2,3") == (Axis(480, 0, 240, 2), Axis(640, 0, 214, 3))
    assert cut("roi=1:480,639:640", "stride=4,100") == (Axis(480, 1, 120, 4), Axis(640, 639, 1, 100))
    assert cut("roi=5:9", shape=(9,)) == (Axis(9, 5, 4, 1),)


def test_without_either_all_of_it_is() -> None:
    assert cut() == (Axis(480, 0, 480, 1), Axis(640, 0, 640, 1))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["roi=0:481,0:640"], "roi 0:481,0:640 is outside of the frame, which is 480x640"),
        (["roi=480:481,0:1"], "roi 480:481,0:1 is outside of the frame, which is 480x640"),
        (["roi=0:64"], "roi is of 1 axes, but the frame is 480x640"),
        (["roi=0:1,0:1,0:1"], "roi is of 3 axes, but the frame is 480x640"),
        (["stride=2"], "stride is of 1 axes, but the frame is 480x640"),
        (["roi=0:8,0:8", "stride=2,2,2"], "stride is of 3 axes, but the frame is 480x640"),
    ],
)
def test_what_is_not_wholly_there_is_not_cut(words: list[str], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        cut(*words)
    assert str(refused.value) == why


def test_a_mirror_of_parts_is_like_its_source_but_for_the_shape() -> None:
    source = make_geometry(CAMERA, "uint16", layout=Layout.FIFO, depth=4, keyword_count=3)
    assert cut_geometry(Delivery.parse(["roi=0:64,0:32", "stride=2,2"]), source) == make_geometry(
        (32, 16), "uint16", layout=Layout.FIFO, depth=4, keyword_count=3
    )
