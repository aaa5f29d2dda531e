"""The publisher's part in writing back for hosts that run the existing daemon: takes what such clients publish for us.

Each old client that writes has a port of its own, and a thread here that receives from it. The old protocol has neither
counter nor answer, and it is not known whether an old client sends back what it got from us.

Invariants: what comes is never unpickled; only frames of the segment's own shape and dtype are written, by clients that
may write; a frame that is just the segment's newest one is not written again, so nothing can go round in circles.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import Optional

import numpy as np

from daosup.core.types import OldWriter
from daosup.errors import SegmentBusyError, SegmentError
from daosup.shm import Segment
from daosup.stream.old_frames import Array
from daosup.stream.old_receiver import OldReceiver

#: A segment that cannot be opened for writing is tried again so often.
_RETRY_S = 0.25


class TakingOldWrites:
    """Takes what old clients write into one segment.

    Args:
        path: The segment's file.
        may_write: Asked before each frame, with the client's host; in any thread.
    """

    def __init__(self, path: str, may_write: Callable[[str], bool]) -> None:
        self._path, self._may_write = path, may_write
        self._following: dict[OldWriter, _Following] = {}
        self._past = [0, 0, 0]

    def follow(self, writers: Collection[OldWriter]) -> None:
        """Take from these, and no others, from now on."""
        for gone in self._following.keys() - set(writers):
            following = self._following.pop(gone)
            following.stop()
            self._past = [before + now for before, now in zip(self._past, following.counts)]
        for writer in writers:
            if writer not in self._following:
                self._following[writer] = _Following(writer, self._path, self._may_write)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Frames written, refused, and not written because they were there already."""
        alive = (following.counts for following in self._following.values())
        written, refused, echoes = (sum(each) for each in zip(self._past, *alive))
        return written, refused, echoes

    def close(self) -> None:
        """Take nothing any more."""
        self.follow(())


class _Following:
    """One thread that takes from one client."""

    def __init__(self, writer: OldWriter, path: str, may_write: Callable[[str], bool]) -> None:
        self._writer, self._path, self._may_write = writer, path, may_write
        self._segment: Optional[Segment] = None
        self.counts = [0, 0, 0]
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"from {writer.host}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_ending.set()
        self._thread.join()

    def _run(self) -> None:
        receiver = OldReceiver(self._writer.endpoint)
        try:
            while not self._is_ending.is_set():
                before = receiver.rejected
                frame = receiver.receive()
                self.counts[1] += receiver.rejected - before
                if frame is not None:
                    self._take(frame)
        finally:
            receiver.close()
            self._let_go()

    def _take(self, frame: Array) -> None:
        try:
            outcome = self._write(frame) if self._may_write(self._writer.host) else 1
        except SegmentBusyError:
            outcome = 1
        except SegmentError:  # made anew, or not ours to write
            self._let_go()
            self._is_ending.wait(_RETRY_S)
            outcome = 1
        self.counts[outcome] += 1

    def _write(self, frame: Array) -> int:
        if self._segment is None:
            self._segment = Segment.open(self._path, writable=True)
        segment = self._segment
        segment.check()
        if (frame.shape, frame.dtype) != (segment.shape, segment.dtype):
            return 1
        if segment.counter and np.array_equal(segment.read(), frame):
            return 2
        segment.write(frame, time_ns=time.time_ns())
        return 0

    def _let_go(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
