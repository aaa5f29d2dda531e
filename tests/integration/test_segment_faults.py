"""Files that are cut, replaced or spoiled under their readers give errors, and never a crash or a hang."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from daosup.errors import NotASegmentError, SegmentError, SegmentLostError, SegmentNotFoundError
from daosup.shm import Segment
from tests.segment_files import old_bytes
from tests.waiting import wait_until

VICTIM = Path(__file__).with_name("segment_victim.py")
ROOT = Path(__file__).parents[2]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": ""}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)


def test_every_use_of_a_damaged_segment_says_that_it_is_lost(tmp_path: Path) -> None:
    def victim(faulthandler: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / faulthandler).mkdir()
        return run(str(VICTIM), str(tmp_path / faulthandler), faulthandler)

    with ThreadPoolExecutor() as pool:  # mostly they wait
        for ended in pool.map(victim, ("never", "before", "after", "between")):
            examine(ended)


def examine(ended: subprocess.CompletedProcess[str]) -> None:
    assert ended.returncode == 0, ended.stderr
    outcomes = json.loads(ended.stdout)
    assert len(outcomes) == 15 * 15
    assert {case: what for case, (what, _) in outcomes.items() if what != "SegmentLostError"} == {}
    assert {case: seconds for case, (_, seconds) in outcomes.items() if seconds > 1.0} == {}
    assert "Bus error" not in ended.stderr


def test_a_segment_that_was_cut_stays_lost_though_the_file_is_as_before(segment_path: Path) -> None:
    with Segment.create(segment_path, (256, 64), "uint16", layout="v0") as segment:
        raw = segment_path.read_bytes()
        os.truncate(segment_path, 0)
        assert segment.view().sum() == 0  # from here on its memory is not the file's
        segment_path.write_bytes(raw)
        for use in (segment.check, segment.read, lambda: segment.write(np.zeros((256, 64), "uint16"))):
            with pytest.raises(SegmentLostError, match="made anew while it was open; open it again"):
                use()
    with Segment.open(segment_path) as segment:
        segment.read()


#: Cuts a file of its own under its own mapping: a fault that has nothing to do with segments.
FOREIGN = """
import faulthandler, mmap, os, signal, sys
def enable(when):
    if sys.argv[2] == when:
        faulthandler.enable()
enable("before")
from daosup.shm import Segment
enable("after")
segment = Segment.create(sys.argv[1] + "/seg.im.shm", (64, 64), "uint16")
enable("late")
segment.check()
if sys.argv[3] == "sent":
    os.kill(os.getpid(), signal.SIGBUS)
else:
    path = sys.argv[1] + "/other"
    with open(path, "w+b") as file:
        file.truncate(100_000)
        memory = mmap.mmap(file.fileno(), 100_000)
        file.truncate(0)
    memory[50_000]
print("alive")
"""


@pytest.mark.parametrize("how", ["sent", "faulted"])
@pytest.mark.parametrize("when", ["never", "before", "after", "late"])
def test_a_bus_error_that_is_not_ours_still_ends_the_process(segment_path: Path, when: str, how: str) -> None:
    ended = run("-c", FOREIGN, str(segment_path.parent), when, how)
    assert ended.returncode == -signal.SIGBUS
    assert "alive" not in ended.stdout
    assert ("Bus error" in ended.stderr) == (when != "never")


def test_a_handler_of_somebody_else_gets_what_is_not_ours(segment_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom daosup.shm import Segment\n"
        "signal.signal(signal.SIGBUS, lambda *_: print('caught'))\n"
        "Segment.create(sys.argv[1], (4,), 'uint8').check()\n"
        "os.kill(os.getpid(), signal.SIGBUS)\n"
    )
    ended = run("-c", program, str(segment_path))
    assert (ended.returncode, ended.stdout) == (0, "caught\n")


#: Opens and uses one path again and again, until a frame has this counter; whatever happens to it, frames are whole.
LAST = 10**9
STUBBORN = """
import contextlib, sys
import numpy as np
from daosup.errors import SegmentError
from daosup.shm import Segment
path, use, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
opened = counter = 0
errors = set()
while counter < last:
    try:
        with Segment.open(path) as segment:
            opened += 1
            while counter < last:
                if use == "write":
                    segment.write(np.full(segment.shape, 7, segment.dtype))
                elif use == "view":
                    segment.view().sum()
                elif use == "wait":
                    with contextlib.suppress(TimeoutError):
                        segment.wait(None, 0.005)
                frame = segment.read()
                assert frame.min() == frame.max(), (frame.min(), frame.max())
                counter = segment.stamp.counter
                segment.check()
    except SegmentError as error:
        errors.add(type(error).__name__)
