"""Who has connected to a port and was not taken over yet.

Invariants: whoever connects may send anything, slowly, or nothing at all: it costs one of a bounded number of places
until its time is over, of more visitors the one that has waited longest is let go of, and nothing here waits longer
than it is told. When no file is left nobody is taken for a while: the kernel keeps those who wait, and would wake us
without end.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Optional, TypeVar

from daosup.core.dnet_lines import LINE_S, Answered, encode_answer
from daosup.stream.first_line import FirstLine

#: Connections that are taken from the kernel at a time.
_AT_ONCE = 64
FULL_PAUSE_S = 1.0

Visitor = TypeVar("Visitor", bound=FirstLine)


class Visitors(Generic[Visitor]):
    """Those at one port.

    Attributes:
        port: Where; 0 without a socket.
        rejected: Visitors that were refused.

    Args:
        listening: Where they come, non-blocking; closed with the visitors. None: only those come who are added.
        most: So many places there are.
        welcome: Makes a visitor of a connection, who may stay until a time.
    """

    def __init__(
        self, listening: Optional[socket.socket], most: int, welcome: Callable[[socket.socket, float], Visitor]
    ) -> None:
        self._socket, self._most, self._welcome = listening, most, welcome
        self._there: dict[int, Visitor] = {}
        #: Until when nobody is taken, as no file was left; 0: somebody is.
        self._full_until_s = 0.0
        self.rejected = 0
        self.port = 0
        self._poll = select.epoll()
        if listening is not None:
            self.port = int(listening.getsockname()[1])
            self._poll.register(listening.fileno(), select.EPOLLIN)

    def __len__(self) -> int:
        return len(self._there)

    @property
    def all(self) -> tuple[Visitor, ...]:
        """Those who are there, who has waited longest first."""
        return tuple(self._there.values())

    @property
    def fd(self) -> int:
        """Readable when somebody connected, or there is something to do for one who is there."""
        return self._poll.fileno()

    def wait(self, now: float, wait_s: float = 0.0) -> list[Visitor]:
        """For whom there is something to do, those who just came included; ``now`` is of the monotonic clock."""
        if self._full_until_s:
            wait_s = min(wait_s, max(0.0, self._full_until_s - now))
        ready = {fd for fd, _ in self._poll.poll(wait_s)}
        if self._socket is not None:
            if self._full_until_s and now >= self._full_until_s:
                self._full_until_s = 0.0
                self._poll.register(self._socket.fileno(), select.EPOLLIN)
            if self._socket.fileno() in ready:
                ready |= self._accept(self._socket, now)
        return [self._there[fd] for fd in ready if fd in self._there]

    def _accept(self, listening: socket.socket, now: float) -> set[int]:
        came: set[int] = set()
        for _ in range(_AT_ONCE):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                break
            except OSError:
                self._full_until_s = now + FULL_PAUSE_S
                self._poll.unregister(listening.fileno())
                break
            connection.setblocking(False)
            if len(self._there) >= self._most:
                self.refuse(self.all[0], "too many wait here")
            self.add(connection, now + LINE_S)
            came.add(connection.fileno())
        return came

    def add(self, connection: socket.socket, until_s: float) -> Visitor:
        """Somebody who is heard from now on."""
        visitor = self._there[connection.fileno()] = self._welcome(connection, until_s)
        self._poll.register(connection.fileno(), select.EPOLLIN)
        return visitor

    def watch(self, visitor: Visitor, events: int) -> None:
        """When there is something to do for one: ``select.EPOLLIN``, ``EPOLLOUT``, 0 for never."""
        self._poll.modify(visitor.connection.fileno(), events)

    def overdue(self, now: float) -> list[Visitor]:
        """Those whose time is over."""
        return [each for each in self._there.values() if now >= each.until_s]

    def refuse(self, visitor: Visitor, reason: str) -> None:
        """Let go of one and say why, unless it is being told something else."""
        self.rejected += 1
        connection = self.let_go(visitor)
        with suppress(OSError):
            if not visitor.is_being_told:
                connection.send(encode_answer(Answered(False, False, reason)))
            connection.shutdown(socket.SHUT_WR)
        connection.close()

    def let_go(self, visitor: Visitor) -> socket.socket:
        """One who is not looked after here any more; its connection is the caller's."""
        connection = visitor.connection
        del self._there[connection.fileno()]
        self._poll.unregister(connection.fileno())
        return connection

    def close(self) -> None:
        """Let go of all and give the port free."""
        for visitor in self.all:
            self.let_go(visitor).close()
        if self._socket is not None:
            self._socket.close()
        self._poll.close()
