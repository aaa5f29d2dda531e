"""Tables for a terminal.

Invariant: what comes from other hosts cannot move the cursor or change colours; a table is as wide as its contents,
and at most as wide as the terminal, for which the columns of names give way.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = "  "
MIN_NAME_WIDTH = 8
_COLOURS = {"good": "32", "bad": "31", "doubtful": "33", "faint": "2", "strong": "1"}


def safe(text: object) -> str:
    """``text`` with everything unprintable replaced."""
    return "".join(character if character.isprintable() else "?" for character in str(text))


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
    """A column's heading and habits: numbers stand right; a name's column may be shortened."""

    def __init__(self, heading: str, *, is_number: bool = False, is_name: bool = False) -> None:
        self.heading = heading
        self.is_number = is_number
        self.is_name = is_name


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
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max([len(column.heading), *(len(row[i]) for row in cells)]) for i, column in enumerate(columns)]
    if width is not None:
        _narrow(widths, columns, width)
    heading = GAP.join(_fit(column.heading, widths[i], column.is_number) for i, column in enumerate(columns))
    lines = [style(heading.rstrip(), "faint")]
    for row in cells:
        parts = [_fit(row[i], widths[i], column.is_number) for i, column in enumerate(columns)]
        parts[-1] = parts[-1].rstrip()
        lines.append(GAP.join(style(part, (colours or {}).get(row[i], "")) for i, part in enumerate(parts)))
    return lines


def _narrow(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Take from the widest name's column until the table fits or no name can be shorter."""
    names = [i for i, column in enumerate(columns) if column.is_name]
    while names and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        widest = max(names, key=lambda i: widths[i])
        if widths[widest] <= MIN_NAME_WIDTH:
            return
        widths[widest] -= 1


def _fit(text: str, width: int, is_number: bool) -> str:
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.rjust(width) if is_number else text.ljust(width)
