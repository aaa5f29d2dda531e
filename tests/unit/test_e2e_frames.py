"""What the end-to-end tests make of what the camera and the checker wrote down."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import cast

import pytest

from tests.e2e.frames import Frames, Seen
from tests.e2e.lab import Host

MS = 1_000_000
BEGAN_NS = time.time_ns() - 3600 * 1000 * MS


class _Folder:
    """A host of which only the files are looked at."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, file: str) -> Path:
        return self._folder / file


@pytest.fixture
def seen_of(tmp_path: Path):
    """What is made of frames written and seen at moments, in ms from the begin; numbers from 1 on."""

    def make(written: dict[int, int], seen: dict[int, int]) -> Seen:
        (tmp_path / "written").write_bytes(
            b"".join(struct.pack("<QQ", number, BEGAN_NS + ms * MS) for number, ms in written.items())
        )
        (tmp_path / "seen").write_bytes(
            b"".join(struct.pack("<QQQ", number, BEGAN_NS + ms * MS, 1) for number, ms in seen.items())
        )
        host = cast(Host, _Folder(tmp_path))
        return Frames(host, "seen", host, "written").since(BEGAN_NS)

    return make


def test_a_frame_waits_until_it_or_a_newer_one_is_seen(seen_of) -> None:
    seen = seen_of({1: 0, 2: 5, 3: 10, 4: 15}, {1: 1, 4: 605})
    assert seen.delay_s == pytest.approx(0.6)
    assert seen.lost == 2


def test_a_camera_that_stands_still_delays_nothing(seen_of) -> None:
    seen = seen_of({1: 0, 2: 700, 3: 705}, {1: 1, 2: 701, 3: 706})
    assert seen.delay_s == pytest.approx(0.001)
    assert seen.pause_s == pytest.approx(0.7)


def test_what_was_not_seen_at_all_is_late_until_now(seen_of) -> None:
    before_s = (time.time_ns() - BEGAN_NS) / 1e9
    seen = seen_of({1: 0, 2: 5}, {1: 1})
    assert before_s - 0.005 <= seen.delay_s <= (time.time_ns() - BEGAN_NS) / 1e9


def test_only_what_was_written_since_then_counts(seen_of) -> None:
    seen = seen_of({1: -900, 2: 5}, {2: 6})
    assert seen.delay_s == pytest.approx(0.001)


def test_a_record_that_is_being_written_is_left_for_later(seen_of, tmp_path: Path) -> None:
    seen_of({1: 0}, {1: 1})
    with (tmp_path / "seen").open("ab") as record:
        record.write(b"half")
    host = cast(Host, _Folder(tmp_path))
    assert Frames(host, "seen", host, "nothing yet").since(BEGAN_NS).count == 1
