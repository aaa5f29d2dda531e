"""The stream's messages, byte for byte: golden files, and every way in which a message can be wrong."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from daosup.core import header as h
from daosup.core.layout import Layout, make_geometry
from daosup.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors" / "stream"
MESSAGES: list[dict[str, Any]] = json.loads((VECTORS / "messages.json").read_text())
DESCRIBES = [row for row in MESSAGES if row["kind"] == h.Kind.DESCRIBE]

every_message = pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row["file"])
every_describe = pytest.mark.parametrize("row", DESCRIBES, ids=lambda row: row["file"])


def read(row: dict[str, Any]) -> bytes:
    return (VECTORS / row["file"]).read_bytes()


def expected_header(row: dict[str, Any]) -> h.Header:
    return h.Header(*(row[field] for field in h.Header._fields))


def expected_description(row: dict[str, Any]) -> h.Description:
    geometry = make_geometry(
        tuple(row["shape"]),
        row["dtype"],
        layout=Layout(row["layout"]),
        depth=row["depth"],
        keyword_count=row["keyword_count"],
    )
    return h.Description(geometry, row["creation_time"], row["source"])


def changed(message: bytes, offset: int, piece: bytes) -> bytes:
    return message[:offset] + piece + message[offset + len(piece) :]


def described(row: dict[str, Any], offset: int, piece: bytes) -> bytes:
    """A describe message with other bytes in its description, and the layout id that belongs to them."""
    message = changed(read(row), h.HEADER_BYTES + offset, piece)
    return changed(message, 56, struct.pack("<I", zlib.crc32(message[64:96] + row["source"].encode())))


def decode(row: dict[str, Any], message: bytes) -> h.Description:
    return h.decode_description(message, h.decode_header(message), row["source"])


def test_sizes_of_the_protocol() -> None:
    assert (h.MAGIC, h.VERSION, h.HEADER_BYTES, h.DESCRIPTION_BYTES) == (b"DAO2", 2, 64, 32)
    assert [(kind.name, kind.value) for kind in h.Kind] == [("DESCRIBE", 1), ("FRAME", 2), ("WRITE", 3)]
    assert (h.Flag.HAS_FRAME, h.Flag.LEAVING) == (1, 2)


@pytest.mark.parametrize(
    ("field", "offset", "code"),
    [
        ("kind", 5, "<B"),
        ("flags", 6, "<H"),
        ("epoch", 8, "<Q"),
        ("sequence", 16, "<Q"),
        ("counter", 24, "<Q"),
        ("frame_id", 32, "<Q"),
        ("write_time_ns", 40, "<q"),
        ("send_time_ns", 48, "<q"),
        ("layout_id", 56, "<I"),
        ("payload_bytes", 60, "<I"),
    ],
)
@every_message
def test_each_field_has_its_place(row: dict[str, Any], field: str, offset: int, code: str) -> None:
    message = read(row)
    assert message[:5] == b"DAO2\x02"
    assert struct.unpack_from(code, message, offset) == (row[field],)


@every_message
def test_a_header_is_read_and_written_as_it_was_frozen(row: dict[str, Any]) -> None:
    message = read(row)
    for form in (message, bytearray(message), memoryview(message)):
        assert h.decode_header(form) == expected_header(row)
    buffer = bytearray(80)
    h.pack_header(buffer, expected_header(row))
    assert buffer == message[:64] + bytes(16)


@every_describe
def test_a_description_is_read_and_written_as_it_was_frozen(row: dict[str, Any]) -> None:
    message = read(row)
    description = expected_description(row)
    header = h.decode_header(message)
    assert h.decode_description(message, header, row["source"]) == description
    assert description.encode() == message[64:96]
    assert description.layout_id == row["layout_id"]
    span = h.keywords_span(description)
    assert [span.start, span.stop] == row["keywords_at"]
    assert h.frame_offset(header, description) == row["frame_at"]
    has_frame = bool(header.flags & h.Flag.HAS_FRAME)
    assert len(message) - row["frame_at"] == has_frame * description.geometry.frame_bytes


def test_the_frame_of_a_frame_message_follows_its_header() -> None:
    header = h.decode_header(read(MESSAGES[0]))
    assert header.kind == h.Kind.FRAME
    assert h.frame_offset(header, expected_description(DESCRIBES[-1])) == 64


@every_message
def test_a_message_of_any_other_length_is_refused(row: dict[str, Any]) -> None:
    message = read(row)
    for length in range(len(message)):
        with pytest.raises(ProtocolError, match="bytes"):
            h.decode_header(message[:length])
    for more in (1, 64, 4096):
        with pytest.raises(ProtocolError, match=f"header states {row['payload_bytes']} bytes"):
            h.decode_header(message + bytes(more))


@pytest.mark.parametrize(
    ("offset", "piece", "complaint"),
    [
        (0, b"DAO1", r"begins with b'DAO1' version 2, expected b'DAO2' version 2"),
        (0, b"dao2", "begins with b'dao2'"),
        (4, b"\x01", "version 1, expected"),
        (4, b"\x03", "version 3, expected"),
        (5, b"\x00", "unknown kind 0"),
        (5, b"\x04", "unknown kind 4"),
        (5, b"\xff", "unknown kind 255"),
        (24, b"\x00\x00\x00\x00\x00\x00\x00\x80", "counter 9223372036854775808, at most 9223372036854775807"),
        (60, b"\xff\xff\xff\xff", "header states 4294967295 bytes"),
        (60, b"\x00\x00\x00\x00", "header states 0 bytes"),
    ],
)
@every_message
def test_a_header_that_is_none_is_refused(row: dict[str, Any], offset: int, piece: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        h.decode_header(changed(read(row), offset, piece))


IMPOSSIBLE = [
    (0, b"\x03", "layout 3"),
    (1, b"\x00", "0 axes"),
    (1, b"\x04", "4 axes"),
    (2, b"\x00", "element type 0"),
    (2, b"\x0d", "element type 13"),
    (4, struct.pack("<I", 0), "shape"),
    (16, struct.pack("<I", 0), "depth 0"),
    (16, struct.pack("<I", 65537), "depth 65537"),
    (16, struct.pack("<I", 2**32 - 1), "depth 4294967295"),
    (20, struct.pack("<H", 65535), "expected"),
]


@pytest.mark.parametrize(("offset", "piece", "complaint"), IMPOSSIBLE)
@every_describe
def test_an_impossible_description_is_refused(row: dict[str, Any], offset: int, piece: bytes, complaint: str) -> None:
    message = described(row, offset, piece)
    with pytest.raises(ProtocolError, match=complaint):
        decode(row, message)


@pytest.mark.parametrize("sizes", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (65536, 32769, 1), (1, 1, 2**31)])
def test_a_frame_larger_than_any_is_refused_whatever_the_message_has(sizes: tuple[int, int, int]) -> None:
    row = next(row for row in DESCRIBES if len(row["shape"]) == 3)
    message = described(row, 4, struct.pack("<3I", *sizes))
    message = changed(message, 6, b"\x00\x00")[:96]
    message = changed(message, 60, struct.pack("<I", 32))
    if sizes == (1, 1, 2**31):
        assert decode(row, message).geometry.frame_bytes == h.MAX_FRAME_BYTES
    else:
        with pytest.raises(ProtocolError, match=r"2147483648|2\*\*63"):
            decode(row, message)


@pytest.mark.parametrize("layout", [b"\x00", b"\x02"])
def test_only_a_fifo_is_deep(layout: bytes) -> None:
    row = next(row for row in DESCRIBES if row["depth"] > 1)
    message = described(row, 0, layout)
    with pytest.raises(ProtocolError, match="only in layout 'fifo'"):
        decode(row, message)


@every_describe
def test_a_description_of_another_source_is_refused(row: dict[str, Any]) -> None:
    message = read(row)
    for source in ("", "rts:wf", row["source"] + "s"):
        with pytest.raises(ProtocolError, match="in a message for"):
            h.decode_description(message, h.decode_header(message), source)


@every_describe
def test_a_description_under_another_s_name_is_refused(row: dict[str, Any]) -> None:
    message = changed(read(row), 56, struct.pack("<I", row["layout_id"] ^ 1))
    with pytest.raises(ProtocolError, match="in a message for"):
        decode(row, message)


@every_describe
def test_a_describe_whose_parts_do_not_add_up_is_refused(row: dict[str, Any]) -> None:
    whole = read(row)
    for message in (whole[:-1], whole + b"\x00", whole + bytes(120), whole[:95], whole[:64]):
        fitted = changed(message, 60, struct.pack("<I", len(message) - 64))
        with pytest.raises(ProtocolError, match="bytes"):
            decode(row, fitted)
    flipped = changed(whole, 6, bytes([whole[6] ^ h.Flag.HAS_FRAME]))
    with pytest.raises(ProtocolError, match="expected"):
        decode(row, flipped)
