"""A mirror of a host that still runs the existing daemon: its frames, kept up to date in a segment of this host.

Invariants: the mirror is written only with frames that are here whole; each of them raises its counter by one. What the
stream does not tell is made up for here: shape and dtype are those of the frames themselves, so a source made anew is
noticed by its first frame; the write time is the time of receipt, the frame id the mirror's own count. While the source
is away the last frame stays; what does not decode is counted and dropped, and its reason told once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

from daosup.core.layout import Geometry, Layout, make_geometry
from daosup.errors import SegmentError, SegmentLostError
from daosup.stream.old_frames import Array
from daosup.stream.old_receiver import OldReceiver
from daosup.workers.mirror import STAMP_INTERVAL_S, TEND_INTERVAL_S
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage


def mirror_old(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped.

    Raises:
        SegmentError: If the mirror cannot be made.
    """
    worker = OldMirror(order, tell)
    try:
        while True:
            worker.turn()
    finally:
        worker.close()


class OldMirror:
    """Mirrors one source; ``tell`` is called with an event's name and its facts."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        self._order = order
        self._tell = tell
        self._page = StatisticsPage(order.page)
        self._replica: Optional[Replica] = None
        self._tended = self._stamped = 0.0
        self._receiver = OldReceiver(order.endpoint)

    def turn(self) -> None:
        """Wait a moment for a frame and take it."""
        receiver, page = self._receiver, self._page
        frame = receiver.receive()
        if receiver.rejected > page.rejected:
            if page.rejected == 0:
                self._tell("rejected", reason=receiver.rejection)
            page.rejected = receiver.rejected
        if frame is not None:
            try:
                self._take(frame)
            except SegmentLostError:  # somebody removed or spoiled the mirror
                self._replica = None
                self._take(frame)
        if frame is None or receiver.received_s >= self._stamped + STAMP_INTERVAL_S:
            self._stamped = receiver.received_s
            self._look_around(receiver.received_s)

    def _take(self, frame: Array) -> None:
        replica = self._replica
        if replica is None or (frame.shape, frame.dtype) != (replica.segment.shape, replica.segment.dtype):
            replica = self._replica = Replica.make(self._order.path, self._wanted(frame), self._order.mode, replica)
        segment, page = replica.segment, self._page
        page.source_counter = segment.counter + 1
        page.write_time_utc_ns = time.time_ns()
        segment.window.commit(frame, 0, page.source_counter, page.write_time_utc_ns)
        page.frames += 1
        page.payload_bytes += frame.nbytes
        if not replica.is_announced:
            replica.is_announced = True
            self._note()
            self._say_how_fresh(replica)
            self._tell("ready", port=0, shape=list(frame.shape), dtype=frame.dtype.name)

    def _wanted(self, frame: Array) -> Geometry:
        """What the source is like, as far as its frames tell: neither its layout nor its keywords."""
        layout = Layout.FIFO if self._order.layout == "source" else Layout(self._order.layout)
        return make_geometry(frame.shape, frame.dtype.name, layout=layout)

    # -- now and then

    def _look_around(self, now: float) -> None:
        self._note()
        if now >= self._tended + TEND_INTERVAL_S:
            self._tended = now
            if self._replica is not None:
                try:
                    self._replica.segment.check()
                    self._say_how_fresh(self._replica)
                except SegmentError:
                    self._replica = None
        self._page.stamp()

    def _note(self) -> None:
        """Bring the statistics page up to date."""
        page, receiver = self._page, self._receiver
        page.skipped = receiver.passed_over
        receiver.look()
        if receiver.has_link != bool(page.has_link):
            page.has_link = int(receiver.has_link)
            self._tell("link", is_up=receiver.has_link)

    def _say_how_fresh(self, replica: Replica) -> None:
        page = self._page
        replica.put_freshness(bool(page.has_link), page.skipped, page.source_counter, page.write_time_utc_ns)

    def close(self) -> None:
        """Leave the mirror as it is, and say that it is stale from now on."""
        if self._replica is not None:
            self._page.has_link = 0
            self._say_how_fresh(self._replica)
            self._replica.segment.close()
        self._receiver.close()
