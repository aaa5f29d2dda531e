"""Which part of a frame a reader gets, and what a segment of such parts looks like.

A cut is possible only where it is wholly within the frame: nobody gets less than was asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from daosup.core.delivery import Delivery
from daosup.core.layout import Geometry
from daosup.errors import UsageError


class Axis(NamedTuple):
    """Of an axis of that length, what is cut out of it: so many elements, from ``first`` on, every ``step``-th."""

    length: int
    first: int
    elements: int
    step: int


def cut_axes(delivery: Delivery, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """How a frame of that shape is cut, axis by axis in C order.

    Raises:
        UsageError: If it cannot be; the message says why, for people.
    """
    for key, parts in (("roi", delivery.roi), ("stride", delivery.stride)):
        if parts and len(parts) != len(shape):
            raise UsageError(f"{key} is of {len(parts)} axes, but the frame is {_words(shape)}")
    roi = delivery.roi or tuple((0, length) for length in shape)
    if any(end > length for (_, end), length in zip(roi, shape)):
        said = ",".join(f"{first}:{end}" for first, end in roi)
        raise UsageError(f"roi {said} is outside of the frame, which is {_words(shape)}")
    stride = delivery.stride or (1,) * len(shape)
    return tuple(
        Axis(length, first, (end - first + step - 1) // step, step)
        for length, (first, end), step in zip(shape, roi, stride)
    )


def cut_geometry(delivery: Delivery, source: Geometry) -> Geometry:
    """What a mirror of such parts looks like: its source, but for the shape; UsageError as ``cut_axes``."""
    return replace(source, shape=tuple(axis.elements for axis in cut_axes(delivery, source.shape)))


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
