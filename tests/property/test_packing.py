"""Packed frames, owner to reader: what went in comes out, and whatever else comes is no frame and does no harm."""

from __future__ import annotations

import shlex
import struct
import subprocess
import sysconfig
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daosup.core import dnet
from daosup.core.dnet import Flag, Header, Kind
from daosup.shm._native import pack_frame, unpack_frame
from tests.packed_reference import lz4_decoded, shuffled, unpacked, unshuffled
from tests.property.test_direct_receiver import FLAGS, NATIVE, PARTS, ROOT, run

VECTORS = ROOT / "tests" / "vectors" / "dnet"
PIECES = st.sampled_from([1, 7, 64, 4096])
ELEMENTS = st.sampled_from([1, 2, 4, 8, 16])


def build(folder: Path, name: str, parts: tuple[str, ...]) -> Path:
    program = folder / name
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    sources = [ROOT / "tests" / "native" / f"{name}.c", *(NATIVE / f"{part}.c" for part in parts)]
    subprocess.run(
        [*compiler, *FLAGS, f"-I{NATIVE}", "-o", program, *sources, "-lpthread", "-lrt", "-ldl"],
        check=True,
        timeout=100,
    )
    return program


@pytest.fixture(scope="module")
def packer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bin"), "packer", ("packing", "shuffle", "liblz4"))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bin"), "direct_receiver", PARTS)


def pack(packer: Path, frames: list[tuple[bytes, int]]) -> list[bytes]:
    """Each frame packed; empty where that makes it no smaller. What was packed is also unpacked there, and compared."""
    script = b"".join(struct.pack("<II", len(frame), element_bytes) + frame for frame, element_bytes in frames)
    done = subprocess.run([packer], input=script, capture_output=True, timeout=100)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    packed, at = [], 0
    for _ in frames:
        (length,) = struct.unpack_from("<I", done.stdout, at)
        packed.append(done.stdout[at + 4 : at + 4 + length])
        at += 4 + length
    return packed


def packed_frame(payload: bytes, counter: int, element_bytes: int) -> bytes:
    """A frame message whose payload is that."""
    flags = Flag.HAS_FRAME_ID | Flag.PACKED | element_bytes << 16
    header = Header(Kind.FRAME, flags, counter=counter, payload_bytes=len(payload) + dnet.TRAILER_BYTES)
    return dnet.encode_header(header) + payload + dnet.TRAILER.pack(counter)


@st.composite
def frames(draw: st.DrawFn) -> tuple[bytes, int]:
    element_bytes, seed = draw(ELEMENTS), draw(st.integers(0, 2**32 - 1))
    count, noise = draw(st.integers(1, 200) | st.integers(4000, 9000)), draw(st.integers(0, 255))
    rng = np.random.default_rng(seed)
    raw = (np.full(count * element_bytes, 77) + rng.integers(0, noise + 1, count * element_bytes)).astype("uint8")
    return raw.tobytes(), element_bytes


@settings(max_examples=25, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=8))
def test_what_is_packed_is_as_it_is_written_down(packer: Path, cases: list[tuple[bytes, int]]) -> None:
    for (frame, element_bytes), packed in zip(cases, pack(packer, cases)):
        assert unshuffled(shuffled(frame, element_bytes), element_bytes) == frame
        if packed:
            assert len(packed) < len(frame)
            assert lz4_decoded(packed) == shuffled(frame, element_bytes)
            assert unpacked(packed, element_bytes) == frame


def test_noise_does_not_get_smaller_and_is_left_as_it_is(packer: Path) -> None:
    noise = np.random.default_rng(1).bytes(20_000)
    assert pack(packer, [(noise, 2), (b"\7", 1), (bytes(20_000), 4)])[:2] == [b"", b""]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.booleans()), min_size=1, max_size=12), PIECES)
def test_packed_and_plain_frames_come_whole_and_in_order(
    packer: Path, receiver: Path, values: list[tuple[int, bool]], piece: int
) -> None:
    size = 600
    packed = pack(packer, [(bytes([value]) * size, 2) for value, _ in values])
    raw = b"".join(
        packed_frame(payload, counter, 2)
        if is_packed
        else dnet.encode_frame(bytes([value]) * size, counter, counter, frame_id=1)
        for counter, ((value, is_packed), payload) in enumerate(zip(values, packed), 1)
    )
    count = len(values)
    (every,) = run(receiver, [(raw, piece)], "every", size, "packed")
    assert every == ["closed", str(count), "0", "0", "0", "0", "0", str(count), "1"]
    (newest,) = run(receiver, [(raw, piece)], "newest", size, "packed")
    assert (newest[0], int(newest[1]) + int(newest[2]), newest[8]) == ("closed", count, "1")


@given(frames(), st.binary(max_size=200))
def test_python_has_the_very_same(case: tuple[bytes, int], garbage: bytes) -> None:
    frame, element_bytes = case
    packed = pack_frame(frame, element_bytes)
    if packed:
        assert unpack_frame(packed, len(frame), element_bytes) == unpacked(packed, element_bytes) == frame
        with pytest.raises(ValueError, match="no packed frame of that size"):
            unpack_frame(packed, len(frame) + 1, element_bytes)
    with suppress(ValueError):  # mostly it is none
        assert len(unpack_frame(garbage, len(frame), element_bytes)) == len(frame)


SPOILED = st.tuples(st.integers(0, 10_000), st.integers(0, 255))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=300), ELEMENTS | st.integers(0, 65535), st.lists(SPOILED, max_size=4)),
        min_size=1,
        max_size=10,
    ),
    PIECES,
)
def test_whatever_is_packed_there_is_a_whole_frame_or_an_end(
    packer: Path, receiver: Path, cases: list[tuple[bytes, int, list[tuple[int, int]]]], piece: int
) -> None:
    size = 320
    good = pack(packer, [(bytes([9]) * size, 2)])[0]
    streams = []
    for garbage, element_bytes, spoiled in cases:
        payload = bytearray(good if spoiled else garbage)
        for place, value in spoiled:
            payload[place % len(payload)] = value
        streams.append(packed_frame(good, 1, 2) + packed_frame(bytes(payload), 2, element_bytes))
    for line in run(receiver, [(raw, piece) for raw in streams], "every", size, "packed"):
        assert line[0] in ("closed", "bad")
        assert int(line[1]) == (2 if line[0] == "closed" else 1)


@pytest.mark.parametrize(
    ("payload_bytes", "element_bytes", "form"),
    [(320, 2, "packed"), (321, 2, "packed"), (0, 2, "packed"), (20, 0, "packed"), (20, 3, "packed"), (20, 2, "plain")],
)
def test_a_size_that_no_packed_frame_has_is_the_end(
    receiver: Path, payload_bytes: int, element_bytes: int, form: str
) -> None:
    raw = packed_frame(bytes(payload_bytes), 1, element_bytes)
    assert [line[:2] for line in run(receiver, [(raw, 4096)], "every", 320, form)] == [["bad", "0"]]


def test_the_frozen_packed_frame_is_understood(receiver: Path) -> None:
    raw = (VECTORS / "frame_packed.bin").read_bytes()
    header = dnet.decode_header(raw)
    assert header.flags == Flag.HAS_FRAME_ID | Flag.PACKED | 2 << 16
    assert unpacked(raw[64:-8], 2) == np.full(64, 0x0102, "<u2").tobytes()
    (line,) = run(receiver, [(raw, 4096)], "every", 128, "packed")
    assert line[:2] == ["closed", "1"]
