"""What a process wrote to its standard output and error, as entries of a log.

Invariants: the pieces, one after the other, and the rest are exactly the text; a traceback, with those that led to it,
is one piece of its own; no more than `MOST_PIECES` come of one text.
"""

from __future__ import annotations

from typing import NamedTuple

#: Who writes many tracebacks between other lines gets the last of them as plain lines.
MOST_PIECES = 8
_BEGINS = ("Traceback (most recent call last):", "Fatal Python error: ", "  + Exception Group Traceback ")
_FATAL = "Fatal Python error: "
_FATAL_GOES_ON = ("Current thread ", "Thread ", "Python runtime state: ", "Extension modules:", "<")
_CHAINS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


class Piece(NamedTuple):
    """Lines that belong together."""

    is_traceback: bool
    text: str


def pieces_of(text: str, *, is_final: bool) -> tuple[list[Piece], str]:
    """Cut a text into pieces; the rest is what may be incomplete, nothing if the text ``is_final``."""
    lines = _lines(text)
    rest_from = len(lines)
    if lines and not is_final and not lines[-1].endswith("\n"):
        rest_from -= 1
    pieces: list[Piece] = []
    plain_from = at = 0
    while at < rest_from:
        if not lines[at].startswith(_BEGINS) or len(pieces) >= MOST_PIECES - 2:
            at += 1
            continue
        if plain_from < at:
            pieces.append(Piece(False, "".join(lines[plain_from:at])))
        end, is_whole = _end_of_traceback(lines, at, rest_from)
        if not is_whole and not is_final:
            return pieces, "".join(lines[at:])
        pieces.append(Piece(True, "".join(lines[at:end])))
        plain_from = at = end
    if plain_from < rest_from:
        pieces.append(Piece(False, "".join(lines[plain_from:rest_from])))
    return pieces, "".join(lines[rest_from:])


def _lines(text: str) -> list[str]:
    """As splitlines, but that only a line feed ends a line."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _end_of_traceback(lines: list[str], at: int, stop: int) -> tuple[int, bool]:
    """Where the traceback that begins at a line ends, and whether that can be seen before ``stop``."""
    is_fatal = lines[at].startswith(_FATAL)
    end = at + 1
    while end < stop:
        line = lines[end]
        if line[0] in " \t\n" or (is_fatal and line.startswith(_FATAL_GOES_ON)):
            end += 1
        elif is_fatal:
            return end, True
        else:
            end += 1  # what was raised
            if not (end + 1 < stop and lines[end] == "\n" and lines[end + 1].startswith(_CHAINS)):
                return end, True
            end += 2
            while end < stop and (lines[end] == "\n" or lines[end].startswith(_BEGINS)):
                end += 1
    return end, is_fatal
