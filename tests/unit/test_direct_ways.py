"""What direct readers may choose: at most so many frames a second, or every one; and that both ends show they live."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np
import pytest

from daosup.shm import Segment
from daosup.shm._native import WOKEN, DirectSender
from daosup.shm.making import unlink_segment
from tests.integration.direct_links import ANSWER, BYE, DESCRIBE, FRAME, HEARTBEAT, Links, links, message
from tests.integration.pumps import SEMAPHORE, Outlet, Rig, filled, pumps
from tests.waiting import wait_until

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000
SMALL_BUFFER = 1 << 17
BIG = (2048, 1536)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def line(rig: Rig) -> Iterator[Links]:
    with links() as made:
        made.begin(rig.segment.geometry.frame_bytes)
        yield made


def send(rig: Rig, line: Links, segment: Optional[Segment] = None, seconds: float = 5.0) -> int:
    source = segment or rig.segment
    return source.window.send_frames(
        int(rig.near.underlying), Outlet(source, rig.near).header, SEMAPHORE, 0.0, 1.0, time.monotonic() + seconds,
        direct=line.sender, has_zmq=False,
    )  # fmt: skip


def test_what_is_sent_just_before_the_publisher_looks_around_is_not_called_skipped(rig: Rig, line: Links) -> None:
    reader = line.add()
    reader.next(DESCRIBE)
    for value in range(1, 21):
        rig.write(value)
        send(rig, line, seconds=0.0)
        assert reader.next(FRAME).cnt0 == value
    assert (rig.window.sent, rig.window.sequence, rig.window.skipped, rig.window.gaps) == (20, 20, 0, 0)


def test_a_word_whose_post_was_taken_for_a_frame_s_is_heard(rig: Rig, line: Links) -> None:
    reader = line.add()
    reader.next(DESCRIBE)
    rig.write(1)
    rig.window.kick(SEMAPHORE)
    assert rig.window.send_frames(
        int(rig.near.underlying), Outlet(rig.segment, rig.near).header, SEMAPHORE, 60.0, 1.0, time.monotonic() + 60,
        direct=line.sender, has_zmq=False,
    ) == WOKEN  # fmt: skip
    assert reader.next(FRAME).cnt0 == 1


def test_with_a_rate_frames_in_between_are_neither_sent_nor_called_skipped(rig: Rig, line: Links) -> None:
    displayed = line.add(min_period_ns=SECOND_NS * 1000)
    displayed.next(DESCRIBE)
    for value in range(1, 21):
        rig.write(value)
        send(rig, line)
    assert displayed.next(FRAME).cnt0 == 1
    assert not displayed.has_more()
    assert (rig.window.sent, rig.window.sequence, rig.window.skipped) == (20, 1, 0)


def test_with_a_rate_the_first_frame_of_a_segment_made_anew_comes_at_once(rig: Rig, line: Links) -> None:
    displayed = line.add(min_period_ns=SECOND_NS * 1000)
    displayed.next(DESCRIBE)
    for value in (1, 2):
        rig.write(value)
        send(rig, line)
    assert displayed.next(FRAME).cnt0 == 1
    line.begin(rig.segment.geometry.frame_bytes, b"two")
    rig.write(3)
    send(rig, line)
    assert displayed.next(DESCRIBE).payload == b"two"
    assert displayed.next(FRAME).cnt0 == 3
    rig.write(4)
    send(rig, line)
    assert not displayed.has_more()


def test_the_last_frame_comes_when_it_is_due_though_no_other_follows(rig: Rig, line: Links) -> None:
    far = line.add(min_period_ns=SECOND_NS // 20)
    far.next(DESCRIBE)
    began = time.monotonic()
    for value in (1, 2, 3):
        rig.write(value)
        send(rig, line)
    wait_until(lambda: (send(rig, line), line.sender.tend(), far.has_more())[2], what="the first frame")
    counters = [far.next(FRAME).cnt0]
    while counters[-1] < 3:
        wait_until(lambda: (send(rig, line), far.has_more())[1], what="the last frame")
        found = far.next(FRAME)
        counters.append(found.cnt0)
    assert time.monotonic() - began >= (len(counters) - 1) / 20 - 0.001
    assert len(counters) + found.dropped == 3


def test_whoever_wants_every_frame_gets_those_that_waited_too(tmp_path: Path) -> None:
    with pumps(tmp_path, BIG) as rig, links() as line:
        line.begin(rig.segment.geometry.frame_bytes)
        recorder = line.add(ring_frames=4, receive_buffer_bytes=SMALL_BUFFER)
        for value in range(1, 9):
            rig.write(value)
            send(rig, line)
        assert rig.window.sequence == 8
        recorder.next(DESCRIBE)
        found = [recorder.next(FRAME) for _ in range(5)]
        assert [frame.cnt0 for frame in found] == [1, 2, 3, 4, 5]  # one on its way, and four in the ring
        assert all(frame.frame == filled(rig.segment, frame.cnt0) for frame in found)
        wait_until(lambda: not line.sender.readers()[0][4], what="it to have all")
        rig.write(9)
        send(rig, line)
        after = recorder.next(FRAME)
        assert (after.cnt0, after.dropped, after.seq) == (9, 3, 6)
        assert line.sender.readers()[0][1:3] == (6, 3)


@pytest.mark.parametrize("before", [16, 1 << 30], ids=["smaller", "larger"])
def test_a_ring_holds_as_much_as_frames_of_a_segment_made_anew_are_large(tmp_path: Path, before: int) -> None:
    kept = 10
    with pumps(tmp_path, BIG) as rig, links() as line:
        line.begin(before)
        recorder = line.add(ring_frames=1000, receive_buffer_bytes=SMALL_BUFFER)
        line.begin(rig.segment.geometry.frame_bytes, b"two")  # of 6 MB
        for value in range(1, kept + 5):
            rig.write(value)
            send(rig, line, seconds=0.0)
        assert [recorder.next(DESCRIBE).payload for _ in range(2)] == [b"one", b"two"]
        found = [recorder.next(FRAME).cnt0 for _ in range(kept + 1)]
        assert found == list(range(1, kept + 2))  # one on its way, and 64 MB in the ring
        wait_until(lambda: not line.sender.readers()[0][4], what="it to have all")
        rig.write(kept + 5)
        send(rig, line, seconds=0.0)
        assert (recorder.next(FRAME).cnt0, line.sender.readers()[0][2]) == (kept + 5, 3)


def test_whoever_wants_every_frame_of_a_source_that_rests_gets_the_one_there_is(rig: Rig, line: Links) -> None:
    line.add()
    rig.write(1)
    send(rig, line)
    recorder = line.add(ring_frames=4)
    recorder.next(DESCRIBE)
    assert recorder.next(FRAME).cnt0 == 1
    rig.write(2)
    send(rig, line)
    after = recorder.next(FRAME)
    assert (after.cnt0, after.dropped) == (2, 0)


def test_of_a_fifo_the_slots_that_were_written_meanwhile_are_sent_too(rig: Rig, tmp_path: Path, line: Links) -> None:
    path = tmp_path / "deep.im.shm"
    with Segment.create(path, (16,), "uint16", depth=8) as deep:
        line.begin(deep.geometry.frame_bytes)
        every, newest = line.add(ring_frames=16), line.add()
        deep.write(np.full(16, 1, "uint16"))
        send(rig, line, deep)
        for value in range(2, 8):
            deep.write(np.full(16, value, "uint16"))
        send(rig, line, deep)
        for value in range(8, 28):
            deep.write(np.full(16, value, "uint16"))
        send(rig, line, deep)
        every.next(DESCRIBE)
        counters = []
        while not counters or counters[-1] < 27:
            found = every.next(FRAME)
            assert np.frombuffer(found.frame, "uint16").tolist() == [found.cnt0] * 16
            counters.append(found.cnt0)
        assert counters == [*range(1, 8), *range(21, 28)]
        assert found.dropped == 13
        newest.next(DESCRIBE)
        assert newest.next(FRAME).cnt0 == 1
    unlink_segment(path)


def test_rings_go_out_before_a_segment_made_anew_is_described(tmp_path: Path) -> None:
    with pumps(tmp_path, BIG) as rig, links() as line:
        line.begin(rig.segment.geometry.frame_bytes)
        recorder = line.add(ring_frames=2, receive_buffer_bytes=SMALL_BUFFER)
        for value in range(1, 6):
            rig.write(value)
            send(rig, line)
        line.begin(rig.segment.geometry.frame_bytes, b"two")
        assert recorder.next(DESCRIBE).payload == b"one"
        assert [recorder.next(FRAME).cnt0 for _ in range(3)] == [1, 2, 3]
        assert recorder.next(DESCRIBE).payload == b"two"
        wait_until(lambda: not line.sender.readers()[0][4], what="it to have all")
        send(rig, line)
        assert recorder.next(FRAME).dropped == 2  # of the opening before: 4 and 5


def test_both_at_once_or_without_bounds_is_refused(rig: Rig, line: Links) -> None:
    near, _ = line.connect()
    with near:
        for ways in ((1, 1), (-1, 0), (0, -1), (0, 1 << 20), (HOUR_NS, 0)):
            with pytest.raises(ValueError, match="not both"):
                line.sender.add(near.fileno(), True, *ways)
    with pytest.raises(OSError, match="socket"):
        line.sender.add(0, True)


def test_who_has_nothing_to_say_sends_a_heartbeat_and_who_is_not_heard_is_dropped(rig: Rig, line: Links) -> None:
    still, lively = line.add(), line.add()
    for far in (still, lively):
        far.next(DESCRIBE)
    said: list[tuple[int, int, bytes]] = []
    began = time.monotonic()

    def is_over() -> bool:
        lively.connection.sendall(message(HEARTBEAT))
        said.extend(line.sender.tend())
        return bool(said)

    wait_until(is_over, 20.0, "the silent one to be dropped")
    assert time.monotonic() - began > 3.9
    assert said == [(still.id, 0, b"was silent for 4 s")]
    beats = 0
    while (found := still.message()) is not None:
        assert (found.type, found.payload) == (HEARTBEAT, b"")
        beats += 1
    assert beats >= 3
    assert line.sender.count == 1


def test_whoever_is_left_when_it_closes_is_told_goodbye() -> None:
    with links() as line:
        far = line.add()
        line.sender.close()
        found = far.message()
        assert found is not None
        assert found.type == BYE
        assert far.message() is None
        assert (line.sender.count, line.sender.fd) == (0, -1)
        for call in (line.sender.tend, line.sender.readers, lambda: line.sender.add(0, True)):
            with pytest.raises(ValueError, match="closed"):
                call()
        line.sender.close()


def test_one_that_is_forgotten_closes_its_connections() -> None:
    near, far = socket.socketpair()
    with far:
        sender = DirectSender()
        sender.add(near.detach(), True)
        del sender
        assert far.recv(1000) == message(BYE)
        assert far.recv(1000) == b""


def test_an_answer_goes_to_the_one_who_asked_and_no_more_than_a_few_wait(tmp_path: Path) -> None:
    with pumps(tmp_path, BIG) as rig, links() as line:
        line.begin(rig.segment.geometry.frame_bytes)
        asking, other = line.add(receive_buffer_bytes=SMALL_BUFFER), line.add()
        assert line.sender.answer(asking.id, message(ANSWER, b"at once"))
        asking.next(DESCRIBE)
        assert asking.next(ANSWER).payload == b"at once"
        rig.write(1)
        send(rig, line)
        texts = [b"%d" % number for number in range(10)]
        told = [line.sender.answer(asking.id, message(ANSWER, text)) for text in texts]
        assert told == [True] * 8 + [False] * 2
        assert asking.next(FRAME).cnt0 == 1
        assert [asking.next(ANSWER).payload for _ in range(8)] == texts[:8]
        assert not line.sender.answer(77, message(ANSWER))
        other.next(DESCRIBE)
        assert other.next(FRAME).cnt0 == 1
