"""Wakes a publisher that sleeps on its segment's semaphore when a reader says something.

A semaphore and a socket cannot be waited on together. So, only while no frames come, a thread watches the socket and
posts the semaphore. It touches neither frames nor the socket's messages, and a stream that flows never meets it.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable


class Doorbell:
    """Rings (calls ``ring``) once when ``fd`` becomes readable after ``arm``."""

    def __init__(self, fd: int, ring: Callable[[], object]) -> None:
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._ring = ring
        self._armed = threading.Semaphore(0)
        self._is_armed = False
        threading.Thread(target=self._watch, name="doorbell", daemon=True).start()

    def arm(self) -> None:
        """Watch until the next ring; calling it again meanwhile changes nothing."""
        if not self._is_armed:
            self._is_armed = True
            self._armed.release()

    def answer_to(self, ring: Callable[[], object]) -> None:
        """Call something else from now on."""
        self._ring = ring

    def _watch(self) -> None:
        while True:
            self._armed.acquire()
            self._poll.poll()
            self._is_armed = False
            self._ring()
