"""The table of faults: for a terminal, and as the page docs/faults.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.figures import median
from bench.report import machine_line
from tests.faults.fault import Fault


@dataclass(frozen=True)
class Result:
    """What became of one fault, by one transport: the times to heal in seconds, and what did not heal."""

    fault: Fault
    transport: str
    times_s: tuple[float, ...]
    failures: tuple[str, ...]

    @property
    def is_failed(self) -> bool:
        """Whether a run did not heal, or not in time."""
        return bool(self.failures) or not self.times_s or max(self.times_s) > self.fault.limit_s

    @property
    def verdict(self) -> str:
        """In one word, or with the reason."""
        if self.failures:
            return f"failed: {self.failures[0].splitlines()[0]}"
        return "late" if self.is_failed else "healed"


def text(results: Sequence[Result]) -> str:
    """The table for a terminal."""
    width = max((len(result.fault.name) for result in results), default=0)
    return "\n".join(
        f"{result.fault.name:{width}}  {result.transport:6}  {'  '.join(_figures(result))}  {result.verdict}"
        for result in results
    )


def page(results: Sequence[Result], machine: Mapping[str, str], repeats: int) -> str:
    """docs/faults.md."""
    lines = [
        "# Faults, and how long they take to heal",
        "",
        f"Written by `make faults` from real runs, each fault injected {repeats} times into two running hosts with",
        "two streams between them (100 and 50 Hz); run it again and this page is made anew. What stands under *what",
        "happens* is checked in each run, and, unless the fault is of the whole host, that the stream that is not hit",
        "loses no frame and keeps its processes. *transport* is how frames of the stream that is hit came when it was",
        "injected: directly, as they do where nothing is said, or by ZeroMQ. *limit* is the longest it may take.",
        "`make soak` injects those that suit it at random.",
        "",
        f"Machine: {machine_line(machine)}.",
    ]
    for theme in dict.fromkeys(result.fault.theme for result in results):
        lines += [
            "",
            f"## {theme}",
            "",
            "| fault | transport | injected by | what happens | counted from | median | worst | n | limit | |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(result) for result in results if result.fault.theme == theme]
    return "\n".join([*lines, ""])


def _row(result: Result) -> str:
    fault = result.fault
    told = (fault.name, result.transport, fault.how, fault.what, fault.since)
    cells = (*told, *_figures(result), result.verdict)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _figures(result: Result) -> tuple[str, str, str, str]:
    times_s = result.times_s
    if not times_s:
        return "-", "-", "0", _seconds(result.fault.limit_s)
    return _seconds(median(times_s)), _seconds(max(times_s)), str(len(times_s)), _seconds(result.fault.limit_s)


def _seconds(time_s: float) -> str:
    return f"{time_s * 1e3:.0f} ms" if time_s < 1 else f"{time_s:.1f} s"
