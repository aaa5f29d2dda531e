"""Runs a pickle without unpickling it: nothing that it says is imported, called or allocated.

Invariant: the machine knows only the opcodes that plain arrays are spelled with, and a global is a word of the caller's
table. Strings stay where they are in the message; a value is one of theirs, an int, a bool, None, what the caller's
table makes, or a tuple of these. Steps are counted. Whatever else comes is a ProtocolError. Whoever compares values
compares them with flat tuples only, so nesting tuples in each other takes nobody's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, Optional, Union

from daosup.errors import ProtocolError

Buffer = Union[bytes, bytearray, memoryview]

#: A real array takes about 60.
MAX_STEPS = 256
#: No name or word in a real array is longer.
MAX_WORD_BYTES = 64
_MAX_INTEGER_BYTES = 8


class Text:
    """Where a text is in the message, UTF-8."""

    def __init__(self, where: memoryview, start: int) -> None:
        self.where = where
        self.start = start


class Bytes:
    """Where bytes are in the message, which may spell them as the text of their Latin-1 characters (``is_text``)."""

    def __init__(self, where: memoryview, start: int, *, is_text: bool = False) -> None:
        self.where = where
        self.start = start
        self.is_text = is_text


class Global:
    """What a pickle may name; ``call`` makes what a pickle gets that calls it."""

    def __init__(self, call: Optional[Callable[[tuple[object, ...]], object]] = None) -> None:
        self.call = call


class Buildable:
    """What a pickle may give a state to."""

    def build(self, state: tuple[object, ...]) -> None:
        """Take the state.

        Raises:
            ProtocolError: If it is none.
        """
        raise NotImplementedError


def word_of(value: object) -> str:
    """The word that a text on the stack is.

    Raises:
        ProtocolError: If it is no text, or too long for a word.
    """
    if not isinstance(value, Text) or len(value.where) > MAX_WORD_BYTES:
        raise ProtocolError("pickle with something else where a word belongs")
    return _ascii(bytes(value.where))


def _ascii(word: bytes) -> str:
    try:
        return word.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError(f"pickle with the word {word!r}") from None


_MARK = object()


class Machine:
    """Runs one pickle.

    Args:
        message: The pickle, and nothing behind it.
        known: What it may name, by module and name.
    """

    def __init__(self, message: Buffer, known: Mapping[tuple[str, str], Global]) -> None:
        self._message = memoryview(message).cast("B")
        self._known = known
        self._at = 0
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """The value that the pickle is of.

        Raises:
            ProtocolError: If there is none, or more.
        """
        if self.take_integer(1) != _PROTO or self.take_integer(1) not in (2, 3, 4, 5):
            raise ProtocolError("not a pickle of protocol 2 to 5")
        for _ in range(MAX_STEPS):
            opcode = self.take_integer(1)
            if opcode == _STOP:
                return self._result()
            step = _STEPS.get(opcode)
            if step is None:
                raise ProtocolError(f"pickle with opcode {opcode:#04x}, which no array needs")
            step(self)
        raise ProtocolError(f"pickle of more than {MAX_STEPS} steps, which no array needs")

    def _result(self) -> object:
        result = self.pop()
        if self._stack or self._at != len(self._message):
            raise ProtocolError("pickle with more in it than one value")
        return result

    # -- what the steps share

    def _take(self, count: int) -> memoryview:
        end = self._at + count
        if end > len(self._message):
            raise ProtocolError(f"pickle cut short: {len(self._message)} bytes, but it speaks of byte {end}")
        taken = self._message[self._at : end]
        self._at = end
        return taken

    def take_integer(self, count: int, *, is_signed: bool = False) -> int:
        """Read a number of the message, of ``count`` bytes."""
        return int.from_bytes(self._take(count), "little", signed=is_signed)

    def _counted(self, count: int) -> memoryview:
        return self._take(self.take_integer(count))

    def _line(self) -> str:
        line, newline, _ = bytes(self._message[self._at : self._at + MAX_WORD_BYTES]).partition(b"\n")
        if not newline:
            raise ProtocolError("pickle with a name without an end")
        self._at += len(line) + 1
        return _ascii(line)

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> object:
        """Take the last value."""
        if not self._stack or self._stack[-1] is _MARK:
            raise ProtocolError("pickle that takes more than there is")
        return self._stack.pop()

    # -- steps

    def skip_frame(self) -> None:
        """FRAME: how many of the next bytes to read from a file at once."""
        count = self.take_integer(8)
        begin = self._at
        self._take(count)
        self._at = begin

    def load_integer(self, count: int, *, is_signed: bool = False) -> None:
        """BININT, BININT1, BININT2."""
        self.push(self.take_integer(count, is_signed=is_signed))

    def load_long(self) -> None:
        """LONG1."""
        count = self.take_integer(1)
        if count > _MAX_INTEGER_BYTES:
            raise ProtocolError(f"pickle with an integer of {count} bytes")
        self.load_integer(count, is_signed=True)

    def load_text(self, count: int) -> None:
        """SHORT_BINUNICODE, BINUNICODE, BINUNICODE8."""
        where = self._counted(count)
        self.push(Text(where, self._at - len(where)))

    def load_bytes(self, count: int) -> None:
        """SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8."""
        where = self._counted(count)
        self.push(Bytes(where, self._at - len(where)))

    def load_name(self) -> None:
        """GLOBAL."""
        module = self._line()
        self._look_up(module, self._line())

    def load_name_from_stack(self) -> None:
        """STACK_GLOBAL."""
        name = word_of(self.pop())
        self._look_up(word_of(self.pop()), name)

    def _look_up(self, module: str, name: str) -> None:
        found = self._known.get((module, name))
        if found is None:
            raise ProtocolError(f"pickle that names {module}.{name}, which no array needs")
        self.push(found)

    def mark(self) -> None:
        """MARK."""
        self.push(_MARK)

    def load_tuple(self, count: int) -> None:
        """EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3."""
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def load_tuple_from_mark(self) -> None:
        """TUPLE."""
        items = []
        while self._stack and self._stack[-1] is not _MARK:
            items.append(self._stack.pop())
        if not self._stack:
            raise ProtocolError("pickle that takes more than there is")
        self._stack[-1] = tuple(reversed(items))

    def put(self, index: Optional[int]) -> None:
        """MEMOIZE, BINPUT, LONG_BINPUT."""
        value = self.pop()
        self.push(value)
        self._memo[len(self._memo) if index is None else index] = value

    def get(self, index: int) -> None:
        """BINGET, LONG_BINGET."""
        if index not in self._memo:
            raise ProtocolError("pickle that remembers what it never saw")
        self.push(self._memo[index])

    def reduce(self) -> None:
        """REDUCE."""
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Global) or called.call is None or not isinstance(arguments, tuple):
            raise ProtocolError("pickle that calls what no array calls")
        self.push(called.call(arguments))

    def build(self) -> None:
        """BUILD."""
        state, target = self.pop(), self.pop()
        if not isinstance(target, Buildable) or not isinstance(state, tuple):
            raise ProtocolError("pickle that gives a state to what has none")
        target.build(state)
        self.push(target)


_PROTO = 0x80
_STOP = ord(".")

_STEPS: dict[int, Callable[[Machine], None]] = {
    0x95: Machine.skip_frame,
    ord("N"): lambda machine: machine.push(None),
    0x88: lambda machine: machine.push(True),
    0x89: lambda machine: machine.push(False),
    ord("K"): lambda machine: machine.load_integer(1),
    ord("M"): lambda machine: machine.load_integer(2),
    ord("J"): lambda machine: machine.load_integer(4, is_signed=True),
    0x8A: Machine.load_long,
    0x8C: lambda machine: machine.load_text(1),
    ord("X"): lambda machine: machine.load_text(4),
    0x8D: lambda machine: machine.load_text(8),
    ord("C"): lambda machine: machine.load_bytes(1),
    ord("B"): lambda machine: machine.load_bytes(4),
    0x8E: lambda machine: machine.load_bytes(8),
    0x96: lambda machine: machine.load_bytes(8),
    ord("c"): Machine.load_name,
    0x93: Machine.load_name_from_stack,
    ord("("): Machine.mark,
    ord("t"): Machine.load_tuple_from_mark,
    ord(")"): lambda machine: machine.load_tuple(0),
    0x85: lambda machine: machine.load_tuple(1),
    0x86: lambda machine: machine.load_tuple(2),
    0x87: lambda machine: machine.load_tuple(3),
    0x94: lambda machine: machine.put(None),
    ord("q"): lambda machine: machine.put(machine.take_integer(1)),
    ord("r"): lambda machine: machine.put(machine.take_integer(4)),
    ord("h"): lambda machine: machine.get(machine.take_integer(1)),
    ord("j"): lambda machine: machine.get(machine.take_integer(4)),
    ord("R"): Machine.reduce,
    ord("b"): Machine.build,
}
