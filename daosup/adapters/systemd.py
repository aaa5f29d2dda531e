"""What systemd is told; away from systemd nobody listens and nothing happens.

Invariants: telling never waits, however full the manager's socket is, unless the caller says how long it may; what was
told arrives in its order as soon as there is room again, but for what only counts at its moment (the watchdog, time
that is asked for) and a status that a newer one has overtaken; no text from outside adds a line to a message, for each
line is an assignment.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from typing import Optional

from sdnotify import SystemdNotifier

#: How long one that ends, or has nothing else to do, waits for a manager that does not read.
PATIENCE_S = 2.0
#: A manager that reads nothing for so many messages is told the newest ones when it does.
_MOST_WAITING = 64


class Systemd:
    """The notification socket of the service."""

    def __init__(self) -> None:
        # The library opens the socket; it would send in Latin-1, which the manager refuses, and wait for room.
        self._socket: Optional[socket.socket] = SystemdNotifier().socket
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)

    def ready(self, status: str) -> None:
        """The service serves."""
        self._tell(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """How the service is, in one line for people."""
        if self._waiting and self._waiting[-1].startswith("STATUS="):
            self._waiting.pop()
        self._tell(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The service reads its configuration anew; ``ready`` ends that."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._tell("STOPPING=1")

    def failed(self, status: str, number: int) -> None:
        """The service ends because of the error ``number``, as in errno; waits until that is told."""
        self._tell(f"ERRNO={number}\nSTATUS={_line(status)}")
        self.flush(PATIENCE_S)

    def extend_timeout(self, patience_s: float) -> None:
        """What goes on takes up to ``patience_s`` seconds more from now on."""
        self._tell_now(f"EXTEND_TIMEOUT_USEC={int(patience_s * 1e6)}")

    def feed_watchdog(self) -> None:
        """The service lives."""
        self._tell_now("WATCHDOG=1")

    def flush(self, patience_s: float = 0.0) -> bool:
        """Send what waits for room, for ``patience_s`` seconds at most; whether nothing waits any more."""
        deadline_s = time.monotonic() + patience_s
        while self._waiting:
            if self._send(self._waiting[0]):
                self._waiting.popleft()
            elif not self._has_room(deadline_s - time.monotonic()):
                return False
        return True

    def close(self) -> None:
        """Tell nothing more."""
        if self._socket is not None:
            self._socket.close()

    def _tell(self, message: str) -> None:
        self._waiting.append(message)
        self.flush()

    def _tell_now(self, message: str) -> None:
        if self.flush():
            self._send(message)

    def _send(self, message: str) -> bool:
        if self._socket is None:
            return True
        try:
            self._socket.send(message.encode(errors="replace"), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            # The manager is gone, or never was: nobody is left to be told, nor to be told of that.
            return True
        return True

    def _has_room(self, patience_s: float) -> bool:
        assert self._socket is not None
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        return patience_s > 0 and bool(poll.poll(1e3 * patience_s))


def _line(text: str) -> str:
    return " ".join(text.split())
