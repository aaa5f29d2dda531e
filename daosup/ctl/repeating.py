"""Shows an answer again and again: --watch.

On a terminal it lives on a screen of its own; elsewhere one answer follows the other, with --json one on each line.

Invariants: keys and signals wait for no daemon: each question is asked in a thread. A daemon that does not answer ends
nothing on a terminal; it is said above what was answered last.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Optional

from daosup.ctl.asking import tell
from daosup.ctl.ending import Ended, Ending
from daosup.ctl.options import Options
from daosup.ctl.tables import Style, safe
from daosup.ctl.terminal import Terminal
from daosup.ctl.units import duration
from daosup.errors import DaosupError

if TYPE_CHECKING:
    from daosup.ctl.asking import Told

#: So often the line above everything is renewed.
_REDRAW_S = 1.0


def repeat(options: Options, answered: Callable[[], Told]) -> int:
    """Ask and show every ``options.watch`` seconds until told to end; returns the exit code.

    Raises:
        DaosupError: Not on a terminal: if there is no answer.
    """
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not options.json:
        return _live(options, answered)
    interval_s = options.watch or 0.0
    while True:
        began_s = time.monotonic()
        result, lines, _ = answered()
        if options.json:
            print(json.dumps(result, separators=(",", ":")))
        else:
            tell(options, result, lines)
            print()
        sys.stdout.flush()
        time.sleep(max(0.0, began_s + interval_s - time.monotonic()))


def _live(options: Options, answered: Callable[[], Told]) -> int:
    about = f"daosupctl {' '.join(options.words)}, every {duration(options.watch)}; q ends"
    with Ending() as ending:
        screen = Screen(about, answered())
        question = Question(answered, ending.wake)
        due_s = time.monotonic() + (options.watch or 0.0)
        try:
            with Terminal(ending) as terminal:
                while True:
                    if terminal.is_ready:
                        terminal.draw(screen.lines(terminal.size(), terminal.style))
                    left_s = max(0.0, due_s - time.monotonic())
                    pause_s = _REDRAW_S if question.is_open else min(_REDRAW_S, left_s)
                    if {"q", "Q"} & set(terminal.keys(pause_s)):
                        return 0
                    screen.take(*question.answer())
                    if not question.is_open and time.monotonic() >= due_s:
                        due_s = time.monotonic() + (options.watch or 0.0)
                        question.begin()
        except Ended as ended:
            return ended.exit_code


class Question:
    """Asks one question again and again, beside the screen; ``wake`` is called when there is an answer.

    Attributes:
        is_open: Whether it was asked and not answered yet.
    """

    def __init__(self, answered: Callable[[], Told], wake: Callable[[], None]) -> None:
        self._answered = answered
        self._wake = wake
        self.is_open = False
        self._answer: Optional[Told] = None
        self._error: Optional[BaseException] = None

    def begin(self) -> None:
        """Ask in a thread, whose answer nobody needs to wait for."""
        self.is_open = True
        threading.Thread(target=self._run, name="daosup-question", daemon=True).start()

    def answer(self) -> tuple[Optional[Told], Optional[DaosupError]]:
        """The answer since the last call, or why there was none.

        Raises:
            BaseException: What nobody foresaw.
        """
        answer, error = self._answer, self._error
        self._answer = self._error = None
        if error is not None and not isinstance(error, DaosupError):
            raise error
        return answer, error

    def _run(self) -> None:
        try:
            self._answer = self._answered()
        except BaseException as error:
            self._error = error
        self.is_open = False
        self._wake()


class Screen:
    """What is shown of the answers so far.

    Args:
        about: Said above everything.
        told: The first answer.
    """

    def __init__(self, about: str, told: Told) -> None:
        self._about = about
        self._told = told
        self._told_s = time.monotonic()
        self._error = ""
        self._made_for = (0.0, 0)
        self._made: list[str] = []

    def take(self, told: Optional[Told], error: Optional[DaosupError]) -> None:
        """There is an answer, or an error, or neither."""
        if told is not None:
            self._told, self._told_s, self._error = told, time.monotonic(), ""
        elif error is not None:
            self._error = str(error)

    def lines(self, size: tuple[int, int], style: Style) -> list[str]:
        """All lines of a terminal of that many columns and rows."""
        columns, rows = size
        clock = time.strftime("%H:%M:%S")
        room = max(0, columns - len(clock))
        head = [style(safe(self._about)[: max(0, room - 2)].ljust(room) + clock, "faint")]
        if self._error:
            ago = duration(round(time.monotonic() - self._told_s))
            head.append(style(f"no answer, this is {ago} old: {safe(self._error)}", "bad"))
        lines = [*head, *self._content(columns, style)]
        if len(lines) > rows:
            more = len(lines) - rows + 1
            lines[rows - 1 :] = [style(f"... {more} lines more; a taller window shows them", "faint")]
        return lines

    def _content(self, columns: int, style: Style) -> list[str]:
        """Made once for each answer and width: it may be a thousand lines."""
        if self._made_for != (self._told_s, columns):
            self._made_for, self._made = (self._told_s, columns), self._told[1](style, columns)
        return self._made
