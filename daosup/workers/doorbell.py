"""Wakes a publisher that sleeps on its segment's semaphore when somebody at one of its sockets wants something.

A semaphore and sockets cannot be waited on together. So a thread watches sockets and posts the semaphore: those of
readers only while no frames come or nobody reads there, those where newcomers knock always. It touches neither frames
nor what the sockets say.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable


class Doorbell:
    """Rings once for each file descriptor that becomes readable after it was armed."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: set[int] = set()
        self._ring: Callable[[], object] = lambda: None
        threading.Thread(target=self._watch, name="doorbell", daemon=True).start()

    def arm(self, *fds: int) -> None:
        """Watch these, which stay open, until they ring; calling it again meanwhile changes nothing."""
        for fd in fds:
            put = self._epoll.modify if fd in self._known else self._epoll.register
            put(fd, select.EPOLLIN | select.EPOLLONESHOT)
            self._known.add(fd)

    def answer_to(self, ring: Callable[[], object]) -> None:
        """Call this when it rings, from now on."""
        self._ring = ring

    def _watch(self) -> None:
        while True:
            for _ in self._epoll.poll():
                self._ring()
