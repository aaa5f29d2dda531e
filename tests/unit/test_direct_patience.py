"""Who is waited for: a reader that is the only one and wants the newest frame, for up to 25 ms; else nobody.

Whether somebody was waited for shows in how long a frame takes, which a busy machine may lengthen but not shorten: so
of several rounds the shortest counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest

from daosup.shm._native import WOKEN
from tests.integration.direct_links import DESCRIBE, FRAME, Links, links
from tests.integration.pumps import NAME, SEMAPHORE, Rig, pumps
from tests.semaphores_seen import sleepers
from tests.waiting import wait_until

#: More than a connection takes at once.
BIG = (2048, 1536)
SMALL_BUFFER = 1 << 17
WAITED_S = 0.025
ROUNDS = 8
#: For hangs only.
PATIENCE_S = 60.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path, BIG) as made:
        yield made


@pytest.fixture
def line(rig: Rig) -> Iterator[Links]:
    with links() as made:
        made.begin(rig.segment.geometry.frame_bytes)
        yield made


def send(rig: Rig, line: Links, seconds: float) -> int:
    return rig.window.send_frames(
        int(rig.near.underlying), rig.outlet.header, SEMAPHORE, seconds, 1.0, time.monotonic() + seconds,
        direct=line.sender, has_zmq=False,
    )  # fmt: skip


def shortest_s(rig: Rig, line: Links, ring_frames: int, seen: Callable[[int], object]) -> float:
    """How long a frame takes at best until it is ``seen``, when a reader takes nothing of it who took all before."""
    took_s, others = [], line.sender.count
    with ThreadPoolExecutor(1) as aside:
        for value in range(2, ROUNDS + 2):
            far = line.add(receive_buffer_bytes=SMALL_BUFFER, ring_frames=ring_frames)
            send(rig, line, 0.0)
            far.next(DESCRIBE)
            assert far.next(FRAME).cnt0 == value - 1
            wait_until(lambda: not any(is_behind for *_, is_behind in line.sender.readers()), what="it to have all")
            pumping = aside.submit(send, rig, line, PATIENCE_S)
            wait_until(lambda: sleepers(f"{NAME}_sem{SEMAPHORE:02d}") > 0, what="the pump to sleep")
            began_s = time.monotonic()
            rig.write(value)
            seen(value)
            took_s.append(time.monotonic() - began_s)
            rig.window.kick(SEMAPHORE)
            assert pumping.result(PATIENCE_S) == WOKEN
            far.connection.close()
            wait_until(lambda: (line.sender.tend(), line.sender.count == others)[1], what="it to be gone")
    return min(took_s)


def test_the_only_one_is_waited_for(rig: Rig, line: Links) -> None:
    rig.write(1)
    assert shortest_s(rig, line, 0, lambda value: _await_sent(rig, value)) >= WAITED_S


def test_one_that_gets_every_frame_is_not_or_frames_that_come_meanwhile_would_be_lost(rig: Rig, line: Links) -> None:
    rig.write(1)
    assert shortest_s(rig, line, 4, lambda value: _await_sent(rig, value)) < WAITED_S


def test_nobody_is_where_others_read_a_form(rig: Rig, line: Links) -> None:
    corner = line.add(form=line.form(2, (2048, 0, 8, 1), (1536, 0, 8, 1)))
    corner.next(DESCRIBE)

    def seen(value: int) -> None:
        while corner.next(FRAME).cnt0 < value:
            pass

    rig.write(1)
    assert shortest_s(rig, line, 0, seen) < WAITED_S


def _await_sent(rig: Rig, value: int) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while rig.window.sent < value:
        assert time.monotonic() < deadline_s
        time.sleep(0)
