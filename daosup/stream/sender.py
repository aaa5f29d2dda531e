"""The owner's end of a stream: one ZeroMQ port that serves every reader of a segment.

Invariants: sending never waits for a reader; at most ``queue_frames`` frames wait for one, and what does not fit is
dropped for that reader alone, who sees it in the sequence. A new subscription is answered with a description.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable

import zmq

from daosup.core.header import (
    DESCRIPTION_BYTES,
    HEADER_BYTES,
    MAGIC,
    Description,
    Flag,
    Kind,
    pack_header,
)
from daosup.core.layout import KEYWORD_BYTES
from daosup.errors import UnavailableError
from daosup.shm import Segment
from daosup.shm.segment import READ_TIMEOUT_S
from daosup.stream.old_readers import OldReaders

#: After a subscription every message describes for so long, so that a reader that takes only the newest gets one.
DESCRIBE_BURST_S = 0.05
#: With no other reason, a description goes out so often; it is the stream's heartbeat.
DESCRIBE_INTERVAL_S = 1.0
#: However often somebody subscribes, descriptions without a new frame are at least so far apart.
DESCRIBE_PAUSE_S = 0.005
#: What may wait for one reader, in bytes, and its bounds in frames.
QUEUE_BYTES = 512 * 1024
QUEUE_FRAMES = (2, 32)
HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000

_SUBSCRIBED = 1

# Plain integers: the data path has no time for enumerations.
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)
_NOBLOCK = int(zmq.NOBLOCK)


def queue_frames(frame_bytes: int) -> int:
    """How many frames of a size may wait for a reader."""
    fewest, most = QUEUE_FRAMES
    return max(fewest, min(most, QUEUE_BYTES // frame_bytes))


def socket_buffer_bytes(frame_bytes: int) -> int:
    """How much the kernel may hold of a stream on each side: two frames, within reason."""
    return max(128 * 1024, min(8 * 1024 * 1024, 2 * frame_bytes))


class Sender:
    """Sends the frames of one segment."""

    def __init__(self, bind: str, ports: Iterable[int], frame_bytes: int) -> None:
        """Bind the first free one of ``ports`` (0: any).

        Raises:
            UnavailableError: If none is free, or the address is not ours.
        """
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.XPUB)
        options = {
            zmq.LINGER: 0,
            zmq.SNDHWM: queue_frames(frame_bytes),
            zmq.SNDBUF: socket_buffer_bytes(frame_bytes),
            zmq.XPUB_VERBOSER: 1,
            zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
            zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
            zmq.TCP_KEEPALIVE: 1,
            zmq.MAXMSGSIZE: 4096,  # all that a reader ever sends is a subscription
        }
        for option, value in options.items():
            self._socket.setsockopt(option, value)
        try:
            self.port = self._bind(bind, ports)
        except BaseException:
            self.close()
            raise
        self.old_readers = OldReaders(self._socket)
        self._look = self._socket.getsockopt
        # pyzmq's own send without the layer above it, which is for group and router sockets.
        self._send = super(zmq.Socket, self._socket).send
        self.sequence = 0
        self.reader_count = 0
        self.burst_until = 0.0
        self._described = 0.0
        self.is_asked = False

    def _bind(self, bind: str, ports: Iterable[int]) -> int:
        tried = []
        for port in ports:
            try:
                self._socket.bind(f"tcp://{bind}:{port or '*'}")
            except zmq.ZMQError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise UnavailableError(f"cannot listen on {bind}:{port}: {error.strerror}") from error
                tried.append(port)
                continue
            endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
            return int(endpoint.rpartition(":")[2])
        raise UnavailableError(
            f"no free port to publish on: tried {tried[0]} to {tried[-1]} on {bind}; see [network] in the configuration"
        )

    @property
    def fd(self) -> int:
        """Readable when something may have come from a reader; look with ``hear``."""
        return int(self._socket.getsockopt(zmq.FD))

    def hear(self) -> None:
        """Take in what readers said; never waits."""
        while self._look(_EVENTS) & _POLLIN:  # type: ignore[operator]
            try:
                said = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if not said[1:].startswith(MAGIC):
                self.old_readers.hear(said)
                continue
            if said[0] == _SUBSCRIBED:
                self.is_asked = True
                self.burst_until = time.monotonic() + DESCRIBE_BURST_S
                self.reader_count += said[1:] == MAGIC
            else:
                self.reader_count -= said[1:] == MAGIC

    def is_description_due(self, now: float, *, has_new: bool) -> bool:
        """Whether the next message should describe; ``has_new``: there is a frame that was not sent yet."""
        if has_new and now < self.burst_until:
            return True
        if self.is_asked:
            return now >= self._described + DESCRIBE_PAUSE_S
        return now >= self._described + DESCRIBE_INTERVAL_S

    def described(self, now: float) -> None:
        """Note that a description was sent."""
        self.is_asked = False
        self._described = now

    def describe_soon(self) -> None:
        """Describe with the next messages: something changed."""
        self.burst_until = time.monotonic() + DESCRIBE_BURST_S
        self.is_asked = True

    def send(self, message: bytearray) -> None:
        """Hand a message over without waiting; for a reader whose queue is full it is dropped."""
        self._send(message, _NOBLOCK)

    def close(self) -> None:
        """Give the port free."""
        self._socket.close()
        self._context.term()


class Messages:
    """The messages for one opened segment, built in buffers that are made once.

    Attributes:
        frame: A frame's message, which ``Window.next_message`` fills.
    """

    def __init__(self, segment: Segment, epoch: int, source: str = "") -> None:
        self.segment = segment
        self.epoch = epoch
        geometry = segment.geometry
        self.description = Description(geometry, segment.creation_time, source)
        self._layout_id = self.description.layout_id
        self._frame_at = HEADER_BYTES + DESCRIPTION_BYTES + geometry.keyword_count * KEYWORD_BYTES
        self.frame = bytearray(HEADER_BYTES + geometry.frame_bytes)
        self._pack(self.frame, Kind.FRAME, Flag.NONE, 0)
        self._described = bytearray(self._frame_at + geometry.frame_bytes)
        self._described[HEADER_BYTES : HEADER_BYTES + DESCRIPTION_BYTES] = self.description.encode()

    def describe(self, sequence: int, *, has_frame: bool) -> bytearray:
        """A describe message, with the newest frame or without; errors as ``Segment.read``."""
        self._described[HEADER_BYTES + DESCRIPTION_BYTES : self._frame_at] = self.segment.keywords.raw()
        if has_frame:
            self.segment.window.snapshot(self._described, self._frame_at, -1, READ_TIMEOUT_S)
            message = self._described
        else:
            message = self._described[: self._frame_at]
        self._pack(message, Kind.DESCRIBE, Flag.HAS_FRAME if has_frame else Flag.NONE, sequence)
        return message

    def _pack(self, message: bytearray, kind: int, flags: int, sequence: int) -> None:
        window = self.segment.window
        pack_header(
            message,
            (
                kind, flags, self.epoch, sequence, window.cnt0, window.cnt2, window.atime_ns, time.time_ns(),
                self._layout_id, len(message) - HEADER_BYTES,
            ),
        )  # fmt: skip
