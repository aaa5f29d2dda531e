"""Several programs that write to one segment keep out of each other's way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daosup.core import layout as tables
from daosup.errors import SegmentBusyError
from daosup.shm import Segment

COUNT = 20_000
WRITE = """
import sys
import numpy as np
from daosup.shm import Segment
with Segment.open(sys.argv[1], writable=True) as segment:
    frames = [np.full(segment.shape, int(sys.argv[2]) + each, segment.dtype) for each in range(100)]
    for number in range(int(sys.argv[3])):
        segment.write(frames[number % 100], frame_id=int(sys.argv[2]))
"""


@pytest.mark.parametrize(("layout", "depth"), [("fifo", 1), ("fifo", 4), ("v0", 1)], ids=["fifo", "fifo4", "v0"])
def test_of_three_writers_each_frame_counts_and_none_is_torn(tmp_path: Path, layout: str, depth: int) -> None:
    with Segment.create(tmp_path / "many.im.shm", (40, 40), "int32", layout=layout, depth=depth) as segment:
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITE, segment.path, str(1000 * each), str(COUNT)])
            for each in (1, 2, 3)
        ]
        try:
            seen = 0
            while any(writer.poll() is None for writer in writers):
                try:
                    frame = segment.read()
                except SegmentBusyError:
                    continue
                assert frame.min() == frame.max()
                seen += 1
        finally:
            for writer in writers:
                assert writer.wait() == 0
        assert seen > 100
        assert segment.counter == 3 * COUNT
        for slot in range(depth):
            frame = segment.read_slot(slot)
            assert frame.min() == frame.max()
        assert sorted(_counters(segment)) == list(range(3 * COUNT - depth + 1, 3 * COUNT + 1))
        segment.unlink()


def _counters(segment: Segment) -> list[int]:
    return [segment.window.counter(slot) for slot in range(segment.depth)]


@pytest.mark.parametrize("depth", [1, 4])
def test_a_writer_that_died_while_writing_keeps_the_next_one_for_a_moment_only(tmp_path: Path, depth: int) -> None:
    with Segment.create(tmp_path / "dead.im.shm", (4, 4), "int32", depth=depth) as segment:
        segment.write(np.full((4, 4), 1, "int32"))
        slot = (segment.stamp.slot + 1) % depth
        flag = slot * segment.geometry.layout.metadata_bytes + tables.WRITE
        with open(segment.path, "r+b") as file:
            file.seek(flag)
            file.write(b"\1")
        segment.write(np.full((4, 4), 2, "int32"))
        assert (segment.read() == 2).all()
        assert segment.counter == 2
        segment.unlink()


def test_a_frame_is_written_only_after_the_one_that_is_known(tmp_path: Path) -> None:
    with Segment.create(tmp_path / "after.im.shm", (4, 4), "int32") as segment:
        frame = np.full((4, 4), 1, "int32")
        assert segment.window.commit(frame, 0, 5, 6, 0)
        assert not segment.window.commit(frame + 1, 0, 5, 6, 0)
        assert (segment.read() == 1).all()
        assert segment.counter == 1
        assert segment.window.commit(frame + 1, 0, 5, 6, 1)
        assert (segment.read() == 2).all()
        segment.unlink()
