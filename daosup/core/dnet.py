"""DAO's network protocol 1 on a TCP connection: the header of every message, and what describes a segment.

A message is 64 bytes of header, then the payload. What both ends may send is a ``Kind``; to a reader of ours the owner
describes its segment with a ``describe``, whose payload is that of protocol 2's, to any other with a ``meta``. Lines
that come before the first message are in daosup.core.dnet_lines; `daosup/shm/dnet.h` has the same table in C.

Everything is hostile until decoded, and no length is believed that no message of its kind can have: whoever reads the
header first knows the most that he has to make room for.
"""

from __future__ import annotations

import re
import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple, Optional

from daosup.core.header import (
    DESCRIPTION_BYTES,
    MAX_FRAME_BYTES,
    MAX_SEGMENT_BYTES,
    Buffer,
    Description,
    read_description,
)
from daosup.core.layout import ELEMENT_TYPES, KEYWORD_BYTES, MAX_KEYWORDS, Geometry, Layout, make_geometry
from daosup.core.writing import FRAME_AT
from daosup.errors import ProtocolError, UsageError

MAGIC = b"DNET"
VERSION = 1
#: magic, version, kind, flags, dropped, cnt0, sequence, write time ns, payload bytes, two that are reserved
HEADER = struct.Struct("<4sHHIIQQqQQQ")
HEADER_BYTES = HEADER.size
#: name, axes, element type, keywords, sizes, elements, element's size
META = struct.Struct("<256sBBH3IQQ")
META_BYTES = META.size
META_NAME_BYTES = 256
#: Behind each frame: the counter after it was copied.
TRAILER = struct.Struct("<Q")
TRAILER_BYTES = TRAILER.size

#: Who has sent nothing for so long sends a heartbeat; a link without a word for ``SILENCE_S`` is broken.
HEARTBEAT_S = 1.0
SILENCE_S = 4.0
#: No answer to a writer is longer.
_MOST_ANSWER_BYTES = 1024
#: What is said in a bye; to readers of ours only.
_MOST_REASON_BYTES = 255


class Kind(IntEnum):
    """What a message is; those from 16 on are between ours alone."""

    META = 1
    FRAME = 2
    HEARTBEAT = 3
    WRITE = 4
    BYE = 5
    DESCRIBE = 16
    ASK = 17
    ANSWER = 18
    #: A reader lacks the newest frame, though it was sent it.
    AGAIN = 19


class Flag(IntFlag):
    """What is special about a frame."""

    NONE = 0
    #: It is this reader's own, written back.
    ECHO = 1
    #: The header has its frame id and the time when it was sent.
    HAS_FRAME_ID = 0x100
    #: What is before its counter is packed (daosup/shm/packing.h); the size of its elements is in the upper half.
    PACKED = 0x200


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: The shortest and the longest payload of each kind. Keywords are of 120 bytes each.
_KEYWORDS_BYTES = MAX_KEYWORDS * KEYWORD_BYTES
_LENGTHS = {
    Kind.META: (META_BYTES, META_BYTES + _KEYWORDS_BYTES),
    Kind.FRAME: (TRAILER_BYTES + 1, MAX_FRAME_BYTES + TRAILER_BYTES),
    Kind.HEARTBEAT: (0, 0),
    Kind.WRITE: (1, MAX_FRAME_BYTES),
    Kind.BYE: (0, _MOST_REASON_BYTES),
    Kind.DESCRIBE: (DESCRIPTION_BYTES, DESCRIPTION_BYTES + _KEYWORDS_BYTES),
    Kind.ASK: (1, MAX_FRAME_BYTES + FRAME_AT),
    Kind.ANSWER: (1, _MOST_ANSWER_BYTES),
    Kind.AGAIN: (0, 0),
}
#: What describes a segment is not longer, with its header.
MOST_DESCRIPTION_BYTES = HEADER_BYTES + META_BYTES + _KEYWORDS_BYTES


