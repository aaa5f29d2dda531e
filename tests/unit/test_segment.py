"""What Segment writes lies byte for byte where DAO's programs look for it, and reads back the same."""

from __future__ import annotations

import itertools
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from daosup.errors import UsageError
from daosup.shm import Keyword, Segment
from tests.segment_files import ELEMENTS, METADATA_BYTES, SHAPES, Block, fifo_fields, old_bytes, slot_bytes


def numbers(dtype: str, count: int, seed: int) -> list[float]:
    """Small whole numbers that every element type can hold; two for each complex element."""
    letters = len(ELEMENTS[dtype][2])
    return [(seed * 31 + place * 7) % 101 for place in range(count * letters)]


def packed(dtype: str, values: list[float]) -> bytes:
    letter = ELEMENTS[dtype][2][0]
    whole = [float(value) if letter in "fd" else int(value) for value in values]
    return struct.pack(f"<{len(values)}{letter}", *whole)


def frame_of(dtype: str, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, bytes]:
    """A frame, and its bytes as ``struct`` makes them."""
    values = numbers(dtype, int(np.prod(shape)), seed)
    if dtype.startswith("complex"):
        array = np.array([complex(*pair) for pair in zip(values[::2], values[1::2])], dtype)
    else:
        array = np.array(values, dtype)
    return array.reshape(shape), packed(dtype, values)


@pytest.mark.parametrize("layout", METADATA_BYTES)
@pytest.mark.parametrize("dtype", ELEMENTS)
def test_metadata_and_frames_lie_where_the_description_says(segment_path: Path, layout: str, dtype: str) -> None:
    code, element_bytes, _ = ELEMENTS[dtype]
    for shape in SHAPES:
        began = time.time()
        elements = int(np.prod(shape))
        with Segment.create(segment_path, shape, dtype, layout=layout) as segment:
            for seed in (1, 2):
                frame, raw_frame = frame_of(dtype, shape, seed)
                segment.write(frame, frame_id=70 + seed, time_ns=5_000 + seed)
                assert segment.stamp == (seed, 70 + seed, 5_000 + seed, 0)
            read = segment.read()
            assert (read.shape, read.dtype.name) == (shape, dtype)
            np.testing.assert_array_equal(read, frame)
            assert segment.stamp == (2, 72, 5_002, 0)
        raw = segment_path.read_bytes()
        assert len(raw) == METADATA_BYTES[layout] + elements * element_bytes
        assert slot_bytes(raw, layout, 1, 0, elements * element_bytes) == raw_frame
        block = Block.read(raw)
        assert (block.naxis, block.size) == (len(shape), (*shape, 0, 0)[:3])
        assert (block.nelement, block.atype, block.semaphores, block.keyword_count) == (elements, code, 10, 0)
        assert (block.cnt0, block.cnt2, block.atime_ns, block.write) == (2, 72, 5_002, 0)
        assert began - 1 <= block.creation_time <= time.time() + 1
        assert str(segment_path).encode().endswith(block.name)
        if layout == "fifo":
            assert fifo_fields(raw) == (1, 0)


@pytest.mark.parametrize(
    ("depth", "shape", "dtype"),
    [(1, (4, 3), "uint16"), (2, (1,), "uint8"), (3, (5, 4, 3), "complex64"), (7, (97, 1), "int64")],
)
def test_frames_go_round_the_slots(segment_path: Path, depth: int, shape: tuple[int, ...], dtype: str) -> None:
    frame_bytes = int(np.prod(shape)) * ELEMENTS[dtype][1]
    with Segment.create(segment_path, shape, dtype, depth=depth, keywords=2) as segment:
        raw = segment_path.read_bytes()
        assert len(raw) == depth * (4304 + frame_bytes) + 240
        assert fifo_fields(raw) == (depth, depth - 1)
        kept = [(np.zeros(shape, dtype), bytes(frame_bytes))] * depth
        for count in range(1, 2 * depth + 2):
            kept = [*kept[1:], frame_of(dtype, shape, count)]
            segment.write(kept[-1][0], frame_id=100 + count, time_ns=count)
            slot = (count - 1) % depth
            assert segment.stamp == (count, 100 + count, count, slot)
            raw = segment_path.read_bytes()
            assert fifo_fields(raw) == (depth, slot)
            for back in range(depth):
                place = (slot - back) % depth
                block = Block.read(raw, place * 4304)
                assert slot_bytes(raw, "fifo", depth, place, frame_bytes) == kept[-1 - back][1]
                assert (block.cnt0, block.atime_ns, block.write) == (max(0, count - back), max(0, count - back), 0)
            np.testing.assert_array_equal(segment.read(), kept[-1][0])
            assert (segment.stamp.slot, segment.counter) == (slot, count)
            for wanted in range(1, depth + 1):
                np.testing.assert_array_equal(segment.history(wanted), [frame for frame, _ in kept[-wanted:]])
            for place in range(depth):
                np.testing.assert_array_equal(segment.read_slot(place), segment.view(place))


