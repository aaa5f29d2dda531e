"""Terminals in which a test runs a program, types, and sees what is on the screen.

A program has the terminal as if a shell had started it: its keys are signals where they should be, and it can be
stopped and continued. The screen is an emulator's (pyte), with an alternate screen, colours, and answers to what
programs ask a terminal. It is read only while a test waits: a terminal that is not read is a line that stands still.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import fcntl
import functools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Union

import pyte

from tests.integration.shells import environment as shell_environment

DEADLINE_S = 20.0
#: A screen on which nothing changes for so long is taken to be drawn.
_QUIET_S = 0.3
_ALTERNATE = 1049
_GOLDEN = Path(__file__).parents[1] / "golden"

_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class _Screen(pyte.Screen):
    """pyte's, with an alternate screen."""

    is_alternate = False

    def set_mode(self, *modes: int, **options: Any) -> None:
        if options.get("private") and _ALTERNATE in modes and not self.is_alternate:
            self._main = copy.deepcopy(self.buffer), copy.copy(self.cursor)
            self.is_alternate = True
            self.erase_in_display(2)
        super().set_mode(*modes, **options)

    def reset_mode(self, *modes: int, **options: Any) -> None:
        super().reset_mode(*modes, **options)
        if options.get("private") and _ALTERNATE in modes and self.is_alternate:
            self.buffer, self.cursor = self._main
            self.is_alternate = False
            self.dirty.update(range(self.lines))


class Terminal:
    """A program in a terminal.

    Args:
        command: The program and its arguments; ``daosupctl`` is found.
        columns: Width of the terminal.
        rows: Its height.
        environment: What is different from the test's own; None takes a variable away.
    """

    def __init__(
        self,
        command: Sequence[Union[str, Path]],
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, Union[str, None]] = {},
    ) -> None:
        known = {**shell_environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        known = {key: value for key, value in {**known, "NO_COLOR": None, **environment}.items() if value is not None}
        self._screen = _Screen(columns, rows)
        self._screen.write_process_input = self._answer
        self._stream = pyte.ByteStream(self._screen)
        self._controller, self._terminal = pty.openpty()
        self._set_size()
        #: Everything that was written to the terminal so far.
        self.written = bytearray()
        #: Whether it answers when it is asked for its state, as a line that is not cut does.
        self.is_answering = True
        self.modes = termios.tcgetattr(self._terminal)
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _TAKE_TERMINAL, *map(str, command)],
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=self._terminal,
            start_new_session=True,
            env=known,
        )

    # -- what is seen

    @property
    def lines(self) -> list[str]:
        """The screen, without blanks at the end of lines and empty lines at its end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip("\n").split("\n")

    @property
    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    @property
    def is_alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self._screen.is_alternate

    @property
    def has_cursor(self) -> bool:
        """Whether the cursor is shown."""
        return not self._screen.cursor.hidden

    @property
    def is_restored(self) -> bool:
        """Whether all is as it was before the program: screen, cursor, colours, how keys are read."""
        is_plain = self._screen.cursor.attrs == self._screen.default_char
        is_main = not self.is_alternate and self.has_cursor and is_plain
        return is_main and termios.tcgetattr(self._terminal) == self.modes

    @property
    def pending_bytes(self) -> int:
        """What the program wrote and nobody read."""
        return int(struct.unpack("i", fcntl.ioctl(self._controller, termios.FIONREAD, bytes(4)))[0])

    def colours_at(self, row: int, column: int) -> tuple[str, str]:
        """Of a character: foreground and background, as pyte has them: names, or six hexadecimal digits."""
        cell = self._screen.buffer[row][column]
        return cell.fg, cell.bg

    def is_reverse_at(self, row: int, column: int) -> bool:
        """Whether a character is shown in reverse."""
        return bool(self._screen.buffer[row][column].reverse)

    # -- what is done

    def wait_for(
        self, what: Union[str, Callable[[], object]], timeout_s: float = DEADLINE_S, told: str = "the condition"
    ) -> None:
        """Read until a text is on the screen, or a condition is true."""
        is_so: Callable[[], object] = (lambda: what in self.text) if isinstance(what, str) else what
        told = repr(what) if isinstance(what, str) else told
        deadline_s = time.monotonic() + timeout_s
        while not is_so():
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"waited {timeout_s:g} s in vain for {told}; the screen is\n{self.text}"
            if not self._read(min(left_s, 0.05)) and self.process.poll() is not None:
                self._drain()
                assert is_so(), f"it ended with {self.process.returncode} before {told}; the screen is\n{self.text}"

    def wait_quiet(self, quiet_s: float = _QUIET_S, timeout_s: float = DEADLINE_S) -> None:
        """Read until nothing was written for a while."""
        deadline_s = time.monotonic() + timeout_s
        while self._read(quiet_s):
            assert time.monotonic() < deadline_s, f"it writes without a pause; the screen is\n{self.text}"

    def type(self, keys: str) -> None:
        """Type, as the keys send it."""
        os.write(self._controller, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; its program is told."""
        self._screen.resize(rows, columns)
        self._set_size()

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(number)

    def wait_end(self, timeout_s: float = DEADLINE_S) -> int:
        """Read until the program has ended; returns its exit code."""
        deadline_s = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline_s, f"it did not end within {timeout_s:g} s; the screen is\n{self.text}"
            self._read(0.02)
        self._drain()
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the terminal, as when a connection is cut."""
        os.close(self._terminal)
        os.close(self._controller)
        self._controller = -1

    def close(self) -> None:
        """End the program if it runs, and close the terminal."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._controller >= 0:
            self.hang_up()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- below

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._controller], [], [], timeout_s)[0]:
            return False
        chunk = os.read(self._controller, 1 << 16)
        self.written += chunk
        self._stream.feed(chunk)
        return True

    def _drain(self) -> None:
        while self._read(0):
            pass

    def _answer(self, text: str) -> None:
        if self.is_answering:
            os.write(self._controller, text.encode())

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, size)


