"""Whatever is encoded decodes to the same; whatever else comes is a checked value or a ProtocolError."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

from hypothesis import assume, given
from hypothesis import strategies as st

from daosup.core import header as h
from daosup.core.layout import ATYPE_OF, KEYWORD_BYTES, Geometry, Layout
from daosup.errors import ProtocolError

U16, U32, U64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
#: Epoch, sequence, counter, frame id.
NUMBERS = st.tuples(U64, U64, st.integers(0, 2**63 - 1), U64)
TIMES = st.floats(allow_nan=False)
SOURCE = "rts:wfs"
#: What is decoded must not cost more than this, however large the message says that it is.
MOST_BYTES = 100_000


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    layout = draw(st.sampled_from(Layout))
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    depth = draw(st.integers(1, 5)) if layout is Layout.FIFO else 1
    return Geometry(layout, draw(st.sampled_from(list(ATYPE_OF.values()))), shape, depth, draw(st.integers(0, 3)))


@st.composite
def describes(draw: st.DrawFn) -> tuple[bytes, h.Description]:
    """A valid describe message, and what it describes."""
    description = h.Description(draw(geometries()), draw(TIMES), SOURCE)
    flags = draw(st.integers(0, 7))
    payload = description.encode() + bytes(description.geometry.keyword_count * KEYWORD_BYTES)
    if flags & h.Flag.HAS_FRAME:
        payload += bytes(description.geometry.frame_bytes)
    fields = [*draw(NUMBERS), draw(I64), draw(I64), description.layout_id, len(payload)]
    buffer = bytearray(h.HEADER_BYTES)
    h.pack_header(buffer, (h.Kind.DESCRIBE, flags, *fields))
    return bytes(buffer) + payload, description


@st.composite
def hostile_describes(draw: st.DrawFn) -> bytes:
    """A describe message with any description at all, often a huge one, under its right layout id."""
    raw = struct.pack(
        "<4B3II2Hd",
        draw(st.integers(0, 4)),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 14)),
        0,
        draw(U32 | st.just(2**32 - 1)),
        draw(U32 | st.just(1)),
        draw(U32 | st.just(1)),
        draw(U32 | st.just(1)),
        draw(U16 | st.just(0)),
        0,
        draw(st.floats()),
    )
    buffer = bytearray(h.HEADER_BYTES)
    h.pack_header(
        buffer,
        (h.Kind.DESCRIBE, draw(st.sampled_from([0, 1])), 1, 2, 3, 4, 5, 6, zlib.crc32(raw + SOURCE.encode()), len(raw)),
    )
    return bytes(buffer) + raw


def decoded(message: bytes) -> h.Description | h.Header | None:
    """All that can be decoded of a message; None if it is refused."""
    try:
        header = h.decode_header(message)
        if header.kind != h.Kind.DESCRIBE:
            return header
        return h.decode_description(message, header, SOURCE)
    except ProtocolError:
        return None


def check(message: bytes) -> None:
    """It is refused, or its parts lie within it and fill it."""
    description = decoded(message)
    if isinstance(description, h.Description):
        header = h.decode_header(message)
        frame_at = h.frame_offset(header, description)
        frame_bytes = description.geometry.frame_bytes if header.flags & h.Flag.HAS_FRAME else 0
        assert h.keywords_span(description).stop == frame_at
        assert frame_at + frame_bytes == len(message)


@given(
    kind=st.sampled_from(h.Kind), flags=U16, numbers=NUMBERS, times=st.tuples(I64, I64),
    layout_id=U32, payload=st.binary(max_size=200),
)  # fmt: skip
def test_a_header_comes_back_as_it_was(
    kind: h.Kind,
    flags: int,
    numbers: tuple[int, int, int, int],
    times: tuple[int, int],
    layout_id: int,
    payload: bytes,
) -> None:
    header = h.Header(kind, flags, *numbers, *times, layout_id, len(payload))
    buffer = bytearray(h.HEADER_BYTES)
    h.pack_header(buffer, header)
    assert h.decode_header(bytes(buffer) + payload) == header


@given(describes())
def test_a_description_comes_back_as_it_was(case: tuple[bytes, h.Description]) -> None:
    message, description = case
    assert decoded(message) == description
    check(message)


@given(st.lists(st.builds(h.Description, geometries(), TIMES, st.sampled_from(["", SOURCE, "rts:dm"])), max_size=5))
def test_a_layout_id_names_one_description(descriptions: list[h.Description]) -> None:
    different = {(description.encode(), description.source) for description in descriptions}
    assert len({description.layout_id for description in descriptions}) == len(different)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_refused(message: bytes) -> None:
    check(message)


@given(st.integers(0, 255), st.integers(0, 255), U16, st.binary(min_size=48, max_size=300))
def test_any_bytes_behind_a_magic_are_a_value_or_refused(version: int, kind: int, flags: int, rest: bytes) -> None:
    begin = h.MAGIC + struct.pack("<BBH", version, kind, flags) + rest[:48]
    check(begin + struct.pack("<II", zlib.crc32(rest[48:80] + SOURCE.encode()), len(rest) - 48) + rest[48:])
    check(begin + rest[48:])


@given(describes(), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_message_is_a_value_or_refused(
    case: tuple[bytes, h.Description], changes: list[tuple[int, int]]
) -> None:
    message = bytearray(case[0])
    for place, value in changes:
        message[place % len(message)] = value
    check(bytes(message))


@given(describes(), st.integers(0, 10_000), st.binary(max_size=130))
def test_a_cut_or_extended_message_is_refused(case: tuple[bytes, h.Description], cut: int, more: bytes) -> None:
    message = case[0][: cut % (len(case[0]) + 1)] + more
    assume(len(message) != len(case[0]))
    assert decoded(message) is None


@given(describes(), st.binary(min_size=1, max_size=130))
def test_a_describe_of_a_wrong_size_is_refused_also_if_its_header_agrees(
    case: tuple[bytes, h.Description], more: bytes
) -> None:
    for message in (case[0] + more, case[0][: -len(more)]):
        assume(len(message) >= h.HEADER_BYTES)
        fitted = message[:60] + struct.pack("<I", len(message) - h.HEADER_BYTES) + message[64:]
        assert decoded(fitted) is None


@given(hostile_describes())
def test_nothing_is_allocated_by_a_size_that_was_not_checked(message: bytes) -> None:
    tracemalloc.start()
    try:
        check(message)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < MOST_BYTES
