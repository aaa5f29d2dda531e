"""The terminal while something lives on it.

Invariants: however a view ends, the terminal is as it was: main screen, cursor, echo; stopped by Ctrl-Z as well. What
is drawn is what is new: no more than one picture is ever under way, however slow the line to the eye is, because the
terminal itself is asked after each whether it has come to its end.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Optional

from daosup.ctl.ending import Ended, Ending
from daosup.ctl.ink import clipped, has_colours, ink_of, width_of
from daosup.ctl.keys import CAUGHT_UP, Keys
from daosup.ctl.tables import Style
from daosup.errors import UsageError

# Without wrapping at the end of a line: a character that is wider than we take it for moves nothing.
_ENTER = "\033[?1049h\033[?25l\033[?7l\033[2J"
_LEAVE = "\033[0m\033[?7h\033[?25h\033[?1049l"
_REST_OF_LINE = "\033[K"
# All at once, where a terminal can do that; others ignore it.
_BEGIN, _END = "\033[?2026h", "\033[?2026l"
_ASK = "\033[5n"
_LOCAL_MODES = 3
_DEFAULT_SIZE = (80, 24)
#: A terminal that never answered is not waited for longer; of one that has, the line may be as slow as this.
_FIRST_ANSWER_S, _ANSWER_S = 1.0, 60.0
#: What comes later is no part of the same key.
_SAME_KEY_S = 0.05
_LEAVING_S = 0.5


def check_terminal(what: str, instead: str) -> None:
    """See that there is a terminal on which something can live.

    Raises:
        UsageError: If not; it names ``instead``, which needs none.
    """
    if not sys.stdout.isatty():
        raise UsageError(f"{what} draws on a terminal, and standard output is none; use `{instead}`")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError(f"{what} draws on a terminal that moves its cursor, and TERM is dumb; use `{instead}`")


class Terminal:
    """The terminal on standard output; entered and left like a file.

    Attributes:
        ink: What it shows in a picture.
        style: Colours words.
    """

    def __init__(self, ending: Ending) -> None:
        self.ink = ink_of(os.environ, sys.stdout.encoding)
        self.style = Style(has_colours())
        self._ending = ending
        self._output = sys.stdout.fileno()
        self._input: Optional[int] = None
        self._modes: Optional[list[Any]] = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._keys = Keys()
        self._shown: list[str] = []
        self._shown_size = (0, 0)
        self._asked_s: Optional[float] = None
        self._has_answered = False
        self._is_to_stop = self._is_disturbed = False

    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        try:
            columns, rows = os.get_terminal_size(self._output)
        except OSError:
            return _DEFAULT_SIZE
        return (columns or _DEFAULT_SIZE[0], rows or _DEFAULT_SIZE[1])

    @property
    def is_ready(self) -> bool:
        """Whether what was drawn last has been seen, so that something newer may follow."""
        if self._asked_s is None:
            return True
        patience_s = _ANSWER_S if self._has_answered else _FIRST_ANSWER_S
        return time.monotonic() - self._asked_s > patience_s

    def draw(self, lines: Sequence[str]) -> None:
        """Show ``lines`` from the top; what does not fit is cut off.

        Raises:
            Ended: If asked to end, or the terminal is gone.
        """
        size = self.size()
        columns, rows = size
        fitting = [clipped(line, columns) for line in lines[:rows]]
        fitting += [""] * (rows - len(fitting))
        parts = []
        if size != self._shown_size:
            self._shown, self._shown_size = [], size
            parts.append("\033[0m\033[2J")
        shown = self._shown or [""] * rows
        for row, (line, before) in enumerate(zip(fitting, shown), 1):
            if line != before:
                # After a whole line the cursor still stands on its last character.
                rest = _REST_OF_LINE if width_of(line) < columns else ""
                parts.append(f"\033[{row};1H{line}{rest}")
        if not parts:
            return
        ask = _ASK if self._input is not None else ""
        # Known before it is written: who is interrupted in the middle waits for the answer, too.
        self._asked_s = time.monotonic() if ask else None
        self._shown = fitting
        self._ending.write(self._output, f"{_BEGIN}{''.join(parts)}{_END}{ask}")

    def keys(self, seconds: float) -> list[str]:
        """Wait ``seconds`` or until keys are typed, the terminal gets another size or answers, or somebody wakes us.

        Returns:
            The keys, as ``Keys`` names them; mostly none.

        Raises:
            Ended: If asked to end.
        """
        began_s = time.monotonic()
        if self._keys.is_begun:
            seconds = min(seconds, _SAME_KEY_S)
        typed = self._read(self._ending.pause(seconds, [] if self._input is None else [self._input]))
        if not typed and self._keys.is_begun and time.monotonic() - began_s >= _SAME_KEY_S:
            typed = self._keys.give_up()
        if self._is_to_stop:
            self._stop()
        if self._is_disturbed:
            self._is_disturbed = False
            self._shown_size = (0, 0)
            self._asked_s = None  # what was answered meanwhile went to another program
            self._take()
        if "redraw" in typed:
            self._shown_size = (0, 0)
        return typed

    def pause(self, seconds: float) -> None:
        """Wait; the key q ends the program.

        Raises:
            Ended: If asked to end, by the key or otherwise.
        """
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            if {"q", "Q"} & set(self.keys(left_s)):
                raise Ended

    def __enter__(self) -> Terminal:
        self._handlers = {
            signal.SIGTSTP: signal.signal(signal.SIGTSTP, self._note),
            signal.SIGCONT: signal.signal(signal.SIGCONT, self._note),
            signal.SIGWINCH: signal.signal(signal.SIGWINCH, self._note),
        }
        self._take()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], at: Optional[TracebackType]
    ) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _read(self, files: list[int]) -> list[str]:
        typed: list[str] = []
        for file in files:
            data = os.read(file, 4096)
            if not data:
                raise Ended(signal.SIGHUP)
            typed += self._keys.take(data)
        if CAUGHT_UP in typed:
            self._asked_s, self._has_answered = None, True
        return [key for key in typed if key != CAUGHT_UP]

    def _take(self) -> None:
        """Have the terminal to ourselves: its other screen, and keys as they are typed."""
        self._listen()
        os.write(self._output, _ENTER.encode())

    def _listen(self) -> None:
        """Take keys as they are typed and do not show them; not if we are in the background."""
        try:
            file = sys.stdin.fileno()
            if os.tcgetpgrp(file) != os.getpgrp():
                return
            modes = termios.tcgetattr(file)
            if self._modes is None:
                self._modes = modes
            quiet = [*modes]
            quiet[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(file, termios.TCSADRAIN, quiet)
        except (OSError, ValueError, termios.error):
            return  # standard input is no terminal, or closed
        self._input = file

    def _give_back(self) -> None:
        """Leave the terminal as it was found; waits for nothing that may never come."""
        try:
            if select.select([], [self._output], [], _LEAVING_S)[1]:
                os.write(self._output, _LEAVE.encode())
            self._take_last_answer()
            if self._modes is not None and self._input is not None:
                termios.tcsetattr(self._input, termios.TCSANOW, self._modes)
                termios.tcflush(self._input, termios.TCIFLUSH)
        except (Ended, OSError, termios.error):
            pass  # the terminal is gone
        self._modes = self._input = None

    def _take_last_answer(self) -> None:
        """What the terminal still answers would be shown as typed by whoever reads next."""
        deadline_s = time.monotonic() + _LEAVING_S
        while self._asked_s is not None and self._input is not None:
            # One that never answered is not waited for longer than its first answer may take.
            answer_s = deadline_s if self._has_answered else min(deadline_s, self._asked_s + _FIRST_ANSWER_S)
            left_s = max(0.0, answer_s - time.monotonic())
            if not select.select([self._input], [], [], left_s)[0]:
                return
            self._read([self._input])

    def _stop(self) -> None:
        """Be stopped, as Ctrl-Z asks, with the terminal as it was found."""
        self._is_to_stop = False
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._note)
        self._is_disturbed = True

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._is_to_stop |= number == signal.SIGTSTP
        self._is_disturbed |= number == signal.SIGCONT
