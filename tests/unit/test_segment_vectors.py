"""Segments that DAO's library wrote read as the notes beside them say."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daosup.core.layout import recognise
from daosup.shm import Segment

FOLDER = Path(__file__).parents[1] / "vectors" / "segments"
NOTES = [note for layout in ("v0", "fifo", "semreg") for note in json.loads((FOLDER / f"{layout}.json").read_text())]

each_vector = pytest.mark.parametrize("note", NOTES, ids=[note["file"] for note in NOTES])


@pytest.fixture
def vector(note: dict[str, Any]) -> Iterator[Segment]:
    with Segment.open(FOLDER / note["file"], writable=False) as segment:
        yield segment


def sha256(frame: np.ndarray) -> str:
    return hashlib.sha256(frame.tobytes()).hexdigest()


def test_every_vector_has_a_note_and_every_note_a_vector() -> None:
    assert sorted(note["file"] for note in NOTES) == sorted(path.name for path in FOLDER.glob("*.im.shm"))
    assert len(NOTES) > 40


@each_vector
def test_geometry(note: dict[str, Any], vector: Segment) -> None:
    assert (vector.layout, vector.dtype.name, list(vector.shape)) == (note["layout"], note["dtype"], note["shape"])
    assert (vector.depth, vector.geometry.file_bytes) == (note["depth"], note["bytes"])
    assert vector.counter == note["cnt0"]
    assert vector.name == note["file"].removesuffix(".im.shm")


@each_vector
def test_newest_frame(note: dict[str, Any], vector: Segment) -> None:
    frame = vector.read()
    assert vector.stamp.counter == note["cnt0"]
    if note["newest_sha256"] is None:
        assert not frame.any()
        return
    assert sha256(frame) == note["newest_sha256"]
    assert [str(value) for value in frame.flat[:4]] == note["newest_first_values"]
    assert vector.stamp.time_ns > 1_700_000_000 * 10**9  # the library wrote it: after 2023, in ns


@each_vector
def test_history(note: dict[str, Any], vector: Segment) -> None:
    kept = note["history_sha256"]
    if not kept:
        assert not vector.history(vector.depth).any()
        return
    assert [sha256(frame) for frame in vector.history(len(kept))] == kept
    unwritten = vector.history(vector.depth)[: vector.depth - len(kept)]
    assert not unwritten.any()


@each_vector
def test_our_writing_goes_on_where_the_library_stopped(note: dict[str, Any], segment_path: Path) -> None:
    shutil.copyfile(FOLDER / note["file"], segment_path)
    segment_path.chmod(0o600)
    before = segment_path.read_bytes()
    with Segment.open(segment_path, writable=True) as segment:
        frame = (np.arange(segment.geometry.element_count) % 100).astype(segment.dtype).reshape(segment.shape)
        history = segment.history(segment.depth)
        segment.write(frame)
        assert segment.counter == note["cnt0"] + 1
        np.testing.assert_array_equal(segment.history(segment.depth), [*history[1:], frame])
    after = segment_path.read_bytes()
    # Nothing but one slot's frame, its counter and time, and the last slot's number has changed.
    changed = {place for place, (old, new) in enumerate(zip(before, after)) if old != new}
    metadata_bytes = {"v0": 4296, "fifo": 4304, "semreg": 5344}[note["layout"]]
    slot = note["cnt0"] % note["depth"]
    data = note["depth"] * metadata_bytes + slot * frame.nbytes
    allowed = {*range(data, data + frame.nbytes), *range(4300, 4304)}
    allowed |= {slot * metadata_bytes + offset for offset in (*range(136, 144), *range(152, 160), *range(168, 176))}
    assert changed <= allowed
    assert recognise(after[:4304], len(after)) == segment.geometry
