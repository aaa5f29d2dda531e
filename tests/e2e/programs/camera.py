"""A camera: makes segment NAME as libdao does (0600, semaphores 0644) and writes 200 frames a second into it.

    camera.py NAME RECORD_FILE

Every pixel of frame number n is n plus the pixel's own place, so that a reader can tell a whole frame from two halves.
One record for each frame: its number and when it was there (ns since 1970); two 64-bit numbers.
"""

import struct
import sys
import time

import numpy as np

from daosup import Segment

SHAPE = (120, 160)
RATE_HZ = 200


def main() -> None:
    pattern = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint32).reshape(SHAPE)
    path = f"/tmp/{sys.argv[1]}.im.shm"
    with open(sys.argv[2], "ab", buffering=0) as record, Segment.create(path, SHAPE, "uint32") as segment:
        due_s = time.monotonic()
        number = 0
        while True:
            number += 1
            segment.write(pattern + np.uint32(number), frame_id=number)
            record.write(struct.pack("<QQ", number, time.time_ns()))
            now_s = time.monotonic()
            due_s = max(due_s + 1 / RATE_HZ, now_s)  # held up, it makes up for nothing
            time.sleep(due_s - now_s)


if __name__ == "__main__":
    main()
