"""Old readers at a port of ours: they get every frame pickled, and nothing is made for them while there are none."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from daosup.adapters.redis_link import blocking_link
from daosup.core.header import MAGIC
from daosup.core.pickled import pickled_ends
from daosup.shm import Segment
from daosup.shm._native import NEW, TIMEOUT
from daosup.shm.segment import FOREVER_S
from daosup.stream.old_frames import OLD_TOPIC
from daosup.stream.sender import Messages, Sender
from tests.integration.fleet import Fleet
from tests.integration.streams import filming, stream, wait_for_frames
from tests.waiting import wait_until

LOOPBACK = "127.0.0.1"
SHAPE = (4, 6)
NAME = "old_readers_source"


class OldReader:
    """Reads as old daemons do: a plain SUB socket, and whatever comes is unpickled."""

    def __init__(self, port: int, *topics: bytes) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        for topic in topics or (b"frameData",):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.connect(f"tcp://{LOOPBACK}:{port}")

    def parts(self, timeout_s: float = 5.0) -> list[bytes]:
        """The next message; none if none comes."""
        return self._socket.recv_multipart() if self._socket.poll(timeout_s * 1000) else []

    def frame(self) -> np.ndarray[Any, Any]:
        """The next frame."""
        topic, pickled = self.parts()
        assert topic == b"frameData"
        frame: np.ndarray[Any, Any] = pickle.loads(pickled)
        return frame

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@contextlib.contextmanager
def reading(port: int, *topics: bytes) -> Iterator[OldReader]:
    reader = OldReader(port, *topics)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    made = Segment.create(tmp_path / f"{NAME}.im.shm", SHAPE, "float32")
    yield made
    made.close()
    made.unlink()


@pytest.fixture
def sender(segment: Segment) -> Iterator[Sender]:
    made = Sender(LOOPBACK, [0], segment.geometry.frame_bytes)
    made.old_readers.follow(segment.geometry)
    yield made
    made.close()


def hear_old(sender: Sender, count: int) -> None:
    def is_so() -> bool:
        sender.hear()
        return sender.old_readers.count == count

    wait_until(is_so, 5.0, f"{count} old readers")


def send_new(segment: Segment, sender: Sender) -> None:
    """Send the frame that was written last, as a publisher does while frames flow."""
    header, ends = Messages(segment, 1).header, sender.old_readers.ends
    while (outcome := segment.window.send_frames(sender.address, header, 9, 0.0, 0.02, FOREVER_S, *ends)) == NEW:
        sender.hear()  # somebody spoke just now, and the frame was left to us
    assert outcome == TIMEOUT


def write_and_send(segment: Segment, sender: Sender, value: float) -> None:
    segment.write(np.full(SHAPE, value, "float32"))
    send_new(segment, sender)


def test_an_old_reader_gets_two_parts_and_numpy_reads_the_second(segment: Segment, sender: Sender) -> None:
    with reading(sender.port) as reader:
        hear_old(sender, 1)
        for value in (1, 2, 3):
            write_and_send(segment, sender, value)
            frame = reader.frame()
            assert (frame.dtype, frame.shape) == ("float32", SHAPE)
            assert (frame == value).all()
            assert frame.flags.writeable


def test_a_frame_is_sent_once(segment: Segment, sender: Sender) -> None:
    with reading(sender.port) as reader:
        hear_old(sender, 1)
        write_and_send(segment, sender, 1)
        send_new(segment, sender)
        write_and_send(segment, sender, 2)
        assert [reader.frame()[0, 0] for _ in range(2)] == [1, 2]
        assert not reader.parts(0.1)


def test_a_frame_that_came_with_a_description_is_no_other(segment: Segment, sender: Sender) -> None:
    messages = Messages(segment, 1)
    with reading(sender.port) as reader:
        hear_old(sender, 1)
        segment.write(np.full(SHAPE, 7, "float32"))
        message = messages.describe(1, has_frame=True)
        sender.old_readers.send(messages.frame_of(message))
        assert (reader.frame() == 7).all()


def test_nothing_is_made_while_nobody_is_there(segment: Segment, sender: Sender) -> None:
    assert sender.old_readers.ends == (b"", b"")
    with reading(sender.port):
        hear_old(sender, 1)
        assert sender.old_readers.ends == pickled_ends(segment.geometry)
    hear_old(sender, 0)
    assert sender.old_readers.ends == (b"", b"")


def test_old_readers_are_counted_and_one_that_leaves_cuts_nobody_off(segment: Segment, sender: Sender) -> None:
    with reading(sender.port) as stays:
        hear_old(sender, 1)
        with reading(sender.port) as leaves:
            hear_old(sender, 2)
            write_and_send(segment, sender, 1)
            assert stays.frame()[0, 0] == leaves.frame()[0, 0] == 1
        hear_old(sender, 1)
        write_and_send(segment, sender, 2)
        assert stays.frame()[0, 0] == 2
    hear_old(sender, 0)


@pytest.mark.parametrize("topic", [b"frameData"[:length] for length in range(10)])
def test_a_subscription_that_the_topic_begins_with_is_an_old_reader(
    topic: bytes, segment: Segment, sender: Sender
) -> None:
    with reading(sender.port, topic) as reader:
        hear_old(sender, 1)
        write_and_send(segment, sender, 7)
        if not topic:  # it asked for everything
            assert reader.parts()[0].startswith(MAGIC)
        assert reader.frame()[0, 0] == 7
    hear_old(sender, 0)


@pytest.mark.parametrize("topic", [b"frameData2", b"DAO2", b"F", b"x"])
def test_any_other_subscription_is_none(topic: bytes, sender: Sender) -> None:
    with reading(sender.port, topic), reading(sender.port) as witness:
        hear_old(sender, 1)
        witness.close()
        hear_old(sender, 0)


def test_a_stranger_that_talks_drives_nobody_away(segment: Segment, sender: Sender) -> None:
    context = zmq.Context()
    stranger = context.socket(zmq.XSUB)
    stranger.setsockopt(zmq.LINGER, 0)
    try:
        with reading(sender.port) as reader:
            hear_old(sender, 1)
            stranger.connect(f"tcp://{LOOPBACK}:{sender.port}")
            for said in (
                b"",
                b"x",
                b"\x02frameData",
                b"\x00frameData",
                b"\x00",
                b"\xffDAO2",
                b"\x00DAO2",
                b"frameData",
            ):
                stranger.send(said)
            stranger.send(b"\x01frame")
            hear_old(sender, 2)
            write_and_send(segment, sender, 1)
            assert reader.frame()[0, 0] == 1
    finally:
        stranger.close()
        context.term()
    hear_old(sender, 0)


def test_a_reader_that_does_not_read_holds_nobody_up(segment: Segment, sender: Sender) -> None:
    with reading(sender.port) as stuck, reading(sender.port) as reader:
        hear_old(sender, 2)
        for value in range(200):
            write_and_send(segment, sender, value)
            assert reader.frame()[0, 0] == value
        assert stuck.frame()[0, 0] == 0


def test_a_segment_of_another_shape_is_followed(segment: Segment, sender: Sender, tmp_path: Path) -> None:
    with reading(sender.port) as reader, Segment.create(segment.path, (3, 2, 5), "int16") as other:
        hear_old(sender, 1)
        sender.old_readers.follow(other.geometry)
        other.write(np.arange(30, dtype="int16").reshape(3, 2, 5))
        send_new(other, sender)
        frame = reader.frame()
        assert frame.dtype == "int16"
        assert (frame == other.read()).all()


# -- a publisher


def port_of(hosts: Fleet, name: str) -> int:
    with blocking_link(hosts.redis.address) as run:
        (raw,) = run([("GET", f"dao:machines:rts:shm:{name}:connections")])
    port: int = json.loads(raw)[0]["port"]  # type: ignore[arg-type]
    return port


def wait_for_first(reader: OldReader, segment: Segment) -> None:
    """Write frames until one arrives, and take it and what followed it."""

    def has_come() -> bool:
        segment.write(np.zeros(segment.shape, segment.dtype))
        return bool(reader.parts(0.02))

    wait_until(has_come, 10.0, "the first frame")
    while reader.parts(0.2):
        pass


def test_every_frame_reaches_old_readers_and_ours(hosts: Fleet) -> None:
    with stream(hosts, "old_lockstep") as going:
        port = port_of(hosts, going.name)
        with reading(port) as one, reading(port) as two:
            wait_for_first(one, going.segment)
            wait_for_first(two, going.segment)
            while one.parts(0.2):
                pass
            for value in range(1, 101):
                going.segment.write(np.full(going.segment.shape, value, "uint16"))
                assert (one.frame() == value).all()
                assert (two.frame() == value).all()
            going.check_going()


def test_an_old_reader_that_comes_and_goes_leaves_the_others_alone(hosts: Fleet) -> None:
    with stream(hosts, "old_coming") as going:
        port = port_of(hosts, going.name)
        with filming(going.segment, 0.002), reading(port) as stays:
            for _ in range(5):
                with reading(port, b"") as leaves:
                    wait_until(lambda: leaves.parts()[0] == OLD_TOPIC, 5.0, "a frame")
                before = int(stays.frame()[0, 0])
                wait_until(lambda: stays.frame()[0, 0] != before, 5.0, "another frame")  # noqa: B023
                wait_for_frames(going.mirror)


def test_an_old_reader_follows_a_segment_made_anew(hosts: Fleet) -> None:
    with stream(hosts, "old_anew") as going, reading(port_of(hosts, "old_anew")) as reader:
        wait_for_first(reader, going.segment)
        with Segment.create(going.segment.path, (5, 3), "float64") as anew:
            frame = np.arange(15, dtype="float64").reshape(5, 3)
            anew.write(frame)
            found = reader.frame()
            assert found.dtype == "float64"
            assert (found == frame).all()
