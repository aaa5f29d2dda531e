"""The terminal in which tests look at programs is one."""

from __future__ import annotations

import signal
import sys

from tests.integration.terminals import Terminal, steady

PROGRAM = """
import os, signal, sys, termios, time
def write(text):
    os.write(1, text.encode())
modes = termios.tcgetattr(0)
quiet = termios.tcgetattr(0)
quiet[3] &= ~(termios.ECHO | termios.ICANON)
termios.tcsetattr(0, termios.TCSANOW, quiet)
write("\\033[?1049h\\033[?25l\\033[H\\033[38;2;1;2;255mblue\\033[0m \\033[5n")
signal.signal(signal.SIGWINCH, lambda *_: write(f"\\r\\n{os.get_terminal_size(1)}"))
answer = os.read(0, 10)
write(repr(answer) + " ready")
try:
    while os.read(0, 10) != b"q":
        pass
except KeyboardInterrupt:
    write("\\033[0m\\033[?25h\\033[?1049l")
    termios.tcsetattr(0, termios.TCSANOW, modes)
    sys.exit(3)
sys.exit(4)
"""


def started(**options: object) -> Terminal:
    return Terminal([sys.executable, "-c", PROGRAM], **options)  # type: ignore[arg-type]


def test_it_has_a_screen_a_size_keys_and_answers() -> None:
    with started(columns=70, rows=20) as terminal:
        terminal.wait_for("blue b'\\x1b[0n' ready")
        assert terminal.colours_at(0, 0) == ("0102ff", "default")
        assert terminal.is_alternate
        assert not terminal.is_restored
        terminal.resize(100, 30)
        terminal.wait_for("columns=100, lines=30")
        terminal.type("q")
        assert terminal.wait_end() == 4
        assert not terminal.is_restored


def test_ctrl_c_is_a_signal_and_what_was_restored_is_seen() -> None:
    with started() as terminal:
        terminal.wait_for("ready")
        terminal.type("\x03")
        assert terminal.wait_end() == 3
        assert terminal.is_restored
        assert terminal.lines == [""]


def test_a_program_that_is_killed_restores_nothing() -> None:
    with started() as terminal:
        terminal.wait_for("ready")
        terminal.send(signal.SIGKILL)
        assert terminal.wait_end() == -signal.SIGKILL
        assert not terminal.is_restored


def test_what_varies_is_replaced_and_columns_stay() -> None:
    words = {r"\d+ Hz": "RATE", r"\d+\.\d+ ms": "AGE"}
    assert steady(["a  1200 Hz  0.12 ms", "b     4 Hz  1.5 ms"], words) == ["a  RATE     AGE", "b     RATE  AGE"]
    assert steady(["a  1200 Hz  x", "b  4 Hz     x"], words, is_loose=True) == ["a  RATE  x", "b  RATE  x"]
