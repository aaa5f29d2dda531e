"""Layouts: where things are in a segment's file, and how a file is recognised or refused."""

from __future__ import annotations

import struct

import pytest

from daosup.core import layout as tables
from daosup.core.layout import Geometry, Layout, make_geometry, recognise
from daosup.errors import NotASegmentError, UsageError
from tests.segment_files import ELEMENTS, METADATA_BYTES, old_bytes


def recognised(raw: bytes) -> Geometry:
    return recognise(raw[: tables.HEADER_BYTES], len(raw))


@pytest.mark.parametrize("layout", METADATA_BYTES)
def test_metadata_has_the_size_of_its_layout(layout: str) -> None:
    assert Layout(layout).metadata_bytes == METADATA_BYTES[layout]


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("NAXIS", 80),
        ("SIZE", 84),
        ("NELEMENT", 96),
        ("ATYPE", 104),
        ("CREATION_TIME", 112),
        ("LAST_ACCESS", 120),
        ("ATIME_NS", 136),
        ("SHARED", 144),
        ("SEM", 148),
        ("CNT0", 152),
        ("CNT1", 160),
        ("CNT2", 168),
        ("WRITE", 176),
        ("KEYWORD_COUNT", 178),
        ("FIFO_SIZE", 4296),
        ("FIFO_LAST_WRITTEN", 4300),
        ("KEYWORD_BYTES", 120),
    ],
)
def test_fields_are_where_the_library_has_them(name: str, offset: int) -> None:
    assert getattr(tables, name) == offset


def test_a_keyword_is_name_type_value_comment() -> None:
    raw = tables.KEYWORD.pack(b"n" * 16, b"S", b"v" * 16, b"c" * 80)
    assert (raw[:16], raw[16:17], raw[24:40], raw[40:]) == (b"n" * 16, b"S", b"v" * 16, b"c" * 80)


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_element_types_have_the_library_codes(dtype: str) -> None:
    code, element_bytes, _ = ELEMENTS[dtype]
    assert tables.ELEMENT_TYPES[code] == (dtype, element_bytes)
    assert tables.ATYPE_OF[dtype] == code


@pytest.mark.parametrize(
    ("geometry", "data", "keywords", "whole"),
    [
        (Geometry(Layout.V0, 3, (4, 3)), 4296, 4320, 4320),
        (Geometry(Layout.V0, 3, (4, 3), 1, 2), 4296, 4320, 4560),
        (Geometry(Layout.SEMREG, 9, (140,)), 5344, 5904, 5904),
        (Geometry(Layout.FIFO, 6, (6, 2), 4), 17216, 17408, 17408),
        (Geometry(Layout.FIFO, 10, (3,), 3, 5), 12912, 12984, 13584),
    ],
)
def test_data_follow_all_metadata_and_keywords_follow_all_data(
    geometry: Geometry, data: int, keywords: int, whole: int
) -> None:
    assert (geometry.data_offset, geometry.keywords_offset, geometry.file_bytes) == (data, keywords, whole)


@pytest.mark.parametrize("layout", METADATA_BYTES)
def test_a_file_is_recognised_by_its_size(layout: str) -> None:
    assert recognised(old_bytes((5, 4, 3), "int16", layout=layout)) == Geometry(Layout(layout), 4, (5, 4, 3))


def test_the_smallest_v0_file_is_shorter_than_the_header_of_other_layouts() -> None:
    assert recognised(old_bytes((1,), "uint8", layout="v0")) == Geometry(Layout.V0, 1, (1,))


def test_data_of_a_v0_file_are_never_taken_for_a_depth() -> None:
    raw = bytearray(old_bytes((4304 * 2 + 8,), "uint8", layout="v0"))
    struct.pack_into("<II", raw, 4296, 2, 1)  # frame data that would read as depth 2
    assert recognised(bytes(raw)).layout is Layout.V0


@pytest.mark.parametrize("change", [-1, 1, 8, 120, 4304])
def test_a_size_that_fits_no_layout_is_refused_and_the_message_says_what_was_expected(change: int) -> None:
    raw = old_bytes((4, 4), "float32", depth=2)
    with pytest.raises(NotASegmentError, match=rf"{len(raw) + change} bytes.*\(4, 4\) of float32.*{len(raw)} as fifo"):
        recognise(raw[: tables.HEADER_BYTES], len(raw) + change)


@pytest.mark.parametrize(
    ("form", "offset", "value", "says"),
    [
        ("B", 80, 0, "0 axes"),
        ("B", 80, 4, "4 axes"),
        ("B", 104, 0, "element type 0"),
        ("B", 104, 13, "element type 13"),
        ("I", 84, 0, "shape"),
        ("Q", 96, 17, "17 elements"),
        ("I", 4296, 0, "needs"),
        ("I", 4296, 2**32 - 1, "needs"),
        ("H", 178, 1, "1 keywords"),
    ],
)
def test_an_implausible_header_is_refused(form: str, offset: int, value: int, says: str) -> None:
    raw = bytearray(old_bytes((4, 4), "float32"))
    struct.pack_into("<" + form, raw, offset, value)
    with pytest.raises(NotASegmentError, match=says):
        recognised(bytes(raw))


@pytest.mark.parametrize("length", [0, 1, 80, 4295])
def test_a_file_shorter_than_any_header_is_refused(length: int) -> None:
    with pytest.raises(NotASegmentError, match=f"{length} bytes"):
        recognised(bytes(length))


@pytest.mark.parametrize(
    ("shape", "dtype", "more", "says"),
    [
        ((), "uint16", {}, "1 to 3 axes"),
        ((1, 2, 3, 4), "uint16", {}, "1 to 3 axes"),
        ((4, 0), "uint16", {}, "1 to 3 axes"),
        ((-4,), "uint16", {}, "1 to 3 axes"),
        ((2**32,), "uint16", {}, "1 to 3 axes"),
        ((2**32 - 1,) * 3, "uint16", {}, "bytes is not possible"),
        ((4,), "float16", {}, "float16.*uint8.*complex128"),
        ((4,), "uint16", {"depth": 0}, "depth 0"),
        ((4,), "uint16", {"depth": 65537}, "depth 65537"),
        ((4,), "uint16", {"depth": 2, "layout": Layout.V0}, "only in layout 'fifo'"),
        ((4,), "uint16", {"keyword_count": 65536}, "65536 keywords"),
        ((4,), "uint16", {"keyword_count": -1}, "-1 keywords"),
    ],
)
def test_what_no_segment_can_be_is_refused(shape: tuple[int, ...], dtype: str, more: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_geometry(shape, dtype, **more)  # type: ignore[arg-type]


def test_a_geometry_reads_well() -> None:
    assert str(Geometry(Layout.FIFO, 3, (240, 240), 3)) == "uint16 240x240 (fifo, depth 3)"
    assert str(Geometry(Layout.V0, 9, (140,))) == "float32 140 (v0)"
