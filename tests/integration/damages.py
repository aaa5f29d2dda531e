"""What may happen to a segment's file while it is open.

Imports nothing of daosup: when that is loaded is up to the program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.segment_files import old_bytes

SHAPE = (256, 64)


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
