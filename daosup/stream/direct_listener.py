"""Where a publisher is asked for its frames directly: a TCP port, and the line with which each connection begins.

Invariants: those of stream/visitors.py, for ``LINE_S``, and no more memory than a line; nothing here ever waits. A
connection is handed over only once its line asked for what is published here, and was answered.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from typing import Optional

from daosup.core.dnet_lines import LINE_S, Answered, Subscription, decode_subscribe, encode_answer
from daosup.errors import ProtocolError
from daosup.stream.first_line import FirstLine, listening
from daosup.stream.visitors import Visitors

#: Connections whose line is not here yet; of more, the one that has waited longest is closed.
MOST_WAITING = 32
#: Readers at once: each is a file, and a copy of each frame on its way.
MOST_READERS = 256
#: Nobody else has it, or it is not for us, or no file is left to us.
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


class DirectListener:
    """Hears who wants the frames of one segment.

    Attributes:
        port: Where; 0 if no port was free.

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
        self._visitors = Visitors(_listen(bind, ports), MOST_WAITING, FirstLine)
        self.port = self._visitors.port

    @property
    def fd(self) -> int:
        """Readable when somebody connected or said something; look with ``tend``."""
        return self._visitors.fd

    @property
    def waiting_count(self) -> int:
        """Connections whose line is not here yet."""
        return len(self._visitors)

    @property
    def rejected(self) -> int:
        """Connections that were closed for what they said, or did not say."""
        return self._visitors.rejected

    def tend(self, now: float) -> None:
        """Take in who came and what was said; never waits."""
        for visitor in self._visitors.wait(now):
            self._hear(visitor)
        for visitor in self._visitors.overdue(now):
            self._visitors.refuse(visitor, f"no line within {LINE_S:g} s")

    def _hear(self, visitor: FirstLine) -> None:
        try:
            line = visitor.hear()
        except EOFError:
            self._visitors.let_go(visitor).close()
            return
        except (ProtocolError, OSError) as error:
            self._visitors.refuse(visitor, str(error))
            return
        if line is not None:
            self._judge(visitor, line)

    def take_handed(self, connection: socket.socket, line: bytes) -> None:
        """Take in somebody who came elsewhere, and said this line there."""
        self._judge(self._visitors.add(connection, float("inf")), line)

    def _judge(self, visitor: FirstLine, line: bytes) -> None:
        try:
            wanted = decode_subscribe(line)
            why_not = self._may_join(wanted) if wanted.name == self._name else f"{wanted.name[:120]} is not here"
        except ProtocolError as error:
            self._visitors.refuse(visitor, str(error))
            return
        if why_not is not None:
            self._visitors.refuse(visitor, why_not)
            return
        connection = self._visitors.let_go(visitor)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.send(encode_answer(Answered(True, wanted.is_ours, "")))  # a new connection has room for it
        except OSError:
            connection.close()
            return
        self._take(connection.detach(), wanted)

    def close(self) -> None:
        """Give the port free."""
        self._visitors.close()


def _listen(bind: str, ports: Iterable[int]) -> Optional[socket.socket]:
    """A socket at the first port that is free; None if there is none, or the address is not ours."""
    for port in ports:
        try:
            return listening(bind, port, MOST_WAITING)
        except OSError as error:
            if error.errno not in _TAKEN:
                return None
    return None
