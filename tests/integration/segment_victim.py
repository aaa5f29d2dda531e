"""A program to which segments are damaged: each use after each damage, and what came of it, as JSON on stdout.

Usage: segment_victim.py FOLDER (never|before|after|between), the latter being when faulthandler is enabled: before or
after the extension is imported, or between the opening of each segment and its use.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from pathlib import Path
from typing import Callable

FAULTHANDLER = sys.argv[2]
if FAULTHANDLER == "before":
    faulthandler.enable()

import numpy as np  # noqa: E402
import zmq  # noqa: E402

from daosup.shm.making import unlink_segment  # noqa: E402
from daosup.shm.segment import FOREVER_S, Segment  # noqa: E402
from daosup.stream.sender import share_libzmq  # noqa: E402
from tests.integration.damages import DAMAGES, SHAPE  # noqa: E402

if FAULTHANDLER == "after":
    faulthandler.enable()

FRAME = np.full(SHAPE, 7, "uint16")
share_libzmq()
# Nobody is at the other end: what is sent is dropped, and nothing comes.
context = zmq.Context()
PUSH, SUB = context.socket(zmq.PUSH), context.socket(zmq.SUB)
PUSH.setsockopt(zmq.LINGER, 0)
SUB.setsockopt(zmq.RCVTIMEO, 5000)


def use_pump_out(segment: Segment, sent: int) -> None:
    segment.window.sent = sent
    segment.window.send_frames(PUSH.underlying, bytes(64), 9, 5.0, 0.02, FOREVER_S)


def use_pump_in(segment: Segment) -> None:
    segment.window.take_frames(SUB.underlying, bytes(16), bytes(8), 1, FOREVER_S)


def use_view(segment: Segment) -> None:
    segment.view().sum()
    segment.check()


def use_metadata(segment: Segment) -> None:
    assert segment.metadata_block(0) is not None
    segment.check()


USES: dict[str, Callable[[Segment], object]] = {
    "read": lambda segment: segment.read(),
    "read_slot": lambda segment: segment.read_slot(0),
    "history": lambda segment: segment.history(1),
    "write": lambda segment: segment.write(FRAME),
    "wait": lambda segment: segment.wait(3, 5.0),
    "wait polling": lambda segment: segment.wait(3, 5.0, semaphore=77),
    "wait spinning": lambda segment: segment.wait(3, 5.0, spin=True),
    "wait for what is there": lambda segment: segment.wait(2, 5.0),
    "wait spinning for what is there": lambda segment: segment.wait(2, 5.0, spin=True),
    "check": lambda segment: segment.check(),
    "view": use_view,
    "metadata": use_metadata,
    "pump out": lambda segment: use_pump_out(segment, sent=2),
    "pump out, idle": lambda segment: use_pump_out(segment, sent=3),
    "pump in": use_pump_in,
}


def outcome(path: Path, damage: Callable[[Path], None], use: Callable[[Segment], object]) -> tuple[str, float]:
    with Segment.create(path, SHAPE, "uint16") as segment:
        for _ in range(3):
            segment.write(FRAME)
        if FAULTHANDLER == "between":
            faulthandler.disable()
            faulthandler.enable()
        damage(path)
        began = time.monotonic()
        try:
            use(segment)
        except Exception as error:
            return type(error).__name__, time.monotonic() - began
        return "nothing", time.monotonic() - began


path = Path(sys.argv[1]) / f"victim_{FAULTHANDLER}.im.shm"
try:
    print(json.dumps({f"{d} / {u}": outcome(path, DAMAGES[d], USES[u]) for d in DAMAGES for u in USES}))
finally:
    unlink_segment(path)
    context.destroy()
