"""Where a publisher is asked for its frames directly: a TCP port, and the line with which each connection begins.

Invariants: whoever connects may send anything, slowly, or nothing at all: it costs one of ``MOST_WAITING`` places for
``LINE_S`` at most, and no more memory than a line; nothing here ever waits. A connection is handed over only once its
line asked for what is published here, and was answered.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Optional

from daosup.core.dnet_lines import (
    LINE_S,
    Answered,
    Subscription,
    decode_subscribe,
    encode_answer,
)
from daosup.errors import ProtocolError
from daosup.stream.first_line import FirstLine, listening

#: Connections whose line is not here yet; of more, the one that has waited longest is closed.
MOST_WAITING = 32
#: Readers at once: each is a file, and a copy of each frame on its way.
MOST_READERS = 256
#: Connections that are taken from the kernel at a time.
_AT_ONCE = 64
#: Nobody else has it, or it is not for us, or no file is left to us.
_TAKEN = (errno.EADDRINUSE, errno.EACCES)
#: When no file is left, nobody is taken for so long.
_FULL_PAUSE_S = 1.0


class DirectListener:
    """Hears who wants the frames of one segment.

    Attributes:
        port: Where; 0 if no port was free.
        rejected: Connections that were closed for what they said, or did not say.

    Args:
        bind: Address to listen on, ``*`` for all.
        ports: Those allowed, the preferred one first (0: any).
        name: Of the segment.
        may_join: Says why one more reader cannot be had, if so.
        take: Takes over a connected, answered, non-blocking socket (detached, as a file descriptor).
    """

    def __init__(
        self,
        bind: str,
        ports: Iterable[int],
        name: str,
        may_join: Callable[[Subscription], Optional[str]],
        take: Callable[[int, Subscription], None],
    ) -> None:
        self._name, self._may_join, self._take = name, may_join, take
        self._waiting: dict[int, FirstLine] = {}
        self._full_s = 0.0
        self.rejected = 0
        self._poll = select.epoll()
        self._socket = _listen(bind, ports)
        self.port = 0
        if self._socket is not None:
            self.port = int(self._socket.getsockname()[1])
            self._poll.register(self._socket.fileno(), select.EPOLLIN)

    @property
    def fd(self) -> int:
        """Readable when somebody connected or said something; look with ``tend``."""
        return self._poll.fileno()

    @property
    def waiting_count(self) -> int:
        """Connections whose line is not here yet."""
        return len(self._waiting)

    def tend(self, now: float) -> None:
        """Take in who came and what was said; never waits."""
        for fd, _ in self._poll.poll(0):
            waiting = self._waiting.get(fd)
            if waiting is not None:
                self._hear(waiting)
            else:
                self._accept(now)
        if self._full_s and now >= self._full_s and self._socket is not None:
            self._full_s = 0.0
            self._poll.register(self._socket.fileno(), select.EPOLLIN)
        for waiting in [each for each in self._waiting.values() if now >= each.until_s]:
            self._refuse(waiting, f"no line within {LINE_S:g} s")

    def _accept(self, now: float) -> None:
        if self._socket is None:
            return
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                return
            except OSError:  # no file left; the kernel keeps those who wait, and would wake us without end
                self._full_s = now + _FULL_PAUSE_S
                self._poll.unregister(self._socket.fileno())
                return
            connection.setblocking(False)
            if len(self._waiting) >= MOST_WAITING:
                self._refuse(next(iter(self._waiting.values())), "too many wait here")
            self._waiting[connection.fileno()] = waiting = FirstLine(connection, now + LINE_S)
            self._poll.register(connection.fileno(), select.EPOLLIN)
            self._hear(waiting)  # mostly it has said it already

    def _hear(self, waiting: FirstLine) -> None:
        try:
            line = waiting.hear()
        except EOFError:
            self._let_go(waiting).close()
            return
        except (ProtocolError, OSError) as error:
            self._refuse(waiting, str(error))
            return
        if line is not None:
            self._judge(waiting, line)

    def take_handed(self, connection: socket.socket, line: bytes) -> None:
        """Take in somebody who came elsewhere, and said this line there."""
        waiting = self._waiting[connection.fileno()] = FirstLine(connection, float("inf"))
        self._poll.register(connection.fileno(), select.EPOLLIN)
        self._judge(waiting, line)

    def _judge(self, waiting: FirstLine, line: bytes) -> None:
        try:
            wanted = decode_subscribe(line)
            why_not = self._may_join(wanted) if wanted.name == self._name else f"{wanted.name[:120]} is not here"
        except ProtocolError as error:
            self._refuse(waiting, str(error))
            return
        if why_not is not None:
            self._refuse(waiting, why_not)
            return
        connection = self._let_go(waiting)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.send(encode_answer(Answered(True, wanted.is_ours, "")))  # a new connection has room for it
        except OSError:
            connection.close()
            return
        self._take(connection.detach(), wanted)

    def _refuse(self, waiting: FirstLine, reason: str) -> None:
        self.rejected += 1
        connection = self._let_go(waiting)
        with suppress(OSError):
            connection.send(encode_answer(Answered(False, False, reason)))
            connection.shutdown(socket.SHUT_WR)
        connection.close()

    def _let_go(self, waiting: FirstLine) -> socket.socket:
        connection = waiting.connection
        del self._waiting[connection.fileno()]
        self._poll.unregister(connection.fileno())
        return connection

    def close(self) -> None:
        """Give the port free."""
        for waiting in list(self._waiting.values()):
            self._let_go(waiting).close()
        if self._socket is not None:
            self._socket.close()
        self._poll.close()


def _listen(bind: str, ports: Iterable[int]) -> Optional[socket.socket]:
    """A socket at the first port that is free; None if there is none, or the address is not ours."""
    for port in ports:
        try:
            return listening(bind, port, MOST_WAITING)
        except OSError as error:
            if error.errno not in _TAKEN:
                return None
    return None
