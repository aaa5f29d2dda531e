"""Direct readers that are slow, stand still or die: each gets whole frames or none, and delays nobody."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from daosup.shm import Segment
from daosup.shm._native import TIMEOUT
from daosup.shm.making import unlink_segment
from tests.integration.direct_links import DESCRIBE, FRAME, Far, Links, Message, links
from tests.integration.pumps import SEMAPHORE, Outlet, Rig, filled, pumps
from tests.waiting import wait_until

#: More than a connection takes at once.
BIG = (2048, 1536)
SMALL_BUFFER = 1 << 17
#: For hangs only.
PATIENCE_S = 60.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path, BIG) as made:
        yield made


@pytest.fixture
def line(rig: Rig) -> Iterator[Links]:
    with links() as made:
        made.begin(rig.segment.geometry.frame_bytes)
        yield made


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def send(rig: Rig, line: Links, until_s: float = 1e9) -> int:
    return rig.window.send_frames(
        int(rig.near.underlying), rig.outlet.header, SEMAPHORE, 0.0, 1.0, until_s, direct=line.sender, has_zmq=False
    )


def behind(line: Links) -> list[bool]:
    return [is_behind for *_, is_behind in line.sender.readers()]


def next_frame(rig: Rig, far: Far) -> Message:
    found = far.next(FRAME)
    assert found.frame == filled(rig.segment, found.cnt0)
    return found


def test_large_frames_reach_a_reader_that_keeps_up_whole_and_in_order(
    rig: Rig, line: Links, aside: ThreadPoolExecutor
) -> None:
    far = line.add()
    far.next(DESCRIBE)
    for value in range(1, 9):
        coming = aside.submit(next_frame, rig, far)
        rig.write(value)
        send(rig, line, time.monotonic() + PATIENCE_S)
        assert coming.result(PATIENCE_S).cnt0 == value
    wait_until(lambda: line.sender.readers()[0][1] == 8, what="the last one to be counted")
    assert (rig.window.sequence, rig.window.skipped) == (8, 0)


def test_one_that_stands_still_delays_nobody_and_then_gets_the_newest(
    rig: Rig, line: Links, aside: ThreadPoolExecutor
) -> None:
    still, lively = line.add(receive_buffer_bytes=SMALL_BUFFER), line.add()
    lively.next(DESCRIBE)
    for value in range(1, 6):
        coming = aside.submit(next_frame, rig, lively)
        rig.write(value)
        send(rig, line)
        assert coming.result(PATIENCE_S).cnt0 == value
        wait_until(lambda: behind(line) == [True, False], what="the lively one to be done")
    still.next(DESCRIBE)
    assert next_frame(rig, still).cnt0 == 1
    newest = next_frame(rig, still)
    assert (newest.cnt0, newest.dropped, newest.seq) == (5, 3, 2)
    wait_until(lambda: behind(line) == [False, False], what="it to have all")
    assert [facts[1:3] for facts in line.sender.readers()] == [(2, 3), (5, 0)]
    assert not still.has_more()
    rig.write(6)
    for far in (still, lively):
        coming = aside.submit(next_frame, rig, far)
    send(rig, line)
    assert coming.result(PATIENCE_S).cnt0 == 6


def test_while_all_stand_still_frames_are_left_in_the_segment(rig: Rig, line: Links) -> None:
    fars = [line.add(receive_buffer_bytes=SMALL_BUFFER) for _ in range(2)]
    for value in range(1, 21):
        rig.write(value)
        send(rig, line, time.monotonic())
    assert behind(line) == [True, True]
    for far in fars:
        far.next(DESCRIBE)
        assert next_frame(rig, far).cnt0 <= 2
        wait_until(lambda: not all(behind(line)), what="one to be idle")
        wait_until(lambda: send(rig, line) == TIMEOUT and rig.window.sent == 20, PATIENCE_S, "the newest to be sent")
        last = next_frame(rig, far)
        assert (last.cnt0, last.seq + last.dropped) == (20, 20)


def test_the_rest_of_a_frame_comes_before_the_segment_that_was_made_anew(rig: Rig, line: Links, tmp_path: Path) -> None:
    far = line.add(receive_buffer_bytes=SMALL_BUFFER)
    rig.write(1)
    send(rig, line)
    assert behind(line) == [True]
    path = tmp_path / "anew.im.shm"
    with Segment.create(path, (64, 3), "uint16") as anew:
        line.begin(anew.geometry.frame_bytes, b"two")
        outlet = Outlet(anew, rig.near)
        anew.write(np.full(anew.shape, 7, anew.dtype))
        assert far.next(DESCRIBE).payload == b"one"
        assert next_frame(rig, far).cnt0 == 1
        assert far.next(DESCRIBE).payload == b"two"
        wait_until(lambda: behind(line) == [False], what="it to have all")
        anew.window.send_frames(
            int(rig.near.underlying), outlet.header, SEMAPHORE, 0.0, 1.0, 1e9, direct=line.sender, has_zmq=False
        )
        found = far.next(FRAME)
        assert (found.cnt0, found.dropped, len(found.frame)) == (1, 0, anew.geometry.frame_bytes)
        assert set(found.frame) == {7, 0}
    unlink_segment(path)


def test_a_window_of_another_size_is_refused(rig: Rig, line: Links) -> None:
    line.begin(16)
    with pytest.raises(ValueError, match="begun with frames of 16 bytes"):
        send(rig, line)


def test_one_that_dies_in_the_middle_is_told_of_and_forgotten(rig: Rig, line: Links) -> None:
    dying, other = line.add(receive_buffer_bytes=SMALL_BUFFER), line.add(receive_buffer_bytes=SMALL_BUFFER)
    rig.write(1)
    send(rig, line)
    dying.connection.close()
    said: list[tuple[int, int, bytes]] = []
    wait_until(lambda: said.extend(line.sender.tend()) or said, what="its end")
    assert [(id, kind) for id, kind, _ in said] == [(dying.id, 0)]
    assert line.sender.count == 1
    other.next(DESCRIBE)
    assert next_frame(rig, other).cnt0 == 1


def test_whoever_is_added_while_another_is_behind_gets_the_newest_frame(
    rig: Rig, line: Links, aside: ThreadPoolExecutor
) -> None:
    line.add(receive_buffer_bytes=SMALL_BUFFER)
    rig.write(1)
    send(rig, line)
    late = line.add()
    late.next(DESCRIBE)
    assert next_frame(rig, late).cnt0 == 1


#: With a reader that is behind, so with a finisher, a child ends, one way or the other.
FORKING = """
import os, socket, sys
from pathlib import Path
from tests.integration.direct_links import links
from tests.integration.pumps import SEMAPHORE, pumps

with pumps(Path(sys.argv[1]), (2048, 1536)) as rig, links() as line:
    line.begin(rig.segment.geometry.frame_bytes)
    far = line.add(receive_buffer_bytes=1 << 17)
    rig.write(1)
    rig.window.send_frames(
        int(rig.near.underlying), rig.outlet.header, SEMAPHORE, 0.0, 1.0, 1e9, direct=line.sender, has_zmq=False
    )
    child = os.fork()
    if child == 0:
        try:
            line.sender.tend()
        except RuntimeError as error:
            assert "belongs to the process" in str(error)
            line.sender.close()
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    far.message()
    assert far.message().cnt0 == 1
    assert line.sender.tend() == []
    print("whole")
"""


def test_a_child_that_closes_its_copy_leaves_the_connections_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.stdout, done.returncode) == ("whole\n", 0), done.stderr
