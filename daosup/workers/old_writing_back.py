"""Writing back to an owner that runs the existing daemon: what is written into the mirror is published for it.

The old protocol has no answers, and its frames have neither counter nor time. So nothing is known of what becomes of a
frame; and one that comes back, if the old daemon sends its clients what they wrote, is known by what is in it.

Invariant: a frame of the owner that is just what a program of this host has written a moment ago, and is still the
newest, is not written again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from daosup.core.header import Buffer
from daosup.core.pickled import pickled_ends
from daosup.core.types import Writing
from daosup.errors import SegmentBusyError
from daosup.shm.segment import READ_TIMEOUT_S
from daosup.shm.written import UNACKNOWLEDGED
from daosup.stream.old_sender import OldSender
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage
from daosup.workers.written_here import Stamps, WrittenHere

#: What comes back does so within this time.
ECHO_S = 1.0
_USUAL_BYTES = 65536


class OldWritingBack(WrittenHere):
    """Writes one mirror back to an owner that speaks the old protocol.

    Attributes:
        port: Where that owner finds what is written here.

    Raises:
        UnavailableError: If there is no port.
    """

    first_written = UNACKNOWLEDGED

    def __init__(self, order: MirrorOrder, page: StatisticsPage, tell: Callable[..., None]) -> None:
        self._page = page
        self._sender = OldSender(order.bind, order.write_port, _frame_bytes(order))
        self.port = self._sender.port
        self._sent_s = float("-inf")
        self._newest = bytearray()
        page.writing = 1
        tell("writing", state=Writing.OPEN.value, reason=None)
        super().__init__(order.semaphore)

    def follow(self, replica: Replica | None) -> None:
        """Write this replica back from now on.

        Raises:
            SegmentLostError: If it is not there any more.
        """
        with self._lock:
            self._follow(replica)

    def close(self) -> None:
        """Send nothing any more."""
        self._end()
        self._sender.close()

    # -- for whoever has the lock

    def _make_message(self, frame_bytes: int) -> tuple[bytearray, int]:
        assert self._source is not None
        begin, end = pickled_ends(self._source.geometry)
        self._newest = bytearray(frame_bytes)
        return bytearray(begin + bytes(frame_bytes) + end), len(begin)

    def _has_room(self) -> bool:
        return True

    def _send(self, stamps: Stamps) -> None:
        self._sender.send(self._buffer)
        self._sent_s = time.monotonic()
        self._page.written += 1

    def _refuse(self, counter: int, count: int = 1) -> None:
        self._page.refused += count

    def _is_here(self, message: Buffer, offset: int, stamps: Stamps) -> bool:
        source = self._source
        if source is None or self._foreign == self._known or time.monotonic() > self._sent_s + ECHO_S:
            return False
        try:
            source.window.snapshot(self._newest, 0, -1, READ_TIMEOUT_S)
        except SegmentBusyError:
            return False
        is_here = message[offset:] == self._newest
        self._page.echoes += is_here
        return is_here


def _frame_bytes(order: MirrorOrder) -> int:
    """What the registry says of a frame's size, which may be nothing or nonsense."""
    try:
        return max(1, np.dtype(order.dtype).itemsize * math.prod(order.shape)) if order.shape else _USUAL_BYTES
    except (TypeError, ValueError):
        return _USUAL_BYTES
