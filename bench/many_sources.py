"""Many small segments, each written once a second, evenly spread over it: what a whole observatory has, on one host.

python -m bench.many_sources FOLDER TAG COUNT     prints "ready" once all are there; ends with SIGTERM
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from daosup.shm import Segment

ELEMENTS = 97
PERIOD_S = 1.0
_BATCHES = 50


def name_of(tag: str, number: int) -> str:
    """The name of one of them."""
    return f"{tag}_{number:04d}"


def main() -> None:
    """Write until SIGTERM, or until the parent is gone."""
    folder, tag, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    segments = [
        Segment.create(folder / f"{name_of(tag, number)}.im.shm", (ELEMENTS,), "float32") for number in range(count)
    ]
    frame = np.zeros(ELEMENTS, np.float32)
    try:
        print("ready", flush=True)
        due_s, turn = time.monotonic(), 0
        while not ending and os.getppid() == parent:
            for segment in segments[turn % _BATCHES :: _BATCHES]:
                frame.fill(segment.counter + 1)
                segment.write(frame)
            turn += 1
            due_s += PERIOD_S / _BATCHES
            time.sleep(max(0.0, due_s - time.monotonic()))
    finally:
        for segment in segments:
            segment.unlink()
            segment.close()


if __name__ == "__main__":
    main()
