"""A reader's end of a stream.

Invariants: of what has arrived only the newest frame is handed on, so a reader that was stopped goes on with the
present; descriptions among it are never passed over; what does not decode is counted and dropped.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Optional

import zmq

from daosup.core.header import MAGIC, MAX_FRAME_BYTES, Header, Kind, decode_header
from daosup.errors import ProtocolError
from daosup.stream.sender import HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS, has_input, queue_frames, socket_buffer_bytes

RECONNECT_MS = 20
RECONNECT_MAX_MS = 500
#: The longest a receive waits before it returns with nothing.
WAIT_MS = 250
#: While frames pour in faster than they are taken out, one is handed on after so many at the latest.
MOST_PASSED_OVER = 16
#: A stream is asked to describe itself again at most so often.
ASK_PAUSE_S = 0.05
#: A second subscription below the first one's topic, which no message has, only to be noticed by the sender.
_NONCE_BYTES = 4


class Receiver:
    """Takes the newest frame from a sender.

    Attributes:
        rejected: Messages that did not decode.
    """

    def __init__(
        self, endpoint: str, on_description: Callable[[zmq.Frame, Header], None], frame_bytes: int = 0
    ) -> None:
        """Connect; it does not matter whether anybody listens there yet.

        Args:
            endpoint: ``tcp://HOST:PORT``.
            on_description: Called with each describe message.
            frame_bytes: What is known of a frame's size, to size buffers.
        """
        self._on_description = on_description
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.SUB)
        options = {
            zmq.LINGER: 0,
            zmq.RCVHWM: queue_frames(frame_bytes or 65536),
            zmq.RCVBUF: socket_buffer_bytes(frame_bytes or 65536),
            zmq.RCVTIMEO: WAIT_MS,
            zmq.RECONNECT_IVL: RECONNECT_MS,
            zmq.RECONNECT_IVL_MAX: RECONNECT_MAX_MS,
            zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
            zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
            zmq.TCP_KEEPALIVE: 1,
            zmq.MAXMSGSIZE: MAX_FRAME_BYTES + 16 * 1024 * 1024,
        }
        for option, value in options.items():
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.SUBSCRIBE, MAGIC)
        self._socket.connect(endpoint)
        self._asked = 0.0
        self.rejected = 0

    def receive(self) -> Optional[tuple[zmq.Frame, Header]]:
        """Wait a moment for the newest message that has or may have a frame.

        Returns:
            Message and header; None if nothing came.
        """
        try:
            message = self._socket.recv(copy=False)
        except zmq.Again:
            return None
        newest = None
        for _ in range(MOST_PASSED_OVER):
            newest = self._judge(message) or newest
            if not has_input(self._socket):
                break
            try:
                message = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
        else:
            newest = self._judge(message) or newest
        return newest

    def _judge(self, message: zmq.Frame) -> Optional[tuple[zmq.Frame, Header]]:
        try:
            if message.more:
                raise ProtocolError("message of more than one part")
            header = decode_header(message.buffer)
            if header.kind == Kind.DESCRIBE:
                self._on_description(message, header)
            elif header.kind != Kind.FRAME:
                raise ProtocolError(f"message of kind {header.kind} from a sender of frames")
        except ProtocolError:
            self.rejected += 1
            return None
        return message, header

    def ask_description(self) -> None:
        """Let the sender notice us, so that it describes itself and sends the newest frame."""
        now = time.monotonic()
        if now < self._asked + ASK_PAUSE_S:
            return
        self._asked = now
        topic = MAGIC + b"\xff" + os.urandom(_NONCE_BYTES)
        self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.setsockopt(zmq.UNSUBSCRIBE, topic)

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
        self._context.term()
