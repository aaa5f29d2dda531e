"""Who has a segment open: real processes that map it, open it, sleep on its semaphores or are too slow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from daosup.adapters import process_facts
from daosup.adapters.segment_users import SegmentUse, SegmentUser, look_at_users
from daosup.shm import Segment
from tests.meanwhile import repeated
from tests.waiting import wait_until

FRAME = np.zeros(3, "uint8")
#: Waits for frame after frame on a semaphore, and takes its time for each.
READER = """
import sys, time
from daosup.shm import Segment
segment = Segment.open(sys.argv[1], writable=False)
counter = segment.counter
print("ready", flush=True)
while True:
    counter = segment.wait(counter, 60, semaphore=int(sys.argv[2]))
    time.sleep(float(sys.argv[3]))
"""
#: It comes too late from the first frame on, and so never sleeps.
ALWAYS_LATE = """
import sys, time
from daosup.shm import Segment
segment = Segment.open(sys.argv[1], writable=False)
segment.wait(-1, 60, semaphore=int(sys.argv[2]))
print("ready", flush=True)
while True:
    segment.wait(-1, 60, semaphore=int(sys.argv[2]))
    time.sleep(0.05)
"""
HOLDER = "import sys; file = open(sys.argv[1], sys.argv[2]); print('ready', flush=True); sys.stdin.read()"
#: As programs built on libdao do: it maps the file once, and sleeps on a semaphore whatever becomes of both.
LIBDAO = """
import ctypes, mmap, sys, time
file = open(sys.argv[1], "r+b")
memory = mmap.mmap(file.fileno(), 0)
libc = ctypes.CDLL(None)
libc.sem_open.restype = ctypes.c_void_p
libc.sem_wait.argtypes = [ctypes.c_void_p]
handle = libc.sem_open(sys.argv[2].encode(), 0)
print("ready", flush=True)
while True:
    libc.sem_wait(handle)
    time.sleep(float(sys.argv[3]))
"""

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program and returns its pid once it is ready."""
    with ExitStack() as stack:

        def start_one(program: str, *arguments: object) -> int:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, *map(str, arguments)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            return process.pid

        yield start_one


@pytest.fixture
def segment(segment_path: Path) -> Iterator[Segment]:
    with Segment.create(segment_path, (3,), "uint8") as made:
        made.create_semaphores()
        yield made


@pytest.fixture
def written(segment: Segment) -> Iterator[Segment]:
    """Written a hundred times a second."""
    with repeated(lambda: segment.write(FRAME), 0.01):
        yield segment


def users(use: SegmentUse) -> dict[int, SegmentUser]:
    return {each.pid: each for each in use.processes}


def test_one_that_keeps_up_is_asleep_and_one_that_is_too_slow_is_late(written: Segment, start: Start) -> None:
    quick, slow = start(READER, written.path, 3, 0.0), start(READER, written.path, 4, 0.05)

    def looked() -> dict[int, SegmentUser]:
        """What is found once each was seen waiting."""
        found = users(look_at_users(written.path))
        return found if all(found[each].semaphores for each in (quick, slow)) else {}

    found = wait_until(looked, 20.0, "both to be seen")
    assert (found[quick].access, found[quick].is_mapped, found[quick].is_exact) == ("read", True, True)
    (wait,) = found[quick].waits
    assert wait.semaphore == 3
    assert wait.asleep > 0.5
    assert found[quick].late is not None
    assert found[quick].late < 0.5
    assert found[slow].semaphores == (4,)
    assert found[slow].late is not None
    assert found[slow].late > 0.5


def test_one_that_never_had_to_wait_is_known_by_the_semaphore_it_has_open(written: Segment, start: Start) -> None:
    pid = start(ALWAYS_LATE, written.path, 4)
    found = users(look_at_users(written.path))[pid]
    assert (found.semaphores, found.waits, found.late) == ((4,), (), 1.0)