class Header(NamedTuple):
    """A header; times are ns since 1970 UTC, ``kind`` a ``Kind``, ``flags`` of ``Flag``.

    ``dropped``: frames skipped so far for this reader. ``reserved``: of a describe the epoch and the layout id, of a
    frame with ``HAS_FRAME_ID`` that id and the send time.
    """

    kind: int
    flags: int = 0
    dropped: int = 0
    counter: int = 0
    sequence: int = 0
    write_time_ns: int = 0
    payload_bytes: int = 0
    reserved: tuple[int, int] = (0, 0)


class Described(NamedTuple):
    """What a describe says: a segment, in which epoch of its stream, its newest counter, its encoded keywords."""

    description: Description
    epoch: int
    counter: int
    keywords: bytes


class Meta(NamedTuple):
    """What a meta says: a segment's name, what its frames look like, its encoded keywords."""

    name: str
    geometry: Geometry
    keywords: bytes


def encode_header(header: Header) -> bytes:
    """The 64 bytes on the wire."""
    *fields, reserved = header
    return HEADER.pack(MAGIC, VERSION, *fields, *reserved)


def decode_header(raw: Buffer) -> Header:
    """Read and check the 64 bytes of a header.

    Raises:
        ProtocolError: If it is none, or states a payload that no message of its kind has.
    """
    if len(raw) < HEADER_BYTES:
        raise ProtocolError(f"header of {len(raw)} bytes, it has {HEADER_BYTES}")
    magic, version, *fields, first, second = HEADER.unpack_from(raw)
    if magic != MAGIC or version != VERSION:
        raise ProtocolError(f"header begins with {magic!r} version {version}, expected {MAGIC!r} version {VERSION}")
    header = Header._make((*fields, (first, second)))
    if header.kind not in _LENGTHS:
        raise ProtocolError(f"message of unknown kind {header.kind}")
    kind = Kind(header.kind)
    least, most = _LENGTHS[kind]
    if not least <= header.payload_bytes <= most:
        raise ProtocolError(
            f"{kind.name} of {header.payload_bytes} bytes, one has {least}" + (f" to {most}" if most > least else "")
        )
    return header


def message(kind: Kind, payload: Buffer = b"", counter: int = 0) -> bytes:
    """A whole message that has not much in its header."""
    return encode_header(Header(kind, counter=counter, payload_bytes=len(payload))) + bytes(payload)


HEARTBEAT = message(Kind.HEARTBEAT)
BYE = message(Kind.BYE)
AGAIN = message(Kind.AGAIN)


