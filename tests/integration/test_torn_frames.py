"""A frame that is read is whole, however its writer writes: flat out, in DAO's own order, or killed half-way."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from daosup.errors import SegmentBusyError
from daosup.shm import Segment
from tests.waiting import wait_until

#: Writes flat out until stdin is closed; all elements of frame n are n % 251.
OUR_WRITER = """
import select, sys
import numpy as np
from daosup.shm import Segment
segment = Segment.open(sys.argv[1], writable=True)
frames = [np.full(segment.shape, value, segment.dtype) for value in range(251)]
count = 0
while True:
    for _ in range(1000):
        count += 1
        segment.write(frames[count % 251])
    if select.select([0], [], [], 0)[0]:
        break
"""


@contextlib.contextmanager
def writing(command: list[str], segment: Segment) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        wait_until(lambda: segment.counter > 10, what="the writer's first frames")
        yield
        assert process.poll() is None
    finally:
        process.communicate(timeout=10)
    assert process.returncode == 0


def take(segment: Segment, count: int) -> int:
    """Read whole frames and see that they are; return how many different ones they were."""
    frame = np.empty(segment.shape, segment.dtype)
    counters = [0]
    while len(counters) <= count:
        try:
            segment.read(frame)
        except SegmentBusyError:
            continue
        assert frame.min() == frame.max(), f"torn at counter {segment.stamp.counter}"
        assert segment.stamp.counter >= counters[-1]
        counters.append(segment.stamp.counter)
    return len(set(counters)) - 1


@pytest.mark.parametrize(("shape", "depth", "count"), [((64, 64), 1, 100_000), ((240, 240), 3, 25_000)])
def test_no_frame_of_our_writer_is_torn(segment_path: Path, shape: tuple[int, ...], depth: int, count: int) -> None:
    with Segment.create(segment_path, shape, "uint16", depth=depth) as segment:
        command = [sys.executable, "-c", OUR_WRITER, str(segment_path)]
        with writing(command, segment):
            assert take(segment, count) > count // 1000
            # A frame of our writer never goes by the counter of another.
            for _ in range(1000):
                with contextlib.suppress(SegmentBusyError):
                    assert segment.read()[0, 0] == segment.stamp.counter % 251


def test_a_plain_copy_is_torn_so_the_question_is_a_hard_one(segment_path: Path) -> None:
    with Segment.create(segment_path, (240, 240), "uint16") as segment:
        view = segment.view()

        def is_torn() -> bool:
            frame = view.copy()
            return bool(frame.min() != frame.max())

        with writing([sys.executable, "-c", OUR_WRITER, str(segment_path)], segment):
            wait_until(lambda: any(is_torn() for _ in range(100)), timeout_s=30, what="a torn plain copy")


@pytest.fixture(scope="module")
def library_order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writer in C that does all in the order of DAO's library."""
    program = tmp_path_factory.mktemp("bin") / "libdao_order"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    source = Path(__file__).with_name("libdao_order.c")
    subprocess.run([*compiler, "-O2", "-o", str(program), str(source), "-pthread"], check=True)
    return program


@pytest.mark.parametrize(
    ("shape", "depth", "count"),
    [((64, 64), 1, 50_000), ((8, 8), 1, 100_000), ((64, 64), 2, 8_000), ((512, 512), 1, 8_000)],
)
def test_no_frame_written_in_the_library_order_is_torn(
    segment_path: Path, library_order: Path, shape: tuple[int, ...], depth: int, count: int
) -> None:
    with Segment.create(segment_path, shape, "uint16", depth=depth) as segment:
        command = [str(library_order), str(segment_path), "4304", str(segment.geometry.frame_bytes), str(depth)]
        with writing(command, segment):
            assert take(segment, count) > count // 1000
            if depth == 2:
                for _ in range(count // 10):
                    with contextlib.suppress(SegmentBusyError):
                        frame = segment.read_slot(0)
                        assert frame.min() == frame.max()


def test_two_threads_read_while_a_third_writes(segment_path: Path) -> None:
    with Segment.create(segment_path, (64, 64), "uint16", depth=2) as writer, ThreadPoolExecutor(2) as pool:
        frames = [np.full((64, 64), value, "uint16") for value in range(251)]
        writer.write(frames[1])
        with Segment.open(segment_path) as one, Segment.open(segment_path) as two:
            readers = [pool.submit(take, segment, 5_000) for segment in (one, two)]
            while not all(reader.done() for reader in readers):
                writer.write(frames[(writer.counter + 1) % 251])
            assert min(reader.result() for reader in readers) > 10


def half_written(segment: Segment, flag: int) -> None:
    """What a writer leaves that dies in the middle of slot 0: half of the data new, the flag as given."""
    segment.view(0)[: segment.shape[0] // 2] = 99
    with open(segment.path, "r+b") as file:
        file.seek(176)
        file.write(bytes([flag]))


def test_a_writer_that_died_half_way_is_refused_and_the_next_one_heals_it(segment_path: Path) -> None:
    with Segment.create(segment_path, (64, 64), "uint16") as segment:
        segment.write(np.full((64, 64), 1, "uint16"))
        half_written(segment, flag=1)
        for read in (segment.read, lambda: segment.read_slot(0), lambda: segment.history(1)):
            with pytest.raises(SegmentBusyError):
                read()
        with pytest.raises(TimeoutError):  # what he left is no new frame
            segment.wait(1, 0.01)
        with Segment.open(segment_path, writable=True) as following:
            following.write(np.full((64, 64), 2, "uint16"))
        assert segment.read().min() == segment.read().max() == 2
        assert segment.stamp.counter == 2


def test_in_a_fifo_the_frame_before_is_whole_though_the_writer_died(segment_path: Path) -> None:
    with Segment.create(segment_path, (64, 64), "uint16", depth=3) as segment:
        for value in (1, 2, 3):
            segment.write(np.full((64, 64), value, "uint16"))
        half_written(segment, flag=1)
        assert segment.read().min() == segment.read().max() == 3
        with pytest.raises(SegmentBusyError):
            segment.read_slot(0)
        segment.write(np.full((64, 64), 4, "uint16"))
        assert [frame.min() for frame in segment.history(3)] == [2, 3, 4]
        assert (segment.stamp.slot, segment.counter) == (0, 4)


def test_writers_killed_anywhere_leave_whole_frames_or_none(segment_path: Path) -> None:
    with Segment.create(segment_path, (240, 240), "uint16") as segment:
        for _ in range(6):
            before = segment.counter
            process = subprocess.Popen([sys.executable, "-c", OUR_WRITER, str(segment_path)], stdin=subprocess.PIPE)
            wait_until(lambda known=before: segment.counter > known + 100, what="the writer's frames")
            process.kill()
            process.communicate()
            with contextlib.suppress(SegmentBusyError):
                frame = segment.read()
                assert frame.min() == frame.max()
            segment.write(np.full((240, 240), 7, "uint16"))
            assert segment.read().min() == segment.read().max() == 7
