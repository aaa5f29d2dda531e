"""The result as a table: for a terminal, and as the page docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.figures import Goal, Judged, Row, Verdict, median, percentile
from bench.results import Results

_HEAD = ("what", "goal", "median", "p10 - p90", "worst", "n", "ratio", "verdict", "spin ms", "steal", "busy", "note")


def _number(value: float) -> str:
    """Three significant digits at least, no exponent."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _goal(goal: Goal, unit: str) -> str:
    sign = ">=" if goal.is_least else "<" if goal.is_strict else "<="
    return f"{sign} {_number(goal.limit)} {unit}".rstrip() + (" (worst)" if goal.judged is Judged.WORST else "")


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table, in the order of its head."""
    samples, spins = row.samples, row.noise.spins_ms
    many = len(samples) > 1
    return (
        row.what,
        _goal(row.goal, row.unit) if row.goal else "",
        f"{_number(median(samples))} {row.unit}".rstrip() if samples else "",
        f"{_number(percentile(samples, 10))} - {_number(percentile(samples, 90))}" if many else "",
        _number((min if row.goal and row.goal.is_least else max)(samples)) if many else "",
        str(len(samples)),
        f"{row.ratio:.2f} x {row.ratio_to}" if row.ratio is not None else "",
        row.verdict.value,
        f"{_number(median(spins))}, worst {_number(max(spins))}" if spins else "",
        f"{row.noise.steal:.1%}" + (f", {row.noise.left_out} left out" if row.noise.left_out else ""),
        f"{row.noise.busy:.0%}",
        row.note,
    )


def machine_line(machine: Mapping[str, str]) -> str:
    """The machine and the versions, in one line."""
    return ", ".join(f"{key} {value}" for key, value in machine.items())


def text(rows: Sequence[Row], machine: Mapping[str, str]) -> str:
    """The table with columns padded and each note on a line of its own, for a terminal."""
    table = [_HEAD[:-1], *(cells(row)[:-1] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    head, *lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
    body = [f"{line}\n    {row.note}" if row.note else line for line, row in zip(lines, rows)]
    return "\n".join([machine_line(machine), "", head, *body])


def page(title: str, results: Results, methods: Mapping[str, str], command: str, images: Mapping[str, str]) -> str:
    """docs/performance.md, or another page of measurements.

    Args:
        title: Its heading.
        results: What was measured.
        methods: How each measurement is made.
        command: What made the page.
        images: The file of each figure, those that there are.
    """
    lines = [f"# {title}", "", f"Written by `{command}`; run it again and this page is made anew.", ""]
    lines += [f"Machine: {machine_line(results.machine)}.", ""]
    if results.is_joined:
        lines += ["Joined from runs made one by one, so not all rows need be of the same code.", ""]
    lines += [*_summary(results.all_rows), "", *_LEGEND]
    for name, rows in results.rows.items():
        lines += ["", f"## {name}", "", methods[name].strip(), "", *_markdown(rows)]
        named = dict.fromkeys(row.point.figure for row in rows if row.point is not None)
        lines += [line for figure in named if figure in images for line in ("", f"![{figure}]({images[figure]})")]
    return "\n".join([*lines, ""])


_LEGEND = (
    "*spin* is a piece of fixed work timed before and after each repeat: the further its worst is from its",
    "median, the less the machine was ours. *steal* is the time a hypervisor took (worst repeat), and how many",
    "rounds were left out because it took more in them, whatever was measured there; *busy* is the share of all",
    "cores at work (mean). *ratio* compares with what is named, in the same run.",
)


def _summary(rows: Sequence[Row]) -> list[str]:
    met = sum(row.verdict is Verdict.MET for row in rows)
    others = [row for row in rows if row.verdict in (Verdict.MISSED, Verdict.FAILED)]
    lines = [f"Goals met: {met}; missed: {len(others)}{':' if others else '.'}"]
    for row in others:
        goal, figure = cells(row)[1:3]
        lines.append(f"- {row.what}: {f'{figure}, goal {goal}' if row.samples else f'not measured: {row.note}'}")
    return [*lines[:1], *([""] if others else []), *lines[1:]]


def _markdown(rows: Sequence[Row]) -> list[str]:
    table = [_HEAD, ("---",) * len(_HEAD), *map(cells, rows)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]
