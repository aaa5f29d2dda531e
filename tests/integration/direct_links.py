"""The direct transport as tests use it: a sender's readers, each a real connection whose far end reads what came."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional

from daosup.shm._native import DirectSender

#: Magic, version, type, flags, dropped, cnt0, seq, write time, size, two reserved.
HEADER = struct.Struct("<IHHIIQQqQQQ")
MAGIC, VERSION = 0x54454E44, 1
META, FRAME, HEARTBEAT, WRITE, BYE, DESCRIBE, ASK, ANSWER, AGAIN = 1, 2, 3, 4, 5, 16, 17, 18, 19
ECHO, FRAME_ID, PACKED = 1, 0x100, 0x200
#: For hangs only.
PATIENCE_S = 30.0


class Message(NamedTuple):
    """What came: the header's fields, and the payload."""

    type: int
    flags: int
    dropped: int
    cnt0: int
    seq: int
    atime_ns: int
    reserved: tuple[int, int]
    payload: bytes

    @property
    def frame(self) -> bytes:
        """Of a FRAME, without the counter behind it."""
        assert self.type == FRAME
        assert struct.unpack("<Q", self.payload[-8:]) == (self.cnt0,)
        return self.payload[:-8]


def message(kind: int, payload: bytes = b"", *, size: Optional[int] = None, magic: int = MAGIC) -> bytes:
    """A whole message; or one that lies about its size."""
    return HEADER.pack(magic, VERSION, kind, 0, 0, 0, 0, 0, len(payload) if size is None else size, 0, 0) + payload


class Far:
    """The far end of a connection to a reader."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(PATIENCE_S)
        self.id = 0

    def bytes(self, count: int) -> bytes:
        """So many; fewer only at the end."""
        parts = bytearray()
        while len(parts) < count and (part := self.connection.recv(min(count - len(parts), 1 << 20))):
            parts += part
        return bytes(parts)

    def message(self) -> Optional[Message]:
        """The next one; None: closed."""
        raw = self.bytes(HEADER.size)
        if not raw:
            return None
        magic, version, kind, flags, dropped, cnt0, seq, atime_ns, size, *reserved = HEADER.unpack(raw)
        assert (magic, version) == (MAGIC, VERSION)
        payload = self.bytes(size)
        assert len(payload) == size
        return Message(kind, flags, dropped, cnt0, seq, atime_ns, (reserved[0], reserved[1]), payload)

    def next(self, kind: int) -> Message:
        """The next one, which has to be of that kind but for heartbeats."""
        while (found := self.message()) is not None and found.type == HEARTBEAT != kind:
            pass
        assert found is not None
        assert found.type == kind
        return found

    def has_more(self) -> bool:
        """Whether anything is here that was not read."""
        self.connection.setblocking(False)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(PATIENCE_S)
        return True


class Links:
    """A sender, and the far ends of its readers."""

    def __init__(self, most_payload_bytes: int = 0) -> None:
        self.sender = DirectSender(most_payload_bytes)
        self.fars: list[Far] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    def begin(self, frame_bytes: int, name: bytes = b"one") -> None:
        """The description says no more than a name."""
        self.sender.begin(frame_bytes, message(META, b"meta " + name), message(DESCRIBE, name))

    def connect(self, receive_buffer_bytes: int = 0) -> tuple[socket.socket, Far]:
        """A connection that is nobody's yet."""
        far = socket.socket()
        if receive_buffer_bytes:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        far.connect(self._listener.getsockname())
        near, _ = self._listener.accept()
        self.fars.append(Far(far))
        return near, self.fars[-1]

    def form(self, element_bytes: int, *axes: tuple[int, int, int, int], id: int = 0, name: bytes = b"part") -> int:
        """A form of the present frames, or another cut of one; its readers are told no more than a name."""
        return self.sender.form(id, element_bytes, axes, message(DESCRIBE, name))

    def add(
        self,
        *,
        is_ours: bool = True,
        min_period_ns: int = 0,
        ring_frames: int = 0,
        form: int = 0,
        may_write: bool = False,
        receive_buffer_bytes: int = 0,
    ) -> Far:
        """A reader."""
        near, far = self.connect(receive_buffer_bytes)
        far.id = self.sender.add(near.detach(), is_ours, min_period_ns, ring_frames, form, may_write)
        return far

    def close(self) -> None:
        self.sender.close()
        self._listener.close()
        for far in self.fars:
            far.connection.close()


@contextmanager
def links(most_payload_bytes: int = 0) -> Iterator[Links]:
    """Nothing is left of it afterwards."""
    made = Links(most_payload_bytes)
    try:
        yield made
    finally:
        made.close()