def test_a_frame_id_and_a_time_are_given_where_none_is_asked_for(segment_path: Path) -> None:
    with Segment.create(segment_path, (2,), "uint8", depth=2) as segment:
        segment.write(np.zeros(2, "uint8"), frame_id=9)
        before_ns = time.time_ns()
        segment.write(np.zeros(2, "uint8"))
        assert segment.stamp.frame_id == 9
        assert before_ns <= segment.stamp.time_ns <= time.time_ns()


def test_one_program_writes_and_another_object_reads(segment_path: Path) -> None:
    with (
        Segment.create(segment_path, (3, 2), "float32") as writer,
        Segment.open(segment_path, writable=False) as reader,
    ):
        for count in range(1, 4):
            writer.write(np.full((3, 2), count, "float32"))
            assert reader.read()[2, 1] == count
            assert reader.stamp == writer.stamp


@pytest.mark.parametrize(("layout", "depth"), [("v0", 1), ("fifo", 1), ("fifo", 3), ("semreg", 1)])
def test_files_made_by_others_are_read_and_written(segment_path: Path, layout: str, depth: int) -> None:
    for shape, dtype in itertools.product(SHAPES[:3], ("uint8", "int32", "complex128")):
        segment_path.write_bytes(old_bytes(shape, dtype, layout=layout, depth=depth))
        with Segment.open(segment_path, writable=True) as segment:
            assert (segment.layout, segment.depth, segment.shape) == (layout, depth, shape)
            frame, raw_frame = frame_of(dtype, shape, 5)
            segment.write(frame)
        raw = segment_path.read_bytes()
        assert slot_bytes(raw, layout, depth, 0, len(raw_frame)) == raw_frame
        assert Block.read(raw).cnt0 == 1


def test_creating_again_replaces_the_file_and_leaves_old_readers_theirs(segment_path: Path) -> None:
    with Segment.create(segment_path, (3,), "uint8") as old:
        old.write(np.array([1, 2, 3], "uint8"))
        with Segment.create(segment_path, (2, 2), "float64") as new:
            assert new.counter == 0
            np.testing.assert_array_equal(old.view(), [1, 2, 3])
    assert [path.name for path in segment_path.parent.iterdir()] == ["seg.im.shm"]


def test_modes_are_as_asked_whatever_the_umask(segment_path: Path) -> None:
    for mode in (0o600, 0o644, 0o666):
        Segment.create(segment_path, (3,), "uint8", mode=mode).close()
        assert segment_path.stat().st_mode & 0o777 == mode


def test_keywords_are_written_with_the_segment(segment_path: Path) -> None:
    given = [Keyword("GAIN", 2.5, "e-/ADU"), Keyword("MODE", "fast"), Keyword("PORT", 5000)]
    Segment.create(segment_path, (3,), "uint8", depth=2, keywords=given).close()
    raw = segment_path.read_bytes()[-360:]
    assert raw[:4] == b"GAIN"
    assert (raw[16:17], struct.unpack_from("<d", raw, 24)[0], raw[40:46]) == (b"D", 2.5, b"e-/ADU")
    with Segment.open(segment_path) as segment:
        assert [*segment.keywords.slots()] == given


def test_a_segment_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "seg.im.shm"
    for shape, dtype, layout in (((2,), "float16", "v0"), ((2,), "uint8", "v9"), ((), "uint8", "v0")):
        with pytest.raises(UsageError):
            Segment.create(path, shape, dtype, layout=layout)
    assert not list(tmp_path.iterdir())
