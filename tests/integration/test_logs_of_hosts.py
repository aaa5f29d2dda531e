"""``daosupctl logs`` of other hosts, by their daemons, merged, followed; each has a journalctl of the test's own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.commands import DEADLINE_S, daosupctl
from tests.integration.fleet import Fleet, Host
from tests.waiting import wait_until

#: Shows the entries of a file; what it was asked is noted beside.
JOURNALCTL = """
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
with (folder / "asked").open("a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
if (folder / "complaint").exists():
    sys.exit((folder / "complaint").read_text())
lines = (folder / "entries").read_text().splitlines()
after = [word.partition("=")[2] for word in sys.argv if word.startswith("--after-cursor=")]
cursors = [json.loads(line)["__CURSOR"] for line in lines]
print(*(lines[cursors.index(after[0]) + 1 :] if after else lines), sep="\\n")
"""


class Journal:
    """What a host's journalctl shows."""

    def __init__(self, host: Host) -> None:
        self.folder = host.folder / "bin"
        self.folder.mkdir()
        self._entries = self.folder / "entries"
        self._entries.touch()
        program = self.folder / "journalctl"
        program.write_text(f"#!{sys.executable}\n{JOURNALCTL}")
        program.chmod(0o755)
        # As systemd does it: standard error is the journal.
        begin = f'PATH={shlex.quote(str(self.folder))}:$PATH JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"'
        host.launcher = ["sh", "-c", begin, "sh"]

    def add(self, second: int, message: object, **fields: object) -> None:
        """Have an entry be written at a second."""
        count = len(self._entries.read_text().splitlines())
        entry = {
            "__CURSOR": f"s={count};i={count}",
            "__REALTIME_TIMESTAMP": str((1_795_000_000 + second) * 1_000_000),
            "MESSAGE": message,
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": "daosup",
            "_PID": "42",
            **fields,
        }
        with self._entries.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def complain(self, text: str) -> None:
        """Have it show nothing, and say why."""
        (self.folder / "complaint").write_text(text)

    @property
    def asked(self) -> list[list[str]]:
        """The arguments with which it was called."""
        noted = self.folder / "asked"
        return [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []


@pytest.fixture
def journals(fleet: Fleet) -> dict[str, Journal]:
    made = {name: Journal(fleet.add(name)) for name in ("rts", "lab")}
    fleet.start("rts", "lab")
    return made


def messages(text: str) -> list[str]:
    """Host and message of each line."""
    return [" ".join((line.split()[3], line.partition("]: ")[2])) for line in text.splitlines()]


def test_entries_of_all_hosts_are_in_the_order_in_which_they_were_written(
    fleet: Fleet, journals: dict[str, Journal]
) -> None:
    for second in range(6):
        journals["rts" if second % 3 else "lab"].add(second, f"entry {second}")
    done = daosupctl(fleet.lab, "logs", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert messages(done.stdout) == [f"{'rts' if second % 3 else 'lab'} entry {second}" for second in range(6)]
    one = daosupctl(fleet.lab, "logs", "-H", "rts")
    assert messages(one.stdout) == [f"rts entry {second}" for second in range(6) if second % 3]


def test_what_is_asked_for_is_asked_for_there(fleet: Fleet, journals: dict[str, Journal]) -> None:
    line = "logs rts:wfs -H rts --since 10min -p error -n 7"
    assert daosupctl(fleet.lab, *line.split()).returncode == 0
    assert journals["rts"].asked == [
        [
            *("--no-pager", "--all", "-o", "json", "-u", "daosup-access@rts", "-u", "daoserver@rts"),
            *("--lines=7", "--priority=err", "--since=-10min", "SOURCE=rts:wfs"),
        ]
    ]
    assert journals["lab"].asked == []


def test_nothing_in_an_entry_moves_the_cursor_or_looks_like_another(fleet: Fleet, journals: dict[str, Journal]) -> None:
    journals["rts"].add(1, "one\n\x1b[2Jtwo\nNov 01 00:00:00 rts daosup[1]: forged", PRIORITY="3")
    journals["rts"].add(2, [98, 97, 100, 255], _PID="\x1b[31m", SYSLOG_IDENTIFIER=None)
    done = daosupctl(fleet.lab, "logs", "-H", "rts")
    assert "\x1b" not in done.stdout
    first, *further, last = done.stdout.splitlines()
    assert first.endswith("]: one")
    assert further == ["    ?[2Jtwo", "    Nov 01 00:00:00 rts daosup[1]: forged"]
    assert last.endswith("]: bad�")
    told = daosupctl(fleet.lab, "logs", "-H", "rts", "--json").stdout.splitlines()
    assert [json.loads(line)["HOST"] for line in told] == ["rts", "rts"]


def test_what_it_means_is_told_beside(fleet: Fleet, journals: dict[str, Journal]) -> None:
    journals["rts"].add(1, "worker hung", NOTICE="worker-hung")
    assert "What to do: " in daosupctl(fleet.lab, "logs", "-H", "rts", "-x").stdout


def test_a_host_that_cannot_tell_is_told_and_the_others_are_shown(fleet: Fleet, journals: dict[str, Journal]) -> None:
    journals["lab"].add(1, "entry")
    journals["rts"].complain("No journal files were opened due to insufficient permissions.")
    done = daosupctl(fleet.lab, "logs", "--all")
    assert (done.returncode, messages(done.stdout)) == (77, ["lab entry"])
    assert "rts: its daosupd may not read the journal" in done.stderr
    fleet.rts.kill_all()
    wait_until(lambda: "nobody listens" in daosupctl(fleet.lab, "logs", "--all").stderr, 10.0, "rts to be missed")


def test_ssh_is_asked_where_the_daemon_cannot_tell(fleet: Fleet, journals: dict[str, Journal], tmp_path: Path) -> None:
    journals["rts"].complain("No journal files were opened due to insufficient permissions.")
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\ncase "$1" in -G) echo hostname 127.0.0.1;; *) echo by ssh;; esac\n')
    ssh.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(fleet.lab.socket), "logs", "-H", "rts"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.stdout == "by ssh\n", done.stderr
    ssh.write_text('#!/bin/sh\ncase "$1" in -G) echo hostname 127.0.0.1;; *) exit 255;; esac\n')
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 69
    assert "rts cannot be reached by ssh: ssh says nothing; by the registry: rts: its daosupd may not" in done.stderr


def test_entries_of_all_hosts_are_followed_until_ctrl_c(fleet: Fleet, journals: dict[str, Journal]) -> None:
    journals["rts"].add(1, "before")
    with subprocess.Popen(
        [sys.executable, "-m", "daosup.ctl", "--socket", str(fleet.lab.socket), "logs", "--all", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            seen = [messages(process.stdout.readline())]
            for number in range(3):
                journals["lab" if number == 1 else "rts"].add(10 + number, f"entry {number}")
                seen.append(messages(process.stdout.readline()))
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert seen == [["rts before"], ["rts entry 0"], ["lab entry 1"], ["rts entry 2"]]
    assert (process.returncode, rest) == (130, ("", ""))