def encode_bye(reason: str) -> bytes:
    """A goodbye to a reader of ours that says why."""
    return message(Kind.BYE, reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore").encode())


def decode_bye(payload: Buffer) -> str:
    """Why, on one line and without what terminals act upon; empty: nothing is said."""
    return _CONTROL.sub("?", " ".join(bytes(payload).decode(errors="replace").split()))


# -- what a segment is like


def encode_describe(description: Description, epoch: int, counter: int, keywords: Buffer) -> bytes:
    """A whole describe message, for readers of ours. ``counter``: of the newest frame."""
    payload = description.encode() + bytes(keywords)
    header = Header(Kind.DESCRIBE, counter=counter, payload_bytes=len(payload), reserved=(epoch, description.layout_id))
    return encode_header(header) + payload


def decode_describe(header: Header, payload: Buffer, source: str = "") -> Described:
    """Read and check the payload of a describe, all sizes included.

    Raises:
        ProtocolError: If no segment can be like that, sizes do not add up, or it describes another source.
    """
    _check_length(header, payload, Kind.DESCRIBE)
    description = read_description(payload, source)
    keywords = bytes(payload[DESCRIPTION_BYTES:])
    _check_keywords(description.geometry, keywords)
    epoch, layout_id = header.reserved
    if layout_id != description.layout_id:
        raise ProtocolError(
            f"description {description.layout_id:#010x} in a message for {layout_id:#010x}: another source's?"
        )
    return Described(description, epoch, header.counter, keywords)


def encode_meta(name: str, geometry: Geometry, keywords: Buffer, counter: int = 0) -> bytes:
    """A whole meta message, for readers that are not ours. ``counter``: of the newest frame."""
    sizes = (*geometry.shape, 0, 0)[:3]
    fixed = META.pack(
        name.encode(errors="replace")[: META_NAME_BYTES - 1], len(geometry.shape), geometry.atype,
        geometry.keyword_count, *sizes, geometry.element_count, ELEMENT_TYPES[geometry.atype][1],
    )  # fmt: skip
    return message(Kind.META, fixed + bytes(keywords), counter)


def decode_meta(header: Header, payload: Buffer, layout: Layout = Layout.FIFO) -> Meta:
    """Read and check the payload of a meta, all sizes included. It tells neither layout nor depth.

    Raises:
        ProtocolError: If no segment can be like that, or sizes do not add up.
    """
    _check_length(header, payload, Kind.META)
    name, axes, atype, keyword_count, *sizes, elements, element_bytes = META.unpack_from(payload)
    if atype not in ELEMENT_TYPES or not 1 <= axes <= len(sizes):
        raise ProtocolError(f"meta with element type {atype}, {axes} axes")
    dtype, right_bytes = ELEMENT_TYPES[atype]
    geometry = checked_geometry(tuple(sizes[:axes]), dtype, layout, keyword_count=keyword_count)
    if (elements, element_bytes) != (geometry.element_count, right_bytes):
        raise ProtocolError(f"meta of {elements} elements of {element_bytes} bytes, but it is {geometry}")
    keywords = bytes(payload[META_BYTES:])
    _check_keywords(geometry, keywords)
    return Meta(name.split(b"\0", 1)[0].decode(errors="replace"), geometry, keywords)


def checked_geometry(
    shape: tuple[int, ...], dtype: str, layout: Layout = Layout.FIFO, keyword_count: int = 0
) -> Geometry:
    """What somebody else's segment looks like.

    Raises:
        ProtocolError: If none can look like that, or it is larger than any mirror is.
    """
    try:
        geometry = make_geometry(shape, dtype, layout=layout, keyword_count=keyword_count)
    except UsageError as error:
        raise ProtocolError(f"impossible segment: {error}") from None
    if geometry.frame_bytes > MAX_FRAME_BYTES or geometry.file_bytes > MAX_SEGMENT_BYTES:
        raise ProtocolError(f"segment with frames of {geometry.frame_bytes} bytes, allowed are {MAX_FRAME_BYTES}")
    return geometry


def _check_length(header: Header, payload: Buffer, kind: Kind) -> None:
    least, _ = _LENGTHS[kind]
    if header.kind != kind or len(payload) != header.payload_bytes or len(payload) < least:
        raise ProtocolError(f"no {kind.name}: kind {header.kind}, {len(payload)} of {header.payload_bytes} bytes")


def _check_keywords(geometry: Geometry, keywords: bytes) -> None:
    if len(keywords) != geometry.keyword_count * KEYWORD_BYTES:
        raise ProtocolError(f"{geometry.keyword_count} keywords in {len(keywords)} bytes, each has {KEYWORD_BYTES}")


# -- frames


def encode_frame(
    frame: Buffer,
    counter: int,
    write_time_ns: int,
    *,
    frame_id: Optional[int] = None,
    send_time_ns: int = 0,
    dropped: int = 0,
    sequence: int = 0,
    is_echo: bool = False,
) -> bytes:
    """A whole frame message; with a frame id as readers of ours have it. The pump builds its own, without Python."""
    flags = (Flag.ECHO if is_echo else Flag.NONE) | (Flag.NONE if frame_id is None else Flag.HAS_FRAME_ID)
    reserved = (0, 0) if frame_id is None else (frame_id, send_time_ns)
    payload_bytes = len(frame) + TRAILER_BYTES
    header = Header(Kind.FRAME, flags, dropped, counter, sequence, write_time_ns, payload_bytes, reserved)
    return encode_header(header) + bytes(frame) + TRAILER.pack(counter)
