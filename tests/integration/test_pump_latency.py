"""Each frame that is pumped is counted by how late it is, whatever it says of its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup.core.latency import LATENCY_BYTES, Latencies, read_latencies
from daosup.shm._native import NEW, TIMEOUT
from tests.integration.pumps import Rig, pumps


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def place(rig: Rig) -> bytearray:
    """Where the rig's pumps count."""
    place = bytearray(LATENCY_BYTES)
    rig.outlet.latency = rig.inlet.latency = place
    return place


def counts(place: bytearray) -> Latencies:
    return read_latencies(bytes(place))


def test_a_frame_counts_by_the_time_from_its_writing_to_its_sending(rig: Rig, place: bytearray) -> None:
    for written_ns in (time.time_ns(), time.time_ns() - 50_000_000, time.time_ns() - 3600 * 10**9):
        rig.write_at(written_ns)
        before = time.time_ns()
        assert rig.outlet.send() == TIMEOUT
        latest = counts(place)
        assert before - written_ns <= latest.total_ns or latest.frames[-1]
        assert latest.total_ns <= time.time_ns() - written_ns
        place[:] = bytes(LATENCY_BYTES)
        assert (latest.total, latest.ahead) == (1, 0)


def test_a_frame_counts_by_the_time_from_its_writing_to_its_being_here(rig: Rig, place: bytearray) -> None:
    written_ns = time.time_ns() - 20_000_000
    assert rig.offer(5, rig.message(5, write_time_ns=written_ns)) == (NEW, None)
    assert 20_000_000 <= counts(place).total_ns <= time.time_ns() - written_ns
    assert counts(place).total == 1


@pytest.mark.parametrize(
    ("write_time_ns", "count", "ahead"),
    [(0, 0, 0), (-1, 0, 0), (-(2**63), 0, 0), (2**63 - 1, 1, 1), (1, 1, 0)],
)
def test_a_time_that_cannot_be_does_no_harm(
    rig: Rig, place: bytearray, write_time_ns: int, count: int, ahead: int
) -> None:
    assert rig.offer(5, rig.message(5, write_time_ns=write_time_ns)) == (NEW, None)
    latest = counts(place)
    assert (latest.total, latest.ahead) == (count, ahead)
    assert latest.total_ns <= 2**34


def test_what_is_not_written_is_not_counted(rig: Rig, place: bytearray) -> None:
    rig.offer(5, rig.message(7))
    assert counts(place).total == 0


def test_nothing_is_counted_outside_the_place_for_it(rig: Rig) -> None:
    for wrong in (bytearray(LATENCY_BYTES - 1), bytearray(LATENCY_BYTES + 8), bytearray()):
        rig.outlet.latency = rig.inlet.latency = wrong
        for pump in (rig.outlet.send, lambda: rig.inlet.take(1)):
            with pytest.raises(ValueError, match="place for latencies"):
                pump()
    rig.outlet.latency = memoryview(bytearray(LATENCY_BYTES + 8))[1:-7]
    with pytest.raises(ValueError, match="multiple of 8"):
        rig.outlet.send()
    rig.inlet.latency = bytes(LATENCY_BYTES)
    with pytest.raises(TypeError):
        rig.inlet.take(1)
