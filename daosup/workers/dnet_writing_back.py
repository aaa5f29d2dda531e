"""Writing back to a node of DAO's own network service: what is written into the mirror is sent to it as a WRITE.

The protocol has no answers: a frame that the node took comes back flagged as an echo, but of several that it took
within a moment only the last one does. So a frame is not known to be taken, nor of which frame an echo is.

Invariants: an echo is not written into the mirror again, unless frames of others were written into it after all that
was written here: then it is, for at the owner it came after them. So in the end both ends have the same frame. What
cannot be sent at once, as there is no link or the one before is still on its way, is refused, and replaced by the
owner's newest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from daosup.core.dnet import Header, Kind
from daosup.core.header import Buffer
from daosup.core.types import Writing
from daosup.shm.written import UNACKNOWLEDGED
from daosup.stream.direct_upstream import DirectUpstream
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage
from daosup.workers.written_here import Stamps, WrittenHere


class DnetWritingBack(WrittenHere):
    """Writes one mirror back, over whichever connection there is.

    Attributes:
        is_echo: Whether the frame that is put next was written by us.
    """

    first_written = UNACKNOWLEDGED

    def __init__(self, order: MirrorOrder, page: StatisticsPage, tell: Callable[..., None]) -> None:
        self._page = page
        self._link: Optional[DirectUpstream] = None
        self._sent_counter = 0
        self.is_echo = False
        page.writing = 1
        tell("writing", state=Writing.OPEN.value, reason=None)
        super().__init__(order.semaphore)

    def link(self, link: Optional[DirectUpstream]) -> None:
        """Send what is written here by this connection from now on, or refuse it."""
        with self._lock:
            self._link = link

    def follow(self, replica: Optional[Replica], epoch: int, layout_id: int) -> None:
        """Write this replica back from now on.

        Raises:
            SegmentLostError: If it is not there any more.
        """
        with self._lock:
            self._follow(replica)

    def tend(self, now: float, *, has_link: bool) -> None:
        """See that what is written here can be sent.

        Raises:
            RuntimeError: If it cannot be any more.
        """
        self.check()

    def close(self) -> None:
        """Send nothing any more."""
        self.link(None)
        self._end()

    # -- for whoever has the lock

    def _make_message(self, frame_bytes: int) -> tuple[bytearray, int]:
        return bytearray(frame_bytes), 0

    def _has_room(self) -> bool:
        return self._link is None or self._link.has_room

    def _send(self, stamps: Stamps) -> None:
        header = Header(
            Kind.WRITE, counter=stamps.counter, write_time_ns=stamps.write_time_ns, payload_bytes=len(self._buffer)
        )
        if self._link is None or not self._link.put(header, self._buffer):
            self._refuse(stamps.counter)
            return
        self._sent_counter = stamps.counter
        self._page.written += 1

    def _refuse(self, counter: int, count: int = 1) -> None:
        self._page.refused += count
        self.needs_frame = True

    def _is_here(self, message: Buffer, offset: int, stamps: Stamps) -> bool:
        is_here = self.is_echo and self._foreign < self._sent_counter
        self._page.echoes += is_here
        return is_here
