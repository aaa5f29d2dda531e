"""Looks at a segment as a reader does: every frame it can get, checked for being whole and next in line.

The counter counted is the one that was read together with the frame, so what the reader itself was too late for is
not taken for a loss of the stream.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from numpy.typing import NDArray

from bench.bare_pubsub import SEMAPHORE
from bench.figures import steps_between
from daosup.errors import SegmentError
from daosup.shm import Segment

_WAIT_S = 0.02


def is_torn(frame: NDArray[Any]) -> bool:
    """Whether a frame of one value has another one in it."""
    return bool(frame.min() != frame.max())


@dataclass
class Sight:
    """What was seen. ``written`` and ``delivered`` count frames from the first one seen to the last one."""

    seen: int = 0
    torn: int = 0
    written: int = 0
    delivered: int = 0
    arrivals_s: list[float] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """Frames of the source that never were in this segment."""
        return self.written - self.delivered


def watch(path: Path, is_over: Callable[[], bool], sight: Sight) -> None:
    """Read frames of ``path`` into ``sight`` until ``is_over``; follows a segment that is made anew."""
    while not is_over():
        try:
            with Segment.open(path) as segment:
                _watch_one(segment, is_over, sight)
        except SegmentError:
            time.sleep(0.001)


def watch_for(path: Path, seconds: float) -> Sight:
    """Watch for a time."""
    sight = Sight()
    end_s = time.monotonic() + seconds
    watch(path, lambda: time.monotonic() >= end_s, sight)
    return sight


def _watch_one(segment: Segment, is_over: Callable[[], bool], sight: Sight) -> None:
    last: Optional[tuple[int, int]] = None
    frame = segment.read()
    while not is_over():
        try:
            segment.wait(timeout_s=_WAIT_S, semaphore=SEMAPHORE)
        except TimeoutError:
            segment.check()
            continue
        sight.arrivals_s.append(time.monotonic())
        frame = segment.read(out=frame)
        sight.seen += 1
        sight.torn += is_torn(frame)
        newest = (segment.stamp.counter, int(frame.flat[0]))
        if last is not None:
            sight.delivered += newest[0] - last[0]
            sight.written += steps_between(last[1], newest[1])
        last = newest


class Watcher:
    """Watches in a thread, for as long as its block lasts."""

    def __init__(self, path: Path) -> None:
        self.sight = Sight()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=watch, args=(path, self._is_over.is_set, self.sight), daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._is_over.set()
        self._thread.join()


def first_value(path: Path, is_wanted: Callable[[int], bool], timeout_s: float) -> Optional[float]:
    """When (monotonic, s) a whole frame with a wanted value was first read from ``path``; None if it never came.

    The file is opened anew for each look: it may be missing, half-made or about to be replaced.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            with Segment.open(path) as segment:
                frame = segment.read()
            if not is_torn(frame) and is_wanted(int(frame.flat[0])):
                return time.monotonic()
        except SegmentError:
            pass
        time.sleep(0.0005)
    return None
