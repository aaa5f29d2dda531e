"""A writer's end of a direct connection: what goes to the owner by the very connection by which its frames come.

Invariants: sending never waits; a message is sent whole, or nothing of it. What the kernel had no room for at once goes
out by a thread of its own, which is started for the first such message; until then there is no room for another.
"""

from __future__ import annotations

import threading
from typing import Optional

from daosup.core.dnet import Header, Kind, encode_header
from daosup.core.header import Buffer
from daosup.shm._native import DirectReceiver

#: How long the thread waits for room at a time.
_WAIT_S = 0.25


class DirectUpstream:
    """Sends by one connection, which stays its owner's to close; from one thread at a time.

    Args:
        receiver: The reader's end of the connection.
    """

    def __init__(self, receiver: DirectReceiver) -> None:
        self._receiver = receiver
        self._has_rest = threading.Event()
        self._is_over = False
        self._thread: Optional[threading.Thread] = None

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent now."""
        return self._receiver.flush(0.0)

    def send(self, message: Buffer) -> bool:
        """Ask an owner of ours; False: not sent."""
        return self.put(Header(Kind.ASK, payload_bytes=len(message)), message)

    def put(self, header: Header, payload: Buffer) -> bool:
        """Send any message; False: not sent."""
        is_sent = self._receiver.send(encode_header(header), payload)
        if self._receiver.has_rest:
            self._has_rest.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._flush, name="sends the rest", daemon=True)
                self._thread.start()
        return is_sent

    def _flush(self) -> None:
        while True:
            self._has_rest.wait()
            self._has_rest.clear()
            while not self._receiver.flush(_WAIT_S):
                pass
            if self._is_over:
                return

    def close(self) -> None:
        """Send nothing any more; the connection is closed next, which ends the thread."""
        self._is_over = True
        self._has_rest.set()
