"""A mirror: a remote segment, kept up to date in a segment of this host.

Invariants: the mirror is written only with frames that are here whole; each new frame of the source raises its counter
by one and carries the source's write time and frame id; the source's keywords are the mirror's with each description,
with or without a frame; while the source is away the last frame stays; what does not decode is counted and dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

from daosup.core.gaps import GapTracker, Verdict
from daosup.core.header import (
    HEADER_BYTES,
    Buffer,
    Description,
    Flag,
    Header,
    Kind,
    decode_description,
    decode_header,
    frame_ends,
    frame_offset,
    keywords_span,
)
from daosup.core.layout import Geometry, Layout
from daosup.errors import ProtocolError, SegmentError, SegmentLostError
from daosup.stream.receiver import Receiver
from daosup.workers.mirroring import RETRY_INTERVAL_S, STAMP_INTERVAL_S, TEND_INTERVAL_S, Mirroring
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.writing_back import WritingBack
from daosup.workers.written_here import Stamps

#: A sender speaks at least once a second; after so long without a word the link counts as down.
LINK_TIMEOUT_S = 2.5


def mirror(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped."""
    Mirror(order, tell).run()


class Mirror(Mirroring):
    """Mirrors one source that is streamed in protocol 2."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        super().__init__(order, tell)
        self._tracker = GapTracker()
        self._description: Optional[Description] = None
        self._epoch = 0
        # How the header of each frame begins and ends in the stream as it is described.
        self._begin = self._end = b""
        self._heard = 0.0
        self._writing: Optional[WritingBack] = None
        if order.is_written_back:
            self._writing = WritingBack(order, self._page, tell)
            self._receiver = Receiver(order.endpoint, self._pass_over, self._writing.heard)
            self._receiver.subscribe(self._writing.topic)
        else:
            self._receiver = Receiver(order.endpoint, self._pass_over)

    def turn(self) -> None:
        """Take what comes, for a moment."""
        message = None
        try:
            message = self._flow()
            if message is not None:
                self._judge(message, time.monotonic())
        except SegmentLostError:
            self._lose_replica()
        now = time.monotonic()
        if message is None or now >= self._stamped + STAMP_INTERVAL_S:
            self._stamped = now
            self._look_around(now)

    def _flow(self) -> Optional[Buffer]:
        """Let frames flow into the mirror while each is just the next one; return the first message that is not."""
        replica, tracker = self._replica, self._tracker
        is_flowing = replica is not None and replica.is_announced and tracker.expected >= 0
        if replica is None or not is_flowing or self._writing is not None:
            return self._receiver.receive()
        window = replica.segment.window
        before, passed_over = window.taken, window.passed_over
        try:
            _, message = window.take_frames(
                self._receiver.address, self._begin, self._end, tracker.expected, self._stamped + STAMP_INTERVAL_S
            )
        finally:  # also if SIGTERM comes just now, or the mirror was lost
            self._page.passed_over += window.passed_over - passed_over
            count = window.taken - before
            if count:
                tracker.advance(count)
                self._page.frames += count
                self._page.payload_bytes += count * (HEADER_BYTES + replica.segment.geometry.frame_bytes)
                self._heard = time.monotonic()  # too late by a receive's wait at most, which a link's timeout allows
        return message

    # -- whatever is not just the next frame

    def _judge(self, message: Buffer, now: float) -> None:
        try:
            header = decode_header(message)
            if header.kind == Kind.DESCRIBE:
                self._adopt(message, header)
            elif header.kind != Kind.FRAME:
                raise ProtocolError(f"message of kind {header.kind} from a sender of frames")
        except ProtocolError:
            self._page.rejected += 1
            return
        self._heard = now
        description = self._description
        if description is None or (header.epoch, header.layout_id) != (self._epoch, description.layout_id):
            self._ask_description(now)
        elif header.kind == Kind.DESCRIBE and not header.flags & Flag.HAS_FRAME:
            if self._tracker.is_behind(header.counter):
                self._receiver.ask_description()
        else:
            self._take(message, frame_offset(header, description), header)

    def _pass_over(self, message: Buffer) -> None:
        """Of a message that is not the newest one: take in what it describes, but not its frame."""
        try:
            header = decode_header(message)
            if header.kind == Kind.DESCRIBE:
                self._adopt(message, header)
            elif header.kind == Kind.FRAME and header.epoch == self._epoch and self._tracker.expected >= 0:
                self._page.passed_over += 1
        except ProtocolError:
            self._page.rejected += 1

    def _adopt(self, message: Buffer, header: Header) -> None:
        description = decode_description(message, header, str(self._order.key.source))
        if not self._tracker.adopt(header.epoch, description.creation_time, header.counter):
            return
        if description != self._description or self._replica is None:
            self._make_replica(description)
        if self._replica is None:
            return
        self._description, self._epoch = description, header.epoch
        self._begin, self._end = frame_ends(header, description)
        if self._writing is not None:
            self._writing.follow(self._replica, header.epoch, header.layout_id)
        self._replica.put_keywords(bytes(message[keywords_span(description)]))

    def _make_replica(self, description: Description) -> None:
        now = time.monotonic()
        if now < self._retry_s:
            return
        # Whatever was before is let go of, also if nothing takes its place yet.
        before, self._replica, self._description = self._replica, None, None
        if self._writing is not None:
            self._writing.follow(None, 0, 0)
        try:
            self._replica = Replica.make(
                self._order.path, str(self._order.key.source), self._wanted(description), self._order.mode, before
            )
        except SegmentError as error:
            self._retry_s = now + RETRY_INTERVAL_S
            self._note_obstacle(str(error))
            return
        self._note_obstacle(None)

    def _ask_description(self, now: float) -> None:
        if now >= self._retry_s:
            self._receiver.ask_description()

    def _wanted(self, description: Description) -> Geometry:
        source = description.geometry
        layout = source.layout if self._order.layout == "source" else Layout(self._order.layout)
        depth = source.depth if layout is Layout.FIFO else 1
        return Geometry(layout, source.atype, source.shape, depth, source.keyword_count)

    def _take(self, message: Buffer, offset: int, header: Header) -> None:
        replica = self._replica
        if replica is None:
            self._ask_description(self._heard)
            return
        if header.counter > 0:
            verdict = self._tracker.take(header.epoch, header.counter)
            # A mirror that was made anew meanwhile lacks the frame that was taken before.
            lacks_it = not replica.is_announced or (self._writing is not None and self._writing.needs_frame)
            is_missing = verdict is Verdict.FIRST or (verdict is Verdict.REPEAT and lacks_it)
            if not is_missing and verdict not in (Verdict.NEXT, Verdict.GAP):
                return
            if not is_missing or not replica.holds(header.frame_id, header.write_time_ns):
                self._put(replica, message, offset, header)
        if not replica.is_announced:
            replica.is_announced = True
            self._note(self._heard)
            self._say_how_fresh(replica)
            self._page.stamp_ready()
            self._tell("ready", port=0)

    def _put(self, replica: Replica, message: Buffer, offset: int, header: Header) -> None:
        if self._writing is None:
            replica.segment.window.commit(message, offset, header.frame_id, header.write_time_ns)
        elif not self._writing.put(message, offset, Stamps(0, header.frame_id, header.write_time_ns)):
            return
        self._page.frames += 1
        self._page.payload_bytes += len(message)

    def _lose_replica(self) -> None:
        """Somebody removed or spoiled the mirror: the next description makes it anew."""
        if self._replica is not None:
            self._replica.retire()
        self._replica = None
        if self._writing is not None:
            self._writing.follow(None, 0, 0)
        self._receiver.ask_description()

    # -- now and then

    def _look_around(self, now: float) -> None:
        self._note(now)
        if self._writing is not None:
            self._writing.tend(now, has_link=bool(self._page.has_link))
        if now >= self._tended + TEND_INTERVAL_S:
            self._tended = now
            if self._writing is not None and self._writing.needs_frame:
                self._receiver.ask_description()
            if self._replica is not None:
                try:
                    self._replica.segment.check()
                    self._say_how_fresh(self._replica)
                except SegmentError:
                    self._lose_replica()
            elif self._obstacle is not None:
                self._ask_description(now)
        self._page.stamp()

    def _note(self, now: float) -> None:
        """Bring the statistics page up to date."""
        page, tracker = self._page, self._tracker
        page.skipped, page.gaps, page.source_counter = tracker.skipped, tracker.gaps, tracker.counter
        if self._replica is not None:
            page.write_time_utc_ns = self._replica.segment.stamp.time_ns
        has_link = now <= self._heard + LINK_TIMEOUT_S
        self._note_link(None if has_link else f"no word from {self._order.endpoint} for {LINK_TIMEOUT_S:g} s")

    def close(self) -> None:
        """Leave the mirror as it is, and say that it is stale from now on."""
        if self._writing is not None:
            self._writing.close()
        if self._replica is not None:
            self._note(self._heard)
            self._leave(self._replica)
        self._receiver.close()
