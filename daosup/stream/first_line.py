"""Connections of strangers that begin with one line: where they come, and hearing that line.

Invariant: whoever connects may send anything, slowly, or nothing at all: hearing never waits, and keeps no more than a
line.
"""

from __future__ import annotations

import socket
from typing import Optional

from daosup.core.dnet_lines import MOST_LINE_BYTES
from daosup.errors import ProtocolError


def listening(bind: str, port: int, backlog: int) -> socket.socket:
    """A non-blocking socket at that port of an IPv4 address, or with ``*`` of all.

    Raises:
        OSError: If somebody else has the port, or the address is not ours.
    """
    address = "" if bind == "*" else bind
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # A port whose connections of before are still being forgotten is free; one that somebody has is not.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(backlog)
    except OSError:
        made.close()
        raise
    return made


class FirstLine:
    """A connection whose line is not all here; nobody waits for it longer than ``until_s``.

    Attributes:
        is_being_told: Whether an answer was begun, so that no other can be said any more.
    """

    def __init__(self, connection: socket.socket, until_s: float) -> None:
        self.connection, self.until_s = connection, until_s
        self.is_being_told = False
        self._said = b""

    def hear(self) -> Optional[bytes]:
        """The line, once it is here.

        Raises:
            ProtocolError: If it is too long, something is behind it, or the connection ends before it does.
            EOFError: If the connection ends without a word: somebody only looked whether it can be had.
        """
        try:
            said = self.connection.recv(MOST_LINE_BYTES + 1 - len(self._said))
        except (BlockingIOError, InterruptedError):
            return None
        self._said += said
        line, end, behind = self._said.partition(b"\n")
        if behind:
            raise ProtocolError("something behind the line, before it was answered")
        if len(self._said) > MOST_LINE_BYTES:
            raise ProtocolError(f"line of more than {MOST_LINE_BYTES} bytes")
        if end:
            return line
        if not said and not self._said:
            raise EOFError
        if not said:
            raise ProtocolError("connection that ended before its line")
        return None
