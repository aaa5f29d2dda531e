"""``daosupctl logs``: what journalctl and ssh are asked, and what is told when they do not answer.

Both are programs of the test's own on the PATH; the real ones are asked by the tests of whole hosts.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from daosup.adapters.control import Request
from tests.integration.control_daemon import Daemon

ROOT = Path(__file__).parents[2]
NO_ENTRIES = "-- No entries --\n"
HINT = (
    "Hint: You are currently not seeing messages from other users and the system.\n"
    "      Users in groups 'adm', 'systemd-journal' can see all messages.\n"
)


class Machine:
    """A machine with nothing on its PATH but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()

    def put(self, name: str, shell: str) -> None:
        """A program of that name that notes its arguments and then does what is said."""
        program = self.path / name
        note = f"import json, sys; print(json.dumps(sys.argv[1:]), file=open({str(self.folder / name)!r}, 'a'))"
        program.write_text(f'#!/bin/sh\n{shlex.quote(sys.executable)} -c {shlex.quote(note)} "$@"\n{shell}\n')
        program.chmod(0o755)

    def calls(self, name: str) -> list[list[str]]:
        """The arguments with which a program was called, one after the other."""
        noted = self.folder / name
        return [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run daosupctl there."""
        environment = {**os.environ, "PATH": str(self.path), "DAOSUP_SOCKET": str(self.folder / "no.sock")}
        command = [sys.executable, "-m", "daosup.ctl", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("logs", "-u daosup-access@* -u daoserver@*"),
        ("logs --instance master", "-u daosup-access@master -u daoserver@master"),
        ("logs wfs", "-u daosup-access@* -u daoserver@* SEGMENT=wfs"),
        ("logs rts:wfs -f", "-u daosup-access@* -u daoserver@* -f SOURCE=rts:wfs"),
        ("logs --since 10min", "-u daosup-access@* -u daoserver@* --since -10min"),
        ("logs --since=2h30m -n 5 -x", "-u daosup-access@* -u daoserver@* --since -2h30m -x -n 5"),
        ("logs --since today -p error --json", "-u daosup-access@* -u daoserver@* --since today -o json -p err"),
    ],
)
def test_journalctl_is_asked(machine: Machine, line: str, asked: str) -> None:
    machine.put("journalctl", "echo an entry")
    done = machine.ctl(*line.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, "an entry\n", "")
    assert machine.calls("journalctl")[-1] == asked.split()


def test_what_journalctl_ends_with_is_our_end(machine: Machine) -> None:
    machine.put("journalctl", 'case "$*" in *cat*) echo x;; *) echo sorry >&2; exit 3;; esac')
    done = machine.ctl("logs")
    assert (done.returncode, done.stderr) == (3, "sorry\n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ("logs a/b", 64, "'a/b' cannot be a segment name"),
        ("logs -p eror", 64, "there is no level 'eror'; did you mean 'error'?"),
        ("logs --socket /x.sock", 64, "logs takes no --socket; name the daosupd by --instance"),
        ("logs --instance a/b", 64, "'a/b' cannot be an instance"),
        ("logs --host -oProxyCommand=x", 64, "--host"),
        ("logs --host=-oProxyCommand=x", 64, "'-oProxyCommand=x' cannot be a host"),
        ("logs --host lab;id", 64, "'lab;id' cannot be a host"),
    ],
)
def test_a_wrong_command_line_asks_nobody(machine: Machine, arguments: str, code: int, told: str) -> None:
    machine.put("journalctl", "echo an entry")
    machine.put("ssh", "echo an entry")
    check_refused(machine.ctl(*arguments.split()), code, told)
    assert machine.calls("journalctl") == machine.calls("ssh") == []


def check_refused(done: subprocess.CompletedProcess[str], code: int, told: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("daosupctl: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


@pytest.mark.parametrize(
    ("shell", "arguments", "code", "told"),
    [
        (
            f"printf %s {shlex.quote(NO_ENTRIES)}",
            "logs",
            69,
            "has nothing of daoserver@*; a daosupd that was started by",
        ),
        (
            "echo Failed to add filter for units: No data available >&2; exit 1",
            "logs",
            69,
            "the journal has nothing of",
        ),
        ("echo No journal files were found. >&2", "logs --since 1h", 69, "the journal has nothing of daoserver@*"),
        (f"printf %s {shlex.quote(HINT)} >&2", "logs", 77, "join its group (usermod -aG systemd-journal USER"),
        (
            "echo No journal files were opened due to insufficient permissions. >&2; exit 1",
            "logs",
            77,
            "systemd-journal",
        ),
        ("echo Failed to parse timestamp: soon >&2; exit 1", "logs --since soon", 64, "--since 'soon' is not a time"),
        ("echo Failed to open journal: Bad message >&2; exit 1", "logs", 69, "journalctl: Failed to open journal: Bad"),
    ],
)
def test_why_there_is_nothing_to_see_is_told_in_one_line(
    machine: Machine, shell: str, arguments: str, code: int, told: str
) -> None:
    machine.put("journalctl", shell)
    check_refused(machine.ctl(*arguments.split()), code, told)


def test_that_nothing_happened_lately_is_no_mistake(machine: Machine) -> None:
    machine.put("journalctl", 'case "$*" in *since*) echo "-- No entries --";; *) echo an entry;; esac')
    done = machine.ctl("logs", "--since", "1min")
    assert (done.returncode, done.stdout) == (0, NO_ENTRIES)


def test_a_machine_without_journalctl_or_ssh(machine: Machine) -> None:
    check_refused(machine.ctl("logs"), 69, "there is no journalctl on this machine")
    check_refused(machine.ctl("logs", "--host", "lab"), 69, "there is no ssh on this machine")


# another host


def test_another_host_is_asked_by_ssh_with_the_same_words(machine: Machine) -> None:
    machine.put("journalctl", "echo ours")
    machine.put("ssh", 'case "$1" in -G) echo hostname localhost;; *) echo theirs; echo a word >&2; exit 1;; esac')
    line = [
        "logs",
        "rts:it's",
        "-f",
        "-n",
        "5",
        "-p",
        "warning",
        "--json",
        "--since",
        "10 min",
        "--host",
        "me@localhost",
    ]
    done = machine.ctl(*line, "--instance", "master")
    assert (done.returncode, done.stdout, done.stderr) == (1, "theirs\n", "a word\n")
    assert machine.calls("journalctl") == []
    asked = machine.calls("ssh")[-1]
    assert asked[:-1] == ["--", "me@localhost"]
    expected = ["daosupctl", "logs", "--json", "-f", "-n", "5", "-p", "warning", "--instance", "master", "--since"]
    words = shlex.split(asked[-1])
    assert words == [*expected[:-1], "--since=10 min", "--", "rts:it's"]


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        ("echo 'ssh: connect to host localhost port 22: Connection refused' >&2; exit 255", "by ssh: connect to host"),
        ("exit 255", "localhost cannot be reached by ssh: ssh says nothing"),
        (
            "echo bash: daosupctl: command not found >&2; exit 127",
            "localhost has no daosupctl in the PATH of its shell",
        ),
    ],
)
def test_a_host_that_cannot_be_asked(machine: Machine, shell: str, told: str) -> None:
    machine.put("ssh", f'case "$1" in -G) echo hostname localhost;; *) {shell};; esac')
    check_refused(machine.ctl("logs", "--host", "localhost"), 69, told)


class Registry(Daemon):
    """A daemon that knows two hosts."""

    async def handle(self, request: Request) -> object:
        assert request.command == "machines"
        return [{"hostname": name, "ip": f"192.0.2.{number}"} for number, name in enumerate(("rts-one", "lab-one"))]


def test_a_host_that_only_our_daemon_knows_is_asked_at_its_address(machine: Machine) -> None:
    daemon = Registry(machine.folder / "no.sock")
    daemon.start()
    try:
        machine.put("ssh", 'case "$1" in -G) echo hostname "$3";; *) echo theirs;; esac')
        done = machine.ctl("logs", "--host", "lab-one")
        assert (done.returncode, done.stdout, done.stderr) == (0, "theirs\n", "")
        assert machine.calls("ssh")[-1] == ["-o", "HostName=192.0.2.1", "--", "lab-one", "daosupctl logs"]
        check_refused(
            machine.ctl("logs", "--host", "lab-on"), 69, "nobody knows a host 'lab-on'; did you mean 'lab-one'"
        )
    finally:
        daemon.end()
