"""How a reader wants a segment's frames: which of them, how often, which part, packed or not. Each reader has its own.

As text it is the options of a subscription's line (core/dnet_lines.py), in their order, without those that are default:
``mode=every compress=lz4``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Union

from daosup.core.layout import MAX_AXES
from daosup.errors import ProtocolError, UsageError

MODES = ("newest", "every")
COMPRESSIONS = ("none", "lz4")
#: Frames a second; slower than that is no stream.
LEAST_RATE_HZ, MOST_RATE_HZ = 0.001, 1e6
RATES = f"a number of frames a second from {LEAST_RATE_HZ:g} to {MOST_RATE_HZ:.0f}"

_RANGE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})\Z")
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_DECIMAL = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?\Z")


@dataclass(frozen=True)
class Delivery:
    """What a reader wants of a segment.

    Attributes:
        mode: One of ``MODES``: only ever the newest frame, or each of them.
        rate_hz: At most so many frames a second; 0: all.
        roi: Of each axis, in C order, which part: first and behind the last; empty: all.
        stride: Of each axis, every how manyth; empty: each.
        compress: One of ``COMPRESSIONS``.
    """

    mode: str = MODES[0]
    rate_hz: float = 0.0
    roi: tuple[tuple[int, int], ...] = ()
    stride: tuple[int, ...] = ()
    compress: str = COMPRESSIONS[0]

    @property
    def text(self) -> str:
        """Its options with blanks between them; empty if it is plain."""
        return " ".join(self.words())

    @property
    def is_plain(self) -> bool:
        """Whether it is what every transport does: whole frames, the newest, as fast as can be."""
        return self == PLAIN

    @property
    def is_cut(self) -> bool:
        """Whether it is of a part of each frame, so that the mirror has another shape than its source."""
        return bool(self.roi or self.stride)

    def words(self) -> list[str]:
        """The options of a subscription's line."""
        words = []
        if self.mode != MODES[0]:
            words.append(f"mode={self.mode}")
        if self.rate_hz:
            words.append(f"rate={rate_text(self.rate_hz)}")
        if self.roi:
            words.append(f"roi={roi_text(self.roi)}")
        if self.stride:
            words.append(f"stride={stride_text(self.stride)}")
        if self.compress != COMPRESSIONS[0]:
            words.append(f"compress={self.compress}")
        return words

    @classmethod
    def parse(cls, words: list[str]) -> Delivery:
        """Read the options of a line.

        Raises:
            ProtocolError: If one is not known, is no value of its kind, is there twice, or excludes another.
        """
        asked: dict[str, _Value] = {}
        for word in words:
            key, _, value = word.partition("=")
            if key not in _OPTIONS:
                raise ProtocolError(f"option {word[:40]!r} is not known here")
            field, read = _OPTIONS[key]
            if field in asked:
                raise ProtocolError(f"option {key} is there twice")
            asked[field] = read(key, value)
        delivery = cls(**asked)  # type: ignore[arg-type]
        if delivery.rate_hz and delivery.mode == "every":
            raise ProtocolError("rate and mode=every exclude each other")
        return delivery


#: As every transport brings frames.
PLAIN = Delivery()


def check_enough(what: str, rate_hz: object) -> float:
    """Check how many frames a second are enough for somebody; 0: all are wanted.

    Raises:
        UsageError: If an owner would refuse it.
    """
    if (
        isinstance(rate_hz, bool)
        or not isinstance(rate_hz, (int, float))
        or not (rate_hz == 0 or LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ)
    ):
        raise UsageError(f"{what} is {str(rate_hz)[:40]!r}, not {RATES}, nor 0 for all")
    return float(rate_hz)


def rate_text(rate_hz: float) -> str:
    """A rate as a line has it."""
    return f"{rate_hz:.6f}".rstrip("0").rstrip(".")


def roi_text(roi: tuple[tuple[int, int], ...]) -> str:
    """A part as a line has it."""
    return ",".join(f"{first}:{end}" for first, end in roi)


def stride_text(stride: tuple[int, ...]) -> str:
    """A stride as a line has it."""
    return ",".join(map(str, stride))


def _choice(*choices: str) -> Callable[[str, str], str]:
    def read(key: str, value: str) -> str:
        if value not in choices:
            raise ProtocolError(f"{key}={value[:40]} is not known here, {' and '.join(choices)} are")
        return value

    return read


def _rate(key: str, value: str) -> float:
    if not _DECIMAL.match(value) or not LEAST_RATE_HZ <= float(value) <= MOST_RATE_HZ:
        raise ProtocolError(f"{key}={value[:40]} is not {RATES}")
    return float(value)


def _roi(key: str, value: str) -> tuple[tuple[int, int], ...]:
    found = [_RANGE.match(part) for part in value.split(",")]
    parts = tuple((int(each[1]), int(each[2])) for each in found if each)
    if len(parts) != len(found) or len(parts) > MAX_AXES or any(first >= end for first, end in parts):
        raise ProtocolError(f"{key}={value[:40]} is not of the form y0:y1,x0:x1")
    return parts


def _stride(key: str, value: str) -> tuple[int, ...]:
    parts = value.split(",")
    if len(parts) > MAX_AXES or not all(map(_NUMBER.match, parts)) or not all(map(int, parts)):
        raise ProtocolError(f"{key}={value[:40]} is not of the form sy,sx")
    return tuple(map(int, parts))


_Value = Union[str, float, tuple[tuple[int, int], ...], tuple[int, ...]]
#: Keys of ours: the field each is for, and what reads it.
_OPTIONS: dict[str, tuple[str, Callable[[str, str], _Value]]] = {
    "mode": ("mode", _choice(*MODES)),
    "rate": ("rate_hz", _rate),
    "roi": ("roi", _roi),
    "stride": ("stride", _stride),
    "compress": ("compress", _choice(*COMPRESSIONS)),
}
