"""What is encoded for DAO's network protocol decodes to the same; all else is a checked value or a ProtocolError."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from daosup.core import dnet, dnet_lines
from daosup.core.delivery import COMPRESSIONS, MODES, Delivery
from daosup.core.dnet import Kind
from daosup.core.dnet_lines import Answered, Subscription
from daosup.core.header import Description
from daosup.core.layout import ATYPE_OF, KEYWORD_BYTES, Geometry, Layout
from daosup.errors import ProtocolError

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
KEYWORDS = st.integers(0, 3)
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=60)
ROI = st.lists(
    st.tuples(st.integers(0, 99), st.integers(1, 99)).map(lambda each: (each[0], each[0] + each[1])), max_size=3
)
RATES = st.just(0.0) | st.integers(1, 10**9).map(lambda thousandths: thousandths / 1e3)
DELIVERIES = st.builds(
    lambda mode, rate_hz, *others: Delivery(mode, 0.0 if mode == "every" else rate_hz, *others),
    st.sampled_from(MODES),
    RATES,
    ROI.map(tuple),
    st.lists(st.integers(1, 10**9 - 1), max_size=3).map(tuple),
    st.sampled_from(COMPRESSIONS),
)
OURS = st.builds(Subscription, WORDS, WORDS, st.just(True), DELIVERIES, st.booleans())


@st.composite
def geometries(draw: st.DrawFn, layouts: st.SearchStrategy[Layout]) -> Geometry:
    layout = draw(layouts)
    depth = draw(st.integers(1, 5)) if layout is Layout.FIFO else 1
    return Geometry(layout, draw(st.sampled_from(list(ATYPE_OF.values()))), draw(SHAPES), depth, draw(KEYWORDS))


@given(geometries(st.sampled_from(Layout)), st.floats(allow_nan=False), U64, U64, st.randoms(use_true_random=False))
def test_what_is_described_is_what_is_read(
    geometry: Geometry, creation_time: float, epoch: int, counter: int, chance: object
) -> None:
    keywords = chance.randbytes(geometry.keyword_count * KEYWORD_BYTES)  # type: ignore[attr-defined]
    description = Description(geometry, creation_time, "rts:wfs")
    raw = dnet.encode_describe(description, epoch, counter, keywords)
    header = dnet.decode_header(raw)
    assert dnet.decode_describe(header, raw[64:], "rts:wfs") == (description, epoch, counter, keywords)


@given(geometries(st.just(Layout.V0)), WORDS)
def test_what_a_meta_says_is_what_is_read(geometry: Geometry, name: str) -> None:
    keywords = bytes(geometry.keyword_count * KEYWORD_BYTES)
    raw = dnet.encode_meta(name, geometry, keywords)
    assert dnet.decode_meta(dnet.decode_header(raw), raw[64:], Layout.V0) == (name, geometry, keywords)


@given(
    st.builds(dnet.Header, st.sampled_from(Kind), U32, U32, U64, U64, I64, st.integers(0, 2**33), st.tuples(U64, U64))
)
def test_a_header_is_what_was_encoded_or_refused(header: dnet.Header) -> None:
    with suppress(ProtocolError):
        assert dnet.decode_header(dnet.encode_header(header)) == header


@given(st.binary(max_size=200), st.sampled_from([Kind.META, Kind.DESCRIBE]))
def test_any_bytes_are_a_description_or_refused(payload: bytes, kind: Kind) -> None:
    header = dnet.Header(kind, payload_bytes=len(payload))
    with suppress(ProtocolError):
        if kind is Kind.META:
            dnet.decode_meta(header, payload)
        else:
            dnet.decode_describe(header, payload)


@given(st.binary(min_size=288, max_size=288), st.integers(0, 12), st.integers(0, 4))
def test_any_meta_is_of_a_segment_that_can_be_or_refused(payload: bytes, atype: int, axes: int) -> None:
    payload = payload[:256] + bytes((axes, atype)) + payload[258:]
    with suppress(ProtocolError):
        meta = dnet.decode_meta(dnet.Header(Kind.META, payload_bytes=288), payload)
        assert meta.geometry.frame_bytes <= 2**31


@given(st.binary(max_size=100))
def test_any_bytes_are_a_header_or_refused(raw: bytes) -> None:
    for form in (raw, dnet.encode_header(dnet.Header(2))[:6] + raw):
        with suppress(ProtocolError):
            dnet.decode_header(form)


@given(OURS)
def test_a_subscription_is_read_as_it_was_written(wanted: Subscription) -> None:
    line = dnet_lines.encode_subscribe(wanted)
    assert line.count(b"\n") == 1
    assert dnet_lines.decode_subscribe(line) == wanted


@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_any_line_is_understood_or_refused(line: bytes) -> None:
    for form in (line, b"SUBSCRIBE wfs lab daosup=1 " + line, b"ERR " + line):
        with suppress(ProtocolError):
            read = dnet_lines.decode_subscribe(form)
            assert dnet_lines.decode_subscribe(dnet_lines.encode_subscribe(read)) == read
        with suppress(ProtocolError):
            answered = dnet_lines.decode_answer(form)
            assert dnet_lines.decode_answer(dnet_lines.encode_answer(answered)) == answered


@given(st.text())
def test_whatever_the_reason_the_answer_is_one_line(reason: str) -> None:
    line = dnet_lines.encode_answer(Answered(False, False, reason))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= dnet_lines.MOST_LINE_BYTES
    told = dnet_lines.decode_answer(line).reason
    assert told == "no reason given" or all(there in (said, "?") for there, said in zip(told, " ".join(reason.split())))
