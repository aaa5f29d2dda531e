"""A segment's newest frame, seen without mapping it."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daosup.core.layout import Layout, make_geometry
from daosup.errors import SegmentError, SegmentNotFoundError
from daosup.shm import Segment
from daosup.shm.glance import Glance, facts_between, glance, glance_or_none, rate_hz
from tests.segment_files import old_bytes


@pytest.mark.parametrize(("layout", "depth"), [("v0", 1), ("semreg", 1), ("fifo", 1), ("fifo", 3)])
def test_it_is_the_newest_frames_counter_and_time(segment_path: Path, layout: str, depth: int) -> None:
    segment_path.write_bytes(old_bytes((4,), "uint8", layout=layout, depth=depth))
    assert (glance(str(segment_path)).counter, glance(str(segment_path)).write_time_ns) == (0, 0)
    with Segment.open(segment_path, writable=True) as segment:
        for number in range(1, 6):
            segment.write(np.zeros(4, "uint8"))
            seen = glance(str(segment_path))
            assert (seen.counter, seen.write_time_ns) == (number, segment.stamp.time_ns)
        assert seen.geometry == segment.geometry
        segment.unlink()


def test_an_index_that_nobody_stores_is_no_trouble(segment_path: Path) -> None:
    spoilt = bytearray(old_bytes((4,), "uint8", depth=3))
    struct.pack_into("<I", spoilt, 4300, 2**32 - 1)
    segment_path.write_bytes(spoilt)
    assert glance(str(segment_path)).counter == 0


def test_what_is_no_segment_is_told(tmp_path: Path) -> None:
    with pytest.raises(SegmentNotFoundError):
        glance(str(tmp_path / "none"))
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(SegmentError):
        glance(str(tmp_path / "short"))
    assert glance_or_none(str(tmp_path / "short")) is None
    assert set(facts_between(None, None).values()) == {None}


def a_glance(counter: int, write_s: float, seen_s: float) -> Glance:
    geometry = make_geometry((4,), "uint8", layout=Layout.FIFO)
    return Glance(geometry, (1, 2, b""), "ao", counter, int(write_s * 1e9), seen_s)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ((10, 100.0, 5.0), (510, 101.0, 6.0), 500.0),
        ((10, 100.0, 5.0), (10, 100.0, 6.0), 0.0),
        ((10, 99.1, 5.0), (11, 100.1, 5.5), 1.0),  # a slow one: its frames' times tell it
        ((10, 0.0, 5.0), (60, 3600.0, 5.5), 98.0),  # it stood still for long before: their number tells it
        ((10, 100.0, 5.0), (60, 90.0, 5.5), 100.0),  # a clock was set back
        ((510, 100.0, 5.0), (3, 101.0, 6.0), 0.0),  # counted from the beginning
    ],
)
def test_the_rate_is_that_of_the_frames(
    before: tuple[int, float, float], after: tuple[int, float, float], found: float
) -> None:
    assert rate_hz(a_glance(*before), a_glance(*after)) == pytest.approx(found)


def test_a_segment_made_anew_has_no_rate_yet() -> None:
    before, after = a_glance(10, 100.0, 5.0), a_glance(510, 101.0, 6.0)
    assert rate_hz(before, replace(after, identity=(1, 3, b""))) == 0.0


def test_ages_are_told_from_now() -> None:
    seen = a_glance(10, time.time() - 2.0, 5.0)
    told = facts_between(None, seen)
    assert told["age_s"] == pytest.approx(2.0, abs=1.0)
    assert (told["rate_hz"], told["shape"], told["user"]) == (None, [4], "ao")
