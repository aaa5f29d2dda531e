"""An owner's end of a direct connection, as simple as can be: says just what a test has it say, over loopback."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from daosup.core import dnet
from daosup.core.dnet import Header, Kind
from daosup.core.header import Description
from daosup.core.layout import Geometry

LOOPBACK = "127.0.0.1"
SOURCE = "rts:wfs"


class Owner:
    """Has one source that looks like this; the frame of each counter is known.

    Attributes:
        epoch: Of the stream that is described.
    """

    def __init__(self, near: socket.socket, geometry: Geometry, source: str = SOURCE) -> None:
        self._near, self._source = near, source
        self.address: tuple[str, int] = near.getsockname()
        self.geometry = geometry
        self.epoch, self.creation_time = 1, 1.0

    def say(self, raw: bytes, *, is_urgent: bool = False) -> None:
        """Any bytes; the last of urgent ones is so (RFC 6093)."""
        self._near.sendall(raw, socket.MSG_OOB if is_urgent else 0)

    def description(self, counter: int = 0, keywords: bytes = b"") -> bytes:
        """A whole describe message; ``counter``: of the newest frame."""
        keywords = keywords.ljust(self.geometry.keyword_count * 120, b"\0")
        described = Description(self.geometry, self.creation_time, self._source)
        return dnet.encode_describe(described, self.epoch, counter, keywords)

    def frame(self, counter: int) -> bytes:
        """A whole frame message."""
        return dnet.encode_frame(frame_of(self.geometry, counter), counter, counter + 2000, frame_id=counter + 1000)

    def describe(self, counter: int = 0, keywords: bytes = b"") -> None:
        """Send a description."""
        self.say(self.description(counter, keywords))

    def send(self, *counters: int) -> None:
        """Send frames, in one piece."""
        self.say(b"".join(map(self.frame, counters)))

    def remake(self, geometry: Geometry) -> None:
        """Have the source made anew, to look like that."""
        self.geometry, self.epoch, self.creation_time = geometry, self.epoch + 1, self.creation_time + 1

    def reset(self) -> None:
        """Break the connection as a host does that is suddenly gone."""
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._near.close()

    def hear(self, meanwhile: Callable[[], object] = lambda: None) -> list[tuple[int, bytes]]:
        """The kinds and payloads of all messages that the reader has sent; no part of one may be left.

        ``meanwhile`` is called between any two looks: what is under way needs it to arrive.
        """
        raw = b""
        self._near.settimeout(0.1)
        try:
            while piece := self._near.recv(1 << 20):
                raw += piece
                meanwhile()
        except TimeoutError:
            pass
        self._near.settimeout(None)
        messages = []
        while raw:
            header = dnet.decode_header(raw)
            end = dnet.HEADER_BYTES + header.payload_bytes
            assert len(raw) >= end
            messages.append((header.kind, raw[dnet.HEADER_BYTES : end]))
            raw = raw[end:]
        return messages

    def close(self) -> None:
        """Close the connection, as it may be already."""
        self._near.close()


def frame_of(geometry: Geometry, counter: int) -> bytes:
    """The frame with that counter: the same element everywhere."""
    return np.full(geometry.shape, counter % 251, geometry.dtype).tobytes()


@contextmanager
def connected(most_waiting_bytes: int = 0) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection over loopback: the owner's end, and the reader's, which is closed by whoever takes it.

    ``most_waiting_bytes``: room for what the reader has not read; 0: as the kernel thinks.
    """
    with socket.create_server((LOOPBACK, 0)) as listener, socket.socket() as far:
        if most_waiting_bytes:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, most_waiting_bytes)
        far.connect(listener.getsockname())
        near, _ = listener.accept()
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with near:
            yield near, far


def hostile(geometry: Geometry) -> dict[str, bytes]:
    """How what begins that no owner of such a segment sends, by what is wrong with it."""
    header = Header(Kind.FRAME, counter=5, payload_bytes=geometry.frame_bytes + dnet.TRAILER_BYTES)
    good = dnet.encode_header(header).ljust(256, b"\0")

    def headed(**changes: int) -> bytes:
        return dnet.encode_header(header._replace(**changes))

    return {
        "noise": os.urandom(256),
        "zeroes": bytes(256),
        "a web page": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n".ljust(256),
        "another magic": b"DNES" + good[4:],
        "another version": good[:4] + b"\x02\x00" + good[6:],
        "another protocol of ours": b"DAO2\x02".ljust(256, b"\0"),
        "an unknown kind": headed(kind=99),
        "a write": headed(kind=Kind.WRITE),
        "a question": headed(kind=Kind.ASK),
        "a shorter frame": headed(payload_bytes=header.payload_bytes - 1),
        "a longer frame": headed(payload_bytes=header.payload_bytes + 1),
        "a frame as large as can be": headed(payload_bytes=2**31),
        "a frame larger than can be": headed(payload_bytes=2**64 - 1),
        "a frame whose size overflows": headed(payload_bytes=2**64 - 64),
        "a counter that cannot be": headed(counter=2**64 - 1),
        "a heartbeat with something in it": headed(kind=Kind.HEARTBEAT, payload_bytes=1),
        "a goodbye without end": headed(kind=Kind.BYE, payload_bytes=256),
        "a description of gigabytes": headed(kind=Kind.DESCRIBE, payload_bytes=2**33),
        "an endless answer": headed(kind=Kind.ANSWER, payload_bytes=2**20),
    }


def soon(seconds: float = 0.0) -> float:
    """So many seconds from now, for ``until_s``."""
    return time.monotonic() + seconds
