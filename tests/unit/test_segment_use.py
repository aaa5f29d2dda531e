"""Segment's answers to wrong use, and what an object promises besides its frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from daosup.errors import SegmentBusyError, SegmentError, SegmentNotFoundError, UsageError
from daosup.shm import Segment, making


@pytest.fixture
def segment(segment_path: Path) -> Iterator[Segment]:
    with Segment.create(segment_path, (4, 3), "uint16", depth=3, keywords=2) as made:
        yield made


@pytest.mark.parametrize(
    ("frame", "error", "says"),
    [
        (np.zeros((4, 3), "uint8"), TypeError, "holds uint16, not uint8"),
        (np.zeros((4, 3), ">u2"), TypeError, "holds uint16, not >u2"),
        (np.zeros((4, 4), "uint16"), ValueError, r"shape \(4, 3\), not \(4, 4\)"),
        (np.zeros(0, "uint16"), ValueError, "not"),
    ],
)
def test_a_frame_of_another_kind_is_refused(
    segment: Segment, frame: np.ndarray, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        segment.write(frame)
    assert segment.counter == 0


def test_a_frame_is_written_in_c_order_however_it_lies_in_memory(segment: Segment) -> None:
    frame = np.arange(24, dtype="uint16").reshape(3, 8)[:, ::2].T
    assert not frame.flags.c_contiguous
    segment.write(frame)
    np.testing.assert_array_equal(segment.read(), frame)


def test_out_is_filled_and_returned(segment: Segment) -> None:
    segment.write(np.arange(12, dtype="uint16").reshape(4, 3))
    out = np.zeros((4, 3), "uint16")
    assert segment.read(out) is out
    np.testing.assert_array_equal(out.ravel(), range(12))
    assert segment.read_slot(0, out) is out


@pytest.mark.parametrize(
    "out", [np.zeros((4, 3), "int16"), np.zeros((3, 3), "uint16"), np.zeros((3, 4), "uint16").T, np.zeros(13, "uint16")]
)
def test_an_out_that_does_not_fit_is_refused(segment: Segment, out: np.ndarray) -> None:
    with pytest.raises(ValueError, match="out must be uint16 4x3"):
        segment.read(out)


def test_a_read_only_out_is_refused(segment: Segment) -> None:
    out = np.zeros((4, 3), "uint16")
    out.flags.writeable = False
    with pytest.raises((TypeError, ValueError, BufferError)):
        segment.read(out)


@pytest.mark.parametrize(("offset", "length"), [(-1, 24), (1, 24), (25, 24), (2**62, 24), (0, 23)])
def test_the_native_part_measures_every_buffer(segment: Segment, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        segment.window.snapshot(bytearray(length), offset, -1, 0.0)
    with pytest.raises(ValueError, match="24 bytes"):
        segment.window.commit(bytes(length), offset, 0, 0)


@pytest.mark.parametrize("slot", [3, -4, 2**40])
def test_slots_that_do_not_exist_are_an_index_error(segment: Segment, slot: int) -> None:
    for use in (segment.read_slot, segment.view):
        with pytest.raises(IndexError):
            use(slot)


@pytest.mark.parametrize("count", [0, 4, -1])
def test_more_history_than_is_kept_is_refused(segment: Segment, count: int) -> None:
    with pytest.raises(ValueError, match="holds 3 frames"):
        segment.history(count)


class _Overtaken(Segment):
    """A reader whose writer writes two frames during each of its copies."""

    def read_slot(self, slot: int, out: np.ndarray | None = None, *, timeout_s: float = 0.02) -> np.ndarray:
        for _ in range(2):
            self.write(np.full(self.shape, self.counter + 1, self.dtype))
        return super().read_slot(slot, out, timeout_s=timeout_s)


def test_a_history_that_the_writer_overtakes_is_never_out_of_order(segment: Segment) -> None:
    with _Overtaken.open(segment.path, writable=True) as reader:
        for count in range(1, 4):
            reader.write(np.full(reader.shape, count, reader.dtype))
        with pytest.raises(SegmentBusyError, match="overtakes the reading of 3 frames"):
            reader.history(3)


def test_a_view_is_the_memory_itself_and_outlives_the_segment(segment: Segment) -> None:
    view = segment.view(0)
    segment.write(np.full((4, 3), 7, "uint16"))
    assert view.min() == 7
    segment.close()
    assert view.max() == 7


def test_a_read_only_segment_is_not_written(segment: Segment) -> None:
    frame = np.zeros((4, 3), "uint16")
    with Segment.open(segment.path, writable=False) as reader:
        assert not reader.is_writable
        with pytest.raises(PermissionError, match="open for reading only"):
            reader.write(frame)
        with pytest.raises(PermissionError, match="open for reading only"):
            reader.window.commit(frame, 0, 0, 0)
        with pytest.raises(PermissionError, match="open for reading only"):
            reader.keywords["A"] = 1
        with pytest.raises(ValueError, match="read-only"):
            reader.view()[:] = 1
        assert reader.counter == 0


def test_every_use_of_a_closed_segment_says_that_it_is_closed(segment: Segment) -> None:
    segment.close()
    segment.close()
    uses: list[Callable[[], object]] = [
        segment.read,
        segment.wait,
        segment.check,
        segment.view,
        lambda: segment.view(0),
        lambda: segment.history(1),
        lambda: segment.write(np.zeros((4, 3), "uint16")),
        lambda: segment.counter,
        lambda: segment.stamp,
        lambda: segment.keywords,
        lambda: segment.creation_time,
        lambda: segment.retries,
        lambda: segment.metadata_block(0),
        segment.create_semaphores,
    ]
    for use in uses:
        with pytest.raises(SegmentError, match="closed; open it again"):
            use()
    assert repr(segment).startswith("<closed Segment ")


def test_unlink_removes_the_file_and_all_semaphores(segment: Segment) -> None:
    assert len(list(Path("/dev/shm").glob("sem.seg_*"))) == 11
    segment.unlink()
    assert not Path(segment.path).exists()
    assert not list(Path("/dev/shm").glob("sem.seg_*"))
    segment.unlink()


def test_where_no_file_is_the_error_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "none.im.shm", tmp_path / "no" / "folder.im.shm"):
        with pytest.raises(SegmentNotFoundError, match="there is no such segment"):
            Segment.open(path)
    with pytest.raises(SegmentError, match="cannot be made: No such file"):
        Segment.create(tmp_path / "no" / "folder.im.shm", (2,), "uint8")


def test_a_segment_too_large_for_any_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not possible"):
        Segment.create(tmp_path / "seg.im.shm", (2**31, 2**31, 2**10), "uint8")
    assert not list(tmp_path.iterdir())


def test_one_for_which_there_is_no_room_takes_none_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: pytest.fail("it was tried"))
    with pytest.raises(SegmentError, match="cannot be made: No space left on device; check that"):
        Segment.create(tmp_path / "seg.im.shm", (room.f_bfree // 1024 + 1024, 1024, room.f_frsize), "uint8")
    assert not list(tmp_path.iterdir())


def test_while_a_large_one_is_made_its_maker_has_his_turn(
    tmp_path: Path, segment_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_PIECE_BYTES", 1 << 20)
    turns: list[int] = []
    with Segment.create(segment_path, (4000, 2000), "uint8", meanwhile=lambda: turns.append(1)) as made:
        assert len(turns) == 8
        assert segment_path.stat().st_size == made.geometry.file_bytes
        made.unlink()


def test_who_is_interrupted_while_he_makes_one_leaves_nothing(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Segment.create(tmp_path / "seg.im.shm", (4, 4), "uint8", meanwhile=interrupt)
    assert not list(tmp_path.iterdir())


def test_it_says_what_it_is(segment: Segment) -> None:
    assert repr(segment) == f"<Segment {segment.path}: uint16 4x3 (fifo, depth 3)>"
    assert (segment.name, segment.layout, segment.depth) == ("seg", "fifo", 3)
    assert segment.metadata_block(2)[80] == 2
