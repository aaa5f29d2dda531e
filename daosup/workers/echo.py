"""Answers a mirror's frames by frames of a segment of its own, so that another host can time the way there and back.

    python -m daosup.workers.echo MIRROR SEGMENT

Invariants: the segment is there exactly as long as this process, which ends when its standard input does, on SIGTERM,
or when no frame came for `IDLE_S`. A frame's id says what is to be done with it; both segments are arrays of uint64.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from types import FrameType
from typing import Optional

from daosup.errors import SegmentLostError

TYPE_CHECKING = False  # who starts this program needs a word of it, and no NumPy
if TYPE_CHECKING:
    from daosup.shm import Segment

#: The ids from here on ask for frames at a rate, as `series` has it; those below to be answered.
SERIES = 1 << 40
#: The id of the frame after these, whose first elements are how many they were and how many nanoseconds they took.
SERIES_END = 1 << 41
#: The segments belong to nobody for longer than this is measured.
MODE = 0o666
IDLE_S = 10.0
READY = "ready"
_LOOK_S = 0.1
_MS_BITS = 16


def series(rate_hz: int, length_ms: int) -> int:
    """The id that asks for so many frames a second, below 2**24, for so long, below 2**16."""
    return SERIES + (rate_hz << _MS_BITS) + length_ms


def main(mirror_path: str, own_path: str) -> None:
    """Answer until there is no more need to."""
    from daosup.shm import Segment

    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Segment.open(mirror_path, writable=False) as mirror:
        own = Segment.create(own_path, mirror.shape, mirror.dtype, mode=MODE, semaphore_mode=MODE, is_replacing=False)
        try:
            print(READY, flush=True)
            _answer(mirror, own)
        finally:
            own.unlink()
            own.close()


def _answer(mirror: Segment, own: Segment) -> None:
    frame = mirror.read()
    counter, last_s = mirror.counter, time.monotonic()
    while not _is_over() and time.monotonic() - last_s < IDLE_S:
        try:
            counter = mirror.wait(counter, _LOOK_S)
            came_ns = time.perf_counter_ns()
            mirror.read(frame)
        except TimeoutError:
            continue
        except SegmentLostError:  # the host that asked has ended it
            return
        last_s, ident = time.monotonic(), mirror.stamp.frame_id
        if ident >= SERIES:
            rate_hz, length_ms = divmod(ident - SERIES, 1 << _MS_BITS)
            _write_series(own, max(1, rate_hz), length_ms / 1000)
            continue
        frame.flat[0] = time.perf_counter_ns() - came_ns
        own.write(frame, frame_id=ident)


def _write_series(own: Segment, rate_hz: int, length_s: float) -> None:
    frame = own.read()
    began_ns = time.perf_counter_ns()
    count, elapsed_ns = 0, 0
    while elapsed_ns < length_s * 1e9:
        own.write(frame)
        count += 1
        due_ns = began_ns + count * 1_000_000_000 // rate_hz
        while (left_ns := due_ns - time.perf_counter_ns()) > 0:
            time.sleep(left_ns / 1e9)
        elapsed_ns = time.perf_counter_ns() - began_ns
    time.sleep(_LOOK_S)  # the last one is to be seen for itself
    frame.flat[0], frame.flat[1] = count, elapsed_ns
    own.write(frame, frame_id=SERIES_END)


def _is_over() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _end(number: int, frame: Optional[FrameType]) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
