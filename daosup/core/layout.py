"""The layouts of a DAO segment as tables, and how a file is recognised.

A segment is never guessed: the file size must be exactly what one layout needs for the shape, element type,
depth and keyword count that its header states. Offsets, sizes and type codes are facts of the DAO C library
(libdao) on 64-bit little-endian Linux.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum
from typing import Optional

from daosup.errors import NotASegmentError, UsageError


class Layout(Enum):
    """The three layouts in use; their metadata begins alike and differs from byte 4296 on."""

    V0 = "v0"
    FIFO = "fifo"
    SEMREG = "semreg"

    @property
    def metadata_bytes(self) -> int:
        """Size of one metadata block."""
        return _METADATA_BYTES[self]


_METADATA_BYTES = {Layout.V0: 4296, Layout.FIFO: 4304, Layout.SEMREG: 5344}

#: What has to be read of a file to recognise it: everything up to and including ``fifo_last_written``.
HEADER_BYTES = 4304
MAX_AXES = 3
MAX_DEPTH = 65536
NAME_BYTES = 80
MAX_KEYWORDS = 65535
SEMAPHORE_COUNT = 10

KEYWORD_BYTES = 120
#: name, type, value, comment
KEYWORD = struct.Struct("<16sc7x16s80s")

# Offsets in a metadata block.
NAXIS = 80
SIZE = 84
NELEMENT = 96
ATYPE = 104
CREATION_TIME = 112
LAST_ACCESS = 120
ATIME_NS = 136
SHARED = 144
SEM = 148
CNT0 = 152
CNT1 = 160
CNT2 = 168
WRITE = 176
KEYWORD_COUNT = 178
FIFO_SIZE = 4296
FIFO_LAST_WRITTEN = 4300

#: ``atype`` to NumPy dtype name and element size in bytes.
ELEMENT_TYPES: dict[int, tuple[str, int]] = {
    1: ("uint8", 1),
    2: ("int8", 1),
    3: ("uint16", 2),
    4: ("int16", 2),
    5: ("uint32", 4),
    6: ("int32", 4),
    7: ("uint64", 8),
    8: ("int64", 8),
    9: ("float32", 4),
    10: ("float64", 8),
    11: ("complex64", 8),
    12: ("complex128", 16),
}
ATYPE_OF = {dtype: atype for atype, (dtype, _) in ELEMENT_TYPES.items()}


@dataclass(frozen=True)
class Geometry:
    """Everything that decides where things are in a segment file.

    Attributes:
        layout: Which of the three layouts.
        atype: Element type code, 1 to 12.
        shape: 1 to 3 axes in C order.
        depth: Frames kept (FIFO depth), 1 unless the layout is ``fifo``.
        keyword_count: Keyword slots at the end of the file.
    """

    layout: Layout
    atype: int
    shape: tuple[int, ...]
    depth: int = 1
    keyword_count: int = 0

    @property
    def dtype(self) -> str:
        """NumPy dtype name."""
        return ELEMENT_TYPES[self.atype][0]

    @property
    def element_count(self) -> int:
        """Elements in one frame."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def frame_bytes(self) -> int:
        """Size of one frame."""
        return self.element_count * ELEMENT_TYPES[self.atype][1]

    @property
    def data_offset(self) -> int:
        """Where the first slot's frame begins; slot i begins ``i * frame_bytes`` later."""
        return self.depth * self.layout.metadata_bytes

    @property
    def keywords_offset(self) -> int:
        """Where the keywords begin."""
        return self.data_offset + self.depth * self.frame_bytes

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return self.keywords_offset + self.keyword_count * KEYWORD_BYTES

    def mirrored(self, layout: Optional[Layout], depth: int) -> Geometry:
        """What a mirror of it is like.

        Args:
            layout: Which one the mirror is to have; None: the same.
            depth: How many frames it is to keep; more than one makes a FIFO of it. 0: as many as its layout can.
        """
        made = Layout.FIFO if depth > 1 else layout or self.layout
        kept = (depth or self.depth) if made is Layout.FIFO else 1
        return replace(self, layout=made, depth=kept)

    def __str__(self) -> str:
        depth = f", depth {self.depth}" if self.depth > 1 else ""
        return f"{self.dtype} {'x'.join(map(str, self.shape))} ({self.layout.value}{depth})"


