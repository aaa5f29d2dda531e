"""A stream's two ends over loopback: a slow reader, a busy port, and garbage from strangers."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
import zmq

from daosup.core.gaps import GapTracker
from daosup.core.header import (
    HEADER_BYTES,
    MAGIC,
    Kind,
    decode_description,
    decode_header,
    frame_offset,
    keywords_span,
)
from daosup.core.types import Source
from daosup.errors import UnavailableError
from daosup.shm import Keyword, Segment
from daosup.shm._native import NEW, TIMEOUT
from daosup.shm.segment import FOREVER_S
from daosup.stream.receiver import Receiver
from daosup.stream.sender import Messages, Sender
from daosup.stream.sockets import queue_frames
from tests.waiting import wait_until

LOOPBACK = "127.0.0.1"
SHAPE = (8, 8)
SOURCE = Source("rts", "source")


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    made = Segment.create(tmp_path / "stream_source.im.shm", SHAPE, "uint16", keywords=[Keyword("GAIN", 3, "")])
    yield made
    made.close()
    made.unlink()


@pytest.fixture
def sender() -> Iterator[Sender]:
    made = Sender(LOOPBACK, [0], 128)
    yield made
    made.close()


@contextlib.contextmanager
def reading(port: int) -> Iterator[tuple[Receiver, list[bytes]]]:
    """A receiver, and the messages it passed over."""
    passed_over: list[bytes] = []
    receiver = Receiver(f"tcp://{LOOPBACK}:{port}", lambda message: passed_over.append(bytes(message)))
    try:
        yield receiver, passed_over
    finally:
        receiver.close()


def hear_reader(sender: Sender, count: int = 1) -> None:
    def has_readers() -> bool:
        sender.hear()
        return sender.reader_count == count

    wait_until(has_readers, 5.0, f"{count} readers")


def write_and_send(segment: Segment, sender: Sender, messages: Messages, value: int) -> None:
    segment.write(np.full(segment.shape, value, "uint16"), frame_id=value)
    while (outcome := segment.window.send_frames(sender.address, messages.header, 9, 0.0, 0.02, FOREVER_S)) == NEW:
        sender.hear()  # somebody spoke just now, and the frame was left to us
    assert outcome == TIMEOUT


def frame_in(message: bytes) -> np.ndarray[Any, Any]:
    return np.frombuffer(message, "uint16", offset=HEADER_BYTES)


def receive_until(receiver: Receiver, is_it: Callable[[bytes], bool]) -> bytes:
    def found() -> Optional[bytes]:
        message = receiver.receive()
        return bytes(message) if message is not None and is_it(bytes(message)) else None

    return wait_until(found, 5.0, "the message")  # type: ignore[return-value]


# -- readers


def test_a_subscription_is_answered_with_a_description_and_the_newest_frame(segment: Segment, sender: Sender) -> None:
    segment.write(np.full(SHAPE, 9, "uint16"), frame_id=77, time_ns=1234567)
    messages = Messages(segment, 5, str(SOURCE))
    assert not sender.is_asked
    with reading(sender.port) as (receiver, _):
        hear_reader(sender)
        assert sender.is_asked
        assert sender.is_description_due(time.monotonic(), has_new=False)
        sender.send(messages.describe(1, has_frame=True))
        sender.described(time.monotonic())
        message = receive_until(receiver, lambda message: True)
        header = decode_header(message)
        description = decode_description(message, header, str(SOURCE))
        assert (header.kind, header.epoch, header.sequence) == (Kind.DESCRIBE, 5, 1)
        assert (header.counter, header.frame_id, header.write_time_ns) == (1, 77, 1234567)
        assert description.geometry == segment.geometry
        assert description.creation_time == segment.creation_time
        assert message[keywords_span(description)] == segment.keywords.raw()
        frame = np.frombuffer(message, "uint16", offset=frame_offset(header, description))
        assert (frame == 9).all()
        assert not sender.is_asked
        receiver.ask_description()

        def is_asked_again() -> bool:
            sender.hear()
            return sender.is_asked

        wait_until(is_asked_again, 5.0, "the question to arrive")
        assert sender.reader_count == 1  # the question is no reader more
    hear_reader(sender, 0)


def test_after_a_pause_a_reader_goes_on_with_the_present(segment: Segment, sender: Sender) -> None:
    messages = Messages(segment, 1)
    with reading(sender.port) as (receiver, passed_over):
        hear_reader(sender)
        for value in range(1, 4):
            write_and_send(segment, sender, messages, value)
        sender.send(messages.describe(3, has_frame=False))
        for value in range(4, 1001):
            write_and_send(segment, sender, messages, value)
        last = segment.counter
        # What is left of the past is bounded, newer is never followed by older, and the present ends it.
        counters = []

        def is_present() -> bool:
            message = receiver.receive()
            if message is not None:
                counters.append(decode_header(message).counter)
            elif counters:  # all has arrived; what did not fit was dropped, so the present may be the next frame
                write_and_send(segment, sender, messages, 1)
            return bool(counters) and counters[-1] >= last

        wait_until(is_present, 10.0, "the present")
        assert counters == sorted(set(counters))
        # Never passed over, however quickly the frames behind it came.
        assert any(decode_header(message).kind == Kind.DESCRIBE for message in passed_over)


def test_gaps_are_counted_from_what_arrives(segment: Segment, sender: Sender) -> None:
    messages, tracker = Messages(segment, 1), GapTracker()
    tracker.adopt(1, segment.creation_time, 0)
    with reading(sender.port) as (receiver, _):
        hear_reader(sender)
        sequences = []
        for value, is_sent in enumerate([True, True, False, False, True, False, True, True], 1):
            if is_sent:
                write_and_send(segment, sender, messages, value)
                header = decode_header(receive_until(receiver, lambda message: True))
                tracker.take(header.epoch, header.counter)
                sequences.append(header.sequence)
            else:
                segment.write(np.full(SHAPE, value, "uint16"))
        assert (tracker.gaps, tracker.skipped, tracker.counter) == (2, 3, 8)
        assert sequences == [1, 2, 3, 4, 5]


def test_a_reader_that_stands_still_costs_a_bounded_queue(segment_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment.create(segment_path, (32 * 1024,), "uint16"))
        frame_bytes = segment.geometry.frame_bytes
        sender = Sender(LOOPBACK, [0], frame_bytes)
        stack.callback(sender.close)
        context = stack.enter_context(zmq.Context())
        still = stack.enter_context(context.socket(zmq.SUB))
        still.setsockopt(zmq.RCVHWM, 1)
        still.setsockopt(zmq.RCVBUF, 128 * 1024)
        still.setsockopt(zmq.LINGER, 0)
        still.setsockopt(zmq.SUBSCRIBE, MAGIC)
        still.connect(f"tcp://{LOOPBACK}:{sender.port}")
        hear_reader(sender)
        messages = Messages(segment, 1)
        for value in range(50):
            write_and_send(segment, sender, messages, value)
        before = resident_bytes()
        for value in range(5000):  # 320 MB
            write_and_send(segment, sender, messages, value)
        assert resident_bytes() - before < 16 * 1024 * 1024
        assert segment.window.sequence == 5050
        counters = []
        still.setsockopt(zmq.RCVTIMEO, 500)
        with contextlib.suppress(zmq.Again):
            while True:
                counters.append(decode_header(still.recv()).counter)
        assert len(counters) <= queue_frames(frame_bytes) + 100  # and what the kernel held
        assert counters[:2] == [1, 2]
        assert counters == sorted(set(counters))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- ports


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        first = Sender(LOOPBACK, [taken, 0], 128)
        second = Sender(LOOPBACK, [taken, first.port, 0], 128)
        assert len({taken, first.port, second.port}) == 3
        with pytest.raises(UnavailableError, match=f"tried {taken} to {first.port} on 127.0.0.1; see \\[network\\]"):
            Sender(LOOPBACK, [taken, second.port, first.port], 128)
        first.close()
        second.close()


def test_an_address_that_is_not_ours_is_said_so() -> None:
    with pytest.raises(UnavailableError, match=r"cannot listen on 192\.0\.2\.1:0"):
        Sender("192.0.2.1", [0], 128)


# -- garbage to a sender

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        os.urandom(65536),
        GREETING[:11],
        GREETING,
        GREETING + b"\x02" + struct.pack(">Q", 2**62) + b"x" * 1000,
        GREETING + b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB" + b"\x00" + os.urandom(255),
    ],
    ids=["nothing", "http", "noise", "half a greeting", "greeting", "huge frame", "noise after the handshake"],
)
def test_garbage_on_its_port_leaves_a_working_stream(segment: Segment, sender: Sender, garbage: bytes) -> None:
    messages = Messages(segment, 1)
    with reading(sender.port) as (receiver, _):
        hear_reader(sender)
        with socket.create_connection((LOOPBACK, sender.port)) as stranger:
            with contextlib.suppress(ConnectionError):
                stranger.sendall(garbage)
            check_flow(segment, sender, messages, receiver)
        check_flow(segment, sender, messages, receiver)
        assert sender.reader_count == 1


#: Of a reader whose subscriptions are messages, as before ZMTP 3.1.
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"


def message_of(*parts: bytes) -> bytes:
    return b"".join(b"\x00" + bytes([len(part)]) + part for part in parts)


def shaking_hands(port: int) -> socket.socket:
    stranger = socket.create_connection((LOOPBACK, port))
    stranger.sendall(GREETING + READY)
    heard = b""
    while b"XPUB" not in heard:
        heard += stranger.recv(1)
    return stranger


def test_nobody_unsubscribes_another(segment: Segment, sender: Sender) -> None:
    messages = Messages(segment, 1)
    with reading(sender.port) as (receiver, _):
        hear_reader(sender)
        with shaking_hands(sender.port) as stranger:
            sender.is_asked = False
            stranger.sendall(message_of(b"\x00DAO2", b"", b"\x00DAO2", b"\x01DAO2forged"))
            wait_until(lambda: (sender.hear(), sender.is_asked)[1], what="the stranger to be heard")
            assert sender.reader_count == 1
            check_flow(segment, sender, messages, receiver)
            stranger.sendall(message_of(b"\x01DAO2", b"\x01DAO2"))
            hear_reader(sender, 3)
        hear_reader(sender, 2)  # who subscribed twice has left once
        check_flow(segment, sender, messages, receiver)
    hear_reader(sender, 0)  # but nobody is there who could read


def test_who_came_and_went_before_it_was_heard_does_not_read(sender: Sender) -> None:
    with shaking_hands(sender.port) as passer:
        passer.sendall(message_of(b"\x01DAO2", b"\x01frameData"))
        passer.shutdown(socket.SHUT_WR)
        while passer.recv(4096):
            pass
    wait_until(lambda: (sender.hear(), sender.is_asked)[1], what="the passer to be heard")
    wait_until(lambda: (sender.hear(), not sender.has_readers)[1], what="nobody to read")


def test_a_thousand_connections_leave_a_working_stream(segment: Segment, sender: Sender) -> None:
    messages = Messages(segment, 1)
    with reading(sender.port) as (receiver, _), contextlib.ExitStack() as stack:
        hear_reader(sender)
        for number in range(1000):
            stranger = socket.create_connection((LOOPBACK, sender.port))
            if number % 2:
                stranger.close()
            else:
                stack.enter_context(stranger)
        check_flow(segment, sender, messages, receiver)
        with reading(sender.port) as (newcomer, _):
            hear_reader(sender, 2)
            check_flow(segment, sender, messages, newcomer)


def check_flow(segment: Segment, sender: Sender, messages: Messages, receiver: Receiver) -> None:
    for value in range(1, 20):
        sender.hear()
        write_and_send(segment, sender, messages, value)
        message = receive_until(receiver, lambda message: decode_header(message).counter == segment.counter)
        assert (frame_in(message) == value).all()