@contextlib.contextmanager
def daosupctl(
    socket: Path, *arguments: str, columns: int = 80, rows: int = 24, **environment: str
) -> Iterator[Terminal]:
    """A living view of daosupctl, of the daemon at ``socket``."""
    with Terminal(["daosupctl", "--socket", socket, *arguments], columns, rows, environment) as terminal:
        yield terminal


def screen_of(socket: Path, *arguments: str, columns: int = 80, rows: int = 200, **environment: str) -> list[str]:
    """What a command of daosupctl that ends leaves on the screen of a terminal."""
    with daosupctl(socket, *arguments, columns=columns, rows=rows, **environment) as terminal:
        terminal.wait_end()
        return terminal.lines


def steady(lines: Sequence[str], words: Mapping[str, str], *, is_loose: bool = False) -> list[str]:
    """``lines`` without what is different each time.

    Args:
        lines: Of a screen.
        words: What each regular expression's match is replaced by. Where a match is longer or shorter, blanks after
            it give way or fill up, so that columns stay where they are.
        is_loose: Whether runs of blanks count as two: for tables whose columns are as wide as what varies.
    """
    text = "\n".join(lines)
    for pattern, word in words.items():
        text = re.sub(f"(?:{pattern})( *)", functools.partial(_filled, word), text)
    if is_loose:
        text = re.sub(" {2,}", "  ", text)
    return [line.rstrip() for line in text.split("\n")]


def _filled(word: str, match: re.Match[str]) -> str:
    blanks = match[match.re.groups]
    return word.ljust(len(match[0])) if len(word) < len(match[0]) else word + " " * min(1, len(blanks))


def check_golden(name: str, lines: Sequence[str]) -> None:
    """Compare a screen with tests/golden/NAME.txt; with DAOSUP_GOLDEN=write in the environment, write that file."""
    path, text = _GOLDEN / f"{name}.txt", "\n".join(lines) + "\n"
    if os.environ.get("DAOSUP_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert path.exists(), (
        f"there is no {path.name}; if the screen is right, run again with DAOSUP_GOLDEN=write:\n{text}"
    )
    golden = path.read_text("utf-8")
    changes = "\n".join(
        difflib.unified_diff(golden.splitlines(), text.splitlines(), path.name, "now", lineterm="", n=0)
    )
    assert text == golden, f"{path.name} is another screen; if this is right: DAOSUP_GOLDEN=write\n{changes}"
