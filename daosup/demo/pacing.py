"""Plays frames into a segment at a steady rate: the clock of the simulators.

Invariant: frame k is due at k periods after the start; a simulator that was held up goes on from now, without a burst.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import numpy.typing as npt

from daosup.shm import Segment

RATE_HZ = 500.0
LATE_S = 0.1


class _Told(BaseException):
    """SIGTERM came."""


def play(path: Path, frames: npt.NDArray[Any], repeats: int) -> None:
    """Make the segment ``path`` and write ``frames`` into it, over and over, until SIGTERM; then remove it.

    Args:
        path: The segment's file.
        frames: Frames along the first axis; the others are the segment's shape.
        repeats: How many times each is written before the next one.
    """
    signal.signal(signal.SIGTERM, _stop)
    try:
        segment = Segment.create(path, frames.shape[1:], frames.dtype)
        try:
            _write_for_ever(segment, frames, repeats)
        finally:
            segment.close()
            segment.unlink()
    except _Told:
        sys.exit(0)


def _write_for_ever(segment: Segment, frames: npt.NDArray[Any], repeats: int) -> None:
    period_s = 1.0 / RATE_HZ
    due = time.monotonic()
    while True:
        for frame in frames:
            for _ in range(repeats):
                segment.write(frame)
                due += period_s
                left_s = due - time.monotonic()
                if left_s > 0:
                    time.sleep(left_s)
                elif left_s < -LATE_S:
                    due = time.monotonic()


def _stop(number: int, frame: Optional[FrameType]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Told
