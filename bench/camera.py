"""A source for the measurements: creates a segment and writes it at a rate, or flat out, until told to stop.

Every pixel of a frame has the frame's sequence number (mod 65536), so a reader sees a torn frame (two values in one)
and a skipped one (a step of more than one) in the picture itself. A deadline that was missed is not made up for by a
burst: a camera does not do that either.

    python -m bench.camera FILE --rate HZ [--depth N] [--side PIXELS] [--dtype D] [--layout L]

It prints "ready" after the first frame.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from types import FrameType
from typing import Optional

import numpy as np

from bench.figures import VALUES
from daosup.shm import Segment


def main() -> None:
    """Write frames until SIGTERM, or until the parent is gone."""
    parser = argparse.ArgumentParser(prog="bench.camera")
    parser.add_argument("file")
    parser.add_argument("--rate", type=float, required=True, help="frames per second; 0: flat out")
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--side", type=int, default=240)
    parser.add_argument("--dtype", default="uint16")
    parser.add_argument("--layout", default="fifo")
    options = parser.parse_args()
    is_stopped = False

    def stop(_number: int, _frame: Optional[FrameType]) -> None:
        nonlocal is_stopped
        is_stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    shape = (options.side, options.side)
    segment = Segment.create(options.file, shape=shape, dtype=options.dtype, layout=options.layout, depth=options.depth)
    frame = np.zeros(shape, dtype=options.dtype)
    period_s = 1 / options.rate if options.rate else 0.0
    sequence = 0
    try:
        due_s = time.monotonic()
        while not is_stopped and os.getppid() == parent:
            sequence += 1
            frame.fill(sequence % VALUES)
            segment.write(frame)
            if sequence == 1:
                print("ready", flush=True)
            if period_s:
                now_s = time.monotonic()
                due_s += period_s
                while due_s <= now_s:
                    due_s += period_s
                time.sleep(due_s - now_s)
    finally:
        segment.unlink()
        segment.close()


if __name__ == "__main__":
    main()
