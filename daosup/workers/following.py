"""What mirrors do alike whose source describes itself: become like it, take its frames, and look after themselves.

Invariants: the mirror is written only with frames that are here whole; each new frame of the source raises its counter
by one and carries the source's write time and frame id; the source's keywords are the mirror's with each description,
with or without a frame; while the source is away the last frame stays.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Optional, Union

from daosup.core.gaps import Verdict
from daosup.core.header import Buffer, Description
from daosup.core.layout import Geometry
from daosup.errors import SegmentError
from daosup.shm._native import note_latency
from daosup.workers.dnet_writing_back import DnetWritingBack
from daosup.workers.mirroring import RETRY_INTERVAL_S, TEND_INTERVAL_S, Mirroring
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.writing_back import WritingBack
from daosup.workers.written_here import Stamps

#: An owner speaks at least once a second; after so long without a word the link counts as down.
LINK_TIMEOUT_S = 2.5


class Frame(NamedTuple):
    """A frame that is here whole: what is said of it, and where it begins in a message."""

    epoch: int
    counter: int
    frame_id: int
    write_time_ns: int
    message: Buffer
    offset: int


class Following(Mirroring):
    """Mirrors one source that describes itself.

    Args:
        order: What to mirror.
        tell: Called with an event's name and its facts.
        before: What mirrored it until now, over another connection, and was unlinked.
        writing: Hands on what is written into the mirror, if that goes to the source; it outlasts the connection.
    """

    def __init__(
        self,
        order: MirrorOrder,
        tell: Callable[..., None],
        before: Optional[Mirroring] = None,
        writing: Optional[Union[WritingBack, DnetWritingBack]] = None,
    ) -> None:
        super().__init__(order, tell, before)
        self._epoch = 0
        self._writing = writing

    @abstractmethod
    def _ask_description(self) -> None:
        """Have the source describe itself again and send its newest frame, soon."""

    def _adopt(self, description: Description, epoch: int, counter: int, keywords: bytes) -> bool:
        """Become what is described; False if that cannot be now, or is over by now."""
        if not self._tracker.adopt(epoch, description.creation_time, counter):
            return False
        if description != self._description or self._replica is None:
            self._make_replica(description)
        if self._replica is None:
            return False
        self._description, self._epoch = description, epoch
        if self._writing is not None:
            self._writing.follow(self._replica, epoch, description.layout_id)
        self._replica.put_keywords(keywords)
        return True

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
                self._order.path,
                str(self._order.key.source),
                self._wanted(description),
                self._order.mode,
                before,
                self._page.stamp,
            )
        except SegmentError as error:
            self._retry_s = now + RETRY_INTERVAL_S
            self._note_obstacle(str(error))
            return
        self._note_obstacle(None)

    def _wanted(self, description: Description) -> Geometry:
        return self._order.mirrored(description.geometry)

    def _took(self, count: int, nbytes: int, *, skipped: int = 0, gaps: int = 0) -> None:
        """Note that frames were written, ``nbytes`` in all as they came, and what was missing before them."""
        self._tracker.advance(count, skipped, gaps)
        self._page.frames += count
        self._page.payload_bytes += nbytes

    def _take(self, frame: Frame) -> None:
        replica = self._replica
        if replica is None:
            self._ask_description()
            return
        if frame.counter > 0:
            verdict = self._tracker.take(frame.epoch, frame.counter)
            # A mirror that was made anew meanwhile lacks the frame that was taken before.
            lacks_it = not replica.is_announced or (self._writing is not None and self._writing.needs_frame)
            is_missing = verdict is Verdict.FIRST or (verdict is Verdict.REPEAT and lacks_it)
            if not is_missing and verdict not in (Verdict.NEXT, Verdict.GAP):
                return
            if not replica.is_announced:  # whoever sees its first frame finds that it is a mirror, too
                self._describe_itself(replica)
            if not is_missing or not replica.holds(frame.frame_id, frame.write_time_ns):
                is_put = self._put(replica, frame)
                if is_put and not is_missing:  # one that is, was written before we were here, and is not late
                    note_latency(self._page.latency, frame.write_time_ns, time.time_ns())
        if not replica.is_announced:
            self._announce(replica)

    def _put(self, replica: Replica, frame: Frame) -> bool:
        """Write a frame; False if it was written here, and is there already."""
        if self._writing is None:
            replica.segment.window.commit(frame.message, frame.offset, frame.frame_id, frame.write_time_ns)
        elif not self._writing.put(frame.message, frame.offset, Stamps(0, frame.frame_id, frame.write_time_ns)):
            return False
        self._page.frames += 1
        self._page.payload_bytes += len(frame.message)
        return True

    def _describe_itself(self, replica: Replica) -> None:
        self._note(self._heard)
        self._say_how_fresh(replica)

    def _announce(self, replica: Replica) -> None:
        replica.is_announced = True
        self._describe_itself(replica)
        self._page.stamp_ready()
        self._tell("ready", port=0)

    def _lose_replica(self) -> None:
        """Somebody removed or spoiled the mirror: the next description makes it anew."""
        if self._replica is not None:
            self._replica.retire()
        self._replica = None
        if self._writing is not None:
            self._writing.follow(None, 0, 0)
        self._ask_description()

    # -- now and then

    def _look_around(self, now: float) -> None:
        self._note(now)
        if self._writing is not None:
            self._writing.tend(now, has_link=bool(self._page.has_link))
        if now >= self._tended + TEND_INTERVAL_S:
            self._tended = now
            if self._writing is not None and self._writing.needs_frame:
                self._ask_description()
            if self._replica is not None:
                try:
                    self._replica.segment.check()
                    self._replica.mend_keywords()
                    self._say_how_fresh(self._replica)
                except SegmentError:
                    self._lose_replica()
            elif self._obstacle is not None and now >= self._retry_s:
                self._ask_description()
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
        if self._replica is not None:
            self._note(self._heard)
        super().close()
