"""Stands where the journal of systemd listens, and remembers the entries that arrive."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.waiting import wait_until

Entry = dict[str, str]


class JournalSocket:
    """A datagram socket with a reader of its own.

    Attributes:
        entries: What arrived so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            content, fds, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
            if fds:
                with open(fds[0], "rb") as memory:
                    memory.seek(0)
                    content = memory.read()
            if content == b"end":
                return
            self.entries.append(decoded(content))

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"end", str(self.path))
        self._thread.join()
        self._socket.close()
        os.unlink(self.path)

    def of(self, notice: str, **fields: str) -> list[Entry]:
        """The entries that are this notice and have these fields."""
        wanted = {"NOTICE": notice, **fields}
        return [entry for entry in list(self.entries) if wanted.items() <= entry.items()]

    def wait_for(self, notice: str, timeout_s: float = 10.0, **fields: str) -> Entry:
        """The first such entry, once it is there."""
        found: Callable[[], list[Entry]] = lambda: self.of(notice, **fields)  # noqa: E731
        return wait_until(found, timeout_s, f"an entry {notice} with {fields}")[0]


def decoded(content: bytes) -> Entry:
    """What the journal reads in a datagram, by the description of its native protocol."""
    fields: Entry = {}
    while content:
        line, _, content = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size, content = int.from_bytes(content[:8], "little"), content[8:]
            value, content = content[:size], content[size + 1 :]
        assert name.decode() not in fields
        fields[name.decode()] = value.decode()
    return fields
