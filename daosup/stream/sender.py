"""The owner's end of a stream: one ZeroMQ port that serves every reader of a segment.

Invariants: sending never waits for a reader; at most ``queue_frames`` frames wait for one, beside what is on its way,
and what does not fit is dropped for that reader alone, who sees it in the sequence. A new subscription is answered with
a description.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterable
from typing import Optional, Union

import zmq
import zmq.backend

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
from daosup.core.writing import MOST_ASK_BYTES
from daosup.errors import UnavailableError
from daosup.shm import Segment, _native
from daosup.shm.segment import READ_TIMEOUT_S
from daosup.stream.connections import SUBSCRIBED, UNSUBSCRIBED, Connections
from daosup.stream.old_readers import OldReaders
from daosup.stream.sockets import LISTENING, bound_unsent, put_options, queue_frames

#: After a subscription every message describes for so long, so that a reader that takes only the newest gets one.
DESCRIBE_BURST_S = 0.05
#: With no other reason, a description goes out so often; it is the stream's heartbeat.
DESCRIBE_INTERVAL_S = 1.0
_POLLIN = int(zmq.POLLIN)  # with pyzmq's enum each look takes three times as long
#: However often somebody subscribes, descriptions without a new frame are at least so far apart.
DESCRIBE_PAUSE_S = 0.005
#: Readers are listened to for so long at a time, however much they say.
LISTEN_S = 0.002

#: No subscription is longer.
_SUBSCRIPTION_BYTES = 4096


def share_libzmq() -> None:
    """Let the native part send and receive through the very libzmq that pyzmq has loaded, on pyzmq's sockets.

    Raises:
        UnavailableError: If this pyzmq does not call libzmq from an extension module of its own.
    """
    module = sys.modules[zmq.backend.Socket.__module__]
    try:
        _native.load_libzmq(str(module.__file__))
    except ImportError as error:
        raise UnavailableError(
            f"cannot share libzmq with pyzmq {zmq.__version__}: {error}; install pyzmq 25 or newer, with its Cython "
            "backend (CPython, PYZMQ_BACKEND not set to another) and libzmq 4.2 or newer"
        ) from None


class Sender:
    """Sends the frames of one segment.

    Attributes:
        address: Of the socket, for ``Window.send_frames``.
        port: Where readers find it.
        reader_count: How many there are of protocol 2.
        old_readers: Those of the old protocol.
        is_asked: Whether one of them waits for a description.
        burst_until: Until then every message describes, monotonic clock.
    """

    def __init__(
        self,
        bind: str,
        ports: Iterable[int],
        frame_bytes: int,
        on_upstream: Callable[[bytes], Optional[bytes]] = lambda message: None,
        upstream_bytes: int = MOST_ASK_BYTES,
    ) -> None:
        """Bind the first free one of ``ports`` (0: any).

        Args:
            bind: Address to listen on.
            ports: Those allowed.
            frame_bytes: Size of a frame, to size buffers.
            on_upstream: Called with each message of a writer; returns what is to be answered, if anything.
            upstream_bytes: The longest of those; whoever sends a longer one loses its connection.

        Raises:
            UnavailableError: If none is free, or the address is not ours.
        """
        share_libzmq()
        self._on_upstream = on_upstream
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.XPUB)
        options = {
            **LISTENING,
            zmq.SNDHWM: queue_frames(frame_bytes),
            zmq.XPUB_VERBOSER: 1,
            zmq.MAXMSGSIZE: max(_SUBSCRIPTION_BYTES, upstream_bytes),
        }
        put_options(self._socket, options)
        # Bounded before the first frame goes there, as libzmq tells of a connection before its subscription.
        self._connections = Connections(
            self._context, self._socket, lambda connection: bound_unsent(connection, frame_bytes)
        )
        try:
            self.port = self._bind(bind, ports)
        except BaseException:
            self.close()
            raise
        self.old_readers = OldReaders(self._socket)
        self.address = int(self._socket.underlying)
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

    def hear(self) -> bool:
        """Take in what readers said; never waits. Returns whether they say more than can be listened to at once."""
        until_s = time.monotonic() + LISTEN_S
        self._connections.hear()
        while int(self._socket.getsockopt(zmq.EVENTS)) & _POLLIN:
            if time.monotonic() >= until_s:
                return True
            try:
                said = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if said.startswith(MAGIC):
                answer = self._on_upstream(said)
                if answer is not None:
                    self.send(answer)
                continue
            if not said[1:].startswith(MAGIC):
                self.old_readers.hear(said, self._has_left)
            elif said[:1] == SUBSCRIBED:
                self.is_asked = True
                self.burst_until = time.monotonic() + DESCRIBE_BURST_S
                self.reader_count += said[1:] == MAGIC
            elif said == UNSUBSCRIBED + MAGIC and self._has_left(self.reader_count):
                self.reader_count -= 1
        # Only now: what a reader said is heard after its end, if it was there for a moment.
        if self._connections.are_none():
            self.reader_count = 0
            self.old_readers.forget()
        return False

    def _has_left(self, count: int) -> bool:
        """Whether one of so many readers may be believed to have left."""
        return count > 0 and self._connections.take_ended()

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads by ZeroMQ, in whichever protocol."""
        return self.reader_count > 0 or self.old_readers.count > 0

    def is_heard(self, now: float) -> bool:
        """Whether somebody takes what is sent, or may take it in a moment."""
        return self.has_readers or self.is_asked or now < self.burst_until

    @property
    def due_s(self) -> float:
        """When the next description is due, with no other reason; monotonic clock, infinite without readers."""
        return self._described + DESCRIBE_INTERVAL_S if self.has_readers else float("inf")

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

    def describe_next(self) -> None:
        """Describe with the next message, with a frame only if there is a new one: the keywords changed."""
        self._described = float("-inf")

    def describe_soon(self) -> None:
        """Describe with the next messages: something changed."""
        self.burst_until = time.monotonic() + DESCRIBE_BURST_S
        self.is_asked = True

    def send(self, message: Union[bytearray, bytes]) -> None:
        """Hand a message over without waiting; for a reader whose queue is full it is dropped."""
        self._socket.send(message, zmq.NOBLOCK)

    def close(self) -> None:
        """Give the port free."""
        self._connections.close()
        self._socket.close()
        self._context.term()


