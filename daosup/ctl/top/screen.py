"""What is on the screen of ``top``: what keys do to it, and its lines.

Invariants: the selected worker stays selected as long as it is there, wherever it moves; nothing is done to a worker
before the key y.
"""

from __future__ import annotations

from daosup.ctl.ink import width_of
from daosup.ctl.tables import Column, safe, table
from daosup.ctl.top.workers import SORTABLE, key_of, matching, name_of, ordered
from daosup.ctl.units import duration, percent, quantity
from daosup.ctl.worker_table import COLUMNS, STATE_COLOURS, cells_of, trouble_of

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.tables import Style
    from daosup.ctl.top.workers import Key, Worker

QUIT, VIEW, DO = "quit", "view", "do"
KEYS = "q quit  enter story  v view  R restart  S stop, start  < > r sort  / filter"
_STORY_KEYS = "q back  v view  R restart  S stop, start  up, down scroll"
_STALE_S = 3.5
#: So that columns stay where they are while numbers change.
_LEAST = {
    "WORKER": 9,
    "STATE": 10,
    "RATE": 8,
    "DATA": 9,
    "AGE": 8,
    "P50": 7,
    "P99": 7,
    "SKIP": 5,
    "CPU": 5,
    "MEMORY": 7,
}


class Order:
    """What is to be done for a key: QUIT; VIEW a segment; or DO a command to a worker."""

    def __init__(self, verb: str, name: str = "", command: str = "") -> None:
        self.verb = verb
        self.name = name
        self.command = command


