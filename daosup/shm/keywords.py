"""The keywords at the end of a segment: named numbers and words about it.

Invariant: what is written is what is read, or it is refused; nothing is cut off silently.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, MutableMapping
from numbers import Integral, Real
from typing import NamedTuple, Union

from daosup.core.layout import KEYWORD, KEYWORD_BYTES
from daosup.errors import UsageError

Value = Union[int, float, str]

_NAME_BYTES = 16
_TEXT_BYTES = 16
_COMMENT_BYTES = 80
_UNUSED = b"N"
#: A value that is an int lies where a text begins.
_INT = struct.Struct("<q")
_MOST_INT = 2**63 - 1
_VALUE_AT = KEYWORD.size - _COMMENT_BYTES - _TEXT_BYTES


class Keyword(NamedTuple):
    """One keyword: an int (64 bits), a float (64 bits) or a text of at most 16 bytes."""

    name: str
    value: Value
    comment: str = ""


def encode(keyword: Keyword) -> bytes:
    """The 120 bytes of a keyword.

    Raises:
        UsageError: If a part does not fit.
    """
    name = _text(keyword.name, "a name", _NAME_BYTES, keyword)
    if not name:
        raise UsageError("a keyword needs a name")
    comment = _text(keyword.comment, "a comment", _COMMENT_BYTES, keyword)
    value = keyword.value
    if isinstance(value, str):
        return KEYWORD.pack(name, b"S", _text(value, "a text", _TEXT_BYTES, keyword), comment)
    if isinstance(value, Integral):  # NumPy's integers too
        if not -(2**63) <= value < 2**63:
            raise UsageError(f"keyword {keyword.name!r}: {value} does not fit into 64 bits")
        return KEYWORD.pack(name, b"L", _INT.pack(value), comment)
    if isinstance(value, Real):
        return KEYWORD.pack(name, b"D", struct.pack("<d", value), comment)
    raise UsageError(f"keyword {keyword.name!r}: a value is an int, a float or a text, not {type(value).__name__}")


def pack_keyword_value(raw: bytearray, start: int, value: int) -> None:
    """Change the value of an encoded keyword, an int, that begins at byte ``start``; to the largest at most."""
    _INT.pack_into(raw, start + _VALUE_AT, min(value, _MOST_INT))


def _text(text: str, what: str, most_bytes: int, keyword: Keyword) -> bytes:
    raw = text.encode(errors="surrogatepass")
    if len(raw) > most_bytes or b"\0" in raw or raw.decode(errors="replace") != text:
        raise UsageError(
            f"keyword {keyword.name!r}: {what} has at most {most_bytes} bytes of UTF-8, none of them zero, not {text!r}"
        )
    return raw


def decode(raw: bytes) -> Keyword | None:
    """Read one keyword; None for an unused slot or an unknown type. Never fails: the bytes may be anything."""
    name, kind, value, comment = KEYWORD.unpack(raw)
    texts = [part.split(b"\0", 1)[0].decode(errors="replace") for part in (name, comment)]
    if kind == b"L":
        return Keyword(texts[0], _INT.unpack_from(value)[0], texts[1])
    if kind == b"D":
        return Keyword(texts[0], struct.unpack_from("<d", value)[0], texts[1])
    if kind == b"S":
        return Keyword(texts[0], value.split(b"\0", 1)[0].decode(errors="replace"), texts[1])
    return None


def without(raw: bytes, names: Collection[str]) -> bytes:
    """Encoded keywords with those of these names taken out: their slots are unused, all others are as they were."""
    unwanted = {name.encode() for name in names}
    if not any(name in raw for name in unwanted):
        return raw
    slots = (raw[start : start + KEYWORD_BYTES] for start in range(0, len(raw), KEYWORD_BYTES))
    unused = KEYWORD.pack(b"", _UNUSED, b"", b"")
    return b"".join(unused if slot[:_NAME_BYTES].split(b"\0", 1)[0] in unwanted else slot for slot in slots)


class Keywords(MutableMapping[str, Value]):
    """The keywords of an open segment as a mapping from name to value.

    Setting a name that is not there takes an unused slot; comments are kept when a value is changed.
    """

    def __init__(self, memory: memoryview, count: int) -> None:
        self._memory = memory
        self._count = count

    def slots(self) -> list[Keyword | None]:
        """All slots in the order of the file, None where unused."""
        return [decode(bytes(self._memory[start : start + KEYWORD_BYTES])) for start in self._starts()]

    def put(self, keyword: Keyword) -> None:
        """Set a keyword with its comment.

        Raises:
            UsageError: If it does not fit, or no slot is free.
        """
        raw = encode(keyword)
        slots = self.slots()
        names = [slot.name if slot else None for slot in slots]
        wanted = keyword.name if keyword.name in names else None
        if wanted not in names:
            raise UsageError(
                f"keyword {keyword.name!r}: all {self._count} keyword slots are in use; "
                "a segment gets its slots when it is created"
            )
        self.replace_raw(names.index(wanted) * KEYWORD_BYTES, raw)

    def raw(self, last: int = 0) -> bytes:
        """All slots as they lie in the file, or the last ones."""
        return bytes(self._memory[-last * KEYWORD_BYTES :])

    def replace_raw(self, start: int, raw: Union[bytes, bytearray]) -> None:
        """Overwrite whole slots, from byte ``start`` on, with encoded keywords; they must fit.

        Raises:
            PermissionError: If the segment is open for reading only.
        """
        if self._memory.readonly:
            raise PermissionError("the segment is open for reading only, and so are its keywords")
        self._memory[start : start + len(raw)] = raw

    def _starts(self) -> range:
        return range(0, self._count * KEYWORD_BYTES, KEYWORD_BYTES)

    def __getitem__(self, name: str) -> Value:
        for slot in self.slots():
            if slot is not None and slot.name == name:
                return slot.value
        raise KeyError(name)

    def __setitem__(self, name: str, value: Value) -> None:
        comments = [slot.comment for slot in self.slots() if slot is not None and slot.name == name]
        self.put(Keyword(name, value, comments[0] if comments else ""))

    def __delitem__(self, name: str) -> None:
        for start, slot in zip(self._starts(), self.slots()):
            if slot is not None and slot.name == name:
                self.replace_raw(start, KEYWORD.pack(b"", _UNUSED, b"", b""))
                return
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (slot.name for slot in self.slots() if slot is not None)

    def __len__(self) -> int:
        return sum(slot is not None for slot in self.slots())
