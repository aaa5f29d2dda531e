"""A reader's first words to an owner that offers its frames directly: connect, ask, and hear whether it may.

Invariant: nothing here waits longer than it is told to; not one byte behind the answer is taken, for those are
messages; an owner that says anything but the answer to our line is not believed.
"""

from __future__ import annotations

import ipaddress
import os
import queue
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Optional

from daosup.core.dnet_lines import MOST_LINE_BYTES, Subscription, decode_answer, encode_subscribe
from daosup.core.transport import TRY_S, Via
from daosup.errors import ProtocolError

#: As ``getaddrinfo`` gives it.
_Address = tuple[Any, Any, int, str, Any]


class RefusedError(Exception):
    """A direct connection cannot be had now.

    Attributes:
        via: What that is for the mirror.
    """

    def __init__(self, via: Via, reason: str) -> None:
        self.via = via
        super().__init__(reason)


class DirectConnecting:
    """One try to have a source directly: ``TRY_S`` at most to find its owner's address, and as long for its answer.

    Args:
        host: Address of the owner.
        port: Where it offers that.
        wanted: What is asked for.
    """

    def __init__(self, host: str, port: int, wanted: Subscription) -> None:
        self._where = f"{host}:{port}"
        self._until_s = time.monotonic() + TRY_S
        self._line, self._is_for_ours = encode_subscribe(wanted), wanted.is_ours
        self._is_asked = False
        self._socket: Optional[socket.socket] = None
        self._found: queue.SimpleQueue[list[_Address]] = queue.SimpleQueue()
        if _is_number(host):
            self._look_up(host, port)
        else:  # a resolver may take its time, and frames go on meanwhile
            threading.Thread(target=self._look_up, args=(host, port), name="look-up", daemon=True).start()

    def _look_up(self, host: str, port: int) -> None:
        try:
            # Owners listen where ZeroMQ looks for them, which is IPv4 alone.
            self._found.put(socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            self._found.put([])

    def _connect(self, wait_s: float) -> None:
        """Begin, once it is known where to."""
        try:
            found = self._found.get(timeout=wait_s) if wait_s > 0 else self._found.get_nowait()
        except queue.Empty:
            return
        if not found:
            raise RefusedError(Via.ZMQ_REFUSED, f"{self._where}: it has no IPv4 address")
        # Who moves frames meanwhile comes here but twice a second: the owner's time begins once it can be asked.
        self._until_s = time.monotonic() + TRY_S
        family, kind, protocol, _, address = found[0]
        self._socket = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            self._socket.connect(address)

    def step(self, wait_s: float) -> Optional[socket.socket]:
        """Go on; returns the connection once the owner has said OK, None if it takes longer than ``wait_s``.

        Raises:
            RefusedError: If it came to nothing.
        """
        waited_until_s = time.monotonic() + wait_s
        try:
            while True:
                left_s = max(0.0, min(waited_until_s, self._until_s) - time.monotonic())
                if self._socket is None:
                    self._connect(left_s)
                elif self._is_ready(self._socket, left_s):
                    if not self._is_asked:
                        self._ask(self._socket)
                    elif self._is_answered(self._socket):
                        connected, self._socket = self._socket, None
                        return connected
                now = time.monotonic()
                if now >= self._until_s:
                    what = ": its name is not found" if self._socket is None else " does not answer"
                    raise RefusedError(Via.ZMQ_SILENT, f"{self._where}{what} within {TRY_S:g} s")
                if now >= waited_until_s:
                    return None
        except OSError as error:
            self.close()
            raise self._refused(error) from None
        except BaseException:
            self.close()
            raise

    def _is_ready(self, connection: socket.socket, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN if self._is_asked else select.POLLOUT)
        return bool(poll.poll(wait_s * 1000))

    def _ask(self, connection: socket.socket) -> None:
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        connection.send(self._line)  # a new connection has room for a line
        self._is_asked = True

    def _is_answered(self, connection: socket.socket) -> bool:
        """Take the answer, but nothing behind it."""
        seen = connection.recv(MOST_LINE_BYTES, socket.MSG_PEEK)
        end = seen.find(b"\n") + 1
        if not seen:
            raise RefusedError(Via.ZMQ_DENIED, f"{self._where} closed the connection without an answer")
        if not end:
            if len(seen) >= MOST_LINE_BYTES:
                raise RefusedError(Via.ZMQ_DENIED, f"{self._where} answers without end")
            time.sleep(0.001)  # the rest of the line is on its way; what is here already would wake us at once
            return False
        try:
            answered = decode_answer(connection.recv(end))
        except ProtocolError as error:
            raise RefusedError(Via.ZMQ_DENIED, f"{self._where}: {error}") from None
        if not answered.is_accepted:
            raise RefusedError(Via.ZMQ_DENIED, f"{self._where} refuses: {answered.reason[:200]}")
        if self._is_for_ours and not answered.is_ours:
            raise RefusedError(Via.ZMQ_DENIED, f"{self._where} does not speak to mirrors of ours")
        return True

    def _refused(self, error: OSError) -> RefusedError:
        is_silent = isinstance(error, TimeoutError)
        words = error.strerror or str(error) or type(error).__name__
        if isinstance(error, ConnectionRefusedError):
            words = "refuses connections"
        return RefusedError(Via.ZMQ_SILENT if is_silent else Via.ZMQ_REFUSED, f"{self._where}: {words}")

    def close(self) -> None:
        """Give up."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
