"""A frame as it is shown: how keys change that, and the lines of the screen.

Invariant: lines are made from facts only; looking and drawing are done elsewhere.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from daosup.ctl.ink import Ink
from daosup.ctl.picture import LEVELS, Scale, bars, image, trace
from daosup.ctl.tables import Style, safe
from daosup.ctl.units import duration, quantity, shape
from daosup.ctl.watching import Shot

Array = npt.NDArray[Any]

KEYS = "q quit  +/- contrast  0 reset  l log  k lock  t trace  [ ] plane  space hold"
_CONTRAST_STEP = 1.25
_RATE_OVER_S = 2.0
_RATE_LEAST_S = 0.4
#: A picture of fewer elements is drawn larger.
_PNG_PIXELS = 256
_LONGEST_PNG = 8192


class Seen:
    """How a segment is shown.

    Attributes:
        is_held: Whether the picture is to stay as it is.
    """

    def __init__(self) -> None:
        self.is_held = False
        self._contrast = 1.0
        self._is_log = False
        self._is_traced: Optional[bool] = None
        self._locked: Optional[Scale] = None
        self._is_to_lock = False
        self._plane = 0

    def press(self, key: str) -> None:
        """What a key does; none that we know does nothing."""
        if key in "+=":
            self._contrast /= _CONTRAST_STEP
        elif key == "-":
            self._contrast *= _CONTRAST_STEP
        elif key == "0":
            self._contrast, self._is_log, self._locked, self._is_to_lock = 1.0, False, None, False
        elif key == "l":
            self._is_log = not self._is_log
        elif key == "k":
            self._is_to_lock = self._locked is None and not self._is_to_lock
            self._locked = None
        elif key == "t":
            self._is_traced = not self._is_traced
        elif key in ("]", "["):
            self._plane += 1 if key == "]" else -1
        elif key == " ":
            self.is_held = not self.is_held

    def scale(self, values: Array) -> Scale:
        """From what is dark to what is bright in ``values``."""
        if self._locked is None:
            found = Scale.of(values)
            if self._is_to_lock:
                self._locked, self._is_to_lock = found, False
        else:
            found = self._locked
        return Scale(found.low, found.low + (found.high - found.low) * self._contrast, self._is_log)

    def lines(
        self,
        shot: Optional[Shot],
        rate_hz: Optional[float],
        trouble: str,
        size: tuple[int, int],
        ink: Ink,
        style: Style,
    ) -> list[str]:
        """The screen.

        Args:
            shot: What is shown; None if there is no frame yet.
            rate_hz: Frames per second as they are written now; None if that is not known yet.
            trouble: What is not right, in words.
            size: Columns and rows of the terminal.
            ink: What it can show in a picture.
            style: Colours words.
        """
        columns, rows = size
        if shot is None:
            return [style(safe(trouble) or "no frame yet", "doubtful")]
        values, plane = flattened(shot.frame, self._plane)
        self._plane = plane if plane is not None else self._plane
        scale = self.scale(values)
        head = [_title(shot, rate_hz, trouble, style), facts_line(shot.frame)]
        foot = [self._told(scale, shot, plane), style(KEYS[:columns], "faint")]
        room = rows - len(head) - len(foot)
        return [*head, *self.picture(values, room, columns, ink, scale), *foot]

    def picture(self, values: Array, rows: int, columns: int, ink: Ink, scale: Scale) -> list[str]:
        """The frame itself, in exactly ``rows`` lines."""
        if values.ndim == 2:
            lines = image(values, rows, columns, ink, scale)
        else:
            is_traced = values.size > columns if self._is_traced is None else self._is_traced
            lines = (trace if is_traced else bars)(values, rows, columns, ink, scale)
        return lines + [""] * max(0, rows - len(lines))

    def _told(self, scale: Scale, shot: Shot, plane: Optional[int]) -> str:
        told = [f"scale {scale.low:.6g} to {scale.high:.6g}"]
        told += ["log"] * self._is_log + ["locked"] * (self._locked is not None) + ["held"] * self.is_held
        if plane is not None:
            told.append(f"plane {plane} of {_squeezed(shot.frame).shape[0]}")
        return ", ".join(told)


class Rate:
    """How often a counter goes up, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def take(self, counter: Optional[int], now_s: Optional[float] = None) -> Optional[float]:
        """Take note of a counter; returns the rate, Hz, or None as long as it is not known."""
        if counter is None or (self._seen and counter < self._seen[-1][1]):
            self._seen.clear()  # another segment
            return None
        now_s = time.monotonic() if now_s is None else now_s
        self._seen.append((now_s, counter))
        while len(self._seen) > 2 and now_s - self._seen[1][0] > _RATE_OVER_S:
            self._seen.popleft()
        first_s, first = self._seen[0]
        return (counter - first) / (now_s - first_s) if now_s - first_s >= _RATE_LEAST_S else None


