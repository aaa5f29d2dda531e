"""Frames that are written one by one, each as soon as the one before is in the mirror, at 500 Hz at most.

So a frame is lost only if the stream loses it: a machine that is too busy for 500 Hz makes it slower, not leakier.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import numpy as np

from tests.integration.streams import Stream
from tests.waiting import wait_until

PERIOD_S = 0.002
LOST_AFTER_S = 20.0


class Steps:
    """Writes and checks until it is stopped.

    Attributes:
        frames: That arrived, whole and in order.
        longest_s: The longest time that one took.
    """

    def __init__(self, stream: Stream) -> None:
        self.frames = 0
        self.longest_s = 0.0
        self._stream = stream
        self._error: Optional[BaseException] = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steps")
        self._thread.start()

    def _run(self) -> None:
        segment, mirror = self._stream.segment, self._stream.mirror
        frame = np.zeros(segment.shape, segment.dtype)
        try:
            while not self._ending.is_set():
                value, before = (self.frames + 1) % 60_000, mirror.counter
                began_s = time.monotonic()
                frame.fill(value)
                segment.write(frame, frame_id=value)
                assert mirror.wait(before, LOST_AFTER_S) == before + 1
                assert (mirror.read() == value).all()
                self.frames += 1
                took_s = time.monotonic() - began_s
                self.longest_s = max(self.longest_s, took_s)
                self._ending.wait(max(0.0, PERIOD_S - took_s))
        except BaseException as error:
            self._error = error

    def more(self, count: int) -> None:
        """Wait until so many more frames have come."""
        before = self.frames
        wait_until(lambda: self._error or self.frames >= before + count, 30.0, f"{count} more frames")
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        if self._error is not None:
            raise self._error


@contextmanager
def stepping(stream: Stream) -> Iterator[Steps]:
    """Frames meanwhile, none of which may be lost or torn, from the same processes all the while."""
    before = _at_work(stream)
    steps = Steps(stream)
    try:
        steps.more(20)
        yield steps
        steps.more(50)
    finally:
        steps.stop()
    after = _at_work(stream)
    assert after == before, f"{before} became {after}"


def _at_work(stream: Stream) -> list[tuple[int, int, int, int]]:
    rows = [host.worker(stream.source) for host in (stream.hosts.rts, stream.hosts.lab)]
    assert None not in rows
    return [(row["pid"], row["skipped"], row["gaps"], row["restarts"]) for row in rows if row is not None]
