"""From a segment to a socket without Python: frames are whole, in order, and each one is sent or counted."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zmq

from daosup.core.header import HEADER_BYTES, MAGIC, Kind, decode_header
from daosup.core.pickled import pickled_ends, read_pickled
from daosup.errors import SegmentBusyError
from daosup.shm._native import NEW, TIMEOUT, WOKEN, Window
from daosup.stream.old_frames import OLD_TOPIC
from tests.integration.pumps import EPOCH, NAME, SEMAPHORE, Outlet, Rig, filled, pumps
from tests.semaphores_seen import sleepers, values
from tests.waiting import wait_until


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def counts(window: Window) -> tuple[int, int, int, int]:
    return window.sequence, window.sent, window.skipped, window.gaps


def it_sleeps() -> None:
    wait_until(lambda: sleepers(f"{NAME}_sem{SEMAPHORE:02d}") > 0, what="the pump to sleep")


def test_a_frame_is_sent_whole_with_all_that_belongs_to_it(rig: Rig) -> None:
    rig.window.sequence = 40
    before_ns = time.time_ns()
    for value in (1, 2, 3):
        rig.write(value)
        assert rig.outlet.send() == TIMEOUT
    messages = rig.arrived()
    for value, message in zip((1, 2, 3), messages):
        header = decode_header(message)
        assert (header.kind, header.flags, header.epoch) == (Kind.FRAME, 0, EPOCH)
        assert (header.sequence, header.counter, header.frame_id) == (40 + value, value, 1000 + value)
        assert header.write_time_ns == 2000 + value
        assert before_ns <= header.send_time_ns <= time.time_ns()
        assert message[HEADER_BYTES:] == filled(rig.segment, value)
    assert len(messages) == 3
    assert counts(rig.window) == (43, 3, 0, 0)


def test_a_frame_for_readers_of_the_old_protocol_follows_ours_pickled(rig: Rig) -> None:
    rig.outlet.ends = pickled_ends(rig.segment.geometry)
    for value in (1, 2):
        rig.write(value)
        assert rig.outlet.send() == TIMEOUT
        message = rig.far.recv()
        assert message[HEADER_BYTES:] == filled(rig.segment, value)
        assert not rig.far.getsockopt(zmq.RCVMORE)
        topic, pickled = rig.far.recv_multipart()
        assert topic == OLD_TOPIC
        found = read_pickled(pickled)
        assert bytes(found.elements) == filled(rig.segment, value)
        assert (found.geometry.shape, found.geometry.dtype) == (rig.segment.shape, rig.segment.dtype)
        assert pickled == b"".join((rig.outlet.ends.begin, filled(rig.segment, value), rig.outlet.ends.end))
    assert not rig.arrived()
    assert counts(rig.window) == (2, 2, 0, 0)


def test_what_was_written_meanwhile_is_skipped_and_counted(rig: Rig) -> None:
    for count in (1, 4, 1, 2):
        for _ in range(count):
            rig.write(1)
        assert rig.outlet.send() == TIMEOUT
    assert [decode_header(message).counter for message in rig.arrived()] == [1, 5, 6, 8]
    assert counts(rig.window) == (4, 8, 4, 2)


def test_a_frame_sent_by_other_means_is_counted_as_well(rig: Rig) -> None:
    for value in (1, 2, 3):
        rig.write(value)
    rig.segment.read()
    rig.window.note_sent()
    assert counts(rig.window) == (1, 3, 2, 1)
    assert rig.outlet.send() == TIMEOUT  # their posts, which nobody took, are no news
    assert counts(rig.window) == (1, 3, 2, 1)
    assert not rig.arrived()


def test_a_frame_that_comes_too_late_is_left(rig: Rig) -> None:
    rig.write(1)
    for _ in range(2):
        assert rig.outlet.send(until_s=time.monotonic()) == NEW
    assert not rig.arrived()
    assert counts(rig.window) == (0, 0, 0, 0)
    assert rig.outlet.send() == TIMEOUT
    assert len(rig.arrived()) == 1


def test_a_reader_that_says_something_ends_it_with_the_next_frame_left(rig: Rig, aside: ThreadPoolExecutor) -> None:
    rig.far.send(b"\x01DAO2")
    sending, value = aside.submit(rig.outlet.send, 5.0), 0

    def ends() -> bool:
        nonlocal value
        value += 1
        rig.write(value)
        wait_until(lambda: rig.window.sent == value or sending.done(), what="the frame to be sent, or left")
        return sending.done()

    wait_until(ends, 5.0, "the reader to be noticed")
    assert sending.result() == NEW
    assert counts(rig.window) == (value - 1, value - 1, 0, 0)
    assert rig.near.recv() == b"\x01DAO2"
    assert rig.outlet.send() == TIMEOUT
    assert counts(rig.window) == (value, value, 0, 0)


def test_however_much_readers_say_each_call_sends_a_frame(rig: Rig) -> None:
    for value in range(1, 11):
        rig.far.send(b"\x01DAO2")
        rig.write(value)
        assert rig.outlet.send() == TIMEOUT
        assert rig.window.sent == value


def test_its_rest_begins_anew_with_each_frame(rig: Rig, aside: ThreadPoolExecutor) -> None:
    began = time.monotonic()
    assert rig.outlet.send(0.05) == TIMEOUT
    assert 0.05 <= time.monotonic() - began < 1.0
    sending = aside.submit(lambda: (rig.outlet.send(0.3), time.monotonic()))
    for value in range(1, 6):
        it_sleeps()
        written = time.monotonic()
        rig.write(value)
        wait_until(lambda: rig.window.sequence == value, what="the frame to be sent")  # noqa: B023
    outcome, ended = sending.result()
    assert outcome == TIMEOUT
    assert 0.3 <= ended - written < 1.5


def test_it_is_woken_without_a_frame(rig: Rig, aside: ThreadPoolExecutor) -> None:
    rig.segment.create_semaphores()
    sending = aside.submit(rig.outlet.send, 10.0)
    it_sleeps()
    assert rig.window.kick(SEMAPHORE)
    assert sending.result(timeout=5) == WOKEN
    assert not any(rig.window.kick(index) for index in (-1, 10, 77))


def test_a_frame_that_nobody_waited_for_leaves_no_wake_up_behind(rig: Rig) -> None:
    for value in (1, 2, 3):
        rig.write(value)
        assert rig.outlet.send(until_s=time.monotonic()) == NEW
        assert values(NAME)[SEMAPHORE] == 1  # it is the caller's, like its frame
        assert rig.outlet.send() == TIMEOUT
        assert values(NAME)[SEMAPHORE] == 0


def test_where_nobody_takes_them_frames_are_dropped_and_counted(rig: Rig) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as lonely:
        outlet = Outlet(rig.segment, lonely)
        for value in range(1, 101):
            rig.write(value)
            assert outlet.send() == TIMEOUT
    assert counts(rig.window) == (100, 100, 0, 0)


def test_what_does_not_fit_a_full_queue_is_dropped_and_the_rest_is_in_order(rig: Rig) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as source, context.socket(zmq.SUB) as reader:
        for socket in (source, reader):
            socket.setsockopt(zmq.LINGER, 0)
        source.setsockopt(zmq.XPUB_NODROP, 1)  # libzmq's other way to say that there is no place
        source.setsockopt(zmq.SNDHWM, 2)
        source.setsockopt(zmq.SNDBUF, 4096)
        reader.setsockopt(zmq.RCVHWM, 1)
        reader.setsockopt(zmq.RCVBUF, 4096)
        reader.setsockopt(zmq.SUBSCRIBE, MAGIC)
        reader.connect(f"tcp://127.0.0.1:{source.bind_to_random_port('tcp://127.0.0.1')}")
        assert source.recv() == b"\x01" + MAGIC
        outlet = Outlet(rig.segment, source)
        for value in range(1, 2001):
            rig.write(value)
            assert outlet.send() == TIMEOUT
        assert counts(rig.window) == (2000, 2000, 0, 0)
        reader.setsockopt(zmq.RCVTIMEO, 300)
        counters = []
        with contextlib.suppress(zmq.Again):
            while True:
                counters.append(decode_header(reader.recv()).counter)
        assert 0 < len(counters) < 2000
        assert counters == sorted(set(counters))


#: Writes frames without a pause; all elements of frame n are n % 251.
CAMERA = """
import sys
import numpy as np
from daosup.shm import Segment
segment = Segment.open(sys.argv[1], writable=True)
frames = [np.full(segment.shape, value, segment.dtype) for value in range(251)]
for number in range(1, int(sys.argv[2]) + 1):
    segment.write(frames[number % 251])
"""


def test_from_a_camera_without_a_pause_every_frame_is_sent_whole_or_counted(rig: Rig) -> None:
    count = 30_000
    messages: list[bytes] = []
    with subprocess.Popen([sys.executable, "-c", CAMERA, rig.segment.path, str(count)]) as camera:
        deadline = time.monotonic() + 60
        while rig.window.sent < count and time.monotonic() < deadline:
            with contextlib.suppress(SegmentBusyError):
                rig.outlet.send_for_a_turn(rest_s=0.02)
            messages += rig.arrived()
    assert camera.returncode == 0
    headers = [decode_header(message) for message in messages]
    counters = [header.counter for header in headers]
    assert [header.sequence for header in headers] == [*range(1, rig.window.sequence + 1)]
    assert counters == sorted(set(counters))
    assert len(counters) + rig.window.skipped == counters[-1] == count
    assert len(counters) > count / 100
    for message, counter in zip(messages, counters):
        frame = np.frombuffer(message, "uint16", offset=HEADER_BYTES)
        assert frame.min() == frame.max() == counter % 251
