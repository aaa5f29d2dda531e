"""Arrays as pictures made of characters.

Invariant: a picture has exactly the rows asked for, an image at most as many, and never more columns than asked for;
nothing here writes. What is no number, or infinite, is drawn at the edge of the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from daosup.ctl.ink import Ink

Array = npt.NDArray[Any]

_RAMP = " .:-=+*#%@"
_BARS = " ▁▂▃▄▅▆▇█"
_RESET = "\033[0m"
# Black over blue and orange to white: dark stays dark, and spots stand out.
_ANCHORS = np.array([[8, 8, 20], [30, 40, 120], [190, 60, 90], [250, 160, 40], [255, 250, 220]])
#: Brightness of a pixel, darkest to brightest.
LEVELS = 256
_STEPS = 64
_SYMMETRIC_STEP = 0.25
#: How many times fainter than the brightest the darkest is on a logarithmic scale.
_LOG_RANGE = 1000.0
#: Dots of a character of Braille, by row and column.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = 0x2800


def palette(count: int) -> npt.NDArray[np.uint8]:
    """The colours of ``count`` levels, shape (count, 3): red, green, blue from 0 to 255."""
    at = np.linspace(0, 1, count)
    parts = [np.interp(at, np.linspace(0, 1, len(_ANCHORS)), anchor) for anchor in _ANCHORS.T]
    return np.stack(parts, axis=1).astype(np.uint8)


@dataclass(frozen=True)
class Scale:
    """Which values are darkest (or lowest) and brightest (or highest), and whether faint ones are raised."""

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def of(cls, values: Array, *, is_log: bool = False) -> Scale:
        """From the least to the largest of the values that are finite; of none, from 0 to 0."""
        finite = values if values.dtype.kind in "iu" else values[np.isfinite(values)]
        return cls(float(finite.min()), float(finite.max()), is_log) if finite.size else cls(0.0, 0.0, is_log)

    @classmethod
    def symmetric(cls, values: Array) -> Scale:
        """Zero in the middle; changes in whole steps only, so that it stands still while values change little."""
        most = float(np.abs(values).max()) if values.size else 0.0
        reach = max(1.0, np.ceil(most / _SYMMETRIC_STEP)) * _SYMMETRIC_STEP
        return cls(-reach, reach)

    def places(self, values: Array) -> Array:
        """``values`` from 0, at or below the low end, to 1, at or above the high one; float64."""
        span = (self.high - self.low) or 1.0
        with np.errstate(invalid="ignore", over="ignore"):
            places: Array = np.clip((values.astype(np.float64) - self.low) / span, 0.0, 1.0)
        places[np.isnan(places)] = 0.0
        return np.log1p(places * (_LOG_RANGE - 1)) / np.log(_LOG_RANGE) if self.is_log else places

    def levels(self, values: Array) -> npt.NDArray[np.uint8]:
        """``values`` as brightness, 0 to LEVELS - 1."""
        levels: npt.NDArray[np.uint8] = np.rint(self.places(values) * (LEVELS - 1)).astype(np.uint8)
        return levels


def image(frame: Array, rows: int, columns: int, ink: Ink, scale: Scale | None = None) -> list[str]:
    """``frame`` (2 axes) as at most ``rows`` lines of at most ``columns`` characters, its aspect kept.

    A character is taken to be twice as high as wide, so it shows two pixels, one above the other.
    """
    if rows < 1 or columns < 1:
        return []
    zoom = min(columns / frame.shape[1], 2 * rows / frame.shape[0])
    width, height = max(1, int(frame.shape[1] * zoom)), max(2, int(frame.shape[0] * zoom) // 2 * 2)
    pixels = _shrunk(_shrunk(frame, height, 0), width, 1)
    levels = (scale or Scale.of(pixels)).levels(pixels)
    if not ink.has_colours:
        ramp = np.array(list(_RAMP))
        bright = np.maximum(levels[0::2], levels[1::2]).astype(int) * (len(_RAMP) - 1) // (LEVELS - 1)
        return ["".join(line) for line in ramp[bright]]
    steps = levels.astype(int) * (_STEPS - 1) // (LEVELS - 1)
    return [_coloured_line(upper, lower, ink) for upper, lower in zip(steps[0::2].tolist(), steps[1::2].tolist())]


def bars(values: Array, rows: int, columns: int, ink: Ink, scale: Scale) -> list[str]:
    """``values`` (1 axis) as ``rows`` lines of bars; of more than fit, some are left out."""
    if rows < 1 or columns < 1:
        return []
    count = min(columns, len(values))
    picked = np.repeat(values[np.arange(count) * len(values) // count], columns // count)
    steps = 8 if ink is not Ink.ASCII else 1
    heights = np.rint(scale.places(picked) * rows * steps).astype(int)
    glyphs = _BARS if ink is not Ink.ASCII else " #"
    lines = []
    for row in reversed(range(rows)):
        filled = np.clip(heights - row * steps, 0, steps)
        lines.append("".join(glyphs[each] for each in filled))
    return lines


def trace(values: Array, rows: int, columns: int, ink: Ink, scale: Scale) -> list[str]:
    """``values`` (1 axis) as a line over ``rows`` lines; of more than fit, each column shows from least to largest."""
    if rows < 1 or columns < 1:
        return []
    fine_rows, fine_columns = (4 * rows, 2 * columns) if ink is not Ink.ASCII else (rows, columns)
    places = np.rint(scale.places(values) * (fine_rows - 1)).astype(int)
    count = min(fine_columns, len(places))
    starts = np.arange(count) * len(places) // count
    low, high = np.minimum.reduceat(places, starts), np.maximum.reduceat(places, starts)
    column_of = np.arange(fine_columns) * count // fine_columns
    low, high = low[column_of], high[column_of]
    # So that a steep line has no holes: each column reaches to where the one before ended.
    low[1:], high[1:] = np.minimum(low[1:], high[:-1]), np.maximum(high[1:], low[:-1])
    height = np.arange(fine_rows)[::-1, None]
    is_drawn = (height >= low) & (height <= high)
    if ink is Ink.ASCII:
        return ["".join("*" if each else " " for each in line) for line in is_drawn]
    dots = np.einsum("rycx,yx->rc", is_drawn.reshape(rows, 4, columns, 2), _DOTS)
    return ["".join(chr(_BRAILLE + each) if each else " " for each in line) for line in dots]


def _shrunk(array: Array, size: int, axis: int) -> Array:
    """``array`` with ``size`` elements along ``axis``; the brightest of those merged, so that no spot vanishes."""
    length = array.shape[axis]
    starts = np.arange(size) * length // size
    shrunk: Array = array.take(starts, axis) if size >= length else np.fmax.reduceat(array, starts, axis)
    return shrunk


def _coloured_line(upper: list[int], lower: list[int], ink: Ink) -> str:
    inks, papers = _colours(ink)
    parts = []
    last = None
    for pair in zip(upper, lower):
        if pair != last:
            parts.append(inks[pair[0]] + papers[pair[1]])
            last = pair
        parts.append("▀")
    return "".join(parts) + _RESET


@cache
def _colours(ink: Ink) -> tuple[list[str], list[str]]:
    """What makes a terminal write in the colour of each step, and on it."""
    colours = []
    for red, green, blue in palette(_STEPS).tolist():
        if ink is Ink.TRUE_COLOUR:
            colours.append(f"2;{red};{green};{blue}")
        else:
            cube = [round(part * 5 / 255) for part in (red, green, blue)]
            colours.append(f"5;{16 + 36 * cube[0] + 6 * cube[1] + cube[2]}")
    return [f"\033[38;{each}" for each in colours], [f";48;{each}m" for each in colours]
