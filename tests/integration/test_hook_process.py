"""Programs that are run for events: real ones, good and bad."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from daosup.adapters.hook_process import MAX_KEPT_BYTES, HookEnd, HookProcess
from tests.waiting import wait_until

GIVEN = b'{"event": "worker-died"}\n'


def run(*command: str, timeout_s: float = 20.0, kill_after_s: float | None = None, **environment: str) -> HookEnd:
    """Run a program to its end; a loop that it held up would be noticed."""

    async def go_on() -> HookEnd:
        ended: asyncio.Future[HookEnd] = asyncio.get_running_loop().create_future()
        process = HookProcess(
            command, GIVEN, {**os.environ, **environment}, timeout_s, lambda same, end: ended.set_result(end)
        )
        if kill_after_s is not None:
            asyncio.get_running_loop().call_later(kill_after_s, process.kill)
        longest_s, last_s = 0.0, time.monotonic()
        while not ended.done():
            await asyncio.sleep(0.005)
            longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
        assert longest_s < 0.5
        return ended.result()

    return asyncio.run(go_on())


def test_it_is_given_the_event_and_what_it_says_is_kept() -> None:
    assert run("/bin/cat") == HookEnd(None, GIVEN.decode().rstrip(), 0)
    assert run("/bin/sh", "-c", "echo $WHAT; echo oh >&2", WHAT="x") == HookEnd(None, "x\noh", 0)
    assert run("/bin/true") == HookEnd(None, "", 0)


def test_no_shell_sees_its_words() -> None:
    words = ["$(id)", "; touch /x", "a  b", "*", "--help", "\n"]
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    end = run(sys.executable, "-c", program, *words)
    assert end.output == '["$(id)", "; touch /x", "a  b", "*", "--help", "\\n"]'


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        (("/bin/false",), "exited with code 1"),
        (("/bin/sh", "-c", "kill -SEGV $$"), "killed by SIGSEGV"),
        (("/no/such/program",), "exited with code 127"),
        (("/etc/passwd",), "exited with code 126"),
    ],
)
def test_how_it_failed_is_told(command: tuple[str, ...], failure: str) -> None:
    end = run(*command)
    assert end.failure == failure
    assert not command[0].startswith(("/no", "/etc")) or command[0] in end.output


@pytest.mark.parametrize("ignored", ["", "trap '' TERM; "])
def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path, ignored: str) -> None:
    began_s = time.monotonic()
    end = run("/bin/sh", "-c", f"{ignored}sleep 60 & echo $! > {tmp_path}/pid; echo begun; wait; wait", timeout_s=0.3)
    assert end == HookEnd("it was ended after 0.3 s", "begun", 0)
    assert time.monotonic() - began_s < 10
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid), 5.0, "what it started to end")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_can_be_killed() -> None:
    end = run("/bin/sh", "-c", "trap '' TERM; sleep 60; sleep 60", kill_after_s=0.2)
    assert end.failure == "killed by SIGKILL"


def test_one_that_writes_without_end_waits_and_costs_nothing() -> None:
    end = run("/bin/sh", "-c", "echo first; yes; echo never", timeout_s=1.0)
    assert end.failure == "it was ended after 1 s"
    assert end.output.startswith("first\ny\n")
    assert len(end.output) <= 2 * MAX_KEPT_BYTES + 1
    # A pipe's worth in each pause; unbounded it would have been gigabytes.
    assert 0 < end.cut_bytes < 20_000_000


def test_one_that_goes_on_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    end = run("/bin/sh", "-c", f"setsid sleep 60 & echo $! > {tmp_path}/pid; echo left")
    try:
        assert end == HookEnd(None, "left", 0)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_nothing_of_ours_is_left_open_in_it() -> None:
    end = run("/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '")
    assert end.output.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


def test_odd_bytes_are_text() -> None:
    assert run("/usr/bin/printf", r"\377\000a").output == "\ufffd\0a"
