"""Layouts: every geometry is recognised back, no size fits two, and no bytes do more than be refused."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Optional

from hypothesis import example, given, reject
from hypothesis import strategies as st

from daosup.core import layout as tables
from daosup.core.layout import Geometry, Layout, make_geometry, recognise
from daosup.errors import NotASegmentError, UsageError

lengths = st.one_of(st.integers(1, 5000), st.integers(1, 2**20))


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    layout = draw(st.sampled_from(Layout))
    try:
        return make_geometry(
            tuple(draw(st.lists(lengths, min_size=1, max_size=3))),
            draw(st.sampled_from(sorted(tables.ATYPE_OF))),
            layout=layout,
            depth=draw(st.one_of(st.integers(1, 9), st.integers(1, 65536))) if layout is Layout.FIFO else 1,
            keyword_count=draw(st.one_of(st.integers(0, 3), st.integers(0, 65535))),
        )
    except UsageError:  # larger than any file
        reject()


def header_of(geometry: Geometry, filling: bytes) -> bytes:
    """The first bytes of such a file, where all else is ``filling``."""
    raw = bytearray((filling * (tables.HEADER_BYTES // len(filling) + 1))[: tables.HEADER_BYTES])
    raw[80] = len(geometry.shape)
    struct.pack_into(f"<{len(geometry.shape)}I", raw, 84, *geometry.shape)
    struct.pack_into("<Q", raw, 96, geometry.element_count)
    raw[104] = geometry.atype
    struct.pack_into("<H", raw, 178, geometry.keyword_count)
    if geometry.layout is Layout.FIFO:
        struct.pack_into("<I", raw, 4296, geometry.depth)
    return bytes(raw[: geometry.file_bytes])


@given(geometries(), st.binary(min_size=1, max_size=64))
@example(Geometry(Layout.V0, 1, (1,)), b"\0")
@example(Geometry(Layout.FIFO, 1, (1,)), b"\xff")
def test_every_geometry_is_recognised_whatever_else_the_header_holds(geometry: Geometry, filling: bytes) -> None:
    assert recognise(header_of(geometry, filling), geometry.file_bytes) == geometry


@given(geometries(), st.integers(1, 65536))
def test_no_two_layouts_fit_one_size(geometry: Geometry, depth: int) -> None:
    """Of all readings of one header, whatever depth its bytes may state, one at most has the file's size."""
    atype, shape, keyword_count = geometry.atype, geometry.shape, geometry.keyword_count
    readings = {
        Geometry(Layout.V0, atype, shape, 1, keyword_count),
        Geometry(Layout.SEMREG, atype, shape, 1, keyword_count),
        Geometry(Layout.FIFO, atype, shape, depth, keyword_count),
        geometry,
    }
    assert len({reading.file_bytes for reading in readings}) == len(readings)


@given(geometries(), st.integers(-10_000, 10_000).filter(bool))
def test_a_size_that_is_off_is_another_layout_or_refused(geometry: Geometry, off: int) -> None:
    header, file_bytes = header_of(geometry, b"\0"), geometry.file_bytes + off
    try:
        found = recognise(header, file_bytes)
    except NotASegmentError:
        return
    assert found.layout is not geometry.layout
    assert found.file_bytes == file_bytes


@given(st.binary(max_size=256), st.binary(min_size=1, max_size=32), st.integers(0, 2**63 - 1))
def test_garbage_is_refused_and_nothing_worse(begin: bytes, filling: bytes, file_bytes: int) -> None:
    header = (begin + filling * tables.HEADER_BYTES)[: min(tables.HEADER_BYTES, file_bytes)]
    try:
        found = recognise(header, file_bytes)
    except NotASegmentError:
        return
    assert found.file_bytes == file_bytes


@given(
    st.binary(min_size=1, max_size=16),
    st.integers(0, 5),
    st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3),
    st.integers(0, 14),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**63 - 1),
)
def test_a_nearly_plausible_header_is_refused_and_nothing_worse(
    filling: bytes, naxis: int, sizes: list[int], atype: int, nelement: int, file_bytes: int
) -> None:
    raw = bytearray((filling * tables.HEADER_BYTES)[: tables.HEADER_BYTES])
    raw[80], raw[104] = naxis, atype
    struct.pack_into("<3IQ", raw, 84, *sizes, nelement)
    try:
        found = recognise(bytes(raw), file_bytes)
    except NotASegmentError:
        return
    assert found.file_bytes == file_bytes


@given(geometries(), st.none() | st.sampled_from(Layout), st.integers(0, 65536))
def test_a_mirror_is_like_its_source_but_for_what_is_said_of_it(
    source: Geometry, layout: Optional[Layout], depth: int
) -> None:
    mirror = source.mirrored(layout, depth)
    assert replace(mirror, layout=source.layout, depth=source.depth) == source
    assert mirror.depth == 1 or mirror.layout is Layout.FIFO
    if depth:
        assert mirror.depth == depth
    if depth <= 1:
        assert mirror.layout is (layout or source.layout)
    assert source.mirrored(None, 0) == source
