"""The bare programs that daosup is measured against move frames, and the observer sees what is wrong with them."""

from __future__ import annotations

import os
import time
from _multiprocessing import SemLock  # type: ignore[import-not-found]
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.bare_programs import BarePrograms
from bench.bare_pubsub import open_semaphore
from bench.contenders import BARE_SPINNING, BARE_STAGED, BARE_TCP, BARE_ZMQ
from daosup.shm import Segment
from tests.waiting import wait_until

WORDS = 64 * 1024 // 8
RATE_HZ = 100.0


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> BarePrograms:
    return BarePrograms.build(tmp_path_factory.mktemp("bare"))


@pytest.fixture(params=[1, 4], ids=["depth 1", "depth 4"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Segment, Segment]]:
    paths = [tmp_path / f"bare{os.getpid()}_{end}.im.shm" for end in ("source", "target")]
    source, target = (Segment.create(path, (WORDS,), "uint64", depth=request.param) for path in paths)
    yield source, target
    for segment in (source, target):
        segment.unlink()
        segment.close()


@pytest.mark.parametrize("name", [BARE_TCP, BARE_STAGED, BARE_SPINNING, BARE_ZMQ])
def test_a_pump_moves_whole_frames(programs: BarePrograms, ends: tuple[Segment, Segment], name: str) -> None:
    source, target = (Path(segment.path) for segment in ends)
    pump = (
        programs.zmq_pair(source, target)
        if name == BARE_ZMQ
        else programs.tcp_pair(source, target, is_spinning=name == BARE_SPINNING, is_staged=name == BARE_STAGED)
    )
    with pump, programs.observer(target, is_checking=True) as observer:

        def has_moved() -> bool:
            programs.write([source], rate_hz=RATE_HZ, seconds=0.2)
            return ends[1].counter > 10

        wait_until(has_moved, 10.0, "frames in the target")
        sight = observer.end()
    assert sight.torn == 0
    assert 0 < sight.delivered <= sight.written
    assert 0 < sight.ages_us.min() <= sight.ages_us.max() < 60e6
    frame = ends[1].read()
    assert set(np.delete(frame, 1)) == {frame[0]}
    assert 0 < frame[0] <= ends[0].counter


def test_a_writer_numbers_its_frames_by_their_counter(programs: BarePrograms, ends: tuple[Segment, Segment]) -> None:
    source = ends[0]
    written = programs.write([Path(source.path)], rate_hz=RATE_HZ, seconds=0.2)
    assert written.frames == source.counter == source.read()[0]
    assert 0 < written.frames <= RATE_HZ * written.seconds + 1


def test_an_observer_sees_torn_frames_and_what_was_skipped(
    programs: BarePrograms, ends: tuple[Segment, Segment]
) -> None:
    target = ends[1]
    semaphore = open_semaphore(f"/{target.name}_sem00")
    with programs.observer(Path(target.path), is_checking=True) as observer:
        for number, wrong in ((5, 0), (6, 1), (9, 0)):
            frame = np.full(WORDS, number, np.uint64)
            frame[1] = time.monotonic_ns()
            frame[-1] += wrong
            target.write(frame)
            wait_until(lambda: _is_done(semaphore, observer.pid), 10.0, "the observer to have looked at it")
        sight = observer.end()
    assert (len(sight.ages_us), sight.torn) == (3, 1)
    assert (sight.written, sight.delivered, sight.skipped) == (4, 2, 2)


def _is_done(semaphore: SemLock, pid: int) -> bool:
    """Whether the observer took the post, and sleeps again."""
    return semaphore._is_zero() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
