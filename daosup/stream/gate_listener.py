"""The data port of DAO's network protocol: where nodes ask what this host has, and for a segment of it.

Invariants: those of stream/visitors.py, for ``LINE_S``, and no more memory than a line. What is sent as an answer is
bounded, and given up when it is not taken in time.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Optional

from daosup.core.dnet_catalogue import ASK
from daosup.core.dnet_lines import Subscription, decode_subscribe
from daosup.errors import ProtocolError, UnavailableError
from daosup.stream.first_line import FirstLine, listening
from daosup.stream.visitors import Visitors

MOST_WAITING = 64
#: How long an answer may take to be sent, and a publisher to begin.
ANSWER_S = 2.0
BEGIN_S = 10.0
#: Between two tries to hand a reader to a publisher that is just beginning.
_RETRY_S = 0.02


class GateListener:
    """Hears who comes to this host's data port.

    Args:
        bind: Address to listen on, ``*`` for all.
        port: Where.
        catalogue: Gives the answer to ``CATALOG``.
        hand_over: Hands a connection and its line to who publishes what is asked for; False if nobody does yet.
            Raises UnavailableError if nobody ever will.

    Raises:
        UnavailableError: If the port cannot be had.
    """

    def __init__(
        self,
        bind: str,
        port: int,
        catalogue: Callable[[], bytes],
        hand_over: Callable[[Subscription, socket.socket, bytes], bool],
    ) -> None:
        self._catalogue, self._hand_over = catalogue, hand_over
        self.handed = 0
        try:
            socket_ = listening(bind, port, MOST_WAITING)
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {bind}:{port} for nodes of DAO's network service: {error.strerror}; does that "
                "service run on this host itself? see dnet.data_port in the configuration"
            ) from error
        self._visitors = Visitors(socket_, MOST_WAITING, _Visitor)
        self.port = self._visitors.port

    @property
    def rejected(self) -> int:
        """Visitors that were refused."""
        return self._visitors.rejected

    def wait(self, now: float, until_s: float) -> None:
        """Do what is to be done until something comes, or ``until_s``; both are of one monotonic clock."""
        has_pending = any(each.wanted for each in self._visitors.all)
        wait_s = max(0.0, min(until_s - now, _RETRY_S if has_pending else until_s - now))
        for visitor in self._visitors.wait(now, wait_s):
            if visitor.rest:
                self._send(visitor)
            else:
                self._hear(visitor, now)
        for visitor in self._visitors.all:
            if visitor.wanted is not None:
                self._pass_on(visitor)
        for visitor in self._visitors.overdue(now):
            self._visitors.refuse(visitor, "not in time")

    def _hear(self, visitor: _Visitor, now: float) -> None:
        try:
            line = visitor.hear()
            if line is None:
                return
            if line.strip() == ASK.strip():
                visitor.rest, visitor.until_s, visitor.is_being_told = self._catalogue(), now + ANSWER_S, True
                self._visitors.watch(visitor, select.EPOLLOUT)
                self._send(visitor)
                return
            visitor.wanted, visitor.line, visitor.until_s = decode_subscribe(line), line, now + BEGIN_S
            # Nothing may come before our answer; that it is gone is seen when it is handed over.
            self._visitors.watch(visitor, 0)
        except EOFError:
            self._visitors.let_go(visitor).close()
        except (ProtocolError, OSError) as error:
            self._visitors.refuse(visitor, str(error))

    def _pass_on(self, visitor: _Visitor) -> None:
        assert visitor.wanted is not None
        try:
            is_handed = self._hand_over(visitor.wanted, visitor.connection, visitor.line)
        except UnavailableError as error:
            self._visitors.refuse(visitor, str(error))
            return
        if is_handed:
            self.handed += 1
            self._visitors.let_go(visitor).close()

    def _send(self, visitor: _Visitor) -> None:
        try:
            visitor.rest = visitor.rest[visitor.connection.send(visitor.rest) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            visitor.rest = b""
        if not visitor.rest:
            connection = self._visitors.let_go(visitor)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            connection.close()

    def close(self) -> None:
        """Give the port free."""
        self._visitors.close()


class _Visitor(FirstLine):
    """A connection that was not handed over yet, or is being answered."""

    def __init__(self, connection: socket.socket, until_s: float) -> None:
        super().__init__(connection, until_s)
        self.wanted: Optional[Subscription] = None
        self.line = self.rest = b""
