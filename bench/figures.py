"""The arithmetic of a measurement: pure, so a number in the table can be checked by hand.

Percentiles interpolate linearly between the sorted samples. A goal is judged either on the median or on the worst
sample, and says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

VALUES = 1 << 16  # a uint16 frame filled with its sequence number wraps here


class Judged(Enum):
    """Which figure of the samples a goal speaks of."""

    MEDIAN = "median"
    WORST = "worst"


class Verdict(Enum):
    """What became of a goal."""

    MET = "met"
    MISSED = "missed"
    FAILED = "failed"
    NONE = "-"


@dataclass(frozen=True)
class Goal:
    """At most (``is_strict``: less than; ``is_least``: at least) ``limit``, in the unit of the row it belongs to."""

    limit: float
    judged: Judged = Judged.MEDIAN
    is_strict: bool = False
    is_least: bool = False

    def is_met(self, samples: Sequence[float]) -> bool:
        """Whether the samples' median, or the worst of them, keeps to it."""
        if self.is_least:
            return (median(samples) if self.judged is Judged.MEDIAN else min(samples)) >= self.limit
        figure = median(samples) if self.judged is Judged.MEDIAN else max(samples)
        return figure < self.limit if self.is_strict else figure <= self.limit


@dataclass(frozen=True)
class Point:
    """Where a row belongs in a plot: in which figure, in which line of it, and at which place of the x axis."""

    figure: str
    line: str
    x: float


@dataclass(frozen=True)
class Noise:
    """What the machine did meanwhile: a fixed spin's wall times, and shares (0 to 1) of all cores' time.

    ``left_out`` is how many rounds do not count, as the machine was less quiet in them (bench/rounds.py).
    """

    spins_ms: tuple[float, ...] = ()
    steal: float = 0.0
    busy: float = 0.0
    left_out: int = 0


@dataclass(frozen=True)
class Row:
    """One line of the table: ``samples`` are in ``unit``; ``ratio`` is against ``ratio_to``."""

    what: str
    unit: str
    samples: tuple[float, ...]
    goal: Optional[Goal] = None
    ratio: Optional[float] = None
    ratio_to: str = ""
    note: str = ""
    noise: Noise = field(default_factory=Noise)
    point: Optional[Point] = None

    @property
    def verdict(self) -> Verdict:
        """Whether the goal was met; a row without samples is a measurement that failed."""
        if not self.samples:
            return Verdict.FAILED
        if self.goal is None:
            return Verdict.NONE
        return Verdict.MET if self.goal.is_met(self.samples) else Verdict.MISSED


def percentile(samples: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of the samples lie, interpolated.

    Raises:
        ValueError: If there are no samples or ``percent`` is outside 0 to 100.
    """
    if not samples:
        raise ValueError("no samples: nothing was measured")
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is not a percentage: 0 to 100")
    ordered = sorted(samples)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(samples: Sequence[float]) -> float:
    """The middle sample, or the mean of the two middle ones."""
    return percentile(samples, 50)


def paired(first: Sequence[float], second: Sequence[float]) -> list[tuple[float, float]]:
    """The samples of two things measured in turn, two by two.

    Raises:
        ValueError: If one was measured more often than the other.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} samples do not pair")
    return list(zip(first, second))


def ratios(ours: Sequence[float], bare: Sequence[float]) -> tuple[float, ...]:
    """Ours over bare, pair by pair."""
    return tuple(a / b for a, b in paired(ours, bare))


def differences(ours: Sequence[float], bare: Sequence[float]) -> tuple[float, ...]:
    """Ours minus bare, pair by pair."""
    return tuple(a - b for a, b in paired(ours, bare))


def steps_between(earlier: int, later: int) -> int:
    """How many frames lie from one frame's value to a later one's, when values wrap at 65536."""
    return (later - earlier) % VALUES


def is_same_or_newer(value: int, than: int) -> bool:
    """Whether a frame's value is ``than`` or was written after it (within half of the wrap)."""
    return steps_between(than, value) < VALUES // 2


def longest_gap_s(arrivals_s: Sequence[float], begin_s: float, end_s: float) -> float:
    """The longest time without a frame inside a window; its edges count as if frames came there."""
    inside = [begin_s, *(t for t in arrivals_s if begin_s < t < end_s), end_s]
    return max(later - earlier for earlier, later in zip(inside, inside[1:]))


def recovery_s(arrivals_s: Sequence[float], killed_s: float) -> Optional[float]:
    """Time from a kill to the end of the outage it made, or None if no frame came after the kill.

    Frames already on their way still arrive just after a kill; so the outage is the longest time without a frame that
    ended after the kill, and recovery is when it ended.
    """
    before = [t for t in arrivals_s if t <= killed_s]
    after = [t for t in arrivals_s if t > killed_s]
    if not after:
        return None
    times = [*(before[-1:] or [killed_s]), *after]
    _, end = max((later - earlier, later) for earlier, later in zip(times, times[1:]))
    return end - killed_s
