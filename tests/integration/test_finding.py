"""ls and who on real hosts, and what is said of names that nobody knows; also what it looks like in a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from daosup.shm import Segment
from tests.integration.commands import NOBODY, daosupctl
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import filming
from tests.integration.terminals import check_golden, screen_of, steady
from tests.integration.test_segment_users import READER
from tests.old_daemon.peer import OldPeer
from tests.schemas import check
from tests.waiting import wait_until


def json_of(host: Host, *arguments: str) -> Any:
    done = daosupctl(host, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    check(arguments[0], told)
    return told


def segments_of(host: Host, *arguments: str) -> dict[str, Any]:
    """What ls tells, by HOST:NAME."""
    return {
        f"{each['hostname']}:{segment['name']}": segment
        for each in json_of(host, "ls", *arguments)
        for segment in each["segments"]
    }


@pytest.fixture
def wfs(hosts: Fleet) -> Iterator[Segment]:
    """A segment of rts, written a hundred times a second."""
    segment = hosts.rts.create("f_wfs", (24, 24), "uint16", depth=4)
    with filming(segment, 0.01):
        yield segment
    segment.unlink()
    segment.close()


@pytest.fixture
def reading() -> Iterator[Callable[..., int]]:
    """Starts a reader of a segment: on which semaphore, and how long it takes for a frame; returns its pid."""
    with ExitStack() as stack:

        def read(path: object, semaphore: int, busy_s: float) -> int:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", READER, str(path), str(semaphore), str(busy_s)], stdout=subprocess.PIPE
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            return process.pid

        yield read


# ls


def test_ls_on_one_host_tells_the_rates_that_each_host_counts(hosts: Fleet, wfs: Segment) -> None:
    scope = hosts.lab.create("f_scope", (100,), "float32")
    hosts.lab.mirror("rts:f_wfs").close()
    wait_until(lambda: segments_of(hosts.lab)["rts:f_wfs"]["reader_hosts"] == ["lab"], 10.0, "rts to know its reader")
    told = segments_of(hosts.lab)
    seen = told["rts:f_wfs"]
    assert (seen["shape"], seen["dtype"], seen["layout"], seen["depth"]) == ([24, 24], "uint16", "fifo", 4)
    assert (seen["nbytes"], seen["readers"], seen["writers"]) == (1152, 1, [])
    assert 30 < seen["rate_hz"] < 110
    assert seen["age_s"] < 2
    assert told["lab:f_scope"]["rate_hz"] == 0
    assert (told["lab:f_scope"]["age_s"], told["lab:f_scope"]["counter"]) == (None, 0)
    scope.unlink()


def test_ls_tells_which_hosts_write_to_a_segment(hosts: Fleet) -> None:
    dm = hosts.rts.create("f_dm", (97,), "float32")
    hosts.lab.call("mirror", source="rts:f_dm", wait_s=20, bidirectional=True)
    assert segments_of(hosts.rts, "*:f_dm")["rts:f_dm"]["writers"] == ["lab"]
    hosts.lab.call("mirror", source="rts:f_dm", wait_s=20, bidirectional=False)
    wait_until(lambda: segments_of(hosts.rts, "f_dm")["rts:f_dm"]["writers"] == [], 10.0, "lab to write to it no more")
    hosts.remove("rts:f_dm", dm)


def test_a_pattern_chooses_and_what_fits_nothing_gets_the_nearest_name(hosts: Fleet, wfs: Segment) -> None:
    other = hosts.rts.create("f_other")
    assert list(segments_of(hosts.lab, "r*:f_w*")) == ["rts:f_wfs"]
    refused = daosupctl(hosts.lab, "ls", "rts:f_wsf")
    assert (refused.returncode, refused.stdout) == (69, "")
    assert refused.stderr == "daosupctl: no segment fits 'rts:f_wsf'; did you mean 'rts:f_wfs'?\n"
    other.unlink()


def test_a_host_that_stands_still_is_listed_with_what_the_registry_knows(hosts: Fleet, wfs: Segment) -> None:
    os.kill(hosts.rts.pid, signal.SIGSTOP)
    try:
        done = daosupctl(hosts.lab, "ls", "rts:*")
        told = segments_of(hosts.lab, "rts:*")["rts:f_wfs"]
    finally:
        os.kill(hosts.rts.pid, signal.SIGCONT)
    assert done.returncode == 0
    assert re.search(r"rts:f_wfs +24x24 +uint16 +- +- +- +0 +-", done.stdout)
    assert "rts: no answer within 3 s; shown is what the registry knows" in done.stdout
    assert (told["shape"], told["rate_hz"], told["reader_hosts"]) == ([24, 24], None, None)


def test_hosts_that_run_the_existing_daemon_are_listed_too(fleet: Fleet, make_old: Callable[[str], OldPeer]) -> None:
    fleet.start("lab")
    old = make_old("old")
    old.create("f_old", (5,), "float32")
    wait_until(lambda: "old:f_old" in segments_of(fleet.lab), 20.0, "the old host to be registered")
    text = daosupctl(fleet.lab, "ls").stdout
    assert "old: it runs the existing daoServer, which cannot be asked; log in there; shown is what the" in text


def test_without_a_registry_this_host_alone_is_told_of(fleet: Fleet) -> None:
    fleet.start("rts")
    segment = fleet.rts.create("f_wfs")
    fleet.redis.stop()
    wait_until(lambda: fleet.rts.status()["registry"]["state"] == "down", 10.0, "Redis to be missed")
    check("ls", json.loads(daosupctl(fleet.rts, "ls", "--json").stdout))
    done = daosupctl(fleet.rts, "ls")
    assert done.returncode == 69
    assert done.stdout.startswith("this host only: the registry at 127.0.0.1:")
    assert "rts:f_wfs" in done.stdout
    segment.unlink()
    fleet.redis.start()


# who


def test_who_tells_of_workers_and_of_others(hosts: Fleet, wfs: Segment, reading: Callable[..., int]) -> None:
    hosts.lab.mirror("rts:f_wfs").close()
    quick, slow = reading(wfs.path, 3, 0.0), reading(wfs.path, 4, 0.1)
    publisher = hosts.rts.worker_pid("rts:f_wfs")

    def looked() -> dict[str, Any]:
        """What is found once each of the two was seen waiting as it does, and camera and worker keep up."""
        found = json_of(hosts.rts, "who", "f_wfs")
        late = {each["pid"]: each["late"] for each in found["processes"]}
        is_seen = late.get(slow) is not None and late.get(quick) is not None and late[slow] > 0.5 > late[quick]
        is_quick = all(not each["behind"] for each in found["processes"] if each["worker"])
        return found if is_seen and is_quick and 30 < found["rate_hz"] < 110 else {}

    found = wait_until(looked, 30.0, "a quick and a slow reader")
    assert (found["host"], found["source"], found["path"]) == ("rts", "rts:f_wfs", wfs.path)
    assert (found["shape"], found["layout"], found["depth"]) == ([24, 24], "fifo", 4)
    by_pid = {each["pid"]: each for each in found["processes"]}
    assert by_pid.keys() >= {quick, slow, publisher, os.getpid()}
    assert (by_pid[publisher]["worker"], by_pid[publisher]["worker_source"]) == ("publisher", "rts:f_wfs")
    assert by_pid[publisher]["behind"] == 0
    assert [each["semaphore"] for each in by_pid[quick]["waits"]] == [3]
    assert by_pid[os.getpid()]["access"] == "write"
    text = daosupctl(hosts.rts, "who", "f_wfs").stdout
    assert f"({slow}) is too slow: a frame waited for it" in text


def test_who_works_for_mirrors_by_both_names_for_files_and_for_other_hosts(hosts: Fleet, wfs: Segment) -> None:
    hosts.lab.mirror("rts:f_wfs").close()
    mirror = hosts.lab.worker_pid("rts:f_wfs")
    for name in ("rts:f_wfs", "remote_rts_f_wfs"):
        found = json_of(hosts.lab, "who", name)
        assert (found["name"], found["source"]) == ("remote_rts_f_wfs", "rts:f_wfs")
        assert mirror in [each["pid"] for each in found["processes"] if each["worker"] == "mirror"]
    of_file = json_of(hosts.lab, "who", str(hosts.lab.path("remote_rts_f_wfs")))
    assert (of_file["host"], of_file["name"]) == (None, "remote_rts_f_wfs")
    assert mirror in [each["pid"] for each in of_file["processes"]]
    elsewhere = json_of(hosts.lab, "who", "f_wfs", "-H", "rts")
    assert (elsewhere["host"], elsewhere["path"]) == ("rts", wfs.path)


def test_who_does_not_hold_the_daemon_up(hosts: Fleet, wfs: Segment) -> None:
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(hosts.rts.socket), "who", "f_wfs"]
    longest_s = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as looking:
        while looking.poll() is None:
            began_s = time.monotonic()
            hosts.rts.status()
            longest_s = max(longest_s, time.monotonic() - began_s)
    assert looking.returncode == 0
    assert longest_s < 0.3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_not_see_everybody_is_told_so(hosts: Fleet, wfs: Segment, reading: Callable[..., int]) -> None:
    hosts.folder.chmod(0o755)
    pid = reading(wfs.path, 3, 0.0)
    found = json.loads(who_as_nobody(hosts.rts, "f_wfs", "--json"))
    check("who", found)
    # The daemon, which may, has seen it for him.
    assert pid in [each["pid"] for each in found["processes"]]
    alone = who_as_nobody(hosts.rts, wfs.path)
    assert "nobody has it open, as far as is seen" in alone
    assert "may not be looked into (" in alone
    assert "all are seen with: sudo daosupctl who f_wfs" in alone


def who_as_nobody(host: Host, *arguments: str) -> str:
    """By a user who may not even read the interpreter, and so has it loaded before."""
    program = (
        "import contextlib, io, os, sys; from daosup import ctl\n"
        "with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())): ctl.main()\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "sys.exit(ctl.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--socket", str(host.socket), "who", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# names that nobody knows


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mirror", "rts:f_wsf", "--wait", "10"), "has no segment f_wsf in the registry; did you mean 'rts:f_wfs'?"),
        (("mirror", "rst:f_wfs", "--wait", "10"), "host rst is not in the registry; did you mean 'rts:f_wfs'?"),
        (("release", "rts:f_wsf"), "rts:f_wsf is not mirrored here; did you mean 'rts:f_wfs'?"),
        (("restart", "rts:f_wsf"), "rts:f_wsf is not mirrored here; did you mean 'rts:f_wfs'?"),
        (("stop", "remote_rts_f_wfs"), "has no segment remote_rts_f_wfs; did you mean 'rts:f_wfs'?"),
        (("who", "remote_rts_wfs"), "has no segment remote_rts_wfs; did you mean 'rts:f_wfs'?"),
        (("status", "rts:f_wsf"), "rts:f_wsf is not mirrored here; did you mean 'rts:f_wfs'?"),
        (("status", "-H", "rst"), "the registry knows no such host; did you mean 'rts'?"),
    ],
)
def test_a_name_that_nobody_knows_gets_the_nearest(
    hosts: Fleet, wfs: Segment, arguments: tuple[str, ...], told: str
) -> None:
    hosts.lab.mirror("rts:f_wfs").close()
    refused = daosupctl(hosts.lab, *arguments)
    assert (refused.returncode, refused.stdout) == (69, "")
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_what_is_kept_and_not_there_says_what_may_be_meant(hosts: Fleet, wfs: Segment) -> None:
    done = daosupctl(hosts.lab, "keep", "rts:f_wsf")
    assert done.returncode == 0
    assert "did you mean 'rts:f_wfs'?" in done.stdout
    daosupctl(hosts.lab, "release", "rts:f_wsf")


# screens


VARYING = {
    r"127\.0\.0\.1": "ADDRESS",
    r"\b(?:master|minion)\b": "ROLE",
    r"\d+ (?:s|min) ago": "AGO",
    r"0 s ago": "AGO",
    r"\d[\d.]* k?Hz": "RATE",
    r"frame \d+ written [^,]+": "frame N written WHEN",
    r"/\S+/segments": "FOLDER",
    r"\b\d+%": "N%",
    r"(?<=\n) *PID(?=  USER)": "PID",
    r"(?<=\n) *\d+(?= +\S+ +\S+)": "PID",
    r"python\S*(?: -m pytest| pytest)?": "PYTHON",
}


@pytest.mark.parametrize("columns", [80, 160])
def test_ls_and_who_look_like_this(hosts: Fleet, wfs: Segment, columns: int) -> None:
    hosts.lab.mirror("rts:f_wfs").close()
    wait_until(lambda: segments_of(hosts.lab)["rts:f_wfs"]["reader_hosts"] == ["lab"], 10.0, "rts to know its reader")
    lines = screen_of(hosts.lab.socket, "ls", columns=columns)
    assert max(map(len, lines)) <= columns
    check_golden(f"ls-{columns}", steady(lines, VARYING, is_loose=True))
    lines = screen_of(hosts.lab.socket, "who", "rts:f_wfs", columns=columns)
    assert max(map(len, lines)) <= columns
    # On some machines not even root may look into all.
    lines = lines[: next((at for at, line in enumerate(lines) if "may not be looked into" in line), None)]
    check_golden(f"who-{columns}", steady(lines, VARYING, is_loose=True))
