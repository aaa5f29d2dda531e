"""The publisher's part in writing back: takes in what mirrors of other hosts write to its segment.

Invariants: a frame is written only if its writer may write, and it is one of the segment as it is now; then it is
written as a program of this host would, with the frame id and write time that it has at its writer. Every write and
every question is answered. What waited while this process was stopped is not written: a command that comes much too
late is worse than none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Optional

from daosup.core.types import Writing
from daosup.core.writing import (
    FRAME_AT,
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
_LOOK_S = 0.25


class TakingWrites:
    """Takes in what is written to one segment.

    Attributes:
        answer: Sends to the writers.
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
        self.answer: Callable[[bytes], None] = lambda message: None
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
        self._let_go()
        self._read, self._epoch, self._layout_id = segment, epoch, layout_id

    def tend(self, now: float) -> None:
        """To be called each time before writers are heard; looks, now and then, who they are."""
        self._is_late, self._tended_s = now > self._tended_s + LATE_S, now
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

    def hear(self, message: bytes) -> None:
        """Take in a message of a writer; strangers may send anything."""
        read = self._read
        if read is None:
            return
        try:
            header, said = decode_upstream(message, read.geometry.frame_bytes)
        except ProtocolError:
            self._page.rejected += 1
            return
        with self._lock:
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
        self.answer(encode_answer(said.writer, answer))

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

    def _write(self, message: bytes, write: Write, answer: Answer) -> Answer:
        answer = self._openable(answer)
        segment, read = self._segment, self._read
        if answer.verdict is not Verdict.WRITTEN or segment is None or read is None:
            return answer
        if (segment.geometry, segment.creation_time) != (read.geometry, read.creation_time):
            return _stale(write, self._source)  # made anew just now; whoever reads it finds out in a moment
        try:
            segment.window.commit(message, FRAME_AT, write.frame_id, write.write_time_ns)
        except SegmentError:
            return _stale(write, self._source)
        return answer

    def close(self) -> None:
        """Take nothing any more."""
        self.old.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._segment is not None:
            self._segment.close()
        self._segment = self._read = None


def _stale(write: Write, source: str) -> Answer:
    return Answer(Verdict.STALE, write.counter, f"{source} was made anew meanwhile, or its publisher was stopped")
