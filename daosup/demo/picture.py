"""Arrays as pictures made of characters.

Invariant: a picture has exactly the rows asked for, and never more columns than asked for; nothing here writes.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_RAMP = " .:-=+*#%@"
_BARS = " ▁▂▃▄▅▆▇█"
_RESET = "\033[0m"
# Black over blue and orange to white: dark stays dark, and spots stand out.
_ANCHORS = np.array([[8, 8, 20], [30, 40, 120], [190, 60, 90], [250, 160, 40], [255, 250, 220]])
_LEVELS = 64
_SCALE_STEP = 0.25
_PALETTE = np.stack(
    [np.interp(np.linspace(0, 1, _LEVELS), np.linspace(0, 1, len(_ANCHORS)), anchor) for anchor in _ANCHORS.T], axis=1
).astype(int)


class Ink(Enum):
    """What a terminal can show."""

    ASCII = "ascii"
    UNICODE = "unicode"
    COLOURS_256 = "256 colours"
    TRUE_COLOUR = "24-bit colour"

    @property
    def has_colours(self) -> bool:
        """Whether there are colours."""
        return self in (Ink.COLOURS_256, Ink.TRUE_COLOUR)


def image(frame: Array, rows: int, columns: int, ink: Ink) -> list[str]:
    """``frame`` (2 axes) as at most ``rows`` lines of at most ``columns`` characters, its aspect kept.

    A character is taken to be twice as high as wide, so it shows two pixels, one above the other.
    """
    scale = min(columns / frame.shape[1], 2 * rows / frame.shape[0])
    width, height = max(1, int(frame.shape[1] * scale)), max(2, int(frame.shape[0] * scale) // 2 * 2)
    if rows < 1 or columns < 1:
        return []
    pixels = _levels(_shrunk(_shrunk(frame, height, 0), width, 1))
    if not ink.has_colours:
        ramp = np.array(list(_RAMP))
        bright = np.maximum(pixels[0::2], pixels[1::2]) * (len(_RAMP) - 1) // (_LEVELS - 1)
        return ["".join(line) for line in ramp[bright]]
    return [_coloured_line(upper, lower, ink) for upper, lower in zip(pixels[0::2], pixels[1::2])]


def bars(values: Array, rows: int, columns: int, ink: Ink) -> list[str]:
    """``values`` (1 axis) as ``rows`` lines of bars; zero is half-way up, the scale changes in whole steps only."""
    if rows < 1 or columns < 1:
        return []
    reach = max(1.0, np.ceil(float(np.abs(values).max()) / _SCALE_STEP)) * _SCALE_STEP
    bar_count = min(columns, len(values))
    picked = np.repeat(values[np.arange(bar_count) * len(values) // bar_count], columns // bar_count)
    steps = 8 if ink is not Ink.ASCII else 1
    heights = np.rint((picked / reach + 1) / 2 * rows * steps).astype(int)
    glyphs = _BARS if ink is not Ink.ASCII else " #"
    lines = []
    for row in reversed(range(rows)):
        filled = np.clip(heights - row * steps, 0, steps)
        lines.append("".join(glyphs[each] for each in filled))
    return lines


def _shrunk(array: Array, size: int, axis: int) -> Array:
    """``array`` with ``size`` elements along ``axis``; the brightest of those merged, so that no spot vanishes."""
    length = array.shape[axis]
    starts = np.arange(size) * length // size
    shrunk: Array = array.take(starts, axis) if size >= length else np.maximum.reduceat(array, starts, axis)
    return shrunk


def _levels(pixels: Array) -> Array:
    """``pixels`` as brightness 0 to 63, darkest to brightest."""
    low, high = float(pixels.min()), float(pixels.max())
    levels: Array = np.rint((pixels - low) * ((_LEVELS - 1) / ((high - low) or 1.0))).astype(int)
    return levels


def _coloured_line(upper: Array, lower: Array, ink: Ink) -> str:
    parts = []
    last = None
    for pair in zip(upper.tolist(), lower.tolist()):
        if pair != last:
            parts.append(f"\033[38;{_colour(pair[0], ink)};48;{_colour(pair[1], ink)}m")
            last = pair
        parts.append("▀")
    return "".join(parts) + _RESET


def _colour(level: int, ink: Ink) -> str:
    red, green, blue = _PALETTE[level].tolist()
    if ink is Ink.TRUE_COLOUR:
        return f"2;{red};{green};{blue}"
    cube = [round(part * 5 / 255) for part in (red, green, blue)]
    return f"5;{16 + 36 * cube[0] + 6 * cube[1] + cube[2]}"
