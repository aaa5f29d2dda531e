"""Large frames are copied by two threads, if whoever copies asked for that, in a child as in its parent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup.shm import Segment

#: 6 MB: more than one thread copies alone.
SHAPE = (1024, 1536)

#: That thread stays as long as its process, so that is one of its own.
_PROGRAM = f"""
import os, sys
import numpy as np
from daosup.shm import Segment
from daosup.shm._native import share_copies

def is_copied(segment, seed):
    frame = np.random.default_rng(seed).integers(0, 2**32, {SHAPE}, "uint32")
    segment.write(frame)
    return np.array_equal(segment.read(), frame)

before = len(os.listdir("/proc/self/task"))
if len(sys.argv) > 2:
    share_copies(int(sys.argv[2]))
with Segment.open(sys.argv[1]) as segment:
    assert all(is_copied(segment, seed) for seed in range(20))
    print(len(os.listdir("/proc/self/task")) - before, flush=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if is_copied(segment, 20) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert is_copied(segment, 21)
"""


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    with Segment.create(tmp_path / "large.im.shm", SHAPE, "uint32") as made:
        yield made
        made.unlink()


def more_threads(segment: Segment, *least_cpus: int) -> int:
    """How many there are after frames were copied, in a process and, by its assertions, in its child."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(segment.path), *map(str, least_cpus)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return int(done.stdout)


def test_two_threads_copy_what_one_would_have_copied(segment: Segment) -> None:
    assert more_threads(segment, 1) == 1


def test_where_there_are_fewer_cpus_one_copies(segment: Segment) -> None:
    assert more_threads(segment, 10_000) == 0


def test_a_program_that_did_not_ask_for_it_is_given_no_thread(segment: Segment) -> None:
    assert more_threads(segment) == 0