def flattened(frame: Array, plane: int = 0) -> tuple[Array, Optional[int]]:
    """``frame`` as an image (2 axes) or a vector (1 axis), of complex numbers their magnitude.

    Returns:
        The values, and of a frame with more axes, which plane of its first axis they are; else None.
    """
    values = _squeezed(frame)
    if values.dtype.kind == "c":
        values = np.abs(values)
    if values.ndim < 3:
        return values, None
    chosen = plane % values.shape[0]
    return values[chosen], chosen


def _squeezed(frame: Array) -> Array:
    squeezed = frame.squeeze()
    return squeezed if squeezed.ndim else squeezed.reshape(1)


def statistics_of(frame: Array) -> dict[str, Any]:
    """Least, largest, mean and standard deviation of what is finite in ``frame``, and how many elements are not."""
    values = np.abs(frame) if frame.dtype.kind == "c" else frame
    finite = values if values.dtype.kind in "iu" else values[np.isfinite(values)]
    found = dict.fromkeys(("min", "max", "mean", "std"))
    if finite.size:
        with np.errstate(over="ignore", invalid="ignore"):
            parts = (
                finite.min().item(),
                finite.max().item(),
                float(finite.mean(dtype="f8")),
                float(finite.std(dtype="f8")),
            )
        found = {key: value if np.isfinite(value) else None for key, value in zip(found, parts)}
    return {**found, "not_finite": values.size - finite.size}


def facts_line(frame: Array) -> str:
    """The statistics in a line."""
    facts = statistics_of(frame)
    not_finite = facts.pop("not_finite")
    told = [f"{key} {'-' if value is None else format(value, '.6g')}" for key, value in facts.items()]
    return "  ".join([*told, *([f"{not_finite} not finite"] if not_finite else [])])


def _title(shot: Shot, rate_hz: Optional[float], trouble: str, style: Style) -> str:
    age_s = max(0.0, (time.time_ns() - shot.time_ns) / 1e9)
    told = [style(safe(shot.source), "strong"), f"{shape(shot.frame.shape)} {shot.frame.dtype.name}"]
    told += [f"frame {shot.counter}", quantity(rate_hz, "Hz")]
    told.append(f"{duration(age_s)} old" if shot.time_ns else "never written")
    if shot.has_link is False:
        told.append(style("link down", "bad"))
    if trouble:
        told.append(style(safe(trouble), "bad"))
    return "  ".join(told)


def pixels(frame: Array) -> tuple[npt.NDArray[np.uint8], Scale]:
    """``frame`` as a picture for a file, brightness 0 to 255 (2 axes), and its scale; a vector as bars from zero."""
    values, _ = flattened(frame)
    scale = Scale.of(values)
    if values.ndim == 2:
        levels = scale.levels(values)
        zoom = max(1, _PNG_PIXELS // max(levels.shape))
        return levels.repeat(zoom, 0).repeat(zoom, 1), scale
    values = values[:_LONGEST_PNG]
    ends = np.rint(scale.places(values) * (_PNG_PIXELS - 1))
    (base,) = np.rint(scale.places(np.zeros(1)) * (_PNG_PIXELS - 1))
    height = np.arange(_PNG_PIXELS)[::-1, None]
    is_bar = (height >= np.minimum(ends, base)) & (height <= np.maximum(ends, base))
    drawn = (is_bar * np.uint8(LEVELS * 3 // 4)).astype(np.uint8)
    return drawn.repeat(max(1, 2 * _PNG_PIXELS // len(values)), 1), scale
