"""Readers by ZeroMQ that are slower than their source: what they get is not old, and nobody else is slowed down.

A source of 200 Hz, and readers that take a frame a second: each time as many frames later as the source writes in one.
How old a frame is, is counted in such turns: a frame of the last one was written since the reader took the one before.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
import zmq

from daosup.core.header import MAGIC, decode_header
from daosup.core.pickled import read_pickled
from daosup.errors import SegmentBusyError
from daosup.shm import Segment
from daosup.shm._native import NEW, TIMEOUT
from daosup.stream.old_frames import OLD_TOPIC
from daosup.stream.receiver import Receiver
from daosup.stream.sender import Messages, Sender
from daosup.stream.sockets import queue_frames
from tests.integration.pumps import Rig, pumps
from tests.meanwhile import repeated
from tests.waiting import wait_until

LOOPBACK = "127.0.0.1"
PERIOD_S = 0.005
#: What the source writes in a second.
TURN_FRAMES = 200
TURNS = 5
#: Without a bound what is taken would be as many turns old as there were. A machine that is too busy to refill a queue
#: within a ms gives an older frame now and then.
MOST_TURNS = 2
SIZES = {"560 B": (280,), "64 kB": (32768,), "1 MB": (524288,)}


@contextlib.contextmanager
def source(folder: Path, shape: tuple[int, ...]) -> Iterator[Segment]:
    with Segment.create(folder / "slow_source.im.shm", shape, "uint16") as segment:
        try:
            yield segment
        finally:
            segment.unlink()


def written(segment: Segment) -> contextlib.AbstractContextManager[None]:
    """Frames that begin with their counter, 200 a second."""
    frame = np.zeros(segment.shape, segment.dtype)

    def write() -> None:
        frame[0] = segment.counter + 1
        segment.write(frame)

    return repeated(write, PERIOD_S)


@contextlib.contextmanager
def published(path: str) -> Iterator[Sender]:
    """Frames of a segment go out meanwhile, and readers are heard, as in a publisher."""
    ending = threading.Event()

    def publish() -> None:
        while not ending.is_set():
            sender.hear()
            with contextlib.suppress(SegmentBusyError):
                segment.window.send_frames(
                    sender.address, header, 9, 0.02, 0.5, time.monotonic() + 0.05, *sender.old_readers.ends
                )

    with Segment.open(path, writable=False) as segment:
        sender = Sender(LOOPBACK, [0], segment.geometry.frame_bytes)
        sender.old_readers.follow(segment.geometry)
        header = Messages(segment, 1).header
        thread = threading.Thread(target=publish, name="publisher")
        thread.start()
        try:
            yield sender
        finally:
            ending.set()
            thread.join()
            sender.close()


@contextlib.contextmanager
def plain_reader(port: int, topic: bytes) -> Iterator[zmq.Socket[bytes]]:
    """One that takes one after the other; between it and the sender there is room for less than a large frame."""
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.setsockopt(zmq.LINGER, 0)
        reader.setsockopt(zmq.RCVHWM, 1)
        reader.setsockopt(zmq.RCVBUF, 65536)
        reader.setsockopt(zmq.RCVTIMEO, 20_000)
        reader.setsockopt(zmq.SUBSCRIBE, topic)
        reader.connect(f"tcp://{LOOPBACK}:{port}")
        yield reader


def ages(segment: Segment, take: Callable[[], int], turns: int = TURNS) -> list[int]:
    """How many turns old what is taken is, turn by turn; ``take`` returns a frame's counter."""
    seen: list[int] = [segment.counter]
    found = []
    for _ in range(turns):
        wait_until(lambda: segment.counter >= seen[-1] + TURN_FRAMES, 10.0, "a second's frames")
        counter = take()
        found.append(sum(newest > counter for newest in seen) + 1)
        seen.append(segment.counter)
    return found


@pytest.mark.parametrize("shape", SIZES.values(), ids=SIZES)
def test_a_reader_of_ours_gets_frames_of_its_last_turn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with source(tmp_path, shape) as segment, published(segment.path) as sender:
        receiver = Receiver(f"tcp://{LOOPBACK}:{sender.port}", lambda message: None)

        def take() -> int:
            return decode_header(wait_until(receiver.receive, what="a frame")).counter

        try:
            wait_until(lambda: sender.reader_count == 1, what="the reader")
            with written(segment):
                assert statistics.median(ages(segment, take)) <= MOST_TURNS
        finally:
            receiver.close()


