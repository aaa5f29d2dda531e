"""A program to which segments are damaged: each use after each damage, and what came of it, as JSON on stdout.

Usage: segment_victim.py FOLDER (never|before|after|between), the latter being when faulthandler is enabled: before or
after the extension is imported, or between the opening of each segment and its use.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from pathlib import Path
from typing import Callable

FAULTHANDLER = sys.argv[2]
if FAULTHANDLER == "before":
    faulthandler.enable()

import numpy as np  # noqa: E402

from daosup.shm.making import unlink_segment  # noqa: E402
from daosup.shm.segment import Segment  # noqa: E402
from tests.segment_files import old_bytes  # noqa: E402

if FAULTHANDLER == "after":
    faulthandler.enable()

SHAPE = (256, 64)
FRAME = np.full(SHAPE, 7, "uint16")


def cut_to(length: int) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        os.truncate(path, length if length >= 0 else path.stat().st_size + length)

    return cut


def replace_with(raw: bytes) -> Callable[[Path], None]:
    """By another file, under the same name."""

    def replace(path: Path) -> None:
        other = path.with_name("other")
        other.write_bytes(raw)
        other.rename(path)

    return replace


def rewrite(raw: bytes) -> Callable[[Path], None]:
    """In place, as DAO's library does: the same file, emptied first."""

    def write(path: Path) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.write(fd, raw)
        os.close(fd)

    return write


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut to nothing": cut_to(0),
    "cut within the header": cut_to(2000),
    "cut at the header": cut_to(4096),
    "cut within the data": cut_to(4304 + 16000),
    "cut by a byte": cut_to(-1),
    "grown": cut_to(100_000),
    "unlinked": os.unlink,
    "replaced by another shape": replace_with(old_bytes((4, 4), "float32")),
    "replaced by the same shape": replace_with(old_bytes(SHAPE, "uint16")),
    "replaced by garbage": replace_with(b"garbage" * 10_000),
    "rewritten with another shape": rewrite(old_bytes((4, 4), "float32")),
    "rewritten with a larger shape": rewrite(old_bytes((512, 64), "uint16")),
    "rewritten with the same size": rewrite(old_bytes((64, 256), "uint16")),
    "rewritten with the same shape": rewrite(old_bytes(SHAPE, "uint16", created=2.0)),
    "rewritten with garbage": rewrite(b"\xff" * 37072),
}


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
    "check": lambda segment: segment.check(),
    "view": use_view,
    "metadata": use_metadata,
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
