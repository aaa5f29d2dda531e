"""The data port of DAO's network protocol: where nodes ask what this host has, and for a segment of it.

Invariants: whoever connects may send anything, slowly, or nothing at all: it costs one of ``MOST_WAITING`` places for
``LINE_S`` at most, and no more memory than a line; nothing here ever waits. What is sent as an answer is bounded, and
given up when it is not taken in time.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Optional

from daosup.core.dnet_catalogue import ASK
from daosup.core.dnet_lines import (
    LINE_S,
    Answered,
    Subscription,
    decode_subscribe,
    encode_answer,
)
from daosup.errors import ProtocolError, UnavailableError
from daosup.stream.first_line import FirstLine, listening

MOST_WAITING = 64
#: How long an answer may take to be sent, and a publisher to begin.
ANSWER_S = 2.0
BEGIN_S = 10.0
_AT_ONCE = 64
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
        self.handed = self.rejected = 0
        self._visitors: dict[int, _Visitor] = {}
        self._poll = select.epoll()
        try:
            self._socket = listening(bind, port, MOST_WAITING)
        except OSError as error:
            self._poll.close()
            raise UnavailableError(
                f"cannot listen on {bind}:{port} for nodes of DAO's network service: {error.strerror}; does that "
                "service run on this host itself? see dnet.data_port in the configuration"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        self._poll.register(self._socket.fileno(), select.EPOLLIN)

    def wait(self, now: float, until_s: float) -> None:
        """Do what is to be done until something comes, or ``until_s``; both are of one monotonic clock."""
        has_pending = any(each.wanted for each in self._visitors.values())
        wait_s = max(0.0, min(until_s - now, _RETRY_S if has_pending else until_s - now))
        for fd, _ in self._poll.poll(wait_s):
            visitor = self._visitors.get(fd)
            if visitor is None:
                self._accept(now)
            elif visitor.rest:
                self._send(visitor)
            else:
                self._hear(visitor, now)
        for visitor in list(self._visitors.values()):
            if visitor.wanted is not None:
                self._pass_on(visitor)
            if visitor.connection.fileno() >= 0 and now >= visitor.until_s:
                self._refuse(visitor, "not in time")

    def _accept(self, now: float) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except OSError:  # nobody more, or no file left: those who wait are let go of in time
                return
            connection.setblocking(False)
            if len(self._visitors) >= MOST_WAITING:
                self._refuse(next(iter(self._visitors.values())), "too many wait here")
            self._visitors[connection.fileno()] = _Visitor(connection, now + LINE_S)
            self._poll.register(connection.fileno(), select.EPOLLIN)

    def _hear(self, visitor: _Visitor, now: float) -> None:
        try:
            line = visitor.hear()
            if line is None:
                return
            if line.strip() == ASK.strip():
                visitor.rest, visitor.until_s = self._catalogue(), now + ANSWER_S
                self._poll.modify(visitor.connection.fileno(), select.EPOLLOUT)
                self._send(visitor)
                return
            visitor.wanted, visitor.line, visitor.until_s = decode_subscribe(line), line, now + BEGIN_S
            # Nothing may come before our answer; that it is gone is seen when it is handed over.
            self._poll.modify(visitor.connection.fileno(), 0)
        except EOFError:
            self._let_go(visitor).close()
        except (ProtocolError, OSError) as error:
            self._refuse(visitor, str(error))

    def _pass_on(self, visitor: _Visitor) -> None:
        assert visitor.wanted is not None
        try:
            is_handed = self._hand_over(visitor.wanted, visitor.connection, visitor.line)
        except UnavailableError as error:
            self._refuse(visitor, str(error))
            return
        if is_handed:
            self.handed += 1
            self._let_go(visitor).close()

    def _send(self, visitor: _Visitor) -> None:
        try:
            visitor.rest = visitor.rest[visitor.connection.send(visitor.rest) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            visitor.rest = b""
        if not visitor.rest:
            connection = self._let_go(visitor)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            connection.close()

    def _refuse(self, visitor: _Visitor, reason: str) -> None:
        self.rejected += 1
        connection = self._let_go(visitor)
        with suppress(OSError):
            if not visitor.rest:
                connection.send(encode_answer(Answered(False, False, reason)))
            connection.shutdown(socket.SHUT_WR)
        connection.close()

    def _let_go(self, visitor: _Visitor) -> socket.socket:
        connection = visitor.connection
        del self._visitors[connection.fileno()]
        self._poll.unregister(connection.fileno())
        return connection

    def close(self) -> None:
        """Give the port free."""
        for visitor in list(self._visitors.values()):
            self._let_go(visitor).close()
        self._socket.close()
        self._poll.close()


class _Visitor(FirstLine):
    """A connection that was not handed over yet, or is being answered."""

    def __init__(self, connection: socket.socket, until_s: float) -> None:
        super().__init__(connection, until_s)
        self.wanted: Optional[Subscription] = None
        self.line = self.rest = b""
