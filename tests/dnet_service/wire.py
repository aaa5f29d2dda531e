"""The bytes of protocol 1: header, META, keywords, and the lines of text."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

MAGIC = 0x54454E44
VERSION = 1
META, FRAME, HEARTBEAT, WRITE, BYE = 1, 2, 3, 4, 5
ECHO = 1
HEADER = struct.Struct("<IHHIIQQqQ16x")
META_HEAD = struct.Struct("<256sBBH3IQQ")
KEYWORD = struct.Struct("<16sc7x16s80s")
COUNTER = struct.Struct("<Q")
ELEMENT_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 8: 8, 9: 4, 10: 8, 11: 8, 12: 16}
#: How much more than a frame the service takes from a peer.
SLACK_BYTES = 64 * 1024

assert HEADER.size == 64
assert META_HEAD.size == 288
assert KEYWORD.size == 120


class Header(NamedTuple):
    """A header without magic and version."""

    type: int
    flags: int = 0
    dropped: int = 0
    cnt0: int = 0
    seq: int = 0
    atime_ns: int = 0
    size: int = 0

    def pack(self) -> bytes:
        return HEADER.pack(MAGIC, VERSION, *self)


class Meta(NamedTuple):
    """What a segment is like."""

    name: str
    shape: tuple[int, ...]
    atype: int
    keywords: bytes

    def pack(self) -> bytes:
        elements = 1
        for length in self.shape:
            elements *= length
        sizes = (*self.shape, 1, 1)[:3]
        count = len(self.keywords) // KEYWORD.size
        head = META_HEAD.pack(
            self.name.encode(), len(self.shape), self.atype, count, *sizes, elements, ELEMENT_BYTES[self.atype]
        )
        return head + self.keywords

    @classmethod
    def unpack(cls, raw: bytes) -> Meta:
        name, naxis, atype, count, *sizes, elements, element_bytes = META_HEAD.unpack_from(raw)
        assert len(raw) == META_HEAD.size + count * KEYWORD.size, f"META of {len(raw)} bytes with {count} keywords"
        shape = tuple(sizes[:naxis])
        product = 1
        for length in shape:
            product *= length
        assert product == elements, f"META of {shape} with {elements} elements"
        assert element_bytes == ELEMENT_BYTES[atype], f"META of type {atype} with elements of {element_bytes} bytes"
        return cls(name.partition(b"\0")[0].decode(), shape, atype, raw[META_HEAD.size :])


def unpack_header(raw: bytes) -> Header:
    magic, version, *fields = HEADER.unpack(raw)
    assert magic == MAGIC, f"magic {magic:#x}"
    assert version == VERSION, f"version {version}"
    return Header(*fields)


def keyword(name: str, value: int, comment: str = "") -> bytes:
    """A keyword that holds a whole number."""
    return KEYWORD.pack(name.encode(), b"L", struct.pack("<q", value), comment.encode())


def read_line(connection: socket.socket, most_bytes: int = 1024) -> str:
    """One line, byte by byte, so that nothing after it is taken.

    Raises:
        ConnectionError: If the other end closes before.
    """
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte or len(line) > most_bytes:
            raise ConnectionError(f"no line: {line[:80]!r}")
        line += byte
    return line[:-1].decode()
