"""From a socket to a segment without Python: just the frames expected are written, all else is handed over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daosup.core.header import HEADER_BYTES, MAGIC, Kind, decode_header
from daosup.shm import Segment
from daosup.shm._native import NEW, OTHER, TIMEOUT
from tests.integration.pumps import NAME, WAIT_MS, Inlet, Rig, filled, pumps
from tests.semaphores_seen import values
from tests.waiting import wait_until


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_the_frames_expected_are_written_with_all_that_belongs_to_them(rig: Rig) -> None:
    for counter in range(5, 10):
        assert rig.offer(counter, rig.message(counter)) == (NEW, None)
        assert rig.segment.read().tobytes() == filled(rig.segment, counter)
        assert rig.segment.stamp[:3] == (counter - 4, counter + 1000, counter + 2000)
        assert rig.window.taken == counter - 4
    assert values(NAME) == [1] * 11


def test_they_flow_one_after_the_other(rig: Rig, aside: ThreadPoolExecutor) -> None:
    def follow() -> None:
        while rig.segment.counter < 300:
            rig.inlet.take_for_a_turn()

    following = aside.submit(follow)
    for counter in range(1, 301):
        rig.near.send(rig.message(counter))
        wait_until(lambda: rig.segment.counter == counter or following.done(), what="the frame")  # noqa: B023
        assert rig.segment.read().tobytes() == filled(rig.segment, counter)
    following.result()
    assert rig.window.taken == 300


def test_it_ends_when_nothing_comes(rig: Rig) -> None:
    began = time.monotonic()
    assert rig.inlet.take(1) == (TIMEOUT, None)
    assert WAIT_MS / 1000 <= time.monotonic() - began < 2.0


def test_it_ends_after_its_time_though_frames_go_on(rig: Rig, aside: ThreadPoolExecutor) -> None:
    until_s = time.monotonic() + 0.3
    taking = aside.submit(lambda: (rig.inlet.take(1, until_s), time.monotonic()))
    counter = 0
    while not taking.done():
        counter += 1
        rig.near.send(rig.message(counter))
        wait_until(lambda: taking.done() or rig.window.counter() == counter, what="the frame")  # noqa: B023
    outcome, ended = taking.result()
    assert outcome == (NEW, None)
    assert until_s <= ended < until_s + 0.5
    assert rig.window.taken in (counter - 1, counter)


def hostile(rig: Rig) -> dict[str, bytes]:
    """What is not frame 5 of the stream, by what is wrong with it."""
    good = rig.message(5)
    return {
        "nothing": b"",
        "the topic": MAGIC,
        "a header": good[:HEADER_BYTES],
        "a byte too short": good[:-1],
        "a byte too long": good + b"x",
        "noise": MAGIC + os.urandom(len(good) - 4),
        "another magic": b"DAO3" + good[4:],
        "another version": good[:4] + b"\x03" + good[5:],
        "a gap": rig.message(6),
        "a repeat": rig.message(4),
        "another epoch": rig.message(5, epoch=8),
        "another kind": rig.message(5, kind=Kind.DESCRIBE),
        "another flag": rig.message(5, flags=2),
        "another layout": rig.message(5, layout_id=1),
        "another size": rig.message(5, payload_bytes=1),
        "a counter that cannot be": good[:24] + b"\xff" * 8 + good[32:],
    }


def test_whatever_else_comes_is_handed_over_and_nothing_is_written(rig: Rig) -> None:
    rig.write(1)
    before = Path(rig.segment.path).read_bytes()
    for what, message in hostile(rig).items():
        assert rig.offer(5, message) == (OTHER, message), what
        assert Path(rig.segment.path).read_bytes() == before, what
    assert rig.window.taken == 0
    assert rig.offer(5, rig.message(5)) == (NEW, None)


@pytest.mark.parametrize("count", [2, 5])
def test_of_what_has_arrived_the_newest_is_taken(rig: Rig, count: int) -> None:
    for counter in range(1, count + 1):
        rig.near.send(rig.message(counter))
    assert rig.inlet.take(count) == (TIMEOUT, None)
    assert (rig.window.taken, rig.window.passed_over) == (1, 0)  # none of them was newer than what was there
    assert rig.segment.read().tobytes() == filled(rig.segment, count)


def test_if_frames_were_passed_over_there_is_a_gap_which_is_not_its_to_judge(rig: Rig) -> None:
    for counter in (1, 2, 3):
        rig.near.send(rig.message(counter))
    assert rig.inlet.take(1) == (OTHER, rig.message(3))
    assert (rig.window.taken, rig.window.passed_over) == (0, 2)
    assert rig.segment.counter == 0
    assert not rig.arrived()


def test_what_was_lost_on_the_way_was_not_passed_over(rig: Rig) -> None:
    for counter in (1, 5, 5, 8):
        rig.near.send(rig.message(counter))
    assert rig.inlet.take(1) == (OTHER, rig.message(8))
    assert rig.window.passed_over == 2


def test_however_many_have_arrived_one_is_taken_now_and_then(tmp_path: Path) -> None:
    with pumps(tmp_path, (1,)) as rig:
        message = rig.message(1)
        for _ in range(400_000):  # more than can be passed over in the time that may take
            rig.near.send(message)
        assert rig.inlet.take(1, 0.0) == (NEW, None)
        assert rig.window.taken == 1
        assert rig.far.poll(0)


def test_what_is_no_frame_is_never_passed_over(rig: Rig) -> None:
    description = rig.message(2, kind=Kind.DESCRIBE)
    for message in (rig.message(1), description, rig.message(3)):
        rig.near.send(message)
    assert rig.inlet.take(1) == (OTHER, description)
    assert [decode_header(message).counter for message in rig.arrived()] == [3]


def test_a_segment_that_is_open_for_reading_is_not_written(rig: Rig) -> None:
    with Segment.open(rig.segment.path, writable=False) as reader, pytest.raises(PermissionError, match="reading only"):
        Inlet(reader, rig.far).take(1)
