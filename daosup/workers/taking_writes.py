"""The publisher's part in writing back: takes in what mirrors of other hosts write to its segment.

Invariants: a frame is written only if its writer may write, and it is one of the segment as it is now; then it is
written as a program of this host would, with the frame id and write time that it has at its writer. Every write and
every question is answered, but for those that come by another way than their writer is heard by now. What waited while
this process was stopped is not written: a command that comes much too late is worse than none.
"""

from __future__ import annotations

import threading
import time
from typing import Optional

from daosup.core.types import Writing
from daosup.core.writing import (
    FRAME_AT,
    SHARED_WAY,
    Answer,
    Ask,
    Verdict,
    Write,
    Writers,
    decode_upstream,
    encode_answer,
    writer_of,
)
from daosup.errors import ProtocolError, SegmentError
from daosup.shm import Segment
from daosup.workers.old_writers import OldWriters
from daosup.workers.orders import PublisherOrder
from daosup.workers.statistics import StatisticsPage
from daosup.workers.taking_old_writes import TakingOldWrites

#: A publisher with writers hears them at once. When it has not for so long, what it hears then is from long ago.
LATE_S = 1.0
#: How often it is looked who may write by the old protocol, and who fell silent.
_LOOK_S = 1.0


class TakingWrites:
    """Takes in what is written to one segment.

    Attributes:
        old: Takes what clients of the old protocol write.

    Args:
        order: The publisher's.
        page: Where ``rejected`` is counted.
        most_bytes: No longer message can come.
    """

    def __init__(self, order: PublisherOrder, page: StatisticsPage, most_bytes: int) -> None:
        self._path = order.path
        self._source = str(order.key.source)
        self._writers = Writers(self._source, Writing(order.writing))
        self._page = page
        self._written = self._refused = 0
        self._lock = threading.Lock()
        self.old = TakingOldWrites(order.path, self.may_write)
        self._old_writers = OldWriters(order.page)
        self._most_bytes = most_bytes
        self._epoch = self._layout_id = 0
        self._read: Optional[Segment] = None
        self._segment: Optional[Segment] = None
        self._looked_s = 0.0
        self._tended_s = time.monotonic()
        self._is_late = False

    @property
    def counts(self) -> tuple[int, int, int]:
        """Frames written, refused, and not written because they were there already."""
        written, refused, echoes = self.old.counts
        return self._written + written, self._refused + refused, echoes

    @property
    def has_writers(self) -> bool:
        """Whether somebody may want to write any moment."""
        return bool(self._writers.hosts)

    def follow(self, segment: Segment, epoch: int, layout_id: int) -> None:
        """Writes are for this segment from now on."""
        self.let_go()
        self._read, self._epoch, self._layout_id = segment, epoch, layout_id

    def connected(self, host: str, way: int) -> None:
        """A writer has a direct connection, numbered ``way``, and is heard by it alone until that is over."""
        with self._lock:
            self._writers.connected(host, way)

    def disconnected(self, way: int) -> None:
        """That connection is over."""
        with self._lock:
            self._writers.disconnected(way)

    def tend(self, now: float, *, has_more: bool = False) -> None:
        """To be called each time before writers are heard; looks, now and then, who they are.

        ``has_more``: they had said more than was heard the last time.
        """
        self._is_late = now > self._tended_s + LATE_S or (self._is_late and has_more)
        self._tended_s = now
        if now >= self._looked_s + _LOOK_S:
            self._looked_s = now
            with self._lock:
                self._writers.expire(now)
            told = self._old_writers.poll()
            if told is not None:
                self.old.follow(told)

    def may_write(self, host: str) -> bool:
        """Whether a client of the old protocol may write now, which cannot ask; in any thread."""
        with self._lock:
            asked = self._writers.asked(Ask(writer_of(host), host, False), time.monotonic())
        return asked.verdict is Verdict.WRITTEN

    def hear(self, message: bytes, way: int = SHARED_WAY) -> Optional[bytes]:
        """Take in a message of a writer; strangers may send anything. Returns what is to be answered, if anything."""
        read = self._read
        if read is None:
            return None
        try:
            header, said = decode_upstream(message, read.geometry.frame_bytes)
        except ProtocolError:
            self._page.rejected += 1
            return None
        with self._lock:
            if not self._writers.is_heard(said.writer, way):
                self._refused += isinstance(said, Write)
                return None
            now = time.monotonic()
            answer = self._writers.asked(said, now) if isinstance(said, Ask) else self._writers.wrote(said, now)
        if isinstance(said, Ask):
            if answer.verdict is Verdict.WRITTEN and not said.is_leaving:
                answer = self._openable(answer)
        else:
            if answer.verdict is Verdict.WRITTEN:
                is_now = (header.epoch, header.layout_id) == (self._epoch, self._layout_id) and not self._is_late
                answer = self._write(message, said, answer) if is_now else _stale(said, self._source)
            if answer.verdict is Verdict.WRITTEN:
                self._written += 1
                with self._lock:
                    self._writers.took(said.writer)
            else:
                self._refused += 1
        answer = answer._replace(taken=self._writers.taken_of(said.writer))
        return encode_answer(said.writer, answer)

    def take_foreign(self, host: str, frame: bytes) -> Optional[int]:
        """Write what a reader of another kind sent; returns its frame's counter, None if it is not written."""
        read = self._read
        if read is None or len(frame) != read.geometry.frame_bytes or not self.may_write(host):
            self._refused += 1
            return None
        now_ns = time.time_ns()
        write = Write(writer_of(host), 0, read.counter + 1, now_ns)
        if self._write(frame, write, Answer(Verdict.WRITTEN, 0, ""), 0).verdict is not Verdict.WRITTEN:
            self._refused += 1
            return None
        self._written += 1
        return None if self._segment is None else self._segment.window.cnt0

    def _openable(self, answer: Answer) -> Answer:
        """Whether we can write at all, before anybody relies on it."""
        if self._read is not None and FRAME_AT + self._read.geometry.frame_bytes > self._most_bytes:
            reason = f"{self._source} was made anew much larger; on its owner, `daosupctl restart` its publisher"
            return Answer(Verdict.UNWRITABLE, answer.counter, reason)
        try:
            if self._segment is None:
                self._segment = Segment.open(self._path, writable=True)
                self._segment.create_semaphores()
        except SegmentError as error:
            return Answer(Verdict.UNWRITABLE, answer.counter, f"the owner cannot write {self._source}: {error}")
        return answer

    def _write(self, message: bytes, write: Write, answer: Answer, frame_at: int = FRAME_AT) -> Answer:
        answer = self._openable(answer)
        segment, read = self._segment, self._read
        if answer.verdict is not Verdict.WRITTEN or segment is None or read is None:
            return answer
        if (segment.geometry, segment.creation_time) != (read.geometry, read.creation_time):
            return _stale(write, self._source)  # made anew just now; whoever reads it finds out in a moment
        try:
            segment.window.commit(message, frame_at, write.frame_id, write.write_time_ns)
        except SegmentError:
            return _stale(write, self._source)
        return answer

    def close(self) -> None:
        """Take nothing any more."""
        self.old.close()
        self.let_go()

    def let_go(self) -> None:
        """Nothing is written, and nobody answered, until there is a segment to follow again."""
        if self._segment is not None:
            self._segment.close()
        self._segment = self._read = None


def _stale(write: Write, source: str) -> Answer:
    return Answer(Verdict.STALE, write.counter, f"{source} was made anew meanwhile, or its publisher was stopped")
