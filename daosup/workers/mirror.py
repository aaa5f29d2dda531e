"""A mirror: a remote segment, kept up to date in a segment of this host.

Invariants: the mirror is written only with frames that are here whole; each new frame of the source raises its counter
by one and carries the source's write time and frame id; while the source is away the last frame stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Optional

from daosup.core.gaps import GapTracker, Verdict
from daosup.core.header import Description, Flag, Header, Kind, decode_description, frame_offset, keywords_span
from daosup.core.layout import Geometry, Layout
from daosup.errors import SegmentError, SegmentLostError
from daosup.stream.receiver import Receiver
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage

#: A sender speaks at least once a second; after so long without a word the link counts as down.
LINK_TIMEOUT_S = 2.5
#: How often the mirror's own file and its keywords are looked after.
TEND_INTERVAL_S = 0.25


def mirror(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped.

    Raises:
        SegmentError: If the mirror cannot be made.
    """
    worker = _Mirror(order, tell)
    try:
        while True:
            worker.turn()
    finally:
        worker.close()


class _Mirror:
    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        self._order = order
        self._tell = tell
        self._page = StatisticsPage(order.page)
        self._tracker = GapTracker()
        self._replica: Optional[Replica] = None
        self._description: Optional[Description] = None
        self._layout_id = -1
        self._heard = 0.0
        self._tended = 0.0
        self._receiver = Receiver(order.endpoint, self._on_description)

    def turn(self) -> None:
        """Wait a moment for a frame and take it."""
        received = self._receiver.receive()
        now = time.monotonic()
        page = self._page
        if received is not None:
            self._heard = now
            if not page.has_link:
                page.has_link = 1
                self._tell("link", is_up=True)
            self._take(*received)
        elif page.has_link and now > self._heard + LINK_TIMEOUT_S:
            page.has_link = 0
            self._tell("link", is_up=False)
        if now >= self._tended + TEND_INTERVAL_S:
            self._tended = now
            self._tend()
        page.rejected = self._receiver.rejected
        page.stamp()

    def _on_description(self, message: Any, header: Header) -> None:
        description = decode_description(message.buffer, header)
        if not self._tracker.adopt(header.epoch, description.creation_time):
            return
        keywords = bytes(message.buffer[keywords_span(description)])
        if description != self._description or self._replica is None:
            self._description, self._layout_id = description, header.layout_id
            self._replica = Replica.make(self._order.path, self._wanted(description), self._order.mode, self._replica)
        self._replica.put_keywords(keywords)

    def _wanted(self, description: Description) -> Geometry:
        source = description.geometry
        layout = source.layout if self._order.layout == "source" else Layout(self._order.layout)
        depth = source.depth if layout is Layout.FIFO else 1
        return Geometry(layout, source.atype, source.shape, depth, source.keyword_count)

    def _take(self, message: Any, header: Header) -> None:
        replica, description = self._replica, self._description
        if replica is None or description is None or header.layout_id != self._layout_id:
            self._receiver.ask_description()
            return
        if header.kind == Kind.DESCRIBE and not header.flags & Flag.HAS_FRAME:
            if self._tracker.is_behind(header.counter):
                self._receiver.ask_description()
            return
        offset = frame_offset(header, description)
        if len(message.buffer) - offset != description.geometry.frame_bytes:
            self._receiver.rejected += 1
            return
        if header.counter == 0:
            self._say_ready(replica)
            return
        verdict = self._tracker.take(header.epoch, header.counter)
        if verdict is Verdict.UNKNOWN:
            self._receiver.ask_description()
        elif verdict in (Verdict.FIRST, Verdict.NEXT, Verdict.GAP):
            self._write(replica, message, offset, header, verdict)

    def _write(self, replica: Replica, message: Any, offset: int, header: Header, verdict: Verdict) -> None:
        page = self._page
        try:
            if verdict is not Verdict.FIRST or not replica.holds(header.frame_id, header.write_time_ns):
                replica.segment.window.commit(message, offset, header.frame_id, header.write_time_ns)
                page.frames += 1
                page.payload_bytes += len(message.buffer)
        except SegmentLostError:
            self._replica = None
            self._receiver.ask_description()
            return
        page.last_frame_ns = time.monotonic_ns()
        page.skipped, page.gaps = self._tracker.skipped, self._tracker.gaps
        page.source_counter, page.write_time_utc_ns = header.counter, header.write_time_ns
        self._say_ready(replica)

    def _say_ready(self, replica: Replica) -> None:
        if not replica.is_announced:
            replica.is_announced = True
            self._say_how_fresh(replica)
            geometry = replica.segment.geometry
            self._tell("ready", port=0, shape=list(geometry.shape), dtype=geometry.dtype)

    def _tend(self) -> None:
        """See that the file is still there, and say in its keywords how fresh it is."""
        replica = self._replica
        if replica is None:
            return
        try:
            replica.segment.check()
            self._say_how_fresh(replica)
        except SegmentError:
            self._replica = None
            self._receiver.ask_description()

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
