"""A mirror: a remote segment, kept up to date in a segment of this host, from a stream over ZeroMQ.

Invariant: what does not decode is counted and dropped; of the rest `Following` says what becomes of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

from daosup.core.header import (
    HEADER_BYTES,
    Buffer,
    Flag,
    Header,
    Kind,
    decode_description,
    decode_header,
    frame_ends,
    frame_offset,
    keywords_span,
)
from daosup.errors import ProtocolError, SegmentLostError
from daosup.stream.receiver import Receiver
from daosup.stream.upstream import Upstream
from daosup.workers.following import LINK_TIMEOUT_S, Following, Frame
from daosup.workers.looking import own_look_interval_s
from daosup.workers.mirroring import STAMP_INTERVAL_S, Mirroring
from daosup.workers.orders import MirrorOrder
from daosup.workers.writing_back import WritingBack


def mirror(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped."""
    Mirror(order, tell).run()


class Mirror(Following):
    """Mirrors one source that is streamed in protocol 2."""

    def __init__(
        self,
        order: MirrorOrder,
        tell: Callable[..., None],
        before: Optional[Mirroring] = None,
        writing: Optional[WritingBack] = None,
    ) -> None:
        super().__init__(order, tell, before, writing)
        # How the header of each frame begins and ends in the stream as it is described.
        self._begin = self._end = b""
        self._connected = time.monotonic()
        self._look_s = own_look_interval_s()
        self._upstream: Optional[Upstream] = None
        if writing is None:
            self._receiver = Receiver(order.endpoint, self._pass_over)
        else:
            self._receiver = Receiver(order.endpoint, self._pass_over, writing.heard)
            self._receiver.subscribe(writing.topic)
            self._upstream = Upstream(order.endpoint)
            writing.link(self._upstream)

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
        if message is not None:  # whatever it is, it came
            self._connected = now
        if message is None or now >= self._stamped + (self._look_s if self._writing is None else STAMP_INTERVAL_S):
            self._stamped = now
            self._look_around(now)
            if now > max(self._heard, self._connected) + LINK_TIMEOUT_S:
                self._connected = now
                self._receiver.connect_anew()

    def _flow(self) -> Optional[Buffer]:
        """Let frames flow into the mirror while each is just the next one; return the first message that is not."""
        replica, tracker = self._replica, self._tracker
        is_flowing = replica is not None and replica.is_announced and tracker.expected >= 0 and bool(self._begin)
        if replica is None or not is_flowing or self._writing is not None:
            return self._receiver.receive()
        window = replica.segment.window
        before, passed_over = window.taken, window.passed_over
        try:
            _, message = window.take_frames(
                self._receiver.address,
                self._begin,
                self._end,
                tracker.expected,
                self._stamped + self._look_s,
                self._page.memory,
            )
        finally:  # also if SIGTERM comes just now, or the mirror was lost
            self._page.passed_over += window.passed_over - passed_over
            count = window.taken - before
            if count:
                self._took(count, count * (HEADER_BYTES + replica.segment.geometry.frame_bytes))
                self._heard = time.monotonic()  # too late by a receive's wait at most, which a link's timeout allows
        return message

    # -- whatever is not just the next frame

    def _judge(self, message: Buffer, now: float) -> None:
        try:
            header = decode_header(message)
            if header.kind == Kind.DESCRIBE:
                self._take_description(message, header)
            elif header.kind != Kind.FRAME:
                raise ProtocolError(f"message of kind {header.kind} from a sender of frames")
        except ProtocolError:
            self._page.rejected += 1
            return
        self._heard = now
        description = self._description
        if description is None or (header.epoch, header.layout_id) != (self._epoch, description.layout_id):
            self._ask_description()
        elif header.kind == Kind.DESCRIBE and not header.flags & Flag.HAS_FRAME:
            if self._tracker.is_behind(header.counter):
                self._ask_description()
        else:
            offset = frame_offset(header, description)
            frame = Frame(header.epoch, header.counter, header.frame_id, header.write_time_ns, message, offset)
            self._take(frame)

    def _pass_over(self, message: Buffer) -> None:
        """Of a message that is not the newest one: take in what it describes, but not its frame."""
        try:
            header = decode_header(message)
            if header.kind == Kind.DESCRIBE:
                self._take_description(message, header)
            elif header.kind == Kind.FRAME and header.epoch == self._epoch and self._tracker.expected >= 0:
                self._page.passed_over += 1
        except ProtocolError:
            self._page.rejected += 1

    def _take_description(self, message: Buffer, header: Header) -> None:
        description = decode_description(message, header, str(self._order.key.source))
        keywords = bytes(message[keywords_span(description)])
        if self._adopt(description, header.epoch, header.counter, keywords):
            self._begin, self._end = frame_ends(header, description)

    def _ask_description(self) -> None:
        if time.monotonic() >= self._retry_s:
            self._receiver.ask_description()

    def unlink(self) -> None:
        """Close the connection alone: another one goes on with the mirror."""
        if self._writing is not None and self._upstream is not None:
            self._writing.link(None)
            self._upstream.close()
        self._receiver.close()