class Top:
    """The state of the screen.

    Attributes:
        story_of: The worker whose story is shown, as commands call it; empty if none is.
    """

    def __init__(self, status: dict[str, Any]) -> None:
        self.story_of = ""
        self._sort, self._is_reversed = "STATE", False
        self._filter, self._is_typing = "", False
        self._selected: Key | None = None
        self._index = self._first = self._scroll = 0
        self._page = 1
        self._message, self._message_colour = "", ""
        self._question: Order | None = None
        self._story: dict[str, Any] | None = None
        self.take(status)

    def take(self, status: dict[str, Any]) -> None:
        """Show another answer of the daemon."""
        self._status = status
        self._columns = _columns(status.get("workers") or [])
        self._arrange()

    def take_story(self, story: dict[str, Any]) -> None:
        """Show what is known of the worker whose story was asked for."""
        self._story = story

    def tell(self, message: str, *, is_bad: bool = False) -> None:
        """Show a line about what was done, until the next key."""
        self._message, self._message_colour = safe(message), "bad" if is_bad else "good"

    @property
    def selected(self) -> Worker | None:
        """The worker on which keys act."""
        return self._shown[self._index] if self._shown else None

    # -- keys

    def press(self, key: str) -> Order | None:
        """What a key does; the order that follows from it, if any."""
        self._message = ""
        if self._question is not None:
            order, self._question = self._question, None
            return order if key in ("y", "Y") else None
        if self._is_typing:
            self._type(key)
            return None
        if key in ("v", "R", "S"):
            return self._act(key)
        if self.story_of:
            self._press_in_story(key)
            return None
        if key in ("q", "Q"):
            return Order(QUIT)
        self._press_in_table(key)
        return None

    def _press_in_table(self, key: str) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -self._page, "page down": self._page}
        steps |= {"home": -len(self._shown), "g": -len(self._shown), "end": len(self._shown), "G": len(self._shown)}
        if key in steps:
            self._index = min(max(0, self._index + steps[key]), max(0, len(self._shown) - 1))
            self._selected = key_of(self._shown[self._index]) if self._shown else None
        elif key in ("<", ">", "left", "right"):
            step = 1 if key in (">", "right") else -1
            self._sort = SORTABLE[(SORTABLE.index(self._sort) + step) % len(SORTABLE)]
            self._is_reversed = False
            self._arrange()
        elif key == "r":
            self._is_reversed = not self._is_reversed
            self._arrange()
        elif key == "/":
            self._is_typing = True
        elif key == "escape":
            self._filter = ""
            self._arrange()
        elif key == "enter" and self.selected is not None:
            self.story_of, self._story, self._scroll = name_of(self.selected), None, 0

    def _press_in_story(self, key: str) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -self._page, "page down": self._page, " ": self._page}
        if key in steps:
            self._scroll = max(0, self._scroll + steps[key])
        elif key == "home":
            self._scroll = 0
        elif key in ("q", "Q", "escape", "enter", "left"):
            self.story_of, self._story = "", None

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self._is_typing = False
            self._filter = "" if key == "escape" else self._filter
        elif key == "backspace":
            self._filter = self._filter[:-1]
        elif key == "clear":
            self._filter = ""
        elif len(key) == 1:
            self._filter += key
        self._arrange()

    def _act(self, key: str) -> Order | None:
        worker = self.selected
        if worker is None:
            return None
        if key == "v":
            return Order(VIEW, str(worker.get("source")))
        command = "restart" if key == "R" else "start" if worker.get("state") == "stopped" else "stop"
        self._question = Order(DO, name_of(worker), command)
        return None

    def _arrange(self) -> None:
        """Find out which workers are shown, and where the selected one is among them."""
        workers = matching(list(self._status.get("workers") or ()), self._filter)
        self._shown = ordered(workers, self._sort, is_reversed=self._is_reversed)
        places = {key_of(worker): index for index, worker in enumerate(self._shown)}
        self._index = places.get(self._selected or ("", ""), min(self._index, max(0, len(self._shown) - 1)))
        self._selected = key_of(self._shown[self._index]) if self._shown else None

    # -- lines

    def lines(self, size: tuple[int, int], style: Style, age_s: float = 0.0, error: str = "") -> list[str]:
        """The screen.

        Args:
            size: Columns and rows of the terminal.
            style: Colours.
            age_s: How old the daemon's last answer is.
            error: Why there is no newer one.
        """
        columns, rows = size
        head = [_host_line(self._status, style), self._sum_line(style)]
        if error or age_s > _STALE_S:
            head.append(style(f"as of {duration(age_s)} ago: {safe(error) or 'no answer since'}", "bad"))
        foot = [self._foot(style), style((_STORY_KEYS if self.story_of else KEYS)[:columns], "faint")]
        self._page = max(1, rows - len(head) - len(foot) - 1)
        room = self._page
        body = self._story_lines(room + 1, columns, style) if self.story_of else self._table_lines(room, columns, style)
        body += [""] * (room + 1 - len(body))
        return [*head, *body[: room + 1], *foot]

    def _table_lines(self, room: int, columns: int, style: Style) -> list[str]:
        if not self._shown:
            return [style("no workers" + (f" that match {self._filter!r}" if self._filter else ""), "doubtful")]
        self._first = min(max(self._first, self._index - room + 1), self._index, max(0, len(self._shown) - room))
        rows = [cells_of(worker) for worker in self._shown[self._first : self._first + room]]
        lines = table(self._columns, rows, style, columns, STATE_COLOURS)
        at = 1 + self._index - self._first
        lines[0] = lines[0].replace(self._sort, self._marked(), 1)
        lines[at] = _inverted(lines[at], columns)
        return lines

    def _marked(self) -> str:
        """The heading of the column by which is sorted: in capitals as all, but underlined."""
        return f"\033[4m{self._sort}\033[24m"

    def _story_lines(self, room: int, columns: int, style: Style) -> list[str]:
        if self._story is None:
            return [style(f"asking for the story of {safe(self.story_of)} ...", "faint")]
        from daosup.ctl.worker_report import worker_report  # the table does without

        lines = worker_report(self._story, style, columns)
        self._scroll = min(self._scroll, max(0, len(lines) - room))
        return lines[self._scroll : self._scroll + room]

    def _sum_line(self, style: Style) -> str:
        workers = self._status.get("workers") or []
        counts: dict[str, int] = {}
        for worker in workers:
            state = str(worker.get("state"))
            counts[state] = counts.get(state, 0) + 1
        states = ", ".join(f"{n} {style(safe(state), STATE_COLOURS.get(state, ''))}" for state, n in counts.items())
        rate = quantity(_sum(workers, "rate_hz"), "Hz")
        data = quantity(_sum(workers, "bytes_per_s"), "B/s")
        told = [f"{len(workers)} workers{': ' if states else ''}{states}", rate, data]
        told.append(f"CPU {percent(_sum(workers, 'cpu'))}")
        if self._filter and not self._is_typing:
            told.append(f"{len(self._shown)} match {safe(self._filter)!r}")
        return "   ".join(told)

    def _foot(self, style: Style) -> str:
        """The line above the keys: what is asked or was done, else what is not right with the selected worker."""
        if self._question is not None:
            return style(f"{self._question.command} {safe(self._question.name)}? y, or any other key for no", "strong")
        if self._is_typing:
            return f"filter: {safe(self._filter)}_   ({len(self._shown)} match; enter keeps it, escape takes it away)"
        if self._message:
            return style(self._message, self._message_colour)
        worker = None if self.story_of else self.selected
        return style(safe(trouble_of(worker)), "doubtful") if worker is not None else ""


def _columns(workers: list[Worker]) -> list[Column]:
    """The table's, as wide as all workers need and not only those on the screen."""
    longest = max((len(str(worker.get("source"))) for worker in workers), default=0)
    return [
        Column(
            each.heading,
            is_number=each.is_number,
            is_name=each.is_name,
            rank=each.rank,
            least=longest if each.heading == "SOURCE" else _LEAST.get(each.heading, 0),
        )
        for each in COLUMNS
    ]


def _host_line(status: dict[str, Any], style: Style) -> str:
    registry = status.get("registry") or {}
    state = str(registry.get("state"))
    told = [f"{style(safe(status.get('host')), 'strong')}  {safe(status.get('role') or 'role not yet decided')}"]
    told.append(f"up {duration(status.get('uptime_s'))}")
    told.append(f"registry {style(safe(state), STATE_COLOURS.get(state, ''))}")
    if registry.get("error"):
        told.append(style(safe(registry["error"]), "bad"))
    return "   ".join(told)


def _sum(workers: list[Worker], what: str) -> float:
    return sum(value for worker in workers if isinstance(value := worker.get(what), (int, float)))


def _inverted(line: str, columns: int) -> str:
    """A whole line of the terminal in reverse; its colours end with it."""
    blanks = " " * max(0, columns - width_of(line))
    return "\033[7m" + line.replace("\033[0m", "\033[0;7m") + blanks + "\033[0m"
