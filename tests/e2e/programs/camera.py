"""A camera: makes segment NAME as libdao does (0600, semaphores 0644) and writes 200 frames a second into it.

    camera.py NAME

Every pixel of frame number n is n plus the pixel's own place, so that a reader can tell a whole frame from two halves.
"""

import sys
import time

import numpy as np

from daosup import Segment

SHAPE = (120, 160)
RATE_HZ = 200


def main() -> None:
    pattern = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint32).reshape(SHAPE)
    with Segment.create(f"/tmp/{sys.argv[1]}.im.shm", SHAPE, "uint32") as segment:
        due_s = time.monotonic()
        number = 0
        while True:
            number += 1
            segment.write(pattern + np.uint32(number), frame_id=number)
            due_s += 1 / RATE_HZ
            time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    main()
