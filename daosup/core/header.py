"""Protocol 2 on the wire: the header of every message, and the description of a segment.

A message is 64 bytes of header, then the payload. The header begins with the magic, which is also the topic that
readers subscribe to. Kinds:

``frame``     payload is one frame.
``describe``  payload is the description (32 bytes), the keywords (120 bytes each) and, if the flag says so, one frame.
``write``     from a mirror to its owner: see daosup.core.writing.

A describe that goes out while frames flow carries the newest frame, so a reader that takes only the newest message
loses nothing by it. Everything is hostile until decoded: a size that does not match is a ProtocolError.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple, Union

from daosup.core.layout import ELEMENT_TYPES, KEYWORD_BYTES, Geometry, Layout, make_geometry
from daosup.errors import ProtocolError, UsageError

MAGIC = b"DAO2"
VERSION = 2
#: magic, version, kind, flags, epoch, sequence, cnt0, cnt2, write time ns, send time ns, layout id, payload bytes
HEADER = struct.Struct("<4sBBHQQQQqqII")
HEADER_BYTES = HEADER.size
#: Up to and from where the headers of a stream's frames are the same.
_SAME_BEGIN, _SAME_END = 16, 56

#: layout, axes, element type, reserved, sizes, depth, keywords, reserved, creation time
DESCRIPTION = struct.Struct("<4B3II2Hd")
DESCRIPTION_BYTES = DESCRIPTION.size

#: No frame on the wire is larger; a length beyond it is an attack or garbage.
MAX_FRAME_BYTES = 2**31
#: No source has written more frames than a signed 64-bit number counts; beyond that it is an attack or garbage.
MAX_COUNTER = 2**63 - 1
#: No mirror is larger, with all the frames that its FIFO keeps.
MAX_SEGMENT_BYTES = 2**40

Buffer = Union[bytes, bytearray, memoryview]

_LAYOUT_CODES = {Layout.V0: 0, Layout.FIFO: 1, Layout.SEMREG: 2}
_LAYOUTS = {code: layout for layout, code in _LAYOUT_CODES.items()}


class Kind(IntEnum):
    """What a message is."""

    DESCRIBE = 1
    FRAME = 2
    WRITE = 3


_KINDS = frozenset(int(kind) for kind in Kind)


class Flag(IntFlag):
    """What is special about a message."""

    NONE = 0
    HAS_FRAME = 1
    LEAVING = 2


class Header(NamedTuple):
    """A header; times are ns since 1970 UTC, ``kind`` a ``Kind``, ``flags`` of ``Flag``."""

    kind: int
    flags: int
    epoch: int
    sequence: int
    counter: int
    frame_id: int
    write_time_ns: int
    send_time_ns: int
    layout_id: int
    payload_bytes: int


def pack_header(buffer: bytearray, header: tuple[int, ...]) -> None:
    """Write a header to the beginning of ``buffer``; ``header`` has the fields of ``Header`` in their order."""
    HEADER.pack_into(buffer, 0, MAGIC, VERSION, *header)


@dataclass(frozen=True)
class Description:
    """What a mirror must be like.

    Attributes:
        geometry: The source's.
        creation_time: When the source was created, s since 1970 UTC.
        source: Its name, which both ends know. It is not sent but goes into the layout id: who finds another stream
            on the port of the one before can tell.
    """

    geometry: Geometry
    creation_time: float
    source: str = ""

    def encode(self) -> bytes:
        """The 32 bytes on the wire."""
        geometry = self.geometry
        sizes = (*geometry.shape, 0, 0)[:3]
        return DESCRIPTION.pack(
            _LAYOUT_CODES[geometry.layout], len(geometry.shape), geometry.atype, 0, *sizes, geometry.depth,
            geometry.keyword_count, 0, self.creation_time,
        )  # fmt: skip

    @property
    def layout_id(self) -> int:
        """Names this description in the header of each frame."""
        return zlib.crc32(self.source.encode(), zlib.crc32(self.encode()))


def decode_header(message: Buffer) -> Header:
    """Read and check a header.

    Raises:
        ProtocolError: If it is not one, its counter is impossible, or the payload's size is not what it states.
    """
    length = len(message)
    if length < HEADER_BYTES:
        raise ProtocolError(f"message of {length} bytes, a header has {HEADER_BYTES}")
    magic, version, *fields = HEADER.unpack_from(message)
    if magic != MAGIC or version != VERSION:
        raise ProtocolError(f"message begins with {magic!r} version {version}, expected {MAGIC!r} version {VERSION}")
    header = Header._make(fields)
    if header.kind not in _KINDS:
        raise ProtocolError(f"message of unknown kind {header.kind}")
    if header.counter > MAX_COUNTER:
        raise ProtocolError(f"message with counter {header.counter}, at most {MAX_COUNTER} is possible")
    if header.payload_bytes != length - HEADER_BYTES:
        raise ProtocolError(f"header states {header.payload_bytes} bytes, {length - HEADER_BYTES} came")
    return header


def decode_description(message: Buffer, header: Header, source: str = "") -> Description:
    """Read and check the description in a describe message, all sizes included.

    Raises:
        ProtocolError: If no segment can be like that, sizes do not add up, or it describes another source.
    """
    description = read_description(memoryview(message)[HEADER_BYTES:], source)
    geometry = description.geometry
    expected = DESCRIPTION_BYTES + geometry.keyword_count * KEYWORD_BYTES
    if header.flags & Flag.HAS_FRAME:
        expected += geometry.frame_bytes
    if header.payload_bytes != expected:
        raise ProtocolError(f"description with {header.payload_bytes} bytes of payload, expected {expected}")
    if header.layout_id != description.layout_id:
        raise ProtocolError(
            f"description {description.layout_id:#010x} in a message for {header.layout_id:#010x}: another source's?"
        )
    return description


def read_description(payload: Buffer, source: str = "") -> Description:
    """Read and check a description, of which keywords and the rest of a message follow.

    Raises:
        ProtocolError: If no segment can be like that.
    """
    if len(payload) < DESCRIPTION_BYTES:
        raise ProtocolError(f"description of {len(payload)} bytes, it has at least {DESCRIPTION_BYTES}")
    layout, axes, atype, _, *sizes, depth, keywords, _, created = DESCRIPTION.unpack_from(payload)
    if layout not in _LAYOUTS or atype not in ELEMENT_TYPES or not 1 <= axes <= len(sizes):
        raise ProtocolError(f"description with layout {layout}, element type {atype}, {axes} axes")
    try:
        geometry = make_geometry(
            tuple(sizes[:axes]),
            ELEMENT_TYPES[atype][0],
            layout=_LAYOUTS[layout],
            depth=depth,
            keyword_count=keywords,
        )
    except UsageError as error:
        raise ProtocolError(f"description of an impossible segment: {error}") from None
    if geometry.frame_bytes > MAX_FRAME_BYTES:
        raise ProtocolError(f"description of frames of {geometry.frame_bytes} bytes, allowed are {MAX_FRAME_BYTES}")
    if geometry.file_bytes > MAX_SEGMENT_BYTES:
        raise ProtocolError(f"description of {geometry.file_bytes} bytes in all, allowed are {MAX_SEGMENT_BYTES}")
    return Description(geometry, created, source)


def keywords_span(description: Description) -> slice:
    """Where the keywords are in a describe message."""
    start = HEADER_BYTES + DESCRIPTION_BYTES
    return slice(start, start + description.geometry.keyword_count * KEYWORD_BYTES)


def frame_offset(header: Header, description: Description) -> int:
    """Where the frame begins in a message that has one."""
    return keywords_span(description).stop if header.kind == Kind.DESCRIBE else HEADER_BYTES


def frame_ends(header: Header, description: Description) -> tuple[bytes, bytes]:
    """What all frames of a described stream have in common: the first 16 and the last 8 bytes of their headers."""
    whole = bytearray(HEADER_BYTES)
    frame = header._replace(kind=Kind.FRAME, flags=Flag.NONE, payload_bytes=description.geometry.frame_bytes)
    pack_header(whole, frame)
    return bytes(whole[:_SAME_BEGIN]), bytes(whole[_SAME_END:])
