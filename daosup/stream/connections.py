"""Which connections are open at a stream's port.

libzmq hands on every unsubscription, also that of a stranger who never subscribed, and does not say whose it is. What
it tells of connections cannot be forged: so readers leave only as connections end, and where none is open and all is
heard that was said, nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable

import zmq
from zmq.utils.monitor import recv_monitor_message

#: What stands before a topic.
SUBSCRIBED, UNSUBSCRIBED = b"\x01", b"\x00"
_POLLIN = int(zmq.POLLIN)


class Connections:
    """What libzmq tells of the connections of one socket that listens.

    Args:
        context: The socket's.
        socket: Which is not bound yet.
        on_accepted: Called with the descriptor of each new one.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], on_accepted: Callable[[int], None]
    ) -> None:
        self._socket = socket
        self._on_accepted = on_accepted
        self._open: set[int] = set()
        self._ended = 0
        socket.monitor("inproc://connections", zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        # libzmq would stand still until we hear of one, so any number may wait.
        self._told = context.socket(zmq.PAIR)
        self._told.setsockopt(zmq.RCVHWM, 0)
        self._told.connect("inproc://connections")

    def hear(self) -> None:
        """Take in what libzmq tells; never waits."""
        while int(self._told.getsockopt(zmq.EVENTS)) & _POLLIN:
            told = recv_monitor_message(self._told)
            if told["event"] == zmq.EVENT_ACCEPTED:
                self._open.add(told["value"])
                self._on_accepted(told["value"])
            else:
                self._open.discard(told["value"])
                self._ended += 1

    def are_none(self) -> bool:
        """Whether none is open, and so all that have ended are done with."""
        self.hear()
        if self._open:
            return False
        self._ended = 0
        return True

    def take_ended(self) -> bool:
        """Whether one has ended for which nobody was said to have left yet; it is one less from now on."""
        self.hear()
        self._ended -= (has_ended := self._ended > 0)
        return has_ended

    def close(self) -> None:
        """Hear no more."""
        self._socket.disable_monitor()
        self._told.close(0)
