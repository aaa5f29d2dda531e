"""`daosupctl top` as its user has it: a real daemon, a real terminal; and one daemon with very many workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daosup.adapters.control import Request
from daosup.errors import UnavailableError, UsageError
from daosup.shm import Segment
from tests.integration.control_daemon import Daemon
from tests.integration.fleet import Fleet
from tests.integration.shells import environment
from tests.integration.streams import filming
from tests.integration.terminals import Terminal, check_golden, daosupctl, steady
from tests.status_samples import a_status, a_worker
from tests.waiting import wait_until

#: Numbers, and words of which there are two.
VARIES = {
    "master|minion": "ROLE",
    r"(?<![\w:])\d+(\.\d+)?( (min \d+ s|[mkMGµ]?(Hz|B/s|B|s)|min|%))?(?!\w)": "N",
    r"(?<= )-(?= |$)": "N",
}


@pytest.fixture
def streams(hosts: Fleet) -> Iterator[Segment]:
    """Two mirrors of lab."""
    made = [hosts.rts.create(name, (8, 8)) for name in ("wfs", "dm")]
    for segment in made:
        segment.write(np.ones((8, 8), "u2"))
        hosts.lab.mirror(f"rts:{segment.name}").close()
    yield made[0]
    for segment in made:
        hosts.remove(f"rts:{segment.name}", segment)


def selected(terminal: Terminal) -> str:
    """The source in the line that is in reverse."""
    for row, line in enumerate(terminal.lines):
        if terminal.is_reverse_at(row, 0):
            return line.split()[1]
    return ""


@pytest.mark.parametrize("columns", [80, 160])
def test_the_screen(hosts: Fleet, streams: Segment, columns: int) -> None:
    with filming(streams, 0.01), daosupctl(hosts.lab.socket, "top", columns=columns) as terminal:
        terminal.wait_for("rts:wfs")
        terminal.wait_for(lambda: "  -  " not in terminal.lines[4] and "0 Hz" not in terminal.lines[1], told="numbers")
        check_golden(f"top-{columns}", steady(terminal.lines, VARIES, is_loose=True))
        terminal.type("q")
        assert terminal.wait_end() == 0
        assert terminal.is_restored
        assert terminal.lines == [""]


def test_a_worker_is_selected_and_its_story_read(hosts: Fleet, streams: Segment) -> None:
    with daosupctl(hosts.lab.socket, "top") as terminal:
        terminal.wait_for("rts:wfs")
        assert selected(terminal) == "rts:dm"
        terminal.type("\033[B")
        terminal.wait_for(lambda: selected(terminal) == "rts:wfs", told="wfs to be selected")
        terminal.type("\r")
        terminal.wait_for("remote_rts_wfs.im.shm: 8x8 uint16")
        assert f"pid {hosts.lab.worker_pid('rts:wfs')}" in terminal.text
        terminal.type("\033")
        terminal.wait_for(lambda: selected(terminal) == "rts:wfs", told="the table")


def test_a_worker_is_restarted_stopped_and_started(hosts: Fleet, streams: Segment) -> None:
    before = hosts.lab.worker_pid("rts:wfs")
    with daosupctl(hosts.lab.socket, "top") as terminal:
        terminal.wait_for("rts:wfs")
        terminal.type("/wfs\r")
        terminal.wait_for("1 match 'wfs'")
        terminal.type("R")
        terminal.wait_for("restart rts:wfs? y")
        terminal.type("n")
        terminal.wait_for(lambda: "restart rts:wfs?" not in terminal.text)
        assert hosts.lab.worker_pid("rts:wfs") == before
        terminal.type("Ry")
        terminal.wait_for("mirror rts:wfs: running")
        assert hosts.lab.worker_pid("rts:wfs") != before
        terminal.type("Sy")
        terminal.wait_for("1 stopped")
        terminal.type("S")
        terminal.wait_for("start rts:wfs? y")
        terminal.type("y")
        terminal.wait_for("2 workers: 2 running")


def test_a_worker_is_looked_at(hosts: Fleet, streams: Segment) -> None:
    with daosupctl(hosts.lab.socket, "top") as terminal:
        terminal.wait_for("rts:wfs")
        terminal.type("v")
        terminal.wait_for("rts:dm  8x8 uint16")
        terminal.wait_for("▀")
        terminal.type("q")
        terminal.wait_for("2 workers: 2 running")
        terminal.resize(100, 12)
        terminal.wait_for(lambda: "q quit" in terminal.lines[-1] and len(terminal.lines) == 12, told="the other size")


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it(hosts: Fleet, streams: Segment, number: signal.Signals, exit_code: int) -> None:
    with daosupctl(hosts.lab.socket, "top") as terminal:
        terminal.wait_for("rts:wfs")
        terminal.send(number)
        assert terminal.wait_end() == exit_code
        assert terminal.is_restored
        assert terminal.lines == [""]


def test_of_another_host(hosts: Fleet, streams: Segment) -> None:
    with daosupctl(hosts.lab.socket, "top", "-H", "rts") as terminal:
        terminal.wait_for("publisher  rts:wfs")
        terminal.type("\r")
        terminal.wait_for("wfs.im.shm" if selected(terminal) == "rts:wfs" else "dm.im.shm")
        terminal.type("qv")
        terminal.wait_for("8x8 uint16  frame")
        terminal.type("q")
        terminal.wait_for("WORKER")
        terminal.type("Ry")
        # Nobody gave these hosts a secret.
        terminal.wait_for(lambda: re.search("restart (wfs|dm): .*secret", terminal.text), told="a refusal")


def test_a_daemon_that_goes_is_told_and_waited_for(hosts: Fleet, streams: Segment, tmp_path: Path) -> None:
    with daosupctl(hosts.lab.socket, "top") as terminal:
        terminal.wait_for("rts:wfs")
        os.kill(hosts.lab.pid, signal.SIGSTOP)
        try:
            terminal.wait_for("as of ")
            terminal.type("\033[B")
            terminal.wait_for(lambda: selected(terminal) == "rts:wfs", 2.0, "keys to be heeded")
        finally:
            os.kill(hosts.lab.pid, signal.SIGCONT)
        terminal.wait_for(lambda: "as of " not in terminal.text, told="answers again")


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (("top",), {}, "top draws on a terminal, and standard output is none; use `daosupctl status`"),
        (("top", "--json"), {}, "for programs there is `daosupctl status --json`"),
    ],
)
def test_without_a_terminal_there_is_no_top(
    hosts: Fleet, arguments: tuple[str, ...], variables: dict[str, str], told: str
) -> None:
    command = ["daosupctl", "--socket", str(hosts.lab.socket), *arguments]
    done = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (64, "")
    assert told in done.stderr


def test_a_dumb_terminal_is_told_and_no_daemon_too(hosts: Fleet, tmp_path: Path) -> None:
    with daosupctl(hosts.lab.socket, "top", TERM="dumb") as terminal:
        assert terminal.wait_end() == 64
        assert "TERM is dumb" in terminal.text
    with daosupctl(tmp_path / "none.sock", "top") as terminal:
        assert terminal.wait_end() == 69
        assert b"\033[?1049h" not in terminal.written


class Crowded(Daemon):
    """A daemon with 1,500 workers, of an older version: it knows no stories."""

    count = 0

    async def handle(self, request: Request) -> object:
        if request.command != "status":
            raise UsageError(f"unknown command {request.command!r}")
        self.count += 1
        if self.count == 5:
            raise UnavailableError("it is being replaced")
        rows = [a_worker(source=f"rts:w{number:04}", pid=number, rate_hz=self.count) for number in range(1500)]
        return a_status(workers=rows)


def test_fifteen_hundred_workers_of_an_older_daemon(tmp_path: Path) -> None:
    daemon = Crowded(tmp_path / "rts.sock")
    try:
        daemon.start()
        with daosupctl(daemon.path, "top", columns=160, rows=50) as terminal:
            terminal.wait_for("1500 workers: 1500 running")
            terminal.type("\033[F")
            terminal.wait_for("rts:w1499", 2.0)
            terminal.type("\r")
            terminal.wait_for("update it", 10.0)
            terminal.type("q")
            wait_until(lambda: daemon.count >= 6, 20.0, "more questions")
            terminal.type("/w0007\r")
            terminal.wait_for("1 match 'w0007'")
            terminal.type("q")
            assert terminal.wait_end(5.0) == 0
    finally:
        daemon.end()