def test_semaphores_tell_who_sleeps_and_what_was_not_taken(segment: Segment, start: Start) -> None:
    pid = start(READER, segment.path, 3, 0.0)
    segment.write(FRAME)
    wait_until(lambda: users(look_at_users(segment.path))[pid].waits, 10.0, "the reader to sleep")
    semaphores = {each.number: each for each in look_at_users(segment.path).semaphores}
    assert (semaphores[3].value, semaphores[3].sleepers, semaphores[3].late) == (0, 1, 0.0)
    assert (semaphores[4].value, semaphores[4].sleepers, semaphores[4].late) == (1, 0, 1.0)


@pytest.mark.parametrize(("mode", "access"), [("rb", "read"), ("r+b", "write")])
def test_one_that_has_only_the_file_open_is_found(segment: Segment, start: Start, mode: str, access: str) -> None:
    pid = start(HOLDER, segment.path, mode)
    found = users(look_at_users(segment.path))[pid]
    assert (found.access, found.is_mapped, found.semaphores, found.late) == (access, False, (), None)
    assert pid not in users(look_at_users(segment.path, {pid}))  # who is known not to have it is not looked into


def test_one_that_has_a_segment_that_was_made_anew_is_told(segment: Segment, start: Start, tmp_path: Path) -> None:
    pid = start(LIBDAO, segment.path, "/seg_sem03", 0.0)
    found = wait_until(lambda: (user := users(look_at_users(segment.path))[pid]).waits and user, 10.0, "it to sleep")
    assert (found.is_replaced, found.access, found.waits[0].semaphore) == (False, "write", 3)
    segment.unlink()
    with Segment.create(Path(segment.path), (3,), "uint8") as anew:
        anew.create_semaphores()
        other = start(READER, anew.path, 3, 0.0)
        by_pid = users(look_at_users(anew.path))
    assert (by_pid[pid].is_replaced, by_pid[other].is_replaced) == (True, False)


def test_one_that_stands_still_is_told(segment: Segment, start: Start) -> None:
    pid = start(READER, segment.path, 3, 0.0)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_facts.state_of(pid) == "T", 5.0, "it to stand still")
    assert users(look_at_users(segment.path))[pid].is_stopped


def test_one_of_another_name_is_not_found(segment: Segment, start: Start, tmp_path: Path) -> None:
    other = tmp_path / "other.im.shm"
    other.write_bytes(b"")
    pid = start(HOLDER, other, "rb")
    assert pid not in users(look_at_users(segment.path))
    assert pid in users(look_at_users(str(other)))
    assert users(look_at_users(str(tmp_path / "none"))) == {}


def test_what_may_not_be_debugged_is_concluded_from_what_it_has_open(
    segment: Segment, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = start(READER, segment.path, 3, 0.0)
    wait_until(lambda: users(look_at_users(segment.path))[pid].waits, 10.0, "the reader to sleep")
    # As Yama has it (ptrace_scope 1), for which a test cannot ask.
    monkeypatch.setattr("daosup.adapters.segment_users.futex_addresses", lambda pid: None)
    found = users(look_at_users(segment.path))[pid]
    assert ([wait.semaphore for wait in found.waits], found.is_exact) == ([3], False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_not_look_says_so(segment: Segment, start: Start) -> None:
    pid = start(HOLDER, segment.path, "rb")
    program = (
        "import json, os, sys; from daosup.adapters.segment_users import look_at_users; os.setgid(65534);"
        "os.setuid(65534); print(json.dumps(look_at_users(sys.argv[1]).as_json()))"
    )
    done = subprocess.run([sys.executable, "-c", program, segment.path], capture_output=True, text=True, check=True)
    assert f'"pid": {pid}' in done.stdout.partition('"unseen"')[2]
    assert '"processes": []' in done.stdout


def test_an_interpreter_is_told_with_its_program(tmp_path: Path, start: Start) -> None:
    script = tmp_path / "camera.py"
    script.write_text("print('ready', flush=True); input()")
    with subprocess.Popen(
        [sys.executable, "-u", script, "--rate", "5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process_facts.command_of(process.pid).endswith(" camera.py")
        assert process_facts.command_of(process.pid).startswith("python")
        process.kill()
    assert process_facts.command_of(process.pid) == "?"
    assert process_facts.uid_of(os.getpid()) == os.getuid()
    assert process_facts.uid_of(process.pid) is None
