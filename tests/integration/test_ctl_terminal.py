"""The terminal while something lives on it: restored whatever happens, and never told more than it can show."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.integration.terminals import Terminal
from tests.waiting import wait_until

PROGRAM = """
import sys, time
from daosup.ctl.ending import Ended, Ending
from daosup.ctl.terminal import Terminal
count = 0
typed = []
with Ending() as ending:
    try:
        with Terminal(ending) as terminal:
            while True:
                if terminal.is_ready:
                    count += 1
                    columns, rows = terminal.size()
                    picture = ["#" * columns] * (rows - 3) if count % 2 else ["." * columns] * (rows - 3)
                    terminal.draw([f"count {count} of {columns}x{rows}", " ".join(typed), *picture, "end"])
                typed += terminal.keys(0.01)
                if "!" in typed:
                    raise ZeroDivisionError("as asked")
    except Ended as ended:
        sys.exit(ended.exit_code)
"""
FRAME_BYTES = 80 * 21


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return [sys.executable, str(path)]


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_the_terminal_as_it_was(
    program: list[str], number: signal.Signals, exit_code: int
) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("count 3 of 80x24")
        assert terminal.is_alternate
        assert not terminal.has_cursor
        terminal.send(number)
        assert terminal.wait_end() == exit_code
        assert terminal.is_restored
        assert terminal.lines == [""]


def test_an_error_is_told_on_the_terminal_as_it_was(program: list[str]) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("count 3")
        terminal.type("!")
        assert terminal.wait_end() == 1
        assert terminal.is_restored
        assert "ZeroDivisionError: as asked" in terminal.text


def test_what_the_terminal_answered_last_is_not_left_for_the_shell(program: list[str]) -> None:
    shell = [
        "bash",
        "--norc",
        "--noprofile",
        "-c",
        '"$@"; echo "ended with $?"; read -t 0.3 -n 20 left; echo "<$left>"',
        "-",
    ]
    with Terminal([*shell, *program]) as terminal:
        terminal.wait_for("count 5")
        terminal.type("\x03")
        terminal.wait_for("<>")


def test_ctrl_z_stops_it_with_the_terminal_as_it_was_and_it_goes_on(program: list[str]) -> None:
    with Terminal(["bash", "--norc", "--noprofile", "-i"], environment={"PS1": "prompt> "}) as terminal:
        terminal.wait_for("prompt>")
        terminal.type(f"stty -g >before; {' '.join(program)}\n".replace("before", f"{program[1]}.before"))
        terminal.wait_for("count 3")
        terminal.type("\x1a")
        terminal.wait_for("Stopped")
        assert not terminal.is_alternate
        assert terminal.has_cursor
        terminal.type("fg\n")
        terminal.wait_for("of 80x24")
        assert terminal.is_alternate
        terminal.type("x")
        terminal.wait_for("\nx\n")
        terminal.type("\x03")
        # Not before the shell reads again: what is typed at a program that ends is thrown away.
        terminal.wait_for(lambda: terminal.lines[-1] == "prompt>", told="the prompt")
        terminal.type(f"stty -g | cmp - {program[1]}.before && echo as it was\n")
        terminal.wait_for("\nas it was")
        terminal.type("exit\n")
        terminal.wait_end()


def test_one_that_was_stopped_from_outside_takes_the_terminal_again(program: list[str]) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("count 3")
        terminal.send(signal.SIGSTOP)
        terminal.wait_quiet(0.1)
        terminal.written.clear()
        terminal.send(signal.SIGCONT)
        terminal.wait_for(lambda: b"\033[?1049h" in terminal.written, told="the other screen")
        terminal.type("x")
        terminal.wait_for("\nx\n")


def test_another_size_is_drawn_at_once(program: list[str]) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("of 80x24")
        terminal.resize(100, 10)
        terminal.wait_for("of 100x10")
        assert terminal.lines[-1] == "end"
        terminal.resize(40, 30)
        terminal.wait_for("of 40x30")


def test_a_terminal_that_is_gone_ends_it(program: list[str]) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("count 3")
        terminal.hang_up()
        wait_until(lambda: terminal.process.poll() is not None, 10.0, "its end")
        assert terminal.process.returncode == 129


def test_on_a_slow_line_no_more_than_one_picture_is_under_way(program: list[str]) -> None:
    with Terminal(program) as terminal:
        terminal.wait_for("count 5")
        terminal.is_answering = False  # what it sees from now on is on the line
        terminal.wait_quiet(0.2)
        terminal.written.clear()
        terminal.wait_quiet(1.5)
        assert len(terminal.written) == 0
        terminal.is_answering = True
        terminal.type("\033[0n")
        terminal.wait_for(lambda: len(terminal.written) > 3 * FRAME_BYTES, told="more pictures")


def test_a_terminal_that_answers_nothing_gets_a_picture_now_and_then(program: list[str]) -> None:
    with Terminal(program) as terminal:
        terminal.is_answering = False
        terminal.wait_for("count 2", 5.0)
        terminal.type("x")
        terminal.wait_for("\nx\n", 5.0)
        terminal.type("\x03")
        assert terminal.wait_end() == 130
        assert terminal.is_restored


def test_a_line_that_stands_still_does_not_keep_it_from_ending(program: list[str]) -> None:
    with Terminal(program, columns=500, rows=200) as terminal:
        # Nothing is read: it hangs in the middle of a picture of 100 kB.
        wait_until(lambda: terminal.pending_bytes > 3000, 10.0, "a full line")
        terminal.send(signal.SIGTERM)
        wait_until(lambda: terminal.process.poll() is not None, 5.0, "its end")
