"""The text in which Prometheus reads metrics: its exposition format, version 0.0.4.

Invariant: each sample is one line, whatever the labels hold, and all samples of a metric stand together below its HELP
and TYPE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple, Union

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Number = Union[int, float]

#: HELP and TYPE.
_HEAD_LINES = 2


class Kind(Enum):
    """What the values of a metric are: only growing but for restarts, going up and down, or counted by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric: its name for ever, its kind, the labels that its samples have, and what it says."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    about: str


def labels(**pairs: str) -> str:
    """Labels as they stand in a sample, in braces."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items()) + "}" if pairs else ""


class Samples:
    """The samples of one metric.

    Args:
        metric: Which.
    """

    def __init__(self, metric: Metric) -> None:
        self._name = metric.name
        about = metric.about.replace("\\", "\\\\").replace("\n", "\\n")
        self._lines = [f"# HELP {metric.name} {about}", f"# TYPE {metric.name} {metric.kind.value}"]

    def add(self, value: Number, labelled: str = "") -> None:
        """A value, with what ``labels`` made."""
        self._lines.append(f"{self._name}{labelled} {value}")

    def add_histogram(
        self, cumulative: Iterable[tuple[float, int]], count: int, total: Number, labelled: str = ""
    ) -> None:
        """Many values at once.

        Args:
            cumulative: Bounds, ascending, and how many values do not exceed each.
            count: How many there are.
            total: Their sum.
            labelled: What ``labels`` made.
        """
        bucket = f"{self._name}_bucket{{{labelled[1:-1]}{',' if labelled else ''}le="
        self._lines += [f'{bucket}"{bound}"}} {so_far}' for bound, so_far in cumulative]
        self._lines += [
            f'{bucket}"+Inf"}} {count}',
            f"{self._name}_sum{labelled} {total}",
            f"{self._name}_count{labelled} {count}",
        ]

    def blocks(self, line_count: int) -> Iterator[str]:
        """All lines, so many at a time; nothing if there is no sample."""
        if len(self._lines) > _HEAD_LINES:
            for start in range(0, len(self._lines), line_count):
                yield "\n".join([*self._lines[start : start + line_count], ""])

    def text(self) -> str:
        """All lines at once."""
        return "".join(self.blocks(len(self._lines)))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
