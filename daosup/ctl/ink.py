"""What a terminal can show, as its variables tell, and text that is cut to its width.

Invariant: in doubt, less is taken to be possible: a picture in plain letters is one, broken colours are not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum

_SEQUENCE = re.compile("(\033\\[[0-9;]*m)")


class Ink(Enum):
    """What a terminal can show."""

    ASCII = "ascii"
    UNICODE = "unicode"
    COLOURS_256 = "256 colours"
    TRUE_COLOUR = "24-bit colour"

    @property
    def has_colours(self) -> bool:
        """Whether there are colours enough for a picture."""
        return self in (Ink.COLOURS_256, Ink.TRUE_COLOUR)


def ink_of(environment: Mapping[str, str], encoding: str) -> Ink:
    """What a terminal with these variables shows."""
    if "utf" not in encoding.lower():
        return Ink.ASCII
    name = environment.get("TERM", "dumb")
    if environment.get("NO_COLOR") or name in ("dumb", "linux"):
        return Ink.UNICODE
    if environment.get("COLORTERM") in ("truecolor", "24bit") or name.endswith("-direct"):
        return Ink.TRUE_COLOUR
    return Ink.COLOURS_256 if "256" in name else Ink.UNICODE


def has_colours(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether words may be coloured on a terminal with these variables; every one but a dumb one has eight colours."""
    return not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"


def clipped(line: str, columns: int) -> str:
    """The first ``columns`` characters of ``line`` and all its colours."""
    parts = []
    for text in _SEQUENCE.split(line):
        if text.startswith("\033"):
            parts.append(text)
        else:
            parts.append(text[:columns])
            columns -= len(parts[-1])
    return "".join(parts)


def width_of(line: str) -> int:
    """The characters of ``line`` that are seen."""
    return sum(len(text) for text in _SEQUENCE.split(line) if not text.startswith("\033"))
