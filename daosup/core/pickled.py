"""The pickle that is a frame of the old protocol: read without unpickling, written without pickling.

Invariants: only the two forms are read in which NumPy (1 and 2, protocols 2 to 5) pickles its own plain arrays, and of
these only arrays that a segment can hold; anything else is a ProtocolError. The elements stay where they are in the
message, so an array is never larger than the message it came in.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional

from daosup.core.header import MAX_FRAME_BYTES
from daosup.core.layout import ATYPE_OF, Geometry, make_geometry
from daosup.core.pickle_machine import Buffer, Buildable, Bytes, Global, Machine, Text, word_of
from daosup.errors import ProtocolError, UsageError

#: NumPy's short names of the element types that a segment can have.
_DTYPES = {
    "u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32", "i4": "int32", "u8": "uint64",
    "i8": "int64", "f4": "float32", "f8": "float64", "c8": "complex64", "c16": "complex128",
}  # fmt: skip
_SHORT_NAMES = {dtype: short for short, dtype in _DTYPES.items()}


def _byte_order(short_name: str) -> str:
    return "|" if short_name.endswith("1") else "<"


class PickledArray(NamedTuple):
    """What a pickle holds.

    Attributes:
        geometry: Shape and dtype, as of a segment with such frames.
        memory_shape: The shape that the elements have as they lie there, in C order.
        axes: Axis ``i`` of the array is axis ``axes[i]`` of ``memory_shape``.
        elements: Little endian; a view of the message if they lie in it.
        start: Where they begin in the message, or -1 if they do not lie in it.
    """

    geometry: Geometry
    memory_shape: tuple[int, ...]
    axes: tuple[int, ...]
    elements: Buffer
    start: int


def read_pickled(message: Buffer) -> PickledArray:
    """Find the array in a pickle.

    Raises:
        ProtocolError: If there is anything but one whole array that a segment can hold.
    """
    array = Machine(message, _KNOWN).run()
    if not isinstance(array, _Array) or array.dtype is None or array.elements is None or not array.dtype.is_built:
        raise ProtocolError("pickle of something else than a whole array")
    shape = tuple(array.memory_shape[axis] for axis in array.axes)
    try:
        geometry = make_geometry(shape, _DTYPES[array.dtype.short_name])
    except UsageError as error:
        raise ProtocolError(f"pickle of an array that no segment can hold: {error}") from None
    if geometry.frame_bytes > MAX_FRAME_BYTES:
        raise ProtocolError(f"pickle of a frame of {geometry.frame_bytes} bytes, allowed are {MAX_FRAME_BYTES}")
    elements = _elements(array.elements, geometry.frame_bytes)
    if len(elements) != geometry.frame_bytes:
        raise ProtocolError(f"pickle with {len(elements)} bytes for {geometry}, which has {geometry.frame_bytes}")
    return PickledArray(
        geometry, array.memory_shape, array.axes, elements, -1 if array.elements.is_text else array.elements.start
    )


def _elements(found: Bytes, frame_bytes: int) -> Buffer:
    # As text, a byte takes one byte or two.
    if not found.is_text or not frame_bytes <= len(found.where) <= 2 * frame_bytes:
        return found.where
    try:
        return str(found.where, "utf-8").encode("latin-1")
    except UnicodeError:
        raise ProtocolError("pickle with elements that are not Latin-1 text") from None


class Ends(NamedTuple):
    """What stands before and behind the elements in a pickled array."""

    begin: bytes
    end: bytes


def pickled_ends(geometry: Geometry) -> Ends:
    """The pickle of a frame without its elements.

    It is protocol 3 with NumPy 1's names: every Python 3 reads it, NumPy 1 has no other names, and NumPy 2 keeps these
    for old pickles, without a warning. What is loaded owns its memory and may be written to.

    Raises:
        UsageError: If frames are larger than the wire allows.
    """
    if geometry.frame_bytes > MAX_FRAME_BYTES:
        raise UsageError(f"frames of {geometry.frame_bytes} bytes cannot be sent, allowed are {MAX_FRAME_BYTES}")
    short_name = _SHORT_NAMES[geometry.dtype]
    shape = b"".join(b"\x8a\x05" + struct.pack("<q", length)[:5] for length in geometry.shape)
    begin = (
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01(" + shape + b"t"
        b"cnumpy\ndtype\n" + _text(short_name) + b"\x89\x88\x87R"
        b"(K\x03" + _text(_byte_order(short_name)) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89B" + struct.pack("<I", geometry.frame_bytes)
    )
    return Ends(begin, b"tb.")


def _text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


# -- what a pickled array is made of


class _Dtype(Buildable):
    """``dtype('f4', False, True)``, which gets its byte order when it is built."""

    def __init__(self, arguments: tuple[object, ...]) -> None:
        if len(arguments) != 3 or arguments[1:] != (False, True):
            raise ProtocolError("pickle with a dtype that no segment has")
        self.short_name = word_of(arguments[0])
        if self.short_name not in _DTYPES:
            raise ProtocolError(f"pickle of elements {self.short_name!r}; a segment has {', '.join(ATYPE_OF)}")
        self.is_built = False

    def build(self, state: tuple[object, ...]) -> None:
        """Take ``(3, '<', None, None, None, -1, -1, 0)``, which says that it is plain."""
        if len(state) != 8 or state[0] != 3 or state[2:] != (None, None, None, -1, -1, 0):
            raise ProtocolError(f"pickle with elements {self.short_name!r} that are not plain")
        if word_of(state[1]) != _byte_order(self.short_name):
            raise ProtocolError(f"pickle with elements {self.short_name!r} that are not little endian")
        self.is_built = True


class _Array(Buildable):
    """An array with nothing in it yet."""

    def __init__(self) -> None:
        self.memory_shape: tuple[int, ...] = ()
        self.axes: tuple[int, ...] = ()
        self.dtype: Optional[_Dtype] = None
        self.elements: Optional[Bytes] = None

    def build(self, state: tuple[object, ...]) -> None:
        """Take ``(1, shape, dtype, is_fortran, elements)``."""
        if len(state) != 5 or state[0] != 1 or state[3] not in (False, True):
            raise ProtocolError("pickle with a state that no array has")
        self.fill(state[1], state[2], "F" if state[3] else "C", state[4])

    def fill(self, shape: object, dtype: object, order: str, elements: object, axes: object = None) -> None:
        """Take what an array consists of; the order is one of C, F and, with ``axes``, K."""
        if not isinstance(dtype, _Dtype) or not isinstance(elements, Bytes):
            raise ProtocolError("pickle of an array without dtype or elements")
        sizes = _sizes(shape)
        in_order = tuple(range(len(sizes)))
        if order == "K":
            self.memory_shape, self.axes = sizes, _sizes(axes)
        elif order in ("C", "F"):
            step = 1 if order == "C" else -1
            self.memory_shape, self.axes = sizes[::step], in_order[::step]
        else:
            raise ProtocolError(f"pickle of an array in order {order!r}")
        if tuple(sorted(self.axes)) != in_order:
            raise ProtocolError("pickle of an array whose axes do not fit together")
        self.dtype, self.elements = dtype, elements


def _sizes(value: object) -> tuple[int, ...]:
    sizes = [size for size in value if type(size) is int] if isinstance(value, tuple) else []
    if not isinstance(value, tuple) or len(sizes) != len(value):
        raise ProtocolError("pickle of an array without a shape")
    return tuple(sizes)


def _reconstruct(arguments: tuple[object, ...]) -> _Array:
    """``_reconstruct(ndarray, (0,), b'b')``: the array gets its shape when it is built."""
    if len(arguments) != 3 or arguments[:2] != (_NDARRAY, (0,)):
        raise ProtocolError("pickle that asks for an array as NumPy does not")
    if not isinstance(arguments[2], Bytes) or arguments[2].where[:2].tolist() != [ord("b")]:
        raise ProtocolError("pickle that asks for an array as NumPy does not")
    return _Array()


def _from_buffer(arguments: tuple[object, ...]) -> _Array:
    """``_frombuffer(elements, dtype, shape, order)``, and with order K the axes."""
    if len(arguments) not in (4, 5):
        raise ProtocolError("pickle that asks for an array as NumPy does not")
    elements, dtype, shape, order, *axes = arguments
    array = _Array()
    array.fill(shape, dtype, word_of(order), elements, *axes)
    return array


def _encode(arguments: tuple[object, ...]) -> Bytes:
    """``encode(text, 'latin1')``: bytes as protocol 2 spells them."""
    if len(arguments) != 2 or not isinstance(arguments[0], Text) or word_of(arguments[1]) != "latin1":
        raise ProtocolError("pickle that encodes as no array needs it")
    return Bytes(arguments[0].where, arguments[0].start, is_text=True)


_NDARRAY = Global()
_RECONSTRUCT, _FROM_BUFFER = Global(_reconstruct), Global(_from_buffer)
_KNOWN = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): Global(_Dtype),
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("_codecs", "encode"): Global(_encode),
}