class Messages:
    """The messages for one opened segment.

    Attributes:
        header: What the headers of all frames have in common, for ``Window.send_frames``.
        keywords: The segment's, as ``has_new_keywords`` saw them last, or as they were in the beginning.
        frame_message_bytes: Length of a frame's message.
    """

    def __init__(self, segment: Segment, epoch: int, source: str = "") -> None:
        self.segment = segment
        self.epoch = epoch
        geometry = segment.geometry
        self.description = Description(geometry, segment.creation_time, source)
        self._layout_id = self.description.layout_id
        self.keywords = segment.keywords.raw()
        self._frame_at = HEADER_BYTES + DESCRIPTION_BYTES + geometry.keyword_count * KEYWORD_BYTES
        self._described = bytearray(self._frame_at + geometry.frame_bytes)
        self._described[HEADER_BYTES : HEADER_BYTES + DESCRIPTION_BYTES] = self.description.encode()
        self.frame_message_bytes = HEADER_BYTES + geometry.frame_bytes
        header = bytearray(HEADER_BYTES)
        self._pack(header, Kind.FRAME, Flag.NONE, 0, geometry.frame_bytes)
        self.header = bytes(header)

    def has_new_keywords(self) -> bool:
        """Whether the segment's keywords are others than at the last call; who describes them then misses none."""
        before, self.keywords = self.keywords, self.segment.keywords.raw()
        return self.keywords != before

    def frame_of(self, message: bytearray) -> memoryview:
        """The frame in a describe message that has one."""
        return memoryview(message)[self._frame_at :]

    def describe(self, sequence: int, *, has_frame: bool) -> bytearray:
        """A describe message, with the newest frame or without; errors as ``Segment.read``."""
        self._described[HEADER_BYTES + DESCRIPTION_BYTES : self._frame_at] = self.segment.keywords.raw()
        if has_frame:
            self.segment.window.snapshot(self._described, self._frame_at, -1, READ_TIMEOUT_S)
            message = self._described
        else:
            message = self._described[: self._frame_at]
        flags = Flag.HAS_FRAME if has_frame else Flag.NONE
        self._pack(message, Kind.DESCRIBE, flags, sequence, len(message) - HEADER_BYTES)
        return message

    def _pack(self, message: bytearray, kind: int, flags: int, sequence: int, payload_bytes: int) -> None:
        window = self.segment.window
        pack_header(
            message,
            (
                kind, flags, self.epoch, sequence, window.cnt0, window.cnt2, window.atime_ns, time.time_ns(),
                self._layout_id, payload_bytes,
            ),
        )  # fmt: skip
