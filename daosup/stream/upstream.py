"""A writer's end of a stream: what goes from a mirror to its owner, against the direction of the frames.

It is a connection of its own beside the reader's, to the same port; so a thread that sends never meets the one that
receives. libzmq's XPUB takes messages from an XSUB that are no subscriptions, as its manual says.

Invariants: sending never waits; what cannot be sent at once, as there is no connection or no room, is not sent later.
"""

from __future__ import annotations

import zmq

from daosup.core.header import Buffer
from daosup.stream.sockets import CONNECTING, put_options, written_frames


class Upstream:
    """Sends to one owner.

    Args:
        endpoint: ``tcp://HOST:PORT`` of the stream.
    """

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.XSUB)
        options = {
            **CONNECTING,
            # Beside frames there are words; who sends large ones sees to it that there are fewer.
            zmq.SNDHWM: 2 * written_frames(1),
            # No pipe, and so no queue, without a connection.
            zmq.IMMEDIATE: 1,
            zmq.MAXMSGSIZE: 4096,  # nothing comes here
        }
        put_options(self._socket, options)
        self._socket.connect(endpoint)

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent now; who sends counts those that are under way himself."""
        return True

    def send(self, message: Buffer) -> bool:
        """Send a message; False: it is dropped. From one thread at a time."""
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Disconnect; what is still to be sent is given a moment."""
        self._socket.close(linger=100)
        self._context.term()
