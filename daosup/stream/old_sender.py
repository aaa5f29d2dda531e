"""A mirror's port for an old owner: the existing daemon subscribes to it and writes what comes into its own segment.

Invariant: sending never waits; where the old daemon is not connected (yet), a frame is dropped.
"""

from __future__ import annotations

from typing import Union

import zmq

from daosup.errors import UnavailableError
from daosup.stream.old_frames import OLD_TOPIC
from daosup.stream.sockets import LISTENING, put_options, socket_buffer_bytes, written_frames


class OldSender:
    """Sends pickled frames.

    Attributes:
        port: Where the old daemon finds it.

    Args:
        bind: Address to listen on.
        port: The one that is wanted; another one if it is taken, and with 0.
        frame_bytes: What is known of a frame's size, to size buffers.

    Raises:
        UnavailableError: If there is no port.
    """

    def __init__(self, bind: str, port: int, frame_bytes: int = 65536) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.PUB)
        options = {
            **LISTENING,
            zmq.SNDHWM: written_frames(frame_bytes),
            zmq.SNDBUF: socket_buffer_bytes(frame_bytes),
            zmq.MAXMSGSIZE: 4096,  # all that ever comes is a subscription
        }
        put_options(self._socket, options)
        try:
            self._bind(bind, port)
        except zmq.ZMQError as error:
            self.close()
            raise UnavailableError(f"cannot listen on {bind} for the old daemon: {error.strerror}") from error
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def _bind(self, bind: str, port: int) -> None:
        if port:
            try:
                self._socket.bind(f"tcp://{bind}:{port}")
            except zmq.ZMQError:
                pass
            else:
                return
        self._socket.bind(f"tcp://{bind}:*")

    def send(self, pickle: Union[bytes, bytearray]) -> None:
        """Send a pickled frame."""
        self._socket.send(OLD_TOPIC, zmq.NOBLOCK | zmq.SNDMORE)
        self._socket.send(pickle, zmq.NOBLOCK)

    def close(self) -> None:
        """Give the port free."""
        self._socket.close()
        self._context.term()
