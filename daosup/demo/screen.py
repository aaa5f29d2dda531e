"""The terminal while the demonstration is shown, or the pipe in its place.

Invariant: however the demonstration ends, the terminal is as it was: main screen, cursor, echo.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Optional

from daosup.demo.ending import Ended, Ending
from daosup.demo.picture import Ink

_ENTER = "\033[?1049h\033[?25l\033[2J"
_LEAVE = "\033[0m\033[?25h\033[?1049l"
_HOME = "\033[H"
_REST_OF_LINE = "\033[K"
_REST_OF_SCREEN = "\033[J"
_COLOUR = re.compile("(\033\\[[0-9;]*m)")
_LOCAL_MODES = 3
_DEFAULT_SIZE = (80, 24)


def ink_of(environment: dict[str, str], encoding: str) -> Ink:
    """What a terminal with these variables shows."""
    if "utf" not in encoding.lower():
        return Ink.ASCII
    name = environment.get("TERM", "dumb")
    if environment.get("NO_COLOR") or name in ("dumb", "linux"):
        return Ink.UNICODE
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return Ink.TRUE_COLOUR
    return Ink.COLOURS_256 if "256" in name else Ink.UNICODE


def clipped(line: str, columns: int) -> str:
    """The first ``columns`` characters of ``line`` and all its colours."""
    parts = []
    for text in _COLOUR.split(line):
        if text.startswith("\033"):
            parts.append(text)
        else:
            parts.append(text[:columns])
            columns -= len(parts[-1])
    return "".join(parts)


class Screen:
    """The terminal on standard output, drawn as a whole each time; entered and left like a file."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._output = sys.stdout.fileno()
        self._input: Optional[int] = None
        self._modes: Optional[list[Any]] = None
        self._suspend: Any = None
        self.ink = ink_of(dict(os.environ), sys.stdout.encoding)

    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        try:
            columns, rows = os.get_terminal_size(self._output)
        except OSError:
            return _DEFAULT_SIZE
        return (columns or _DEFAULT_SIZE[0], rows or _DEFAULT_SIZE[1])

    def draw(self, lines: Sequence[str]) -> None:
        """Show ``lines`` from the top; what does not fit is cut off.

        Raises:
            Ended: If asked to end, or the terminal is gone.
        """
        columns, rows = self.size()
        text = "\r\n".join(f"{clipped(line, columns)}{_REST_OF_LINE}" for line in lines[:rows])
        self._ending.write(self._output, f"{_HOME}{text}{_REST_OF_SCREEN}")

    def pause(self, seconds: float) -> None:
        """Wait; the key q ends the demonstration.

        Raises:
            Ended: If asked to end, by the key or otherwise.
        """
        keys = [self._input] if self._input is not None else []
        for file in self._ending.pause(seconds, keys):
            typed = os.read(file, 64)
            if not typed:
                self._input = None
            if b"q" in typed.lower():
                raise Ended

    def __enter__(self) -> Screen:
        # Stopped in the middle it would leave the terminal unusable.
        self._suspend = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        self._listen()
        os.write(self._output, _ENTER.encode())
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], at: Optional[TracebackType]
    ) -> None:
        try:
            os.write(self._output, _LEAVE.encode())
            if self._modes is not None:
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._modes)
        except (OSError, termios.error):
            pass  # the terminal is gone
        signal.signal(signal.SIGTSTP, self._suspend)

    def _listen(self) -> None:
        """Take keys as they are typed and do not show them; not if we are in the background."""
        try:
            file = sys.stdin.fileno()
            if os.tcgetpgrp(file) != os.getpgrp():
                return
            self._modes = termios.tcgetattr(file)
            quiet = termios.tcgetattr(file)
            quiet[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(file, termios.TCSADRAIN, quiet)
        except (OSError, ValueError, termios.error):
            return  # standard input is no terminal, or closed
        self._input = file
