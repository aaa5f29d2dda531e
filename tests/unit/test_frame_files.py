"""Frames in files, read back by what knows nothing of how they were written."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daosup.ctl import frame_files
from daosup.ctl.frame_files import NotWrittenError, fits, npy, png, read_npy, utc, write_file
from daosup.errors import UnsupportedError, UsageError

REAL = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def extremes(dtype: str) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    ends = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    return np.array([[ends.min, 0, 1], [7, ends.max - 1, ends.max]], kind)


def cards_of(raw: bytes) -> dict[str, str]:
    """Header keywords as the standard has them: 80 characters each, up to END."""
    cards: dict[str, str] = {}
    for at in range(0, len(raw), 80):
        card = raw[at : at + 80].decode("ascii")
        if card.rstrip() == "END":
            cards["END"] = str(at + 80)
            return cards
        name, _, value = card.partition("=")
        cards[name.strip()] = value.strip()
    raise AssertionError("no END")


@pytest.mark.parametrize("dtype", REAL)
def test_fits_holds_every_real_type_exactly(dtype: str) -> None:
    frame = extremes(dtype)
    raw = fits(frame, {})
    cards = cards_of(raw)
    assert len(raw) % 2880 == 0
    assert (cards["NAXIS"], cards["NAXIS1"], cards["NAXIS2"]) == ("2", "3", "2")
    stored = np.frombuffer(raw, STORED[int(cards["BITPIX"])], 6, 2880)
    zero = int(cards.get("BZERO", "0").partition("/")[0])
    values = [value + zero for value in stored.tolist()]
    assert values == frame.ravel().tolist()


def test_fits_tells_facts_in_cards_of_80_letters() -> None:
    facts: dict[str, Any] = {
        "SOURCE": ("it's", "whose"),
        "COUNTER": (12, ""),
        "DAO LOOP_GAIN": (0.5, ""),
        "DAO länge=x": ("µm", ""),
        "DAO odd": (float("nan"), ""),
    }
    cards = cards_of(fits(np.zeros((2, 2), "u1"), facts))
    assert cards["SOURCE"] == "'it''s   ' / whose"
    assert cards["COUNTER"] == "12"
    assert cards["HIERARCH DAO LOOP_GAIN"] == "0.5"
    assert cards["HIERARCH DAO L_NGE_X"] == "'?m      '"
    assert cards["HIERARCH DAO ODD"] == ""


def test_fits_has_no_complex_images() -> None:
    with pytest.raises(UnsupportedError, match=r"complex64; take a file that ends in \.npy"):
        fits(np.zeros((2, 2), "c8"), {})


@pytest.mark.parametrize("dtype", [*REAL, "complex64", "complex128"])
def test_npy_comes_back_as_it_was(dtype: str, tmp_path: Path) -> None:
    frame = np.arange(12).reshape(3, 4).astype(dtype)
    write_file(str(tmp_path / "a.npy"), npy(frame))
    assert np.array_equal(np.load(tmp_path / "a.npy"), frame)
    read = read_npy(str(tmp_path / "a.npy"), (3, 4), np.dtype(dtype), "rts:a takes")
    assert read.dtype == frame.dtype
    assert np.array_equal(read, frame)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.arange(6, dtype=">f4"), (6, 1)),
        (np.arange(6, dtype="f4").reshape(1, 6), (6, 1)),
        (np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)), (2, 3)),
    ],
)
def test_axes_of_length_one_and_the_order_of_bytes_do_not_count(
    array: npt.NDArray[Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", array)
    read = read_npy(str(tmp_path / "a.npy"), shape, np.dtype("f4"), "it takes")
    assert (read.shape, read.dtype, read.flags.c_contiguous) == (shape, np.dtype("f4"), True)
    assert read.ravel().tolist() == array.ravel().tolist()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(97), "holds float64, and rts:dm takes float32; convert it: "),
        (np.zeros((12, 9), "f4"), "is 12x9, and rts:dm takes 97x1"),
        (np.zeros(96, "f4"), "is 96, and rts:dm takes 97x1"),
        (np.float32(1), "is a single number, and rts:dm takes 97x1"),
        (np.array([{"a": 1}], object), "holds object, and rts:dm takes float32"),
        (np.zeros(97, "f4,f4"), "holds void64, and rts:dm takes float32"),
    ],
)
def test_mistakes_are_told_exactly(array: npt.NDArray[Any], told: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(UsageError) as caught:
        read_npy(str(tmp_path / "a.npy"), (97, 1), np.dtype("f4"), "rts:dm takes")
    assert told in str(caught.value)


def test_what_is_no_npy_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_npy(str(path), (2,), np.dtype("f4"), "it takes")
    np.save(path, np.zeros(97, "f4"))
    whole = path.read_bytes()
    huge = whole.replace(b"(97,)", b"(97,1000000000000)").replace(b" " * 15, b"  ", 1)
    for raw in (b"", b"PK\x03\x04 zipped", b"\x93NUMPY\x09\x00", whole[:40], whole[:-1], huge):
        path.write_bytes(raw)
        with pytest.raises(UsageError):
            read_npy(str(path), (97, 1), np.dtype("f4"), "it takes")


def test_png_is_a_picture_with_a_palette_and_texts() -> None:
    levels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
    raw = png(levels, {"Title": "rts:wfs"})
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(raw):
        (length,) = struct.unpack_from(">I", raw, at)
        kind, data = raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", raw, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + length
    assert struct.unpack(">2I5B", chunks[b"IHDR"]) == (3, 2, 8, 3, 0, 0, 0)
    assert zlib.decompress(chunks[b"IDAT"]) == bytes([0, 0, 50, 100, 0, 150, 200, 250])
    assert len(chunks[b"PLTE"]) == 768
    assert chunks[b"tEXt"] == b"Title\0rts:wfs"
    assert list(chunks)[-1] == b"IEND"


def test_a_file_is_replaced_whole_or_left(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"before")
    write_file(str(path), b"after")
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(NotWrittenError, match="cannot be written: No such file"):
        write_file(str(tmp_path / "none/a.npy"), b"x")
    with pytest.raises(NotWrittenError, match="No space left"):
        write_file("/dev/full", b"x")


@pytest.mark.parametrize("what", [KeyboardInterrupt, MemoryError, OSError])
def test_one_that_is_broken_off_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: type[BaseException]
) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"before")

    def broken_off(*paths: str) -> None:
        assert len(list(tmp_path.iterdir())) == 2
        raise what

    monkeypatch.setattr(frame_files.os, "replace", broken_off)
    with pytest.raises(NotWrittenError if what is OSError else what):
        write_file(str(path), b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_time_is_utc_to_the_microsecond_and_never_fails() -> None:
    assert utc(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456"
    assert utc(0) == "1970-01-01T00:00:00.000000"
    assert utc(2**63 - 1).startswith("2262-")
