"""A segment's semaphores: their names, their number, who posts them and how high."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daosup.shm import Segment
from tests.segment_files import old_bytes
from tests.semaphores_seen import NAMES, value, values

FRAME = np.zeros(3, "uint8")
SHM = Path("/dev/shm")


@pytest.fixture
def segment(segment_path: Path) -> Iterator[Segment]:
    with Segment.create(segment_path, (3,), "uint8") as made:
        yield made


def test_creating_a_segment_makes_eleven_at_zero(segment: Segment) -> None:
    assert sorted(path.name for path in SHM.glob("sem.seg_*")) == sorted(f"sem.seg_{name}" for name in NAMES)
    assert values("seg") == [0] * 11


def test_a_write_posts_all_and_never_above_one(segment: Segment) -> None:
    for _ in range(3):
        segment.write(FRAME)
        assert values("seg") == [1] * 11


def test_a_waiter_takes_only_its_own(segment: Segment) -> None:
    segment.write(FRAME)
    counter = segment.counter
    with pytest.raises(TimeoutError):
        segment.wait(counter, 0.0, semaphore=9)
    assert values("seg") == [1] * 9 + [0, 1]


def test_a_frame_that_is_there_costs_no_post(segment: Segment) -> None:
    segment.write(FRAME)
    assert segment.wait(0, 0.0, semaphore=3) == 1
    assert value("seg_sem03") == 1


def test_opening_makes_none_and_the_first_write_does(segment_path: Path) -> None:
    segment_path.write_bytes(old_bytes((3,), "uint8"))
    with Segment.open(segment_path, writable=True) as segment:
        segment.read()
        with pytest.raises(TimeoutError):
            segment.wait(0, 0.0)
        assert not list(SHM.glob("sem.seg_*"))
        segment.write(FRAME)
    assert values("seg") == [1] * 11


@pytest.mark.parametrize(
    ("file", "base"),
    [("cam.im.shm", "cam"), ("cam.red.im.shm", "cam"), ("a b-c_0.im.shm", "a b-c_0"), ("plain", "plain")],
)
def test_they_are_called_after_the_file_up_to_its_first_dot(tmp_path: Path, file: str, base: str) -> None:
    with Segment.create(tmp_path / file, (3,), "uint8") as segment:
        segment.write(FRAME)
        assert values(base) == [1] * 11
        segment.unlink()
    assert not list(SHM.glob("sem.*"))


def test_one_name_in_two_folders_is_one_set(segment: Segment, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Segment.create(tmp_path / "other" / "seg.im.shm", (3,), "uint8") as other:
        other.write(FRAME)
    assert values("seg") == [1] * 11
    # The other segment's post is not a frame of this one.
    with pytest.raises(TimeoutError):
        segment.wait(0, 0.01)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_their_mode_is_as_asked_whatever_the_umask(segment_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        Segment.create(segment_path, (3,), "uint8", semaphore_mode=mode).close()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in SHM.glob("sem.seg_*")} == {mode}


def test_missing_ones_are_made_and_those_that_are_there_are_kept(segment: Segment, segment_path: Path) -> None:
    segment.write(FRAME)
    (SHM / "sem.seg_sem04").unlink()
    inode = (SHM / "sem.seg_sem05").stat().st_ino
    with Segment.open(segment_path, writable=True) as other:
        other.create_semaphores()
    assert values("seg") == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]
    assert (SHM / "sem.seg_sem05").stat().st_ino == inode


@pytest.mark.parametrize("count", [0, 5])
def test_a_waiter_without_a_semaphore_of_its_own_leaves_the_log_one_alone(segment_path: Path, count: int) -> None:
    raw = bytearray(old_bytes((3,), "uint8"))
    struct.pack_into("<H", raw, 148, count)
    segment_path.write_bytes(raw)
    with Segment.open(segment_path, writable=True) as segment:
        segment.write(FRAME)
        assert len(list(SHM.glob("sem.seg_*"))) == count + 1
        assert value("seg_semlog") == 1
        for index in (count, 9, -1):
            with pytest.raises(TimeoutError):
                segment.wait(1, 0.0, semaphore=index)
            assert not segment.window.kick(index)
        assert value("seg_semlog") == 1


def test_a_kick_wakes_without_a_frame(segment: Segment) -> None:
    assert segment.window.kick(9)
    assert value("seg_sem09") == 1
    with pytest.raises(TimeoutError):
        segment.wait(0, 0.01, semaphore=9)
    assert values("seg") == [0] * 11
