"""What the pumps write into a worker's statistics page while Python has no part: each frame, and how late it is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Optional

import pytest

from daosup.core.header import HEADER_BYTES
from daosup.core.latency import Latencies, read_latencies
from daosup.shm._native import NEW, OTHER, TIMEOUT, WOKEN
from daosup.shm.keywords import Keyword
from daosup.workers.statistics import Statistics, StatisticsPage, StatisticsReader
from tests.integration.pumps import FOREVER_S, Rig, pumps
from tests.meanwhile import repeated


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


class Page:
    """A page as its supervisor sees it, and as the rig's pumps write into it."""

    def __init__(self, rig: Rig, path: Path) -> None:
        self.writing = StatisticsPage(path)
        self._reader = StatisticsReader(path)
        rig.outlet.page = rig.inlet.page = self.writing.memory

    @property
    def now(self) -> Statistics:
        found = self._reader.read(os.getpid())
        assert found is not None
        return found

    @property
    def latencies(self) -> Latencies:
        self._reader.read(os.getpid())
        counts = self._reader.latency()
        assert counts is not None
        return read_latencies(counts)


@pytest.fixture
def page(rig: Rig, tmp_path: Path) -> Iterator[Page]:
    made = Page(rig, tmp_path / "page")
    yield made
    rig.outlet.page = rig.inlet.page = None
    del made.writing, made._reader


def test_what_is_sent_is_in_the_numbers_that_are_called_so(rig: Rig, page: Page) -> None:
    before = page.now
    written_ns = time.time_ns()
    for counter in (1, 2, 5):
        while rig.segment.counter < counter:
            rig.write_at(written_ns)
        assert rig.outlet.send() == TIMEOUT
    frame_bytes = rig.segment.geometry.frame_bytes
    after = page.now
    assert after.beat_ns > before.beat_ns
    assert after._replace(beat_ns=0) == before._replace(
        beat_ns=0,
        frames=3,
        payload_bytes=3 * (HEADER_BYTES + frame_bytes),
        skipped=2,
        gaps=1,
        source_counter=5,
        write_time_utc_ns=written_ns,
    )


def test_what_is_taken_is_too(rig: Rig, page: Page) -> None:
    before = page.now
    written_ns = time.time_ns()
    assert rig.offer(5, rig.message(5, write_time_ns=written_ns)) == (NEW, None)
    after = page.now
    assert after._replace(beat_ns=0) == before._replace(
        beat_ns=0, frames=1, payload_bytes=len(rig.message(5)), source_counter=5, write_time_utc_ns=written_ns
    )


def test_a_stamp_writes_its_own_numbers_over_them(rig: Rig, page: Page) -> None:
    rig.write_at(time.time_ns())
    rig.outlet.send()
    page.writing.frames = 7
    page.writing.stamp()
    assert (page.now.frames, page.latencies.total) == (7, 1)


def writing(rig: Rig, pause_s: float) -> AbstractContextManager[None]:
    """Somebody writes the source all the time."""
    return repeated(lambda: rig.write_at(time.time_ns()), pause_s)


def test_other_keywords_end_it_while_frames_flow_and_the_same_do_not(tmp_path: Path) -> None:
    with pumps(tmp_path, keywords=2) as rig:
        keywords = rig.segment.keywords
        keywords.put(Keyword("GAIN", 1))
        rig.outlet.keywords = keywords.raw()
        with writing(rig, 0.002):
            until_s = time.monotonic() + 1.0
            assert rig.outlet.send(5.0, until_s) == NEW
            assert time.monotonic() >= until_s
            keywords.put(Keyword("GAIN", 2))
            until_s = time.monotonic() + 30.0
            assert rig.outlet.send(5.0, until_s) == WOKEN
            assert time.monotonic() < until_s


def test_there_are_no_more_keywords_than_there_is_room_for(rig: Rig) -> None:
    rig.outlet.keywords = bytes(len(rig.segment.keywords.raw()) + 1)
    with pytest.raises(ValueError, match="no room for"):
        rig.outlet.send()


def test_a_signal_is_handled_soon_while_frames_pour_in(rig: Rig, page: Page) -> None:
    class Rung(Exception):
        pass

    def ring(number: int, frame: Optional[FrameType]) -> None:
        raise Rung

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with writing(rig, 0.0):
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            began_s = time.monotonic()
            with pytest.raises(Rung):
                rig.outlet.send(5.0, FOREVER_S)
            assert time.monotonic() < began_s + 5.0
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_frame_counts_by_the_time_from_its_writing_to_its_sending(rig: Rig, page: Page) -> None:
    for written_ns in (time.time_ns(), time.time_ns() - 50_000_000, time.time_ns() - 3600 * 10**9):
        rig.write_at(written_ns)
        before = time.time_ns()
        assert rig.outlet.send() == TIMEOUT
        latest = page.latencies
        assert before - written_ns <= latest.total_ns or latest.frames[-1]
        assert latest.total_ns <= time.time_ns() - written_ns
        page.writing.latency[:] = bytes(len(page.writing.latency))
        assert (latest.total, latest.ahead) == (1, 0)


def test_a_frame_counts_by_the_time_from_its_writing_to_its_being_here(rig: Rig, page: Page) -> None:
    written_ns = time.time_ns() - 20_000_000
    assert rig.offer(5, rig.message(5, write_time_ns=written_ns)) == (NEW, None)
    assert 20_000_000 <= page.latencies.total_ns <= time.time_ns() - written_ns
    assert page.latencies.total == 1


@pytest.mark.parametrize(
    ("write_time_ns", "count", "ahead"),
    [(0, 0, 0), (-1, 0, 0), (-(2**63), 0, 0), (2**63 - 1, 1, 1), (1, 1, 0)],
)
def test_a_time_that_cannot_be_does_no_harm(rig: Rig, page: Page, write_time_ns: int, count: int, ahead: int) -> None:
    assert rig.offer(5, rig.message(5, write_time_ns=write_time_ns)) == (NEW, None)
    latest = page.latencies
    assert (latest.total, latest.ahead) == (count, ahead)
    assert latest.total_ns <= 2**34


def test_what_is_not_written_is_not_counted(rig: Rig, page: Page) -> None:
    assert rig.offer(5, rig.message(7))[0] == OTHER
    assert (page.latencies.total, page.now.frames) == (0, 0)


def test_nothing_is_counted_outside_the_page(rig: Rig, page: Page) -> None:
    page_bytes = len(page.writing.memory)
    for wrong in (bytearray(page_bytes - 1), bytearray(page_bytes + 8), bytearray()):
        rig.outlet.page = rig.inlet.page = wrong
        for pump in (rig.outlet.send, lambda: rig.inlet.take(1)):
            with pytest.raises(ValueError, match="statistics page"):
                pump()
    rig.outlet.page = memoryview(bytearray(page_bytes + 8))[1:-7]
    with pytest.raises(ValueError, match="multiple of 8"):
        rig.outlet.send()
    rig.inlet.page = bytes(page_bytes)
    with pytest.raises(TypeError):
        rig.inlet.take(1)