print(opened, errors)
"""


def spoil(path: Path, turn: int) -> None:
    """Make it anew in place, as DAO's library does, and now and then in other ways."""
    small = old_bytes((16, 16), "uint16", created=float(turn))
    large = old_bytes((240, 240), "uint16", created=float(turn))
    path.write_bytes(large)
    path.write_bytes(small)
    if turn % 7 == 0:
        path.unlink()
        path.write_bytes(small)
    if turn % 11 == 0:
        os.truncate(path, 0)
    if turn % 5 == 0:
        path.with_name("other").write_bytes(large)
        path.with_name("other").rename(path)


@pytest.mark.parametrize("use", ["read", "write", "view", "wait"])
def test_a_segment_made_anew_all_the_time_by_another_process(segment_path: Path, use: str) -> None:
    command = [sys.executable, "-c", STUBBORN, str(segment_path), use, str(LAST)]
    segment_path.write_bytes(old_bytes((16, 16), "uint16", created=0.25))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as stubborn:
        try:
            maps = Path(f"/proc/{stubborn.pid}/maps")
            wait_until(lambda: str(segment_path) in maps.read_text(), 20.0, "the segment to be opened")
            deadline = time.monotonic() + 1.5
            turn = 0
            while time.monotonic() < deadline and stubborn.poll() is None:
                turn += 1
                spoil(segment_path, turn)
            final = bytearray(old_bytes((16, 16), "uint16", created=0.5))
            struct.pack_into("<Q", final, 152, LAST)
            segment_path.write_bytes(final)
            said, complaints = stubborn.communicate(timeout=20)
        finally:
            stubborn.kill()
    assert stubborn.returncode == 0, complaints
    assert int(said.split()[0]) > 0
    assert "Error" in said


def odd_file(kind: str, path: Path) -> None:
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "dangling symlink":
        path.symlink_to(path.with_name("nowhere"))
    elif kind == "symlink to itself":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes({"empty file": b"", "text": b"Hello\n" * 1000, "zeroes": bytes(50_000)}[kind])


@pytest.mark.parametrize("is_writable", [None, False, True])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("named pipe", NotASegmentError),
        ("directory", SegmentError),
        ("socket", SegmentError),
        ("dangling symlink", SegmentNotFoundError),
        ("symlink to itself", SegmentError),
        ("device", NotASegmentError),
        ("empty file", NotASegmentError),
        ("text", NotASegmentError),
        ("zeroes", NotASegmentError),
    ],
)
def test_what_is_no_segment_is_refused_at_once(
    tmp_path: Path, kind: str, error: type[SegmentError], is_writable: bool | None
) -> None:
    path = tmp_path / "x.im.shm"
    odd_file(kind, path)
    began = time.monotonic()
    with pytest.raises(error, match=r"x\.im\.shm: "):
        Segment.open(path, writable=is_writable)
    assert time.monotonic() - began < 1.0


#: Tries to make a segment that does not fit, and prints the error.
TOO_LARGE = """
import resource, sys
from daosup.errors import SegmentError
from daosup.shm import Segment
if sys.argv[2] == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    Segment.create(sys.argv[1] + "/seg.im.shm", (1000, 1000), "uint16")
except SegmentError as error:
    print(error)
"""


def test_a_file_beyond_the_limit_is_refused_and_nothing_left(tmp_path: Path) -> None:
    ended = run("-c", TOO_LARGE, str(tmp_path), "limited")
    assert "a segment of 2004304 bytes cannot be made: File too large" in ended.stdout, ended.stderr
    assert not list(tmp_path.iterdir())
    assert not list(Path("/dev/shm").glob("sem.seg_*"))


def test_on_a_full_file_system_it_is_refused_and_nothing_left(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        ended = run("-c", TOO_LARGE, str(tmp_path), "full")
        assert "a segment of 2004304 bytes cannot be made: No space left" in ended.stdout, ended.stderr
        assert not list(tmp_path.iterdir())
        assert not list(Path("/dev/shm").glob("sem.seg_*"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
