"""DAO's network protocol, byte for byte: golden files, its lines, and every way in which either can be wrong."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daosup.core import dnet, dnet_lines
from daosup.core.delivery import Delivery
from daosup.core.dnet import Kind
from daosup.core.dnet_lines import Answered, Subscription
from daosup.core.header import Description
from daosup.core.layout import KEYWORD_BYTES, Layout, make_geometry
from daosup.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors" / "dnet"
MESSAGES: dict[str, dict[str, Any]] = {row["file"]: row for row in json.loads((VECTORS / "messages.json").read_text())}

every_message = pytest.mark.parametrize("file", MESSAGES)


def read(file: str) -> bytes:
    return (VECTORS / file).read_bytes()


def expected_header(file: str) -> dnet.Header:
    row = MESSAGES[file]
    fields = {field: row[field] for field in dnet.Header._fields}
    return dnet.Header(**{**fields, "reserved": tuple(row["reserved"])})


def expected_description() -> Description:
    row = MESSAGES["describe.bin"]
    geometry = make_geometry(
        tuple(row["shape"]),
        row["dtype"],
        layout=Layout(row["layout"]),
        depth=row["depth"],
        keyword_count=row["keyword_count"],
    )
    return Description(geometry, row["creation_time"], row["source"])


def changed(message: bytes, offset: int, piece: bytes) -> bytes:
    return message[:offset] + piece + message[offset + len(piece) :]


def test_sizes_and_numbers_of_the_protocol() -> None:
    assert struct.unpack("<I", dnet.MAGIC) == (0x54454E44,)
    assert dnet.VERSION == 1
    assert (dnet.HEADER_BYTES, dnet.META_BYTES, dnet.TRAILER_BYTES) == (64, 288, 8)
    assert [(kind.name, kind.value) for kind in Kind] == [
        ("META", 1), ("FRAME", 2), ("HEARTBEAT", 3), ("WRITE", 4), ("BYE", 5),
        ("DESCRIBE", 16), ("ASK", 17), ("ANSWER", 18), ("AGAIN", 19),
    ]  # fmt: skip
    assert (dnet.Flag.ECHO, dnet.Flag.HAS_FRAME_ID, dnet.Flag.PACKED) == (1, 0x100, 0x200)


@every_message
def test_a_header_is_read_and_written_as_it_was_frozen(file: str) -> None:
    raw = read(file)
    for form in (raw, bytearray(raw), memoryview(raw)):
        assert dnet.decode_header(form) == expected_header(file)
    assert dnet.encode_header(expected_header(file)) == raw[:64]
    assert len(raw) == 64 + expected_header(file).payload_bytes


def test_frames_are_written_as_they_were_frozen() -> None:
    raw, header = read("frame.bin"), expected_header("frame.bin")
    assert raw == dnet.encode_frame(
        raw[64:-8],
        header.counter,
        header.write_time_ns,
        dropped=header.dropped,
        sequence=header.sequence,
        is_echo=True,
    )
    raw, header = read("frame_ours.bin"), expected_header("frame_ours.bin")
    frame_id, send_time_ns = header.reserved
    assert raw == dnet.encode_frame(
        raw[64:-8],
        header.counter,
        header.write_time_ns,
        frame_id=frame_id,
        send_time_ns=send_time_ns,
        sequence=header.sequence,
    )


def test_messages_without_much_in_them_are_as_they_were_frozen() -> None:
    assert read("heartbeat.bin") == dnet.HEARTBEAT
    assert read("bye.bin") == dnet.BYE
    assert read("again.bin") == dnet.AGAIN
    assert read("ask.bin") == dnet.message(Kind.ASK, bytes(range(20)))


def test_a_description_is_read_and_written_as_it_was_frozen() -> None:
    raw, expected = read("describe.bin"), expected_description()
    header = dnet.decode_header(raw)
    described = dnet.decode_describe(header, memoryview(raw)[64:], "rts:wfs")
    assert described == (expected, 1763683200123456789, 99, raw[64 + 32 :])
    assert dnet.encode_describe(expected, described.epoch, described.counter, described.keywords) == raw


def test_a_meta_is_read_and_written_as_it_was_frozen() -> None:
    raw = read("meta.bin")
    meta = dnet.decode_meta(dnet.decode_header(raw), raw[64:])
    assert meta == ("wfs", make_geometry((12, 34), "float32", keyword_count=3), raw[64 + 288 :])
    assert dnet.encode_meta(meta.name, meta.geometry, meta.keywords, 40) == raw
    assert dnet.decode_meta(dnet.decode_header(raw), raw[64:], Layout.V0).geometry.layout is Layout.V0


@pytest.mark.parametrize(
    ("offset", "piece", "complaint"),
    [
        (0, b"DNES", "begins with b'DNES' version 1, expected b'DNET' version 1"),
        (4, b"\x02", "version 2, expected"),
        (6, b"\x00", "unknown kind 0"),
        (6, b"\x06", "unknown kind 6"),
        (6, b"\x14", "unknown kind 20"),
        (40, b"\xff" * 8, "bytes, one has"),
    ],
)
@every_message
def test_a_header_that_is_none_is_refused(file: str, offset: int, piece: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        dnet.decode_header(changed(read(file), offset, piece))


@every_message
def test_a_header_that_is_cut_is_refused(file: str) -> None:
    for length in range(64):
        with pytest.raises(ProtocolError, match=f"header of {length} bytes"):
            dnet.decode_header(read(file)[:length])


def test_a_goodbye_may_say_why() -> None:
    raw = dnet.encode_bye("the frame is\x1b[2J 8x8\n now, " + 300 * "ü")
    assert dnet.decode_header(raw).kind == Kind.BYE
    said = dnet.decode_bye(raw[64:])
    assert said.startswith("the frame is?[2J 8x8 now, üüü")
    assert len(raw[64:]) <= 255
    assert dnet.decode_bye(b"\xff") == "\N{REPLACEMENT CHARACTER}"
    assert dnet.encode_bye("") == dnet.BYE


@pytest.mark.parametrize(
    ("kind", "payload_bytes"),
    [
        (Kind.META, 287),
        (Kind.META, 288 + 65536 * KEYWORD_BYTES),
        (Kind.FRAME, 8),
        (Kind.FRAME, 2**31 + 9),
        (Kind.HEARTBEAT, 1),
        (Kind.WRITE, 0),
        (Kind.WRITE, 2**31 + 1),
        (Kind.BYE, 256),
        (Kind.DESCRIBE, 31),
        (Kind.DESCRIBE, 32 + 65536 * KEYWORD_BYTES),
        (Kind.ASK, 0),
        (Kind.ASK, 2**32),
        (Kind.ANSWER, 1025),
    ],
)
def test_no_length_is_believed_that_no_message_of_its_kind_has(kind: Kind, payload_bytes: int) -> None:
    raw = dnet.encode_header(dnet.Header(kind, payload_bytes=payload_bytes))
    with pytest.raises(ProtocolError, match=f"{kind.name} of {payload_bytes} bytes"):
        dnet.decode_header(raw)


@pytest.mark.parametrize(
    ("offset", "piece", "complaint"),
    [
        (256, b"\x00", "0 axes"),
        (256, b"\x04", "4 axes"),
        (257, b"\x00", "element type 0"),
        (257, b"\x0d", "element type 13"),
        (258, b"\x02", "2 keywords in 360 bytes"),
        (260, b"\x00", "impossible segment"),
        (260, b"\xff\xff\xff\xff\xff\xff\xff\xff", "bytes"),
        (272, b"\x00", "elements of 4 bytes, but it is"),
        (280, b"\x08", "elements of 8 bytes, but it is"),
    ],
)
def test_a_meta_of_what_cannot_be_is_refused(offset: int, piece: bytes, complaint: str) -> None:
    raw = changed(read("meta.bin"), 64 + offset, piece)
    with pytest.raises(ProtocolError, match=complaint):
        dnet.decode_meta(dnet.decode_header(raw), raw[64:])


@pytest.mark.parametrize(
    ("offset", "piece", "complaint"),
    [
        (56, b"\x00\x00\x00\x00", "another source's"),
        (64, b"\x07", "layout 7"),
        (65, b"\x00", "0 axes"),
        (66, b"\x00", "element type 0"),
        (68, b"\xff" * 12, "description of"),
        (84, b"\x02", "2 keywords in 360 bytes"),
        (88, b"\x01", "another source's"),
    ],
)
def test_a_description_of_what_cannot_be_is_refused(offset: int, piece: bytes, complaint: str) -> None:
    raw = changed(read("describe.bin"), offset, piece)
    with pytest.raises(ProtocolError, match=complaint):
        dnet.decode_describe(dnet.decode_header(raw), raw[64:], "rts:wfs")


def test_a_description_of_another_source_is_refused() -> None:
    raw = read("describe.bin")
    with pytest.raises(ProtocolError, match="another source's"):
        dnet.decode_describe(dnet.decode_header(raw), raw[64:], "rts:dm")


@pytest.mark.parametrize("decode", [dnet.decode_describe, dnet.decode_meta])
def test_what_is_another_message_is_no_description(decode: Any) -> None:
    for file in ("frame.bin", "heartbeat.bin"):
        with pytest.raises(ProtocolError, match=r"^no "):
            decode(dnet.decode_header(read(file)), read(file)[64:])


EVERYTHING = Subscription("wfs", "lab", True, Delivery("every", 0.0, ((0, 16), (4, 8)), (2, 1), "lz4"))
LINES = {
    b"SUBSCRIBE wfs lab\n": Subscription("wfs", "lab"),
    b"SUBSCRIBE wfs lab daosup=1\n": Subscription("wfs", "lab", True),
    b"SUBSCRIBE wfs lab daosup=1 write=1\n": Subscription("wfs", "lab", True, is_writing=True),
    b"SUBSCRIBE wfs lab daosup=1 write=1 rate=10\n": Subscription(
        "wfs", "lab", True, Delivery(rate_hz=10.0), is_writing=True
    ),
    b"SUBSCRIBE wfs lab daosup=1 rate=10\n": Subscription("wfs", "lab", True, Delivery(rate_hz=10.0)),
    b"SUBSCRIBE wfs lab daosup=1 mode=every roi=0:16,4:8 stride=2,1 compress=lz4\n": EVERYTHING,
}


@pytest.mark.parametrize("line", LINES)
def test_a_subscription_is_read_and_written_as_it_was_frozen(line: bytes) -> None:
    assert dnet_lines.decode_subscribe(line) == LINES[line]
    assert dnet_lines.encode_subscribe(LINES[line]) == line
    assert dnet_lines.decode_subscribe(line.replace(b"\n", b"\r\n")) == LINES[line]


def test_what_is_the_default_may_be_said() -> None:
    line = b"SUBSCRIBE wfs lab daosup=1 mode=newest compress=none"
    assert dnet_lines.decode_subscribe(line) == Subscription("wfs", "lab", True)


def test_a_reader_that_is_not_ours_has_nothing_to_choose() -> None:
    assert dnet_lines.encode_subscribe(replace(EVERYTHING, is_ours=False)) == b"SUBSCRIBE wfs lab\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"", "words"),
        (b"\n", "words"),
        (b"CATALOG\n", "expected SUBSCRIBE"),
        (b"SUBSCRIBE wfs\n", "expected SUBSCRIBE"),
        (b"subscribe wfs lab\n", "expected SUBSCRIBE"),
        (b"SUBSCRIBE wfs lab mode=every\n", "'mode=every' is not known"),
        (b"SUBSCRIBE wfs lab daosup=2\n", "'daosup=2' is not known here, daosup=1 is"),
        (b"SUBSCRIBE wfs lab daosup=1 colour=red\n", "option 'colour=red' is not known"),
        (b"SUBSCRIBE wfs lab daosup=1 write=1 write=1\n", "option 'write=1' is not known"),
        (b"SUBSCRIBE wfs lab daosup=1 write=2\n", "option 'write=2' is not known"),
        (b"SUBSCRIBE wfs lab daosup=1 mode=all\n", "mode=all is not known here, newest and every are"),
        (b"SUBSCRIBE wfs lab daosup=1 mode\n", "mode= is not known"),
        (b"SUBSCRIBE wfs lab daosup=1 rate=1 rate=2\n", "rate is there twice"),
        (b"SUBSCRIBE wfs lab daosup=1 rate=0\n", "rate=0 is not"),
        (b"SUBSCRIBE wfs lab daosup=1 rate=-1\n", "rate=-1 is not"),
        (b"SUBSCRIBE wfs lab daosup=1 rate=inf\n", "rate=inf is not"),
        (b"SUBSCRIBE wfs lab daosup=1 rate=9999999\n", "rate=9999999 is not"),
        (b"SUBSCRIBE wfs lab daosup=1 rate=0.0009\n", "rate=0.0009 is not a number of frames a second from 0.001 to"),
        (b"SUBSCRIBE wfs lab daosup=1 mode=every rate=10\n", "rate and mode=every exclude each other"),
        (b"SUBSCRIBE wfs lab daosup=1 roi=3:3\n", "roi=3:3 is not"),
        (b"SUBSCRIBE wfs lab daosup=1 roi=0:1,\n", "roi=0:1, is not"),
        (b"SUBSCRIBE wfs lab daosup=1 roi=0:1,0:1,0:1,0:1\n", "is not of the form"),
        (b"SUBSCRIBE wfs lab daosup=1 stride=0,1\n", "stride=0,1 is not"),
        (b"SUBSCRIBE wfs lab daosup=1 stride=1,1,1,1\n", "is not of the form"),
        (b"SUBSCRIBE wfs lab daosup=1 compress=zip\n", "compress=zip is not known"),
        (b"SUBSCRIBE w\0fs lab\n", "words"),
        (b"SUBSCRIBE\twfs\tlab\n", "words"),
        (b"SUBSCRIBE wfs \xff\n", "not UTF-8"),
        (b"SUBSCRIBE " + b"w" * 2000, "more than 1024 bytes"),
        (b"SUBSCRIBE " + b"w" * 256 + b" lab", "words"),
    ],
)
def test_a_subscription_to_what_is_not_known_is_refused(line: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        dnet_lines.decode_subscribe(line)


@pytest.mark.parametrize(
    ("line", "answered"),
    [
        (b"OK\n", Answered(True, False, "")),
        (b"OK daosup=1\n", Answered(True, True, "")),
        (b"ERR no segment wfs here\n", Answered(False, False, "no segment wfs here")),
    ],
)
def test_an_answer_is_read_and_written_as_it_was_frozen(line: bytes, answered: Answered) -> None:
    assert dnet_lines.decode_answer(line) == answered
    assert dnet_lines.encode_answer(answered) == line


def test_an_answer_is_one_line_that_is_not_too_long() -> None:
    line = dnet_lines.encode_answer(Answered(False, False, "so\nmany\r\nwords " * 200))
    assert len(line) == dnet_lines.MOST_LINE_BYTES
    assert line.startswith(b"ERR so many words so")
    assert line.find(b"\n") == len(line) - 1


@pytest.mark.parametrize("line", [b"", b"HELLO\n", b"OK daosup=2\n", b"OK then\n", b"HTTP/1.1 400 Bad\r\n"])
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        dnet_lines.decode_answer(line)
