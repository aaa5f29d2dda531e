"""daosupctl status in a terminal: as wide as that is, once and again and again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from daosup.shm import Keyword, Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.shells import environment
from tests.integration.streams import filming
from tests.integration.terminals import Terminal, check_golden, daosupctl, screen_of, steady
from tests.schemas import check
from tests.waiting import wait_until

#: Numbers, words of which there are two, paths and ids.
VARIES = {
    r"/\S*?/fleet-\w+": "/FLEET",
    r"(redis|valkey) [\d.]+": "SERVER",
    r"[0-9a-f]{8}-\d+": "CAUSE",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": "TIME",
    r"127\.0\.0\.1:\d+": "ADDRESS",
    "master|minion": "ROLE",
    r"(?<=lease    )[^\n]*": "LEASE",
    r", \d+ passed over for a newer one": "",
    r"(?<![\w:/])\d+(\.\d+)?( (min \d+ s|[mkMGµ]?(Hz|B/s|B|s)|min|%))?(?![\w:])": "N",
    r"(?<= )-(?= |$)": "N",
}


@pytest.fixture
def streams(hosts: Fleet) -> Iterator[Segment]:
    """Two mirrors of lab; one source is written."""
    yield from _streams(hosts)


@pytest.fixture
def new_streams(fleet: Fleet) -> Iterator[Fleet]:
    """The same on hosts to which nothing else has happened."""
    fleet.start("rts", "lab")
    for _ in _streams(fleet):
        yield fleet


def is_sampled(host: Host) -> bool:
    """Whether all is known of its workers that can be."""
    written, quiet = (host.worker(f"rts:{name}") or {} for name in ("wfs", "dm"))
    return bool(written.get("latency") and written["cpu"] is not None and quiet.get("cpu") is not None)


def _streams(hosts: Fleet) -> Iterator[Segment]:
    given = [Keyword("GAIN", 0.5, "of the loop")]
    made = [hosts.rts.create(name, (8, 8), keywords=given) for name in ("wfs", "dm")]
    for segment in made:
        segment.write(np.ones((8, 8), "u2"))
        hosts.lab.mirror(f"rts:{segment.name}").close()
    with filming(made[0], 0.01):
        wait_until(lambda: all(map(is_sampled, (hosts.lab, hosts.rts))), 10.0, "rates and latencies")
        yield made[0]
    for segment in made:
        hosts.remove(f"rts:{segment.name}", segment)


def test_the_screens(new_streams: Fleet) -> None:
    for columns in (80, 160):
        for host in (new_streams.lab, new_streams.rts):
            lines = screen_of(host.socket, "status", columns=columns, NO_COLOR="1")
            assert max(map(len, lines)) <= columns
            check_golden(f"status-{host.name}-{columns}", steady(lines, VARIES, is_loose=True))
            lines = screen_of(host.socket, "status", "rts:wfs", columns=columns, NO_COLOR="1")
            assert max(map(len, lines)) <= columns
            told = steady(unfolded(lines), VARIES, is_loose=True)
            check_golden(f"status-name-{host.name}-{columns}", [re.sub(r"\bN  ", "N ", line) for line in told])


def unfolded(lines: list[str]) -> list[str]:
    """Where a line is folded depends on its numbers, and so does how much room they take."""
    return re.sub(r"\n {2,}", " ", "\n".join(lines)).split("\n")


def test_the_story_of_one_that_died_says_why(hosts: Fleet, streams: Segment) -> None:
    os.kill(hosts.lab.worker_pid("rts:dm"), signal.SIGKILL)
    wait_until(lambda: (hosts.lab.worker("rts:dm") or {}).get("restarts"), 10.0, "the restart")
    text = "\n".join(screen_of(hosts.lab.socket, "status", "rts:dm", "-v", columns=100))
    assert re.search(r"last exit  killed by SIGKILL, [\d.]+ m?s ago, at \d{4}-", text)
    told = re.findall(r"worker died; it is started again: killed by SIGKILL\s+\[(\S+)\]", text)
    assert len(told) == 1
    assert f"worker ready [{told[0]}]" in " ".join(text.split())  # one story


def test_it_lives_on_a_screen_of_its_own_until_q(hosts: Fleet, streams: Segment) -> None:
    with daosupctl(hosts.lab.socket, "status", "--watch", "0.2") as terminal:
        terminal.wait_for("rts:wfs")
        assert terminal.is_alternate
        assert terminal.lines[0].startswith("daosupctl status, every 200 ms; q ends")
        hosts.lab.call("stop", name="rts:dm")
        terminal.wait_for("`daosupctl start rts:dm` starts it")
        hosts.lab.call("start", name="rts:dm")
        terminal.wait_for(lambda: "starts it" not in terminal.text, told="the start")
        terminal.resize(160, 30)
        terminal.wait_for("MEMORY")
        terminal.resize(60, 8)
        terminal.wait_for("lines more; a taller window shows them")
        terminal.type("q")
        assert terminal.wait_end() == 0
        assert terminal.is_restored


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_the_terminal_as_it_was(hosts: Fleet, streams: Segment, number: signal.Signals) -> None:
    with daosupctl(hosts.lab.socket, "status", "rts:wfs", "--watch") as terminal:
        terminal.wait_for("remote_rts_wfs")
        terminal.type("\003") if number == signal.SIGINT else terminal.send(number)
        assert terminal.wait_end() == 128 + number
        assert terminal.is_restored
        assert "Traceback" not in terminal.text


def test_a_daemon_that_goes_away_and_comes_back_is_told(fleet: Fleet) -> None:
    fleet.start("rts")
    with daosupctl(fleet.rts.socket, "status", "--watch", "0.2") as terminal:
        terminal.wait_for("no segments here")
        fleet.rts.kill_all()
        terminal.wait_for("no answer, this is")
        assert "no segments here" in terminal.text
        fleet.rts.start()
        terminal.wait_for(lambda: "no answer" not in terminal.text, told="an answer")
        terminal.type("q")
        assert terminal.wait_end() == 0


def test_ctrl_c_is_heeded_while_a_daemon_does_not_answer(fleet: Fleet) -> None:
    fleet.start("rts")
    with daosupctl(fleet.rts.socket, "status", "--watch", "0.2") as terminal:
        terminal.wait_for("no segments here")
        os.kill(fleet.rts.pid, signal.SIGSTOP)
        try:
            terminal.wait_for("no answer, this is")
            terminal.type("\003")
            assert terminal.wait_end(3.0) == 130
        finally:
            os.kill(fleet.rts.pid, signal.SIGCONT)
        assert terminal.is_restored


def test_into_a_pipe_it_prints_one_answer_after_the_other(hosts: Fleet, streams: Segment) -> None:
    command = ["daosupctl", "--socket", str(hosts.lab.socket), "status", "--watch", "0.1"]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, env=environment()) as watching:
        assert watching.stdout is not None
        for _ in range(3):
            check("status", json.loads(watching.stdout.readline()))
        watching.stdout.close()
        assert watching.wait(10) == 141  # the pipe is closed
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert b"lab" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
        assert watching.stderr.read() == b""
        watching.stdout.read()


def test_a_terminal_that_cannot_move_its_cursor_is_written_to_as_a_pipe(hosts: Fleet, streams: Segment) -> None:
    command = ["daosupctl", "--socket", str(hosts.lab.socket), "status", "--watch", "0.1"]
    with Terminal(command, 80, 24, {"TERM": "dumb"}) as terminal:
        terminal.wait_for("rts:wfs")
        terminal.type("\003")
        assert terminal.wait_end() == 130
        assert b"\033" not in terminal.written
