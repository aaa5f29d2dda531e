"""daosupctl as a process, against a real control socket."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daosup.adapters.control import Request
from daosup.errors import DeniedError, NoAnswerError, NotFoundError, UnsupportedError, UsageError
from tests.integration.control_daemon import DEADLINE_S, Daemon
from tests.status_samples import a_status, a_worker
from tests.waiting import wait_until

MACHINES = [
    {
        "hostname": "rts",
        "ip": "10.0.0.1",
        "role": "master",
        "last_connect": "2026-11-20T12:00:00+00:00",
        "segments": [{"name": "wfs", "shape": [240, 240], "dtype": "uint16", "readers": 1}],
    }
]
MIRROR = {
    "name": "remote_rts_wfs",
    "path": "/tmp/remote_rts_wfs.im.shm",
    "shape": [240, 240],
    "dtype": "uint16",
    "state": "running",
}


class Host(Daemon):
    """Answers as a daemon of the host rts would."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.requests: list[Request] = []
        self.status = a_status()
        self.raises: Exception | None = None

    async def handle(self, request: Request) -> object:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        if self.raises is not None:
            raise self.raises
        if request.command == "status":
            return self.status
        if request.command == "machines":
            return MACHINES
        if request.command == "mirror" and request.arguments["source"] == "rts:slow":
            await self.released.wait()
        return MIRROR if request.command == "mirror" else {}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    daemon = Host(tmp_path / "rts.sock")
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()


def command_line(host: Host, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "daosup.ctl", "--socket", str(host.path), *arguments]


def ctl(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(host, *arguments),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        encoding="utf-8",
    )


def test_status_for_people(host: Host) -> None:
    done = ctl(host, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rts:wfs  running" in done.stdout
    assert "\033" not in done.stdout


def test_status_for_programs_is_the_daemons_answer(host: Host) -> None:
    done = ctl(host, "status", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, host.status)


@pytest.mark.parametrize(
    "changes", [{"workers": [a_worker(state="restarting")]}, {"registry": {"state": "down", "error": "refused"}}]
)
def test_status_of_a_host_in_trouble_exits_1(host: Host, changes: dict[str, Any]) -> None:
    host.status = a_status(**changes)
    done = ctl(host, "status")
    assert (done.returncode, done.stderr) == (1, "")
    assert "restarting" in done.stdout or "refused" in done.stdout


def test_ls(host: Host) -> None:
    assert "rts:wfs" in ctl(host, "ls").stdout
    (told,) = json.loads(ctl(host, "ls", "--json").stdout)
    assert {key: told[key] for key in MACHINES[0] if key != "segments"} == {
        key: value for key, value in MACHINES[0].items() if key != "segments"
    }
    assert (told["is_answering"], told["segments"][0]["readers"]) == (False, 1)


def test_ls_of_what_is_not_there_says_what_is(host: Host) -> None:
    done = ctl(host, "ls", "rts:wsf")
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == "daosupctl: no segment fits 'rts:wsf'; did you mean 'rts:wfs'?\n"


def test_mirror_and_release_ask_for_what_was_typed(host: Host) -> None:
    done = ctl(host, "mirror", "rts:wfs", "--wait", "2.5")
    assert done.stdout.startswith("rts:wfs is mirrored as remote_rts_wfs (240x240 uint16): running\n")
    assert dict(host.requests[0].arguments) == {
        "source": "rts:wfs",
        "bidirectional": False,
        "wait_s": 2.5,
        "holder": "operator",
    }
    done = ctl(host, "release", "rts:wfs")
    assert (done.returncode, done.stdout) == (0, "rts:wfs is released\n")
    assert dict(host.requests[1].arguments) == {"source": "rts:wfs"}


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (UsageError("no such thing"), 64),
        (NotFoundError("no segment\nthere"), 69),
        (NoAnswerError("no data"), 69),
        (UnsupportedError("not yet"), 76),
        (DeniedError("not you"), 77),
        (ZeroDivisionError(), 1),
    ],
)
def test_errors_are_one_line_and_an_exit_code(host: Host, error: Exception, exit_code: int) -> None:
    host.raises = error
    done = ctl(host, "mirror", "rts:wfs")
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr.startswith("daosupctl: ")
    assert done.stderr.count("\n") == 1


def test_no_daemon_is_69_and_says_how_to_start_one(tmp_path: Path) -> None:
    environment = {**os.environ, "DAOSUP_SOCKET": str(tmp_path / "lab.sock")}
    done = subprocess.run(
        [sys.executable, "-m", "daosup.ctl", "status"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 69
    assert "systemctl start daoserver@lab" in done.stderr


def test_a_closed_pipe_is_quiet(host: Host) -> None:
    host.status = a_status(workers=[a_worker() for _ in range(2000)])
    reading, writing = os.pipe()
    with subprocess.Popen(command_line(host, "status"), stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        os.close(reading)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (141, b"")


def test_a_full_disk_is_told(host: Host) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command_line(host, "status"), stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False
        )
    assert (done.returncode, done.stderr) == (74, b"daosupctl: cannot write the result: No space left on device\n")


def test_interrupted_is_130_and_quiet_and_tells_the_daemon(host: Host) -> None:
    with subprocess.Popen(
        command_line(host, "mirror", "rts:slow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        with host.changed:
            assert host.changed.wait_for(lambda: host.requests, DEADLINE_S)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, output) == (130, (b"", b""))
    host.until(host.closed)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_colours_and_its_width_unless_told_otherwise(host: Host, no_color: str) -> None:
    host.status = a_status(workers=[a_worker(source="rts:" + "long" * 30)])
    controller, terminal = pty.openpty()
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
    # A terminal's size is told to the driver, from where the program reads it.
    subprocess.run(["stty", "cols", "72", "rows", "20"], stdin=terminal, check=True)
    with subprocess.Popen(command_line(host, "status"), stdout=terminal, env=environment) as process:
        assert process.wait(DEADLINE_S) == 0
    os.close(terminal)
    output = os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert ("\033[32mrunning" in output) == (not no_color)
    plain = output.replace("\033[0m", "").replace("\033[2m", "").replace("\033[32m", "").replace("\033[1m", "")
    assert max(len(line) for line in plain.splitlines() if "running" in line or "WORKER" in line) <= 72


def test_an_ascii_terminal_is_no_trouble(host: Host) -> None:
    host.status = a_status(workers=[a_worker(age_s=35e-6)])
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command_line(host, "status"), capture_output=True, env=environment, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"35 ?s" in done.stdout


def test_status_imports_nothing_heavy(host: Host) -> None:
    program = (
        "import sys\nfrom daosup.ctl import main\n"
        f"code = main(['--socket', {str(host.path)!r}, 'status'])\n"
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr)\nraise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    loaded = set(done.stderr.split())
    assert "daosup.ctl.reports" in loaded
    assert loaded.isdisjoint(
        {"numpy", "zmq", "asyncio", "redis", "dataclasses", "inspect", "logging", "subprocess", "threading", "pathlib"}
    )


def test_a_daemon_that_answers_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        with subprocess.Popen(
            [sys.executable, "-m", "daosup.ctl", "--socket", str(path), "status"], stderr=subprocess.PIPE
        ) as process:
            connection, _ = listener.accept()
            with connection:
                wait_until(lambda: connection.recv(1 << 16), what="the request")
                connection.sendall(b'{"id": 1, "ok": true, "result": "hello"}\n')
                _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 76
    assert errors == b"daosupctl: daosupd answered with something else than an object\n"
