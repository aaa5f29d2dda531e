"""Frames pumped from a segment to a socket and from a socket to a segment: the ends of a stream as tests use them.

Two PAIR sockets within this process stand for the network: nothing is lost or late on the way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import zmq

from daosup.core.header import HEADER_BYTES, Flag, Header, Kind, decode_header, pack_header
from daosup.core.pickled import Ends
from daosup.shm import Segment
from daosup.shm._native import Window
from daosup.shm.making import unlink_segment
from daosup.shm.segment import FOREVER_S
from daosup.stream.sender import Messages, share_libzmq

NAME = "pumped"
SEMAPHORE = 9
EPOCH = 7
WAIT_MS = 1000
#: How long workers let frames flow before they look around.
TURN_S = 0.05


def resident_bytes() -> int:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@contextmanager
def wire() -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Two sockets: what goes into the first comes out of the second."""
    share_libzmq()
    with zmq.Context() as context, context.socket(zmq.PAIR) as near, context.socket(zmq.PAIR) as far:
        for socket in (near, far):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, WAIT_MS)
            socket.setsockopt(zmq.SNDHWM, 0)
            socket.setsockopt(zmq.RCVHWM, 0)
        near.bind("inproc://wire")
        far.connect("inproc://wire")
        yield near, far


class Outlet:
    """A segment's frames into a socket."""

    def __init__(self, segment: Segment, socket: zmq.Socket[bytes]) -> None:
        self._segment = segment
        self.header = Messages(segment, EPOCH).header
        self._address = int(socket.underlying)
        #: What stands around each frame for readers of the old protocol; nothing if there are none.
        self.ends = Ends(b"", b"")
        #: The statistics page, if there is one.
        self.page: object = None
        #: The keywords as they were described.
        self.keywords = b""

    @property
    def window(self) -> Window:
        """The segment's."""
        return self._segment.window

    def send(self, rest_s: float = 0.0, until_s: float = FOREVER_S, read_timeout_s: float = 0.02) -> int:
        """As ``Window.send_frames``."""
        return self.window.send_frames(
            self._address, self.header, SEMAPHORE, rest_s, read_timeout_s, until_s, *self.ends, self.page,
            keywords=self.keywords,
        )  # fmt: skip

    def send_for_a_turn(self, rest_s: float = 5.0) -> int:
        """As a publisher does."""
        return self.send(rest_s, time.monotonic() + TURN_S)


class Inlet:
    """A socket's frames into a segment; those of the stream that ``frame_message`` makes messages of, from 1 on.

    Attributes:
        expected: The counter of the next frame.
        judged: How many turns ended with a frame that was not the next one.
    """

    def __init__(self, segment: Segment, socket: zmq.Socket[bytes]) -> None:
        self._segment = segment
        header = frame_message(segment, 0, b"")
        self.begin, self.end = header[:16], header[56:HEADER_BYTES]
        self.address = int(socket.underlying)
        self.expected, self.judged = 1, 0
        self.page: object = None

    @property
    def window(self) -> Window:
        """The segment's."""
        return self._segment.window

    def take(self, counter: int, until_s: float = FOREVER_S) -> tuple[int, Optional[bytes]]:
        """As ``Window.take_frames``."""
        return self.window.take_frames(self.address, self.begin, self.end, counter, until_s, self.page)

    def take_for_a_turn(self) -> None:
        """As a mirror does."""
        before = self.window.taken
        try:
            _, message = self.take(self.expected, time.monotonic() + TURN_S)
        finally:
            self.expected += self.window.taken - before
        if message is not None:
            header = decode_header(message)
            assert header.counter > self.expected  # frames were passed over as they poured in
            self.window.commit(message, HEADER_BYTES, header.frame_id, header.write_time_ns)
            self.expected, self.judged = header.counter + 1, self.judged + 1


@dataclass(frozen=True)
class Rig:
    """A segment, a wire from ``near`` to ``far``, and how frames get to the one and from the other."""

    segment: Segment
    near: zmq.Socket[bytes]
    far: zmq.Socket[bytes]
    outlet: Outlet
    inlet: Inlet

    @property
    def window(self) -> Window:
        """The segment's."""
        return self.segment.window

    def write(self, value: int) -> None:
        """A frame of the segment: the same element everywhere, its frame id and time made of the value."""
        self.segment.write(
            np.full(self.segment.shape, value % 251, self.segment.dtype), frame_id=value + 1000, time_ns=value + 2000
        )

    def write_at(self, time_ns: int) -> None:
        """A frame of the segment that was written then."""
        self.segment.write(np.zeros(self.segment.shape, self.segment.dtype), time_ns=time_ns)

    def message(self, counter: int, **changes: int) -> bytes:
        """The message of the same frame, with fields of its header changed."""
        return frame_message(self.segment, counter, filled(self.segment, counter), **changes)

    def arrived(self) -> list[bytes]:
        """All messages that have come out of the wire."""
        messages = []
        with suppress(zmq.Again):
            while True:
                messages.append(self.far.recv(zmq.NOBLOCK))
        return messages

    def offer(self, counter: int, message: bytes) -> tuple[int, Optional[bytes]]:
        """Send a message to the inlet when it expects frame ``counter``: what it makes of it."""
        self.near.send(message)
        return self.inlet.take(counter, 0.0)


@contextmanager
def pumps(folder: Path, shape: tuple[int, ...] = (32, 24), keywords: int = 0) -> Iterator[Rig]:
    """A rig, and nothing left of it afterwards."""
    path = folder / f"{NAME}.im.shm"
    try:
        with Segment.create(path, shape, "uint16", keywords=keywords) as segment, wire() as (near, far):
            yield Rig(segment, near, far, Outlet(segment, near), Inlet(segment, far))
    finally:
        unlink_segment(path)


def frame_message(segment: Segment, counter: int, frame: bytes, **changes: int) -> bytes:
    """The message of a frame, of a stream whose source is like this segment."""
    fields: dict[str, int] = {
        "kind": Kind.FRAME,
        "flags": Flag.NONE,
        "epoch": EPOCH,
        "sequence": counter,
        "counter": counter,
        "frame_id": counter + 1000,
        "write_time_ns": counter + 2000,
        "send_time_ns": counter + 3000,
        "layout_id": 4711,
        "payload_bytes": segment.geometry.frame_bytes,
    }
    header = bytearray(HEADER_BYTES)
    pack_header(header, Header(**{**fields, **changes}))
    return bytes(header) + frame


def filled(segment: Segment, counter: int) -> bytes:
    """A frame with the same element everywhere."""
    return np.full(segment.shape, counter % 251, segment.dtype).tobytes()
