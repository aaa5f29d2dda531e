"""Tables for a terminal.

Invariant: what comes from other hosts cannot move the cursor or change colours; a table is as wide as its contents,
and at most as wide as the terminal: for that, columns that matter less are left out and those of names give way.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = "  "
MIN_NAME_WIDTH = 8
#: Names are shortened to this for the sake of another column, and further only if there is no other way.
_FAIR_NAME_WIDTH = 14
_COLOURS = {"good": "32", "bad": "31", "doubtful": "33", "faint": "2", "strong": "1"}


def safe(text: object) -> str:
    """``text`` with everything unprintable replaced."""
    told = str(text)
    return told if told.isprintable() else "".join(each if each.isprintable() else "?" for each in told)


def wrapped(text: object, width: int | None, indent: str = "  ") -> list[str]:
    """``safe`` text in lines of at most ``width`` columns, all of them indented; words longer than that stay whole."""
    if width is None:
        return [indent + safe(text)]
    lines = [""]
    for word in safe(text).split():
        if lines[-1] and len(indent) + len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return [indent + line for line in lines]


class Style:
    """Colours text, or leaves it as it is."""

    def __init__(self, has_colours: bool) -> None:
        self._has_colours = has_colours

    def __call__(self, text: str, colour: str) -> str:
        """``text`` in one of the colours good, bad, doubtful, faint, strong."""
        if not self._has_colours or colour not in _COLOURS:
            return text
        return f"\033[{_COLOURS[colour]}m{text}\033[0m"


class Column:
    """A column's heading and habits: numbers stand right; a name's column may be shortened.

    ``rank``: 0 is always there; of the others those of the highest rank are left out first where there is no room.
    ``least``: It is so wide at least, for tables that are drawn again and again.
    """

    def __init__(
        self, heading: str, *, is_number: bool = False, is_name: bool = False, rank: int = 0, least: int = 0
    ) -> None:
        self.heading = heading
        self.is_number = is_number
        self.is_name = is_name
        self.rank = rank
        self.least = least


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    style: Style,
    width: int | None,
    colours: dict[str, str] | None = None,
) -> list[str]:
    """The table's lines.

    Args:
        columns: From left to right.
        rows: Each as many cells as there are columns.
        style: Colours the heading, and each cell whose whole text is in ``colours``.
        width: Columns of the terminal; None if lines may be of any length.
        colours: Colour of a cell's text.
    """
    # Column by column, which is quicker: there may be thousands of rows.
    cells = [list(map(safe, column)) for column in zip(*rows)] or [[] for _ in columns]
    widths = [max(len(column.heading), column.least, *map(len, texts), 0) for column, texts in zip(columns, cells)]
    if width is not None:
        kept = _kept(widths, columns, width)
        columns, widths, cells = [columns[i] for i in kept], [widths[i] for i in kept], [cells[i] for i in kept]
        _narrow(widths, columns, width)
    heading = GAP.join(_fitted([each.heading], w, each.is_number)[0] for each, w in zip(columns, widths))
    parts = [_fitted(texts, w, each.is_number) for texts, each, w in zip(cells, columns, widths)]
    parts[-1] = [part.rstrip() for part in parts[-1]]
    if colours:
        parts = [
            [style(part, colours[text]) if text in colours else part for part, text in zip(column, texts)]
            for column, texts in zip(parts, cells)
        ]
    return [style(heading.rstrip(), "faint"), *map(GAP.join, zip(*parts))]


def _kept(widths: list[int], columns: Sequence[Column], width: int) -> list[int]:
    """Which columns there is room for, if names are as short as is fair."""
    fair = [min(each, _FAIR_NAME_WIDTH) if column.is_name else each for each, column in zip(widths, columns)]
    kept = list(range(len(columns)))
    while sum(fair[i] + len(GAP) for i in kept) - len(GAP) > width and any(columns[i].rank for i in kept):
        kept.remove(max(kept, key=lambda i: columns[i].rank))
    return kept


def _narrow(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Take from the widest name's column until the table fits or no name can be shorter."""
    names = [i for i, column in enumerate(columns) if column.is_name]
    while names and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        widest = max(names, key=lambda i: widths[i])
        if widths[widest] <= MIN_NAME_WIDTH:
            return
        widths[widest] -= 1


def _fitted(texts: Iterable[str], width: int, is_number: bool) -> list[str]:
    cut = (text if len(text) <= width else text[: width - 1] + "…" for text in texts)
    return [text.rjust(width) for text in cut] if is_number else [text.ljust(width) for text in cut]
