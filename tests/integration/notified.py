"""The service manager's end of the notification socket, which a daemon speaks to."""

from __future__ import annotations

import os
import socket
from pathlib import Path


class NotifySocket:
    """Hears what a service says of itself.

    Args:
        path: Where the socket is put.

    Attributes:
        heard: All assignments so far, in their order, as ``NAME=value``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(os.fspath(path))

    def listen(self) -> list[str]:
        """Take in what was said, and return all that was heard so far."""
        while True:
            try:
                self.heard += self._socket.recv(65536).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def values(self, name: str) -> list[str]:
        """What was assigned to a name so far."""
        return [each.partition("=")[2] for each in self.listen() if each.startswith(f"{name}=")]

    def last(self, name: str) -> str:
        """What was assigned to a name last; empty if nothing was."""
        return next(reversed(self.values(name)), "")

    def forget(self) -> None:
        """Begin anew with what is heard."""
        self.listen()
        self.heard.clear()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
        self.path.unlink(missing_ok=True)
