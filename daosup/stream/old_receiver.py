"""A reader's end of an old daemon's stream.

Invariants: of what has arrived only the newest frame is handed on; what is no frame is counted, and takes no frame
along unless it comes as a flood; nothing is unpickled. The stream has neither counter nor heartbeat: whether there is a
link is known from the connection alone, which libzmq looks after with heartbeats of its own.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Optional

import zmq
from zmq.utils.monitor import recv_monitor_message

from daosup.core.header import MAX_FRAME_BYTES
from daosup.errors import ProtocolError
from daosup.stream.old_frames import OLD_TOPIC, Array, OldFrames
from daosup.stream.sockets import HEARTBEAT_MS, RECEIVING, put_options

#: An old sender queues so many messages for a reader. After so many one is handed on, though there are more.
MOST_TAKEN = 1000
#: So many of the newest are kept until one of them has turned out to be a frame.
CANDIDATES = 4
#: Elements that are pickled as text (protocol 2) take up to twice their size, what stands around them less than this.
_AROUND_BYTES = 4096


class OldReceiver:
    """Takes the newest frame from an old sender.

    Attributes:
        received_s: When the last receive ended, monotonic clock.
        passed_over: Messages that had arrived and were not looked at, because there was a newer frame.
        rejected: Messages that were looked at and were no frames.
        rejection: What was wrong with the last of them.
        has_link: Whether there is a connection, as of the last ``look``.

    Args:
        endpoint: ``tcp://HOST:PORT``; it does not matter whether anybody listens there yet.
    """

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.SUB)
        most_bytes = 2 * MAX_FRAME_BYTES + _AROUND_BYTES
        # An owner that says no heartbeat answers ours.
        put_options(self._socket, {**RECEIVING, zmq.HEARTBEAT_IVL: HEARTBEAT_MS, zmq.MAXMSGSIZE: most_bytes})
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._socket.setsockopt(zmq.SUBSCRIBE, OLD_TOPIC)
        self._socket.connect(endpoint)
        self._frames = OldFrames()
        self.received_s = 0.0
        self.passed_over = 0
        self.rejected = 0
        self.rejection = ""
        self.has_link = False

    def receive(self) -> Optional[Array]:
        """Wait a moment for a frame, and return the newest one that is there by then; None if none came."""
        arrived: deque[list[zmq.Frame]] = deque(maxlen=CANDIDATES)
        flags = 0
        try:
            for _ in range(MOST_TAKEN):
                message = self._message(flags)
                self.passed_over += len(arrived) == CANDIDATES
                arrived.append(message)
                flags = zmq.NOBLOCK
        except zmq.Again:
            pass
        self.received_s = time.monotonic()
        while arrived:
            try:
                frame = self._frame(arrived.pop())
            except ProtocolError as error:
                self.rejected += 1
                self.rejection = str(error)
                continue
            self.passed_over += len(arrived)
            return frame
        return None

    def _message(self, flags: int) -> list[zmq.Frame]:
        """The first two parts of the next message, and a third if there are more."""
        parts = [self._socket.recv(flags, copy=False)]
        while parts[-1].more:
            del parts[2:]
            parts.append(self._socket.recv(zmq.NOBLOCK, copy=False))
        return parts

    def _frame(self, parts: list[zmq.Frame]) -> Array:
        if len(parts) != 2 or parts[0].buffer != OLD_TOPIC:
            raise ProtocolError(f"message that is not {OLD_TOPIC.decode()} and one more part")
        return self._frames.decode(parts[1].buffer)

    def look(self) -> None:
        """Bring ``has_link`` up to date."""
        while self._monitor.poll(0):
            self.has_link = recv_monitor_message(self._monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def close(self) -> None:
        """Disconnect."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()
        self._context.term()
