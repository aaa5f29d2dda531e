"""Plots of the rows that have a place in one, beside the page: as PNG and as SVG.

Each is over the size of a frame, both axes logarithmic; a point is the median of a row's samples, its bar goes from the
10th to the 90th percentile. They need matplotlib (the extra ``bench``); without it the page has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contenders import size_name
from bench.figures import Row, median, percentile

_COLOURS = {
    "bare TCP": "#9a9a9a",
    "bare TCP, staged": "#7d8fa3",
    "bare TCP, spinning": "#d0d0d0",
    "bare ZMQ": "#5a5a5a",
    "daosup zmq": "#1f77b4",
    "daosup direct": "#d62728",
    "daosup direct, spinning": "#ff9f4a",
    "daosup direct, keeping 4": "#2ca02c",
    "daosup direct, keeping 4, spinning": "#98df8a",
}


def figures(rows: Sequence[Row]) -> list[str]:
    """The names of the figures that rows belong to."""
    return list(dict.fromkeys(row.point.figure for row in rows if row.point is not None and row.samples))


def has_library() -> bool:
    """Whether plots can be made."""
    try:
        import matplotlib  # noqa: F401 # looked for, not used
    except ImportError:
        return False
    return True


def file_name(page: Path, figure: str, ending: str) -> str:
    """What a figure's file is called beside a page."""
    return f"{page.stem}-{figure}.{ending}"


def write(page: Path, rows: Sequence[Row]) -> None:
    """Write all figures beside ``page``."""
    for figure in figures(rows):
        lines: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.point is not None and row.point.figure == figure and row.samples:
                lines[row.point.line].append(row)
        _write_one(page, figure, lines)


def _write_one(page: Path, figure: str, lines: Mapping[str, Sequence[Row]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": figure, "font.size": 9, "svg.fonttype": "none"})
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(figsize=(7.0, 4.2), layout="constrained")
    sizes: set[float] = set()
    unit = ""
    for number, (name, rows) in enumerate(lines.items()):
        points = [(row.point.x, row) for row in rows if row.point is not None]
        points.sort(key=lambda point: point[0])
        # Side by side: bars that lie on one another cannot be told apart.
        places = [x * (1 + 0.06 * (number - len(lines) / 2)) for x, _ in points]
        middles = [median(row.samples) for _, row in points]
        bars = [
            [middle - percentile(row.samples, 10) for middle, (_, row) in zip(middles, points)],
            [percentile(row.samples, 90) - middle for middle, (_, row) in zip(middles, points)],
        ]
        colour, style = _COLOURS.get(name), "o-" if name.startswith("daosup") else "s--"
        axes.errorbar(places, middles, yerr=bars, fmt=style, color=colour, label=name, markersize=4, capsize=2)
        sizes.update(x for x, _ in points)
        unit = points[0][1].unit
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted(sizes), [size_name(int(size)) for size in sorted(sizes)])
    axes.minorticks_off()
    axes.set_xlabel("frame")
    axes.set_ylabel(f"{figure.replace('-', ', ')} [{unit}]")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    for ending, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        canvas.savefig(page.with_name(file_name(page, figure, ending)), dpi=130, metadata=metadata)
    pyplot.close(canvas)
