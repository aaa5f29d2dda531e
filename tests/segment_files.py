"""A pytest plugin: where tests make segments, and an independent reading of their bytes.

Invariant: nothing here is taken from ``daosup``'s own tables; offsets and sizes are written down again from the
description of DAO's segments, so that a mistake in the tables shows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

METADATA_BYTES = {"v0": 4296, "fifo": 4304, "semreg": 5344}
ELEMENTS = {  # dtype: code in the file, element size, struct's letters for one element
    "uint8": (1, 1, "B"),
    "int8": (2, 1, "b"),
    "uint16": (3, 2, "H"),
    "int16": (4, 2, "h"),
    "uint32": (5, 4, "I"),
    "int32": (6, 4, "i"),
    "uint64": (7, 8, "Q"),
    "int64": (8, 8, "q"),
    "float32": (9, 4, "f"),
    "float64": (10, 8, "d"),
    "complex64": (11, 8, "ff"),
    "complex128": (12, 16, "dd"),
}
SHAPES = ((1,), (97, 1), (5, 4, 3), (1, 1, 1), (7, 13), (3, 1, 11))


@dataclass(frozen=True)
class Block:
    """One metadata block, as its bytes say."""

    name: bytes
    naxis: int
    size: tuple[int, int, int]
    nelement: int
    atype: int
    creation_time: float
    atime_ns: int
    semaphores: int
    cnt0: int
    cnt1: int
    cnt2: int
    write: int
    keyword_count: int

    @classmethod
    def read(cls, raw: bytes, start: int = 0) -> Block:
        def field(form: str, offset: int) -> tuple[int, ...]:
            return struct.unpack_from("<" + form, raw, start + offset)

        return cls(
            name=raw[start : start + 80].split(b"\0", 1)[0],
            naxis=raw[start + 80],
            size=field("III", 84),  # type: ignore[arg-type]
            nelement=field("Q", 96)[0],
            atype=raw[start + 104],
            creation_time=field("d", 112)[0],
            atime_ns=field("q", 136)[0],
            semaphores=field("H", 148)[0],
            cnt0=field("Q", 152)[0],
            cnt1=field("Q", 160)[0],
            cnt2=field("Q", 168)[0],
            write=raw[start + 176],
            keyword_count=field("H", 178)[0],
        )


def fifo_fields(raw: bytes) -> tuple[int, int]:
    """Depth and slot last written, of a file in layout ``fifo``."""
    depth, last = struct.unpack_from("<II", raw, 4296)
    return depth, last


def slot_bytes(raw: bytes, layout: str, depth: int, slot: int, frame_bytes: int) -> bytes:
    """The data of one slot: metadata blocks come first, then the data blocks."""
    start = depth * METADATA_BYTES[layout] + slot * frame_bytes
    return raw[start : start + frame_bytes]


def old_bytes(
    shape: tuple[int, ...], dtype: str, *, layout: str = "fifo", depth: int = 1, created: float = 1.0
) -> bytes:
    """A whole file as DAO's library would leave it after making it: zeroes for data, no keywords."""
    code, element_bytes, _ = ELEMENTS[dtype]
    elements = 1
    for length in shape:
        elements *= length
    block = bytearray(METADATA_BYTES[layout])
    block[80] = len(shape)
    struct.pack_into(f"<{len(shape)}I", block, 84, *shape)
    struct.pack_into("<Q", block, 96, elements)
    block[104] = code
    struct.pack_into("<d", block, 112, created)
    struct.pack_into("<H", block, 148, 10)
    if layout == "fifo":
        struct.pack_into("<II", block, 4296, depth, depth - 1)
    return bytes(block) * depth + bytes(depth * elements * element_bytes)


@pytest.fixture
def segment_path(tmp_path: Path) -> Iterator[Path]:
    """Where a test may make one segment; it and its semaphores are removed afterwards."""
    path = tmp_path / "seg.im.shm"
    yield path
    for number in range(10):
        Path(f"/dev/shm/sem.seg_sem{number:02d}").unlink(missing_ok=True)
    Path("/dev/shm/sem.seg_semlog").unlink(missing_ok=True)
