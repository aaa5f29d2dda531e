"""Frames in files: NumPy's .npy, FITS, and a picture as PNG.

Invariant: a file is written whole or not at all; of a file that is read, size and form are checked before its data are.
"""

from __future__ import annotations

import os
import secrets
import stat
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from daosup.ctl.picture import LEVELS, palette
from daosup.errors import DaosupError, UnsupportedError, UsageError

Array = npt.NDArray[Any]
Value = Union[int, float, str]

_BLOCK = 2880
_CARD = 80
#: BITPIX of each element type, and the zero point of those that FITS has only with the other sign.
_BITPIX = {
    "uint8": (8, 0),
    "int8": (8, -(2**7)),
    "int16": (16, 0),
    "uint16": (16, 2**15),
    "int32": (32, 0),
    "uint32": (32, 2**31),
    "int64": (64, 0),
    "uint64": (64, 2**63),
    "float32": (-32, 0),
    "float64": (-64, 0),
}


class NotWrittenError(DaosupError):
    """A file could not be written."""

    exit_code = 74


def npy(frame: Array) -> bytes:
    """``frame`` as the contents of a .npy file."""
    file = BytesIO()
    np.lib.format.write_array(file, frame, allow_pickle=False)
    return file.getvalue()


def fits(frame: Array, facts: Mapping[str, tuple[Value, str]]) -> bytes:
    """``frame`` as the contents of a FITS file, its last axis first as FITS counts them.

    Args:
        frame: Real numbers.
        facts: Value and comment of header keywords; a name of more than eight letters becomes a HIERARCH card.

    Raises:
        UnsupportedError: Of complex numbers, for which FITS has no images.
    """
    if frame.dtype.name not in _BITPIX:
        raise UnsupportedError(f"FITS has no images of {frame.dtype.name}; take a file that ends in .npy")
    bitpix, zero = _BITPIX[frame.dtype.name]
    cards = [_card("SIMPLE", True, "conforms to FITS standard"), _card("BITPIX", bitpix), _card("NAXIS", frame.ndim)]
    cards += [_card(f"NAXIS{axis}", length) for axis, length in enumerate(reversed(frame.shape), 1)]
    if zero:
        cards += [_card("BSCALE", 1), _card("BZERO", zero, "zero point of the elements as stored")]
    cards += [_card(name, value, comment) for name, (value, comment) in facts.items()]
    header = "".join([*cards, "END".ljust(_CARD)]).encode("ascii", "replace")
    kind = "u1" if bitpix == 8 else f">{'f' if bitpix < 0 else 'i'}{abs(bitpix) // 8}"
    data = _shifted(frame, zero).astype(kind).tobytes()
    return _padded(header, b" ") + _padded(data, b"\0")


def _shifted(frame: Array, zero: int) -> Array:
    """``frame`` less ``zero``: of integers, that is turning the bit of the sign around."""
    if not zero:
        return frame
    width = frame.dtype.itemsize
    turned: Array = frame.view(f"u{width}") ^ np.array(1 << (8 * width - 1), f"u{width}")
    return turned if width == 1 else turned.view(f"i{width}")


def _card(name: str, value: Union[Value, bool], comment: str = "") -> str:
    if isinstance(value, bool):
        text = ("T" if value else "F").rjust(20)
    elif isinstance(value, str):
        text = "'" + "".join(c if " " <= c <= "~" else "?" for c in value).replace("'", "''").ljust(8) + "'"
    elif isinstance(value, int):
        text = str(value).rjust(20)
    else:  # FITS has no numbers that are none
        text = (repr(value).upper() if np.isfinite(value) else "").rjust(20)
    plain = "".join(c if " " <= c <= "~" else "?" for c in comment)
    words = "".join(c if (c.isascii() and c.isalnum()) or c in " _-" else "_" for c in name.upper())
    key = f"{words:8}= " if len(words) <= 8 and " " not in words else f"HIERARCH {words} = "
    return f"{key}{text}{f' / {plain}' if plain else ''}"[:_CARD].ljust(_CARD)


def _padded(data: bytes, filler: bytes) -> bytes:
    return data + filler * (-len(data) % _BLOCK)


def utc(time_ns: int) -> str:
    """A time in ns since 1970 UTC as FITS and people write it, to the microsecond."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time_ns // 1000)
    except OverflowError:
        return ""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def png(levels: npt.NDArray[np.uint8], facts: Mapping[str, str]) -> bytes:
    """A picture as the contents of a PNG file, in the colours of those on a terminal.

    Args:
        levels: Brightness 0 to 255, 2 axes.
        facts: Texts about it, by their names.
    """
    rows, columns = levels.shape
    lines = np.zeros((rows, columns + 1), np.uint8)  # the first byte of each line: not filtered
    lines[:, 1:] = levels
    chunks = [(b"IHDR", struct.pack(">2I5B", columns, rows, 8, 3, 0, 0, 0)), (b"PLTE", palette(LEVELS).tobytes())]
    chunks += [(b"tEXt", f"{name}\0{text}".encode("latin-1", "replace")) for name, text in facts.items()]
    chunks += [(b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_file(path: str, data: bytes) -> None:
    """Put a file in place at once; what there was before is replaced.

    Raises:
        NotWrittenError: If that cannot be done.
    """
    temporary = f"{path}.{secrets.token_hex(4)}.new"
    try:
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "wb") as file:  # a pipe, or a device
                file.write(data)
            return
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:  # also Ctrl-C leaves nothing behind
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise NotWrittenError(f"{path} cannot be written: {error.strerror or error}") from None


def read_npy(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], whose: str) -> Array:
    """The array in a .npy file, which must be of a certain form; axes of length one do not count.

    Args:
        path: The file.
        shape: What it must have.
        dtype: What it must have; the order of bytes does not matter.
        whose: What it is for, to tell.

    Returns:
        An array of ``shape`` and ``dtype``.

    Raises:
        UsageError: If there is no such file, it is no .npy file, or of another form; it says which.
    """
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read_header is None:
                raise ValueError(f"it is of version {version[0]}.{version[1]}, and 1.0 and 2.0 are known")
            found_shape, _, found = read_header(file)
            _check_form(path, (found_shape, found), (shape, dtype), whose)
            file.seek(0)
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except ValueError as error:
        raise UsageError(f"{path} is no .npy file that can be read: {error}") from None
    made: Array = np.ascontiguousarray(array.reshape(shape), dtype=dtype)
    return made


def _check_form(path: str, found: tuple[Any, Any], wanted: tuple[Any, Any], whose: str) -> None:
    (found_shape, found_dtype), (shape, dtype) = found, wanted
    if found_dtype.newbyteorder("=") != dtype:
        raise UsageError(
            f"{path} holds {found_dtype.name}, and {whose} {dtype.name}; convert it: "
            f'np.save("{dtype.name}.npy", np.load("{path}").astype("{dtype.name}"))'
        )
    if [length for length in found_shape if length != 1] != [length for length in shape if length != 1]:
        raise UsageError(f"{path} is {_form(found_shape)}, and {whose} {_form(shape)}")


def _form(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
