"""Reads every frame of a camera's mirror and writes down what it saw, for as long as it runs.

    checker.py SEGMENT_FILE RECORD_FILE

One record for each frame: its number, when it was seen (ns since 1970), 1 if it was whole; three 64-bit numbers. A
frame is whole if all its pixels tell the same number (see camera.py) and its frame id is that number too. The mirror
may be away, or made anew, at any time: then it is opened again.
"""

import struct
import sys
import time

import numpy as np

from daosup import Segment
from daosup.errors import DaosupError


def watch(path: str, record) -> None:
    with Segment.open(path, writable=False) as segment:
        pattern = np.arange(segment.geometry.element_count, dtype=np.uint32).reshape(segment.shape)
        frame = np.empty(segment.shape, segment.dtype)
        counter = segment.counter
        while True:
            try:
                counter = segment.wait(counter, 1.0, semaphore=3)
            except TimeoutError:
                segment.check()
                continue
            segment.read(frame)
            counter = segment.stamp.counter
            numbers = frame - pattern
            is_whole = bool((numbers == numbers[0, 0]).all()) and segment.stamp.frame_id == int(numbers[0, 0])
            record.write(struct.pack("<QQQ", int(numbers[0, 0]), time.time_ns(), is_whole))


def main() -> None:
    with open(sys.argv[2], "ab", buffering=0) as record:
        while True:
            try:
                watch(sys.argv[1], record)
            except DaosupError as error:
                print(error, flush=True)
                time.sleep(0.05)


if __name__ == "__main__":
    main()
