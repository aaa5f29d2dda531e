"""Whatever bytes come as an old frame: an array that is in them, or ProtocolError; nothing else happens."""

from __future__ import annotations

import pickle
import sys
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from daosup.core.layout import ELEMENT_TYPES, make_geometry
from daosup.core.pickled import pickled_ends
from daosup.errors import ProtocolError
from daosup.stream.old_frames import OldFrames

FOLDER = Path(__file__).parents[1] / "vectors" / "legacy_stream"
REAL = [path.read_bytes() for path in sorted(FOLDER.glob("*.pickle"))]
for _protocol in (2, 3, 4, 5):
    REAL += [pickle.dumps(array, _protocol) for array in (np.ones((3, 2), "int16"), np.ones((3, 2, 2), "float32").T)]
DTYPES = [dtype for dtype, _ in ELEMENT_TYPES.values()]
SPARE_BYTES = 64 * 1024

many = settings(max_examples=200)


@contextmanager
def harmless(message_bytes: int) -> Iterator[None]:
    """Nothing is imported meanwhile, and nothing larger than a few messages allocated."""
    modules = set(sys.modules)
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert set(sys.modules) == modules
    assert peak < SPARE_BYTES + 4 * message_bytes


def decode_harmlessly(raw: bytes, frames: OldFrames | None = None) -> None:
    decoder = frames or OldFrames()
    with harmless(len(raw)):
        try:
            frame = decoder.decode(raw)
        except ProtocolError:
            return
    assert type(frame) is np.ndarray
    assert frame.dtype.name in DTYPES
    assert 1 <= frame.ndim <= 3
    assert 0 < frame.nbytes <= len(raw)
    # What is taken for an array is one for NumPy too, and the same.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = pickle.loads(raw)
    assert (frame.dtype, frame.shape, frame.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


@many
@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    decode_harmlessly(raw)


@many
@given(st.sampled_from((2, 3, 4, 5)), st.binary(max_size=300))
def test_any_bytes_that_begin_well(protocol: int, raw: bytes) -> None:
    decode_harmlessly(bytes((0x80, protocol)) + raw)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real pickle with bytes changed, cut out, doubled, put in, or with a piece of another one."""
    raw = bytearray(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        until = min(len(raw), at + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(("change", "cut", "double", "insert", "graft", "end")))
        if kind == "change":
            raw[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "cut":
            del raw[at:until]
        elif kind == "double":
            raw[at:at] = raw[at:until]
        elif kind == "insert":
            raw[at:at] = draw(st.binary(max_size=12))
        elif kind == "graft":
            other = draw(st.sampled_from(REAL))
            start = draw(st.integers(0, len(other) - 1))
            raw[at:until] = other[start : start + draw(st.integers(0, 40))]
        else:
            del raw[at:]
    return bytes(raw)


@many
@given(mutated())
def test_a_spoilt_pickle(raw: bytes) -> None:
    decode_harmlessly(raw)


@many
@given(st.lists(st.one_of(mutated(), st.sampled_from(REAL)), min_size=2, max_size=6))
def test_spoilt_pickles_among_good_ones_in_one_stream(raws: list[bytes]) -> None:
    frames = OldFrames()
    for raw in raws:
        decode_harmlessly(raw, frames)


def _short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


_NAMES = "numpy ndarray dtype numpy.core.multiarray _reconstruct numpy._core.numeric _frombuffer _codecs encode latin1"
_WORDS = [*_NAMES.split(), "u1", "f4", "<", "|", "C", "F", "K", "os", "system", "builtins", "eval"]
OPERATIONS = st.one_of(
    st.sampled_from([_short(word) for word in _WORDS]),
    st.sampled_from(b"N\x88\x89(t)\x85\x86\x87\x93\x94Rb").map(lambda opcode: bytes([opcode])),
    st.sampled_from([b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n", b"C\x01b"]),
    st.sampled_from([b"cnumpy\ndtype\n" + _short("u1") + b"\x89\x88\x87R(K\x03" + _short("|") + b"NNN"
                     + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"]),
    st.sampled_from([b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"]),
    st.integers(0, 5).map(lambda value: b"K%c" % value),
    st.integers(0, 9).map(lambda index: b"h%c" % index),
    st.integers(0, 9).map(lambda index: b"q%c" % index),
    st.integers(-9, 9).map(lambda value: b"J" + value.to_bytes(4, "little", signed=True)),
    st.binary(max_size=12).map(lambda content: b"C" + bytes([len(content)]) + content),
    st.integers(0, 255).map(lambda opcode: bytes([opcode])),
)  # fmt: skip


@many
@given(st.lists(OPERATIONS, max_size=40), st.booleans())
def test_any_program(operations: list[bytes], has_end: bool) -> None:
    decode_harmlessly(b"\x80\x04" + b"".join(operations) + b"." * has_end)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Any array that a segment can hold, in any order of its axes."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    array = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), dtype).reshape(shape)
    if draw(st.booleans()):
        array = array.copy()
    return array.transpose(draw(st.permutations(range(len(shape)))))


@many
@given(arrays(), st.sampled_from((2, 3, 4, 5)))
def test_any_array_comes_back(array: np.ndarray[Any, Any], protocol: int) -> None:
    frame = OldFrames().decode(pickle.dumps(array, protocol))
    assert (frame.dtype, frame.shape, frame.tobytes()) == (array.dtype, array.shape, array.tobytes())


@many
@given(arrays())
def test_any_array_is_written_as_numpy_reads_it(array: np.ndarray[Any, Any]) -> None:
    begin, end = pickled_ends(make_geometry(array.shape, array.dtype.name))
    found = pickle.loads(begin + array.tobytes() + end)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
