"""Waiting for frames: woken and not polling, no frame missed whoever else waits, and never deaf to signals."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from daosup.errors import SegmentBusyError
from daosup.shm import Segment
from tests.segment_files import old_bytes
from tests.semaphores_seen import THIEF, sleepers
from tests.waiting import wait_until

FRAME = np.zeros(3, "uint8")


@pytest.fixture
def writer(segment_path: Path) -> Iterator[Segment]:
    with Segment.create(segment_path, (3,), "uint8") as made:
        yield made


@pytest.fixture
def reader(writer: Segment) -> Iterator[Segment]:
    with Segment.open(writer.path) as opened:
        yield opened


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def someone_sleeps(on: str = "seg_sem00") -> None:
    wait_until(lambda: sleepers(on) > 0, what=f"a sleeper on {on}")


def test_a_write_wakes_the_waiter_at_once(writer: Segment, reader: Segment, aside: ThreadPoolExecutor) -> None:
    delays_s = []
    for count in range(1, 12):
        woken = aside.submit(lambda known=count - 1: (reader.wait(known, 5.0), time.monotonic()))
        someone_sleeps()
        written = time.monotonic()
        writer.write(FRAME)
        counter, seen = woken.result()
        assert counter == count
        delays_s.append(seen - written)
    # It looks at the counter by itself four times a second; so much sooner is a wake-up.
    assert statistics.median(delays_s) < 0.05
    assert reader.window.missed_wakeups <= 2


@pytest.mark.parametrize("is_spinning", [False, True])
def test_each_semaphore_has_a_waiter_that_gets_every_frame(
    writer: Segment, aside: ThreadPoolExecutor, is_spinning: bool
) -> None:
    def follow(index: int) -> list[int]:
        seen = [0]
        with Segment.open(writer.path) as own:
            ready.wait()
            while seen[-1] < 50:
                seen.append(own.wait(seen[-1], 5.0, semaphore=index, spin=is_spinning))
                paced[index].release()
        return seen

    indices = (0, 9)
    ready = threading.Barrier(len(indices) + 1)
    paced = {index: threading.Semaphore(0) for index in indices}
    with ThreadPoolExecutor(len(indices)) as pool:
        followers = [pool.submit(follow, index) for index in indices]
        ready.wait()
        for _ in range(50):
            writer.write(FRAME)
            for index in indices:
                assert paced[index].acquire(timeout=5)
        assert [follower.result() for follower in followers] == [[*range(51)]] * len(indices)


def test_frames_come_though_somebody_else_takes_the_wakeups(
    writer: Segment, reader: Segment, aside: ThreadPoolExecutor
) -> None:
    thief = subprocess.Popen([sys.executable, "-c", THIEF, "/seg_sem00"])
    try:
        someone_sleeps()  # the thief came first, and is woken first
        delays_s = []
        for count in range(1, 21):
            woken = aside.submit(lambda known=count - 1: (reader.wait(known, 5.0), time.monotonic()))
            wait_until(woken.running, what="the reader's wait")
            written = time.monotonic()
            writer.write(FRAME)
            counter, seen = woken.result()
            assert counter == count
            delays_s.append(seen - written)
        assert reader.window.missed_wakeups >= 1
        assert max(delays_s) < 1.0
        assert statistics.median(delays_s) < 0.05  # having missed one, it looks more often
    finally:
        thief.kill()
        thief.wait()


def test_semaphores_made_anew_are_found(writer: Segment, reader: Segment, aside: ThreadPoolExecutor) -> None:
    woken = aside.submit(reader.wait, 0, 5.0)
    someone_sleeps()
    for path in Path("/dev/shm").glob("sem.seg_*"):
        path.unlink()
    with Segment.open(writer.path, writable=True) as other:
        other.write(FRAME)  # posts the new ones
        assert woken.result() == 1
        assert reader.window.missed_wakeups == 1
        woken = aside.submit(reader.wait, 1, 5.0)
        someone_sleeps()
        other.write(FRAME)
        assert woken.result() == 2


def test_without_semaphores_it_polls(segment_path: Path, aside: ThreadPoolExecutor) -> None:
    segment_path.write_bytes(old_bytes((3,), "uint8"))
    with Segment.open(segment_path, writable=True) as reader, Segment.open(segment_path, writable=True) as writer:
        woken = aside.submit(reader.wait, 0, 5.0)
        wait_until(woken.running, what="the reader's wait")
        writer.window.commit(FRAME, 0, 0, 0)  # this one makes no semaphores
        assert woken.result() == 1
        assert not list(Path("/dev/shm").glob("sem.seg_*"))


@pytest.mark.parametrize("is_spinning", [False, True])
@pytest.mark.parametrize("semaphore", [0, 77])
@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
def test_a_wait_ends_when_its_time_is_over(
    reader: Segment, timeout_s: float, semaphore: int, is_spinning: bool
) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=f"no new frame within {timeout_s} s"):
        reader.wait(0, timeout_s, semaphore=semaphore, spin=is_spinning)
    assert timeout_s <= time.monotonic() - began < timeout_s + 0.5


def test_by_default_it_waits_for_what_was_not_read_yet(writer: Segment, reader: Segment) -> None:
    writer.write(FRAME)
    writer.write(FRAME)
    assert reader.wait(timeout_s=0.0) == 2
    reader.read()
    with pytest.raises(TimeoutError):
        reader.wait(timeout_s=0.0)


class Alarm(Exception):
    pass


def wait_asleep(reader: Segment) -> None:
    reader.wait(0, 60.0)


def wait_polling(reader: Segment) -> None:
    reader.wait(0, 60.0, semaphore=77)


def wait_spinning(reader: Segment) -> None:
    reader.wait(0, 60.0, spin=True)


def read_busy(reader: Segment) -> None:
    reader.read(timeout_s=60.0)


@pytest.mark.parametrize("use", [wait_asleep, wait_polling, wait_spinning, read_busy])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_wait_at_once(
    writer: Segment, reader: Segment, aside: ThreadPoolExecutor, use: Callable[[Segment], None], number: int
) -> None:
    def on_signal(*_: Any) -> None:
        raise Alarm

    def interrupt() -> float:
        # A thread that gets to see the other inside has the interpreter's lock: it is free meanwhile.
        wait_until(lambda: sys._current_frames()[main].f_code in inside, what="the wait")
        signal.pthread_kill(main, number)
        return time.monotonic()

    if use is read_busy:
        raise_write_flag(writer, 1)
    inside = (Segment.wait.__code__, Segment._snapshot.__code__)
    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(number, on_signal if number == signal.SIGUSR1 else signal.default_int_handler)
    try:
        sent = aside.submit(interrupt)
        with pytest.raises(Alarm if number == signal.SIGUSR1 else KeyboardInterrupt):
            use(reader)
        assert time.monotonic() - sent.result() < 1.0
    finally:
        signal.signal(number, before)


def raise_write_flag(writer: Segment, flag: int) -> None:
    with open(writer.path, "r+b") as file:
        file.seek(176)
        file.write(bytes([flag]))


@pytest.mark.parametrize("use", [wait_asleep, wait_polling, wait_spinning, read_busy])
def test_other_threads_run_meanwhile(
    writer: Segment, reader: Segment, aside: ThreadPoolExecutor, use: Callable[[Segment], None]
) -> None:
    if use is read_busy:
        raise_write_flag(writer, 1)
    waiting = aside.submit(use, reader)
    turns = 0
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:
        turns += 1
    assert waiting.running()
    assert turns > 1000
    if use is read_busy:
        raise_write_flag(writer, 0)
    else:
        writer.write(FRAME)
    waiting.result(timeout=5)


def test_a_busy_read_gives_up_in_time(writer: Segment, reader: Segment) -> None:
    raise_write_flag(writer, 1)
    for timeout_s in (0.0, 0.02, 0.2):
        began = time.monotonic()
        with pytest.raises(SegmentBusyError, match="died while writing"):
            reader.read(timeout_s=timeout_s)
        assert timeout_s <= time.monotonic() - began < timeout_s + 0.5