def check_depth(depth: object) -> int:
    """Check how many frames somebody wants a mirror to keep.

    Raises:
        UsageError: If it is not a number of frames that a segment can have.
    """
    if type(depth) is not int or not 1 <= depth <= MAX_DEPTH:
        raise UsageError(f"depth is {str(depth)[:40]!r}, not a whole number of frames from 1 to {MAX_DEPTH}")
    return depth


def make_geometry(
    shape: tuple[int, ...], dtype: str, *, layout: Layout = Layout.FIFO, depth: int = 1, keyword_count: int = 0
) -> Geometry:
    """Check what somebody wants a segment to be.

    Raises:
        UsageError: If no segment can be like that.
    """
    if dtype not in ATYPE_OF:
        raise UsageError(f"dtype {dtype!r} is not one a segment can have: {', '.join(ATYPE_OF)}")
    if not 1 <= len(shape) <= MAX_AXES or any(not 0 < length < 2**32 for length in shape):
        raise UsageError(f"shape {shape} is not one a segment can have: 1 to 3 axes, each 1 to 2**32 - 1 long")
    if not 1 <= depth <= MAX_DEPTH or (depth > 1 and layout is not Layout.FIFO):
        raise UsageError(f"depth {depth} is not possible: 1 to {MAX_DEPTH}, and more than 1 only in layout 'fifo'")
    if not 0 <= keyword_count <= MAX_KEYWORDS:
        raise UsageError(f"{keyword_count} keywords are not possible: 0 to {MAX_KEYWORDS}")
    geometry = Geometry(layout, ATYPE_OF[dtype], tuple(int(length) for length in shape), depth, keyword_count)
    if geometry.file_bytes >= 2**63:
        raise UsageError(f"a segment of {geometry.file_bytes} bytes is not possible: less than 2**63")
    return geometry


def recognise(header: bytes, file_bytes: int) -> Geometry:
    """Tell which layout a file has.

    Args:
        header: The first ``HEADER_BYTES`` bytes of the file (fewer if the file is smaller).
        file_bytes: Size of the whole file.

    Raises:
        NotASegmentError: If the header is not plausible or the size fits no layout; the message says what was expected.
    """
    smallest = Layout.V0.metadata_bytes
    if len(header) < smallest or file_bytes < smallest:
        raise NotASegmentError(f"not a DAO segment: {file_bytes} bytes, and the smallest has more than {smallest}")
    naxis, atype = header[NAXIS], header[ATYPE]
    sizes = struct.unpack_from("<3I", header, SIZE)
    (element_count,) = struct.unpack_from("<Q", header, NELEMENT)
    (keyword_count,) = struct.unpack_from("<H", header, KEYWORD_COUNT)
    if not 1 <= naxis <= MAX_AXES:
        raise NotASegmentError(f"not a DAO segment: its header states {naxis} axes, allowed are 1 to {MAX_AXES}")
    if atype not in ELEMENT_TYPES:
        raise NotASegmentError(f"not a DAO segment: its header states element type {atype}, allowed are 1 to 12")
    shape = tuple(sizes[:naxis])
    product = 1
    for length in shape:
        product *= length
    if product == 0 or product != element_count:
        raise NotASegmentError(f"not a DAO segment: its header states shape {shape} but {element_count} elements")
    depth = struct.unpack_from("<I", header, FIFO_SIZE)[0] if len(header) >= HEADER_BYTES else 0
    candidates = [Geometry(layout, atype, shape, 1, keyword_count) for layout in (Layout.V0, Layout.SEMREG)]
    if 1 <= depth <= MAX_DEPTH:
        candidates.append(Geometry(Layout.FIFO, atype, shape, depth, keyword_count))
    for geometry in candidates:
        if geometry.file_bytes == file_bytes:
            return geometry
    expected = ", ".join(f"{geometry.file_bytes} as {geometry.layout.value}" for geometry in candidates)
    raise NotASegmentError(
        f"not a DAO segment: {file_bytes} bytes, but shape {shape} of {ELEMENT_TYPES[atype][0]} "
        f"with {keyword_count} keywords needs {expected}"
    )
