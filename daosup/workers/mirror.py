"""A mirror: a remote segment, kept up to date in a segment of this host.

Invariants: the mirror is written only with frames that are here whole; each new frame of the source raises its counter
by one and carries the source's write time and frame id; while the source is away the last frame stays; what does not
decode is counted and dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Optional

from daosup.core.gaps import GapTracker, Verdict
from daosup.core.header import (
    FRAME_PARTS,
    HEADER_BYTES,
    Description,
    Flag,
    Header,
    Kind,
    decode_description,
    decode_header,
    frame_offset,
    keywords_span,
    pack_header,
)
from daosup.core.layout import Geometry, Layout
from daosup.errors import ProtocolError, SegmentError, SegmentLostError
from daosup.stream.receiver import Receiver
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage

#: A sender speaks at least once a second; after so long without a word the link counts as down.
LINK_TIMEOUT_S = 2.5
#: How often the mirror's own file and its keywords are looked after.
TEND_INTERVAL_S = 0.25
#: How often the statistics page is stamped while frames flow.
STAMP_INTERVAL_S = 0.01

_UNKNOWN, _FIRST, _REPEAT, _STALE = Verdict.UNKNOWN, Verdict.FIRST, Verdict.REPEAT, Verdict.STALE


def mirror(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped.

    Raises:
        SegmentError: If the mirror cannot be made.
    """
    worker = Mirror(order, tell)
    try:
        while True:
            worker.turn()
    finally:
        worker.close()


class Mirror:
    """Mirrors one source; ``tell`` is called with an event's name and its facts."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        self._order = order
        self._tell = tell
        self._page = StatisticsPage(order.page)
        self._tracker = GapTracker()
        self._replica: Optional[Replica] = None
        self._description: Optional[Description] = None
        self._layout_id = -1
        self._epoch = 0
        # Begin and end of the header of each frame of the stream as it is described, and a message's length.
        self._begin = self._end = b""
        self._length = -1
        self._heard = self._tended = self._stamped = 0.0
        self._receiver = Receiver(order.endpoint, self._describe)

    def turn(self) -> None:
        """Wait a moment for a frame and take it."""
        message = self._receiver.receive()
        now = time.monotonic()
        if message is not None:
            buffer = message.buffer
            is_expected = False
            if len(buffer) == self._length:
                begin, _, counter, frame_id, write_time_ns, _, end = FRAME_PARTS.unpack_from(buffer)
                is_expected = begin == self._begin and end == self._end
            if is_expected:
                self._heard = now
                self._take(message, HEADER_BYTES, counter, frame_id, write_time_ns)
            else:
                self._judge(message, now)
        if message is None or now >= self._stamped + STAMP_INTERVAL_S:
            self._stamped = now
            self._look_around(now)

    # -- whatever is not just the next frame

    def _judge(self, message: Any, now: float) -> None:
        try:
            header = decode_header(message.buffer)
            self._heard = now
            if header.kind == Kind.DESCRIBE:
                self._follow(message, header)
            elif header.kind == Kind.FRAME:
                self._receiver.ask_description()  # of an epoch or a layout that was not described yet
            else:
                raise ProtocolError(f"message of kind {header.kind} from a sender of frames")
        except ProtocolError:
            self._page.rejected += 1

    def _describe(self, message: Any) -> None:
        """A description that was passed over, with a frame in it that is not the newest."""
        try:
            header = decode_header(message.buffer)
            self._adopt(message, header)
        except ProtocolError:
            self._page.rejected += 1

    def _follow(self, message: Any, header: Header) -> None:
        description = self._adopt(message, header)
        if description is None:
            return
        if header.flags & Flag.HAS_FRAME:
            offset = frame_offset(header, description)
            self._take(message, offset, header.counter, header.frame_id, header.write_time_ns)
        elif self._tracker.is_behind(header.counter):
            self._receiver.ask_description()

    def _adopt(self, message: Any, header: Header) -> Optional[Description]:
        description = decode_description(message.buffer, header, str(self._order.key.source))
        if not self._tracker.adopt(header.epoch, description.creation_time):
            return None
        if description != self._description or self._replica is None:
            self._replica = Replica.make(self._order.path, self._wanted(description), self._order.mode, self._replica)
        self._description, self._epoch = description, header.epoch
        whole = bytearray(message.buffer[:HEADER_BYTES])
        payload_bytes = description.geometry.frame_bytes
        pack_header(whole, (Kind.FRAME, Flag.NONE, header.epoch, *([0] * 5), header.layout_id, payload_bytes))
        self._begin, *_, self._end = FRAME_PARTS.unpack(whole)
        self._length = HEADER_BYTES + payload_bytes
        self._replica.put_keywords(bytes(message.buffer[keywords_span(description)]))
        return description

    def _wanted(self, description: Description) -> Geometry:
        source = description.geometry
        layout = source.layout if self._order.layout == "source" else Layout(self._order.layout)
        depth = source.depth if layout is Layout.FIFO else 1
        return Geometry(layout, source.atype, source.shape, depth, source.keyword_count)

    # -- frames

    def _take(self, message: Any, offset: int, counter: int, frame_id: int, write_time_ns: int) -> None:
        replica = self._replica
        if replica is None:
            self._receiver.ask_description()
            return
        if counter == 0:
            self._say_ready(replica)
            return
        verdict = self._tracker.take(self._epoch, counter)
        if verdict is _REPEAT or verdict is _STALE or verdict is _UNKNOWN:
            return
        page = self._page
        try:
            if verdict is not _FIRST or not replica.holds(frame_id, write_time_ns):
                replica.segment.window.commit(message, offset, frame_id, write_time_ns)
                page.frames += 1
                page.payload_bytes += len(message)
        except SegmentLostError:
            self._replica = None
            self._receiver.ask_description()
            return
        page.source_counter, page.write_time_utc_ns = counter, write_time_ns
        if not replica.is_announced:
            self._say_ready(replica)

    def _say_ready(self, replica: Replica) -> None:
        if not replica.is_announced:
            replica.is_announced = True
            self._note_link(self._heard)
            self._say_how_fresh(replica)
            geometry = replica.segment.geometry
            self._tell("ready", port=0, shape=list(geometry.shape), dtype=geometry.dtype)

    # -- now and then

    def _look_around(self, now: float) -> None:
        page = self._page
        self._note_link(now)
        if now >= self._tended + TEND_INTERVAL_S:
            self._tended = now
            self._tend()
        page.skipped, page.gaps = self._tracker.skipped, self._tracker.gaps
        page.stamp()

    def _note_link(self, now: float) -> None:
        has_link = now <= self._heard + LINK_TIMEOUT_S
        if has_link != bool(self._page.has_link):
            self._page.has_link = int(has_link)
            self._tell("link", is_up=has_link)

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
