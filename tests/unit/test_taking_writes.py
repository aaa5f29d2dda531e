"""The owner's part in writing back: which frames it writes, in which order, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
import pytest

from daosup.core.header import HEADER_BYTES, Description, pack_header
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.core.writing import FRAME_AT, SHARED_WAY, Verdict, ask_header, decode_answer, write_header, writer_of
from daosup.shm import Segment
from daosup.workers.orders import PublisherOrder
from daosup.workers.taking_writes import LATE_S, TakingWrites

EPOCH = 77
LAB = writer_of("lab")
MOST_BYTES = 4096


class Owner:
    """A segment of one byte, and what takes in writes to it."""

    def __init__(self, folder: Path) -> None:
        self.segment = Segment.create(folder / "dm.im.shm", (1,), "uint8")
        self.page: Any = SimpleNamespace(rejected=0)  # a page ends with its process
        key = WorkerKey(WorkerKind.PUBLISHER, Source("rts", "dm"))
        order = PublisherOrder(key, str(self.segment.path), folder / "page", "*", 0, 0, 0, 9)
        self.taking = TakingWrites(order, self.page, MOST_BYTES)
        self.layout_id = Description(self.segment.geometry, self.segment.creation_time, "rts:dm").layout_id
        self.follow()

    def follow(self) -> None:
        """Take writes, as of a segment that was just opened."""
        self.taking.follow(self.segment, EPOCH, self.layout_id)

    def ask(self, way: int = SHARED_WAY) -> Optional[Verdict]:
        """What is answered to a question of lab's; None: nothing."""
        message = bytearray(FRAME_AT) + b"lab"
        message[HEADER_BYTES:FRAME_AT] = LAB
        pack_header(message, ask_header(EPOCH, self.layout_id, 0, "lab", is_leaving=False))
        return self._verdict(message, way)

    def write(self, value: int, way: int = SHARED_WAY) -> Optional[Verdict]:
        """What is answered to a frame of lab's."""
        message = bytearray(FRAME_AT) + bytes([value])
        message[HEADER_BYTES:FRAME_AT] = LAB
        pack_header(message, write_header(EPOCH, self.layout_id, value, value, value, 0, 1))
        return self._verdict(message, way)

    def _verdict(self, message: bytearray, way: int) -> Optional[Verdict]:
        answer = self.taking.hear(bytes(message), way)
        return None if answer is None else decode_answer(answer, LAB).verdict

    @property
    def value(self) -> int:
        """What the segment has."""
        return int(self.segment.read()[0])


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    made = Owner(tmp_path)
    made.segment.write(np.zeros(1, "uint8"))
    yield made
    made.taking.close()
    made.segment.unlink()
    made.segment.close()


def test_who_has_a_direct_connection_is_heard_by_no_other_way(owner: Owner) -> None:
    assert (owner.ask(), owner.write(1)) == (Verdict.WRITTEN, Verdict.WRITTEN)
    owner.taking.connected("lab", 5)
    assert owner.write(3, 5) == Verdict.WRITTEN
    # What was still on its way by ZeroMQ, or by a connection that another one took the place of.
    for way in (SHARED_WAY, 4):
        assert (owner.ask(way), owner.write(2, way)) == (None, None)
    assert (owner.value, owner.taking.counts) == (3, (2, 2, 0))
    owner.taking.disconnected(5)
    assert (owner.write(4, 5), owner.write(5)) == (None, Verdict.WRITTEN)
    assert owner.value == 5


def test_all_that_waited_while_the_publisher_was_stopped_is_late(owner: Owner) -> None:
    owner.taking.tend(100.0)
    assert owner.write(1) == Verdict.WRITTEN
    now = 100.0 + LATE_S + 0.1
    owner.taking.tend(now)
    assert owner.write(2) == Verdict.STALE
    owner.taking.tend(now + 0.1, has_more=True)  # of what waited, not all was heard at once
    assert owner.write(3) == Verdict.STALE
    owner.taking.tend(now + 0.2)
    assert owner.write(4) == Verdict.WRITTEN
    owner.taking.tend(now + 0.3, has_more=True)
    assert owner.write(5) == Verdict.WRITTEN
    assert (owner.value, owner.taking.counts) == (5, (3, 2, 0))


def test_while_the_segment_is_away_nothing_is_written_or_answered(owner: Owner) -> None:
    assert owner.write(1) == Verdict.WRITTEN
    owner.taking.let_go()
    assert (owner.ask(), owner.write(2), owner.taking.take_foreign("lab", b"\3")) == (None, None, None)
    assert owner.value == 1
    owner.follow()
    assert owner.write(4) == Verdict.WRITTEN
    assert owner.value == 4