@pytest.mark.parametrize("shape", SIZES.values(), ids=SIZES)
def test_so_does_a_mirror_whose_process_gets_a_turn_now_and_then(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with source(tmp_path, shape) as segment, published(segment.path) as sender, pumps(tmp_path, shape) as rig:
        header = Messages(segment, 1).header
        receiver = Receiver(f"tcp://{LOOPBACK}:{sender.port}", lambda message: None)

        def take() -> int:
            _, message = rig.window.take_frames(receiver.address, header[:16], header[56:64], 0, 0.0)
            assert message is not None  # none of them is frame 0
            return decode_header(message).counter

        try:
            wait_until(lambda: sender.reader_count == 1, what="the reader")
            with written(segment):
                assert statistics.median(ages(segment, take)) <= MOST_TURNS
        finally:
            receiver.close()


#: Of a reader that takes one after the other: one in its queue, one that has arrived and does not fit there, and one of
#: which the kernel and libzmq have parts at both ends.
ON_ITS_WAY = 3


@pytest.mark.parametrize("topic", [MAGIC, OLD_TOPIC], ids=["ours", "old"])
def test_for_a_reader_that_takes_one_after_the_other_two_frames_wait(tmp_path: Path, topic: bytes) -> None:
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(source(tmp_path, SIZES["1 MB"]))
        sender = stack.enter_context(published(segment.path))
        reader = stack.enter_context(plain_reader(sender.port, topic))
        stack.enter_context(written(segment))

        def take() -> int:
            message = reader.recv_multipart()[-1]
            if topic == MAGIC:
                return decode_header(message).counter
            return int(np.frombuffer(read_pickled(message).elements, "uint16", 1)[0])

        assert queue_frames(segment.geometry.frame_bytes) == 2
        wait_until(lambda: sender.has_readers, what="the reader")
        assert max(ages(segment, take)) <= 2 + ON_ITS_WAY


def write_and_send(rig: Rig, sender: Sender, value: int) -> None:
    rig.write(value)
    while (outcome := rig.window.send_frames(sender.address, rig.outlet.header, 9, 0.0, 0.5, 1e9)) == NEW:
        sender.hear()
    assert outcome == TIMEOUT


def hear_readers(sender: Sender, count: int) -> None:
    def are_there() -> bool:
        sender.hear()
        return sender.reader_count == count

    wait_until(are_there, what=f"{count} readers")


def test_beside_one_that_stands_still_another_gets_each_frame(tmp_path: Path) -> None:
    with pumps(tmp_path, (32768,)) as rig, contextlib.ExitStack() as stack:
        sender = Sender(LOOPBACK, [0], rig.segment.geometry.frame_bytes)
        stack.callback(sender.close)
        stack.enter_context(plain_reader(sender.port, MAGIC))
        hear_readers(sender, 1)
        for value in range(50):  # what there is room for, and more
            write_and_send(rig, sender, value)
        quick = stack.enter_context(plain_reader(sender.port, MAGIC))
        hear_readers(sender, 2)
        for value in range(500):
            write_and_send(rig, sender, value)
            assert decode_header(quick.recv()).counter == rig.segment.counter
        assert rig.window.is_doubtful  # for the one that stands still


def test_a_frame_that_may_not_have_found_room_is_known(tmp_path: Path) -> None:
    with pumps(tmp_path) as rig, contextlib.ExitStack() as stack:
        sender = Sender(LOOPBACK, [0], 1 << 20)
        stack.callback(sender.close)
        write_and_send(rig, sender, 1)
        assert not rig.window.is_doubtful  # nobody is there
        rig.near.setsockopt(zmq.SNDHWM, 2)  # says how much room there is; the wire itself has any
        rig.write(2)
        assert rig.outlet.send() == TIMEOUT
        assert not rig.window.is_doubtful
        rig.write(3)
        assert rig.outlet.send() == TIMEOUT
        assert rig.window.is_doubtful  # half of it is taken
        assert len(rig.arrived()) == 2
        rig.write(4)
        assert rig.outlet.send() == TIMEOUT
        assert not rig.window.is_doubtful
