"""Beacons and catalogues: what is encoded is decoded again; what strangers send can do no more than be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daosup.core.dnet_catalogue import (
    MOST_BEACON_BYTES,
    Beacon,
    Catalogue,
    Listed,
    decode_beacon,
    decode_catalogue,
    encode_beacon,
    encode_catalogue,
)
from daosup.core.layout import ELEMENT_TYPES, make_geometry
from daosup.core.types import check_host, check_name
from daosup.errors import ProtocolError, UsageError


def _is_right(check, text: str) -> bool:
    try:
        check(text)
    except UsageError:
        return False
    return True


HOSTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
NAMES = st.text(min_size=1, max_size=30).filter(lambda text: _is_right(check_name, text)).filter(str.isprintable)
VERSIONS = st.integers(0, 2**64 - 1)
GEOMETRIES = st.builds(
    make_geometry,
    st.lists(st.integers(1, 64), min_size=1, max_size=3).map(tuple),
    st.sampled_from([dtype for dtype, _ in ELEMENT_TYPES.values()]),
)
LISTED = st.builds(Listed, NAMES, GEOMETRIES, st.integers(0, 65535), st.integers(1, 65536))
CATALOGUES = st.builds(
    Catalogue,
    HOSTS,
    VERSIONS,
    HOSTS,
    st.lists(LISTED, max_size=8, unique_by=lambda each: each.name).map(tuple),
    st.just(0),
)


@given(HOSTS, HOSTS, st.integers(1, 65535), VERSIONS)
def test_a_beacon_comes_back(domain: str, node: str, port: int, catalogue: int):
    beacon = Beacon(domain, node, port, catalogue)
    assert decode_beacon(encode_beacon(beacon)) == beacon


@given(st.one_of(st.binary(max_size=600), st.text(max_size=80).map(lambda text: f"DAONET 1 {text}".encode())))
def test_what_is_no_beacon_is_refused(datagram: bytes):
    try:
        beacon = decode_beacon(datagram)
    except ProtocolError:
        return
    assert len(datagram) <= MOST_BEACON_BYTES
    check_host(beacon.node)


def test_the_beacon_that_is_published():
    assert encode_beacon(Beacon("dao", "rts", 7710, 3)) == b"DAONET 1 domain=dao node=rts port=7710 catalog=3\n"


@given(CATALOGUES)
def test_a_catalogue_comes_back(catalogue: Catalogue):
    assert decode_catalogue(encode_catalogue(catalogue)) == catalogue


@given(CATALOGUES, st.data())
def test_a_catalogue_that_is_cut_off_is_refused(catalogue: Catalogue, data: st.DataObject):
    whole = encode_catalogue(catalogue)
    cut = whole[: data.draw(st.integers(0, len(whole) - 5))]
    with pytest.raises(ProtocolError):
        decode_catalogue(cut)


@given(CATALOGUES, st.lists(st.text(max_size=60).filter(lambda text: "\n" not in text), max_size=5))
def test_lines_that_are_no_segments_are_passed_over_and_counted(catalogue: Catalogue, lines: list[str]):
    whole = encode_catalogue(catalogue)
    strange = "".join(f"SHM ? {line}\n" for line in lines).encode(errors="replace")
    found = decode_catalogue(whole[: -len(b"END\n")] + strange + b"END\n")
    assert found == catalogue._replace(unreadable=len(lines))


@given(st.binary(max_size=400))
def test_garbage_is_refused(answer: bytes):
    with pytest.raises(ProtocolError):
        decode_catalogue(answer)


@pytest.mark.parametrize(
    "line",
    [
        "SHM ../etc 1 5 0 0 1 0 1 0",
        "SHM a:b 1 5 0 0 1 0 1 0",
        "SHM big 3 4294967295 4294967295 4294967295 12 0 1 0",
        "SHM none 0 5 0 0 1 0 1 0",
        "SHM type 1 5 0 0 99 0 1 0",
        "SHM empty 1 0 0 0 1 0 1 0",
        "SHM few 1 5",
        "SHM sign 1 -5 0 0 1 0 1 0",
        "SHM full 1 ５ 0 0 1 0 1 0",
    ],
)
def test_segments_that_cannot_be(line: str):
    found = decode_catalogue(f"NODE cam 1 dao\nSHM good 2 4 3 0 9 0 1 0\n{line}\nEND\n".encode())
    assert [each.name for each in found.segments] == ["good"]
    assert found.unreadable == 1
