"""Connections that are handed from one process of this host to another, each with the line that it began with.

A publisher waits at a socket in the folder of the workers' files, which nobody else can get at; the gate sends it the
connection itself (SCM_RIGHTS). Invariants: neither ever waits; whoever is not there is handed nothing, and a connection
that nobody takes is closed by the kernel.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daosup.core.dnet_lines import MOST_LINE_BYTES

SUFFIX = ".handed"
_AT_ONCE = 16


def place_of(page: Path) -> Path:
    """Where a worker with this statistics page is handed connections: its name is short, whatever the segment's is."""
    return page.with_name(hashlib.blake2b(page.name.encode(), digest_size=12).hexdigest() + SUFFIX)


@contextmanager
def _short(place: Path) -> Iterator[str]:
    """The same place by a path that fits into a socket's address, however deep the folder is."""
    folder = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)


def hand_over(place: Path, connection: socket.socket, line: bytes) -> bool:
    """Hand a connection to who waits at ``place``; False if nobody does, or has no time. It stays open here, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            with _short(place) as path:
                sender.connect(path)
            socket.send_fds(sender, [line], [connection.fileno()])
        except OSError:
            return False
    return True


class Handed:
    """What is handed to this process; `fd` is readable when something was."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with suppress(FileNotFoundError):
                place.unlink()  # of a process that was killed
            with _short(place) as path:
                self._socket.bind(path)
            os.chmod(place, 0o600)
        except BaseException:
            self._socket.close()
            raise

    @property
    def fd(self) -> int:
        """To be watched for reading."""
        return self._socket.fileno()

    def take(self) -> Iterator[tuple[socket.socket, bytes]]:
        """The connections that came, with their lines; they are the caller's, and do not block."""
        for _ in range(_AT_ONCE):
            try:
                line, fds, _, _ = socket.recv_fds(self._socket, MOST_LINE_BYTES, 1)
            except OSError:
                return
            for fd in fds:
                connection = socket.socket(fileno=fd)
                connection.setblocking(False)
                os.set_inheritable(connection.fileno(), False)
                yield connection, line

    def close(self) -> None:
        """Take nothing any more."""
        self._socket.close()
        with suppress(OSError):
            self._place.unlink()
