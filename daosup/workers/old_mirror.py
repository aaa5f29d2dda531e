"""A mirror of a host that still runs the existing daemon: its frames, kept up to date in a segment of this host.

Invariants: the mirror is written only with frames that are here whole; each of them raises its counter by one. What the
stream does not tell is made up for here: shape and dtype are those of the frames themselves, so a source made anew is
noticed by its first frame, and until there is one they are those of the mirror that was before, or as the registry has
them; the write time is the time of receipt, the frame id the mirror's own count. While the source is away the last
frame stays; what does not decode is counted and dropped, and its reason told once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

import numpy as np

from daosup.core.header import MAX_FRAME_BYTES
from daosup.core.layout import Geometry, make_geometry
from daosup.errors import SegmentError, SegmentLostError, UsageError
from daosup.shm import Segment
from daosup.stream.old_frames import Array
from daosup.stream.old_receiver import OldReceiver
from daosup.workers.mirroring import RETRY_INTERVAL_S, STAMP_INTERVAL_S, TEND_INTERVAL_S, Mirroring
from daosup.workers.old_writing_back import OldWritingBack
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.written_here import Stamps


def mirror_old(order: MirrorOrder, tell: Callable[..., None]) -> None:
    """Mirror until stopped."""
    OldMirror(order, tell).run()


class OldMirror(Mirroring):
    """Mirrors one source that is streamed in the old protocol."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        super().__init__(order, tell)
        self._receiver = OldReceiver(order.endpoint)
        self._writing = OldWritingBack(order, self._page, tell) if order.is_written_back else None
        self._begin_without_frames()

    def _begin_without_frames(self) -> None:
        """Be there before the source is written, if it is known what it looks like; the registry may say anything."""
        try:
            with Segment.open(self._order.path, writable=False) as before:
                shape, dtype = before.shape, before.dtype.name
        except SegmentError:
            shape, dtype = tuple(self._order.shape), self._order.dtype
        if not shape:
            return
        try:
            geometry = self._geometry(shape, np.dtype(dtype).name)
        except (UsageError, TypeError, ValueError):
            return
        if geometry.frame_bytes <= MAX_FRAME_BYTES and self._make_replica(geometry) is not None:
            self._announce()

    def turn(self) -> None:
        """Wait a moment for a frame and take it."""
        receiver = self._receiver
        frame = receiver.receive()
        if receiver.rejected > self._page.rejected:
            self._note_rejected()
        if frame is not None and not self._take(frame):
            self._take(frame)  # into a mirror made anew
        if frame is None or receiver.received_s >= self._stamped + STAMP_INTERVAL_S:
            self._stamped = receiver.received_s
            self._look_around(receiver.received_s)

    def _take(self, frame: Array) -> bool:
        """Write a frame; False if the mirror turned out to be removed or spoilt by somebody."""
        replica, page = self._replica, self._page
        if replica is None or (frame.shape, frame.dtype) != (replica.segment.shape, replica.segment.dtype):
            replica = self._make_replica(self._geometry(frame.shape, frame.dtype.name))
        if replica is None:
            return True
        segment = replica.segment
        page.source_counter = segment.counter + 1
        page.write_time_utc_ns = time.time_ns()
        try:
            if self._writing is None:
                is_new = segment.window.commit(frame, 0, page.source_counter, page.write_time_utc_ns)
            else:
                elements = frame.reshape(-1).view(np.uint8).data
                is_new = self._writing.put(elements, 0, Stamps(0, page.source_counter, page.write_time_utc_ns))
        except SegmentLostError:
            self._lose_replica()
            return False
        page.frames += is_new
        page.payload_bytes += frame.nbytes * is_new
        if not replica.is_announced:
            self._announce()
        return True

    def _announce(self) -> None:
        replica = self._replica
        if replica is not None:
            self._note()
            try:
                self._say_how_fresh(replica)
            except SegmentLostError:  # removed just now: the next one is announced
                self._lose_replica()
                return
            replica.is_announced = True
            port = self._writing.port if self._writing is not None else 0
            self._page.stamp_ready(port)
            self._tell("ready", port=port)

    def _make_replica(self, geometry: Geometry) -> Optional[Replica]:
        now = time.monotonic()
        if now < self._retry_s:
            return None
        before, self._replica = self._replica, None
        try:
            self._replica = Replica.make(
                self._order.path,
                str(self._order.key.source),
                geometry,
                self._order.mode,
                before,
                self._page.stamp,
            )
            self._follow(self._replica)
        except SegmentError as error:
            self._retry_s = now + RETRY_INTERVAL_S
            self._note_obstacle(str(error))
        else:
            self._note_obstacle(None)
        return self._replica

    def _follow(self, replica: Optional[Replica]) -> None:
        if self._writing is not None:
            self._writing.follow(replica)

    def _geometry(self, shape: tuple[int, ...], dtype: str) -> Geometry:
        """What the mirror is like: neither layout nor keywords of the source are known.

        Raises:
            UsageError: If no segment can be like that.
        """
        return self._order.mirrored(make_geometry(shape, dtype))

    def _lose_replica(self) -> None:
        if self._replica is not None:
            self._replica.retire()
        self._replica = None
        self._follow(None)

    def _note_rejected(self) -> None:
        """Something came that is no frame: it is counted, and told once."""
        if self._page.rejected == 0:
            what = f"{self._order.endpoint} sends what is no frame: {self._receiver.rejection}"
            self._tell("rejected", warning=what)
        self._page.rejected = self._receiver.rejected

    # -- now and then

    def _look_around(self, now: float) -> None:
        self._note()
        if self._writing is not None:
            self._writing.check()
        if now >= self._tended + TEND_INTERVAL_S:
            self._tended = now
            if self._replica is not None:
                try:
                    self._replica.segment.check()
                    self._say_how_fresh(self._replica)
                except SegmentError:
                    self._lose_replica()
            else:
                self._begin_without_frames()
        self._page.stamp()

    def _note(self) -> None:
        """Bring the statistics page up to date."""
        receiver = self._receiver
        self._page.skipped = receiver.passed_over
        receiver.look()
        self._note_link(None if receiver.has_link else f"no connection to {self._order.endpoint}")

    def unlink(self) -> None:
        """Close the connection."""
        if self._writing is not None:
            self._writing.close()
        self._receiver.close()
