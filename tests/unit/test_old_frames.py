"""Frames of the old protocol: what NumPy pickles is read right, what we write it reads, nothing else gets through."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from daosup.core.layout import ELEMENT_TYPES, make_geometry
from daosup.core.pickle_machine import MAX_STEPS
from daosup.core.pickled import pickled_ends
from daosup.errors import ProtocolError, UsageError
from daosup.stream.old_frames import OldFrames

FOLDER = Path(__file__).parents[1] / "vectors" / "legacy_stream"
NOTES = [note for numpy in ("numpy1", "numpy2") for note in json.loads((FOLDER / f"{numpy}.json").read_text())]
PROTOCOLS = (2, 3, 4, 5)
DTYPES = [dtype for dtype, _ in ELEMENT_TYPES.values()]
#: What a message may cost beside its own bytes, in memory.
SPARE_BYTES = 64 * 1024

Array = np.ndarray[Any, Any]


def decode(message: bytes) -> Array:
    return OldFrames().decode(message)


def same(found: Array, wanted: Array) -> bool:
    return found.dtype == wanted.dtype and found.shape == wanted.shape and found.tobytes() == wanted.tobytes()


# -- what NumPy pickles


def test_every_vector_has_a_note_and_every_note_a_vector() -> None:
    assert sorted(note["file"] for note in NOTES) == sorted(path.name for path in FOLDER.glob("*.pickle"))
    assert len(NOTES) == 48


@pytest.mark.parametrize("note", NOTES, ids=[note["file"] for note in NOTES])
def test_a_vector_reads_as_its_note_says(note: dict[str, Any]) -> None:
    frame = decode((FOLDER / note["file"]).read_bytes())
    assert (frame.dtype, list(frame.shape)) == (note["dtype"], note["shape"])
    assert hashlib.sha256(frame.tobytes()).hexdigest() == note["sha256"]


CUBE = np.arange(2 * 3 * 4).reshape(2, 3, 4)
FORMS: dict[str, Callable[[Array], Array]] = {
    "C order": lambda cube: cube,
    "Fortran order": np.asfortranarray,
    "a transposed one": lambda cube: cube.T,
    "other axes": lambda cube: cube.transpose(1, 0, 2),
    "with gaps": lambda cube: cube[:, ::2],
    "backwards": lambda cube: cube[::-1],
    "one axis": lambda cube: cube[0, 0],
    "two axes": lambda cube: cube[1],
    "two axes in Fortran order": lambda cube: np.asfortranarray(cube[1]),
    "one element": lambda cube: cube[:1, :1, :1],
    "for reading only": lambda cube: np.frombuffer(cube.tobytes(), cube.dtype).reshape(cube.shape),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", FORMS)
def test_an_array_of_any_order_comes_out_right(form: str, protocol: int) -> None:
    for dtype in DTYPES:
        array = FORMS[form](CUBE.astype(dtype))
        frame = decode(pickle.dumps(array, protocol))
        assert same(frame, array)
        assert frame.flags.c_contiguous


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_bytes_come_through_as_they_are(protocol: int) -> None:
    array = np.arange(65536, dtype="uint16").view("uint8").reshape(512, 256)
    assert same(decode(pickle.dumps(array, protocol)), array)


@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_names_of_both_numpys_are_known(module: str, protocol: int) -> None:
    ours = "numpy._core" if np.__version__ >= "2" else "numpy.core"
    raw = pickle.dumps(CUBE.astype("int16"), protocol)
    if module != ours:  # a name's size goes before it, and the size of all before everything
        assert ours.encode() in raw
        if raw[2:3] == b"\x95":
            raw = raw[:2] + raw[11:]
        for part in ("multiarray", "numeric"):
            before, after = (f"{name}.{part}".encode() for name in (ours, module))
            raw = raw.replace(bytes([0x8C, len(before)]) + before, bytes([0x8C, len(after)]) + after)
            raw = raw.replace(b"c" + before, b"c" + after)
    assert module.encode() in raw
    assert same(decode(raw), CUBE.astype("int16"))


def test_a_dtype_with_numbers_for_flags_as_older_numpys_write_it() -> None:
    raw = pickle.dumps(CUBE.astype("float32"), 2)
    assert raw.count(b"\x89\x88\x87") == 1
    assert same(decode(raw.replace(b"\x89\x88\x87", b"K\x00K\x01\x87")), CUBE.astype("float32"))


def test_a_frame_like_the_one_before_is_recognised_and_another_is_read_anew() -> None:
    frames = OldFrames()
    first, second, wider = CUBE.astype("float32"), CUBE.astype("float32") * 2, np.ones((5, 7), "float32")
    for protocol in PROTOCOLS:
        for array in (first, second, wider, first, first.T, first, second.astype("int32"), second):
            assert same(frames.decode(pickle.dumps(array, protocol)), array)


def test_of_two_shapes_with_messages_of_one_length_each_comes_out_right() -> None:
    frames = OldFrames()
    for shape in ((4, 6), (6, 4), (3, 8), (4, 6)):
        array = np.arange(24, dtype="int16").reshape(shape)
        assert same(frames.decode(pickle.dumps(array, 4)), array)


def test_what_is_spoilt_is_refused_also_behind_a_good_one() -> None:
    frames = OldFrames()
    good = pickle.dumps(CUBE.astype("int16"), 4)
    for at in range(len(good)):
        frames.decode(good)
        spoilt = bytearray(good)
        spoilt[at] ^= 0xFF
        try:
            found = frames.decode(bytes(spoilt))
        except ProtocolError:
            continue
        assert same(found, pickle.loads(bytes(spoilt)))


def test_a_frame_is_not_copied() -> None:
    message = pickle.dumps(np.zeros((64, 64), "float64"), 4)
    frame = decode(message)
    assert np.shares_memory(frame, np.frombuffer(message, "uint8"))
    assert not frame.flags.writeable


# -- what we write


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (7,), (4, 3), (3, 1), (2, 3, 4)])
def test_numpy_reads_what_we_write(dtype: str, shape: tuple[int, ...]) -> None:
    wanted = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    begin, end = pickled_ends(make_geometry(shape, dtype))
    raw = begin + wanted.tobytes() + end
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pickle.loads(raw)
    assert same(found, wanted)
    assert found.flags.writeable
    assert found.flags.owndata
    assert type(found) is np.ndarray
    assert same(decode(raw), wanted)


def test_what_we_write_has_nothing_that_python_3_0_and_numpy_1_do_not_have() -> None:
    begin, end = pickled_ends(make_geometry((70000, 300), "uint8"))
    operations = [(opcode, argument) for opcode, argument, _ in pickletools.genops(begin + bytes(70000 * 300) + end)]
    assert max(opcode.proto for opcode, _ in operations) == 3
    names = {argument for opcode, argument in operations if opcode.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


def test_frames_larger_than_the_wire_allows_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be sent"):
        pickled_ends(make_geometry((2**16, 2**16), "uint8"))


# -- what must not get through


class Calls:
    """Pickles as a call."""

    def __init__(self, called: Callable[..., object], *arguments: object) -> None:
        self._reduced = (called, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._reduced


MARKER = "executed"
TOUCH = f"open({MARKER!r}, 'w').close()"
EXECUTING: dict[str, object] = {
    "os.system": Calls(os.system, f"touch {MARKER}"),
    "os.mkdir": Calls(os.mkdir, MARKER),
    "open": Calls(io.open, MARKER, "w"),
    "subprocess": Calls(subprocess.call, ["touch", MARKER]),
    "exec": Calls(exec, TOUCH),
    "eval": Calls(eval, TOUCH),
    "import": Calls(__import__, "this"),
    "getattr": Calls(getattr, "x", "upper"),
    "partial": Calls(functools.partial(os.mkdir, MARKER)),
    "numpy's own": Calls(np.save, MARKER, 0),
    "numpy.fromfile": Calls(np.fromfile, "/dev/zero", "uint8", 10),
    "numpy.load": Calls(np.load, MARKER, None, True),
    "in an array": np.array([Calls(os.mkdir, MARKER)], dtype=object),
    "as the shape": (np.zeros(3), Calls(os.mkdir, MARKER)),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", EXECUTING)
def test_a_pickle_that_would_execute_something_executes_nothing(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps(EXECUTING[name], protocol)
    modules = set(sys.modules)
    with pytest.raises(ProtocolError):
        decode(raw)
    assert list(tmp_path.iterdir()) == []
    assert set(sys.modules) == modules


def test_such_a_pickle_does_execute_when_it_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(EXECUTING["os.mkdir"], 4))
    assert (tmp_path / MARKER).exists()


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def named(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


P4 = b"\x80\x04"
RECONSTRUCT = named("numpy.core.multiarray", "_reconstruct")
NDARRAY = named("numpy", "ndarray")
BLANK = RECONSTRUCT + NDARRAY + b"K\x00\x85C\x01b\x87R"
DTYPE = named("numpy", "dtype") + short("u1") + b"\x89\x88\x87R(K\x03" + short("|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
DTYPE += b"K\x00tb"
ARRAY = BLANK + b"(K\x01K\x03\x85" + DTYPE + b"\x89C\x03abctb"
FRAME = np.arange(12, dtype="float32").reshape(4, 3)

BY_HAND: dict[str, bytes] = {
    "a name with a dot in it": P4 + named("numpy", "ndarray.tofile") + short(MARKER) + b"\x85R.",
    "a name of a module in NumPy": P4 + named("numpy.core.multiarray", "scalar") + b")R.",
    "a name of another library": P4 + named("numpy.f2py.crackfortran", "myeval") + short(TOUCH) + b"\x85R.",
    "an empty name": P4 + named("", "") + b".",
    "a name with a zero": P4 + named("numpy\0", "ndarray") + b".",
    "ndarray called": P4 + NDARRAY + b"K\x03\x85\x85R.",
    "INST": P4 + b"(" + short(f"touch {MARKER}") + b"ios\nsystem\n.",
    "OBJ": P4 + b"(cos\nsystem\n" + short(f"touch {MARKER}") + b"o.",
    "NEWOBJ": P4 + NDARRAY + b"K\x03\x85\x85\x81.",
    "NEWOBJ_EX": P4 + NDARRAY + b"K\x03\x85\x85}\x92.",
    "EXT1": P4 + b"\x82\x01.",
    "PERSID": P4 + b"Pabc\n.",
    "BINPERSID": P4 + short("abc") + b"Q.",
    "NEXT_BUFFER": P4 + b"\x97.",
    "READONLY_BUFFER": P4 + ARRAY + b"\x98.",
    "a list": P4 + b"]" + ARRAY + b"a.",
    "a dict": P4 + b"}.",
    "a set": P4 + b"\x8f.",
    "POP": P4 + b"N0" + ARRAY + b".",
    "protocol 0": pickle.dumps(FRAME, 0),
    "protocol 1": pickle.dumps(FRAME, 1),
    "protocol 6": b"\x80\x06" + ARRAY + b".",
    "no protocol": ARRAY + b".",
    "PROTO in the middle": P4 + ARRAY + b"\x80\x04.",
    "nothing": b"",
    "no end": P4 + ARRAY,
    "something behind the end": P4 + ARRAY + b"..",
    "two arrays": P4 + ARRAY + ARRAY + b".",
    "a mark left over": P4 + b"(" + ARRAY + b".",
    "nothing but a mark": P4 + b"(.",
    "only the protocol": P4,
    "no value": P4 + b".",
    "a number": P4 + b"K\x01.",
    "a dtype": P4 + DTYPE + b".",
    "a name": P4 + NDARRAY + b".",
    "an array without state": P4 + BLANK + b".",
    "a state for a name": P4 + NDARRAY + b")b.",
    "a state that is no tuple": P4 + BLANK + b"Nb.",
    "a state for a number": P4 + b"K\x01)b.",
    "a call of an array": P4 + ARRAY + b")R.",
    "a call without a tuple": P4 + RECONSTRUCT + b"NR.",
    "a state of another version": P4 + BLANK + b"(K\x02K\x03\x85" + DTYPE + b"\x89C\x03abctb.",
    "an array as its own shape": P4 + BLANK + b"\x94(K\x01h\x00" + DTYPE + b"\x89C\x03abctb.",
    "a text as content": P4 + BLANK + b"(K\x01K\x03\x85" + DTYPE + b"\x89" + short("abc") + b"tb.",
    "content that is too short": P4 + BLANK + b"(K\x01K\x04\x85" + DTYPE + b"\x89C\x03abctb.",
    "content that is too long": P4 + BLANK + b"(K\x01K\x02\x85" + DTYPE + b"\x89C\x03abctb.",
    "a negative size": P4 + BLANK + b"(K\x01J\xfd\xff\xff\xff\x85" + DTYPE + b"\x89C\x03abctb.",
    "two negative sizes": P4 + BLANK + b"(K\x01J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86" + DTYPE + b"\x89C\x03abctb.",
    "a size that is a bool": P4 + BLANK + b"(K\x01\x88\x85" + DTYPE + b"\x89C\x01atb.",
    "a shape that is no tuple": P4 + BLANK + b"(K\x01K\x03" + DTYPE + b"\x89C\x03abctb.",
    "a dtype without state": P4 + BLANK + b"(K\x01K\x03\x85" + DTYPE.partition(b"(")[0] + b"\x89C\x03abctb.",
    "a dtype that is a text": P4 + BLANK + b"(K\x01K\x03\x85" + short("u1") + b"\x89C\x03abctb.",
    "a dtype with alignment": (P4 + ARRAY + b".").replace(b"J\xff\xff\xff\xff", b"K\x08\x00\x00\x00", 1),
    "an array that was reconstructed with a size": (P4 + ARRAY + b".").replace(b"K\x00\x85C\x01b", b"K\x09\x85C\x01b"),
    "a subclass reconstructed": P4 + RECONSTRUCT + named("numpy", "matrix") + b"K\x00\x85C\x01b\x87R.",
    "ndarray's place taken by a name": P4 + RECONSTRUCT + RECONSTRUCT + b"K\x00\x85C\x01b\x87R.",
    "an unknown codec": P4 + named("_codecs", "encode") + short("abc") + short("zlib") + b"\x86R.",
    "bytes encoded": P4 + named("_codecs", "encode") + b"C\x01a" + short("latin1") + b"\x86R.",
    "a memo that was never filled": P4 + b"h\x07.",
}

BUFFER = named("numpy.core.numeric", "_frombuffer") + b"(C\x06abcdef" + DTYPE + b"K\x02K\x03\x86"
BY_HAND |= {
    "order K without axes": P4 + BUFFER + short("K") + b"tR.",
    "order A": P4 + BUFFER + short("A") + b"tR.",
    "an axis too few": P4 + BUFFER + short("K") + b"K\x00\x85tR.",
    "an axis twice": P4 + BUFFER + short("K") + b"K\x00K\x00\x86tR.",
    "an axis that is not there": P4 + BUFFER + short("K") + b"K\x00K\x02\x86tR.",
    "an argument too many": P4 + BUFFER + short("K") + b"K\x00K\x01\x86NtR.",
    "no arguments": P4 + named("numpy.core.numeric", "_frombuffer") + b")R.",
}


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_no_array_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError):
        decode(BY_HAND[name])


def test_what_these_were_made_from_is_not_refused() -> None:
    assert same(decode(P4 + ARRAY + b"."), np.frombuffer(b"abc", "uint8"))
    wanted = np.frombuffer(b"abcdef", "uint8")
    assert same(decode(P4 + BUFFER + short("C") + b"tR."), wanted.reshape(2, 3))
    assert same(decode(P4 + BUFFER + short("F") + b"tR."), wanted.reshape((2, 3), order="F"))
    assert same(decode(P4 + BUFFER + short("K") + b"K\x01K\x00\x86tR."), wanted.reshape(2, 3).T)


class Special(np.ndarray[Any, Any]):
    """A subclass of ours."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        np.array(["a", None], dtype=object), np.zeros(3, [("a", "f4"), ("b", "i4")]), np.zeros(3, "V4"),
        np.zeros(3, "float16"), np.zeros(3, "bool"), np.zeros(3, "longdouble"), np.zeros(3, "S4"), np.zeros(3, "U4"),
        np.zeros(3, "M8[s]"), np.zeros(3, "m8[ns]"), np.zeros(3, ">f4"), np.zeros(3, ">u2"),
        np.zeros(3, np.dtype("f4", metadata={"a": 1})), np.float32(3), np.dtype("f4"), np.array(3.0),
        np.zeros((1, 1, 1, 1)), np.zeros(0), np.zeros((3, 0)), np.zeros((2, 3)).view(Special),
        np.ma.masked_array([1, 2], [0, 1]), np.rec.array([(1, 2.0)]), [np.zeros(3)], (np.zeros(3),),
        {"a": np.zeros(3)}, None, True, 3, "frameData", b"abc", 1.5, np.zeros, np.ndarray,
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'dtype', '')} {getattr(value, 'ndim', '')}",
)  # fmt: skip
def test_what_no_segment_can_hold_is_refused(value: object, protocol: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = pickle.dumps(value, protocol)
    with pytest.raises(ProtocolError):
        decode(raw)


HUGE = (2**62).to_bytes(8, "little")
LARGE = struct.pack("<I", 2**32 - 1)
BOMBS: dict[str, bytes] = {
    "BINUNICODE": P4 + b"X" + LARGE + b"abc.",
    "BINUNICODE8": P4 + b"\x8d" + HUGE + b"abc.",
    "BINBYTES": P4 + b"B" + LARGE + b"abc.",
    "BINBYTES8": P4 + b"\x8e" + HUGE + b"abc.",
    "BYTEARRAY8": P4 + b"\x96" + HUGE + b"abc.",
    "FRAME": P4 + b"\x95" + HUGE,
    "LONG1": P4 + b"\x8a\xff" + b"\x7f" * 255 + b".",
    "LONG4": P4 + b"\x8b" + b"\xff\xff\xff\x7f" + b"abc.",
    "LONG_BINPUT": P4 + b"Nr" + LARGE + b".",
    "LONG_BINGET": P4 + b"Nj" + LARGE + b".",
    "an array reconstructed large": P4 + RECONSTRUCT + NDARRAY + b"\x8a\x06\xff\xff\xff\xff\xff\x0f\x85C\x01b\x87R.",
    "an array built large": P4 + BLANK + b"(K\x01\x8a\x06\xff\xff\xff\xff\xff\x0f\x85" + DTYPE + b"\x89C\x03abctb.",
    "sizes whose product is small again": P4
    + BLANK
    + b"(K\x01\x8a\x05\x00\x00\x00\x00\x01\x8a\x05\x00\x00\x00\x00\x01\x86"
    + DTYPE
    + b"\x89C\x00tb.",
    "tuples of tuples": P4 + b")" + b"\x94h\x00\x86" * 100 + b".",
    "tuples that double": P4 + b")" + b"".join(b"\x94h%c\x86" % n for n in range(80)) + b".",
    "tuples that double as a state": P4
    + BLANK
    + b"K\x01)"
    + b"".join(b"\x94h%c\x86" % n for n in range(60))
    + b"\x85b.",
    "many marks": P4 + b"(" * 100000 + b".",
    "a deep stack": P4 + b"N" * 100000 + b".",
    "a name without an end": P4 + b"c" + b"a" * 100000,
    "a name that is long": P4 + named("a" * 250, "b" * 250) + b".",
    "text for an array, encoded again and again": P4
    + b"X"
    + struct.pack("<I", 10**6)
    + b"a" * 10**6
    + b"\x940"
    + (named("_codecs", "encode") + b"h\x00" + short("latin1") + b"\x86R") * 30
    + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_asks_for_much_gets_nothing(name: str) -> None:
    raw = BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SPARE_BYTES


def test_steps_are_counted() -> None:
    assert same(decode(P4 + b"\x95" + b"\x00" * 8 + ARRAY + b"."), np.frombuffer(b"abc", "uint8"))
    with pytest.raises(ProtocolError, match=f"{MAX_STEPS} steps"):
        decode(P4 + (b"\x95" + b"\x00" * 8) * MAX_STEPS + ARRAY + b".")


def test_an_error_says_what_was_found() -> None:
    with pytest.raises(ProtocolError, match=r"names posix\.system"):
        decode(pickle.dumps(EXECUTING["os.system"], 4))
    with pytest.raises(ProtocolError, match=r"elements 'f2'"):
        decode(pickle.dumps(np.zeros(3, "float16"), 4))
