"""Segments cost nothing that grows: no memory per frame, no open file or mapping once they are closed."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from daosup.errors import SegmentError, SegmentLostError
from daosup.shm import Segment


def maps_of(path: Path) -> int:
    return Path("/proc/self/maps").read_text().count(str(path))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_frames_leave_no_memory_behind(segment_path: Path) -> None:
    with Segment.create(segment_path, (64, 64), "uint16", depth=3) as writer, Segment.open(segment_path) as reader:
        frame, out = np.zeros((64, 64), "uint16"), np.zeros((64, 64), "uint16")

        def turns(count: int) -> None:
            for _ in range(count):
                writer.write(frame)
                reader.wait(timeout_s=1.0)
                reader.read(out)
                reader.read()

        turns(100)
        gc.collect()
        tracemalloc.start()
        try:
            traced, resident = tracemalloc.get_traced_memory()[0], resident_bytes()
            turns(5_000)
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - traced < 10_000
        finally:
            tracemalloc.stop()
        turns(15_000)
        assert resident_bytes() - resident < 8_000_000  # a leak of one frame in ten would be 16 MB


def test_errors_leave_no_memory_behind(segment_path: Path) -> None:
    with Segment.create(segment_path, (64, 64), "uint16") as segment:
        reader = Segment.open(segment_path)
        segment_path.unlink()
        wrong = np.zeros(3, "uint16")

        def turns(count: int) -> None:
            for _ in range(count):
                with pytest.raises(SegmentLostError):
                    reader.read()
                with pytest.raises(ValueError, match="frames of shape"):
                    segment.write(wrong)

        turns(20)
        gc.collect()
        resident = resident_bytes()
        turns(2_000)
        gc.collect()
        assert resident_bytes() - resident < 4_000_000
        reader.close()


def test_opening_and_closing_leaves_no_file_and_no_mapping(segment_path: Path) -> None:
    Segment.create(segment_path, (64, 64), "uint16").close()
    frame = np.zeros((64, 64), "uint16")

    def turn() -> None:
        with Segment.open(segment_path) as segment:
            segment.write(frame)
            segment.read()
            segment.wait(0, 0.0, semaphore=9)

    turn()
    files, everything = open_files(), len(Path("/proc/self/maps").read_text().splitlines())
    for _ in range(200):
        turn()
        assert open_files() == files
        assert maps_of(segment_path) == 0
    # Semaphores are mapped too; a few lines more may be the allocator's.
    assert len(Path("/proc/self/maps").read_text().splitlines()) - everything < 20


def test_a_file_that_is_refused_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "x.im.shm"
    path.write_bytes(b"garbage" * 10_000)
    files = open_files()
    for _ in range(50):
        with pytest.raises(SegmentError):
            Segment.open(path)
    assert (open_files(), maps_of(path)) == (files, 0)


#: Opens and writes a segment with so few open files allowed that one step or another fails.
TOO_FEW_FILES = """
import os, resource, sys
import numpy as np
from daosup.errors import SegmentError
from daosup.shm import Segment
Segment.create(sys.argv[1], (4,), "uint8").close()
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
said = set()
while held:
    try:
        with Segment.open(sys.argv[1]) as segment:
            segment.write(np.zeros(4, "uint8"))
            segment.read()
        break
    except SegmentError as error:
        said.add(str(error).replace(sys.argv[1], "PATH"))
    os.close(held.pop())
print(len(held), len(said), *said, sep="|")
"""


def test_where_too_few_files_may_be_open_the_error_says_so(segment_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", TOO_FEW_FILES, str(segment_path)], capture_output=True, text=True)
    left, reasons, *said = ended.stdout.strip().split("|")
    assert int(left) > 0, ended.stderr
    assert int(reasons) >= 2  # its file, its mapping
    assert all(each.startswith("PATH: ") and each.endswith("Too many open files") for each in said)


def test_a_view_keeps_the_mapping_until_it_goes(segment_path: Path) -> None:
    segment = Segment.create(segment_path, (64, 64), "uint16")
    view = segment.view()
    segment.close()
    del segment
    gc.collect()
    assert maps_of(segment_path) == 1
    # It is still guarded: a file cut under it reads as zeroes.
    view[:] = 7
    os.truncate(segment_path, 0)
    assert view.sum() == 0
    del view
    gc.collect()
    assert maps_of(segment_path) == 0


def test_the_number_of_open_segments_is_bounded_and_said(segment_path: Path) -> None:
    """5000 would need more guards than there are; closing gives them back."""
    Segment.create(segment_path, (2,), "uint8").close()
    views: list[np.ndarray] = []

    def hold(count: int) -> None:
        while len(views) < count:
            with Segment.open(segment_path) as segment:
                views.append(segment.view())

    try:
        with pytest.raises(SegmentError, match=f"{segment_path}: too many segments are open"):
            hold(5_000)
        assert len(views) > 4_000
    finally:
        views.clear()
        gc.collect()
    Segment.open(segment_path).close()
