"""The loops without Python while they spin: what they send and take, and what ends them, is as when they sleep."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from daosup.core import dnet
from daosup.core.dnet import Kind
from daosup.core.layout import make_geometry
from daosup.errors import SegmentLostError
from daosup.shm import Segment
from daosup.shm._native import BAD, CLOSED, NEW, OTHER, TIMEOUT, WOKEN, DirectReceiver
from daosup.shm.segment import FOREVER_S
from tests.integration.direct_owner import Owner, connected, frame_of, hostile, soon
from tests.integration.pumps import SEMAPHORE, Rig, pumps

#: Longer than any test: what ends one that spins was noticed while it did.
SPIN_S = 60.0
SHAPES = [(32, 24), (256, 512)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def send(rig: Rig, rest_s: float, until_s: float = FOREVER_S, spin_s: float = SPIN_S) -> int:
    """As a publisher that spins."""
    address = int(rig.near.underlying)
    return rig.window.send_frames(
        address, rig.outlet.header, SEMAPHORE, rest_s, 0.02, until_s, b"", b"", None, None, True, spin_s
    )


def test_frames_that_are_written_while_it_spins_are_sent(rig: Rig, aside: ThreadPoolExecutor) -> None:
    rig.segment.create_semaphores()
    for value in range(1, 51):
        sending = aside.submit(send, rig, 0.0, 0.0)
        rig.write(value)
        assert sending.result() == NEW  # it is left to us, as so it was asked for
        assert send(rig, 0.0, spin_s=0.0) == TIMEOUT
    assert (rig.window.sent, rig.window.skipped) == (50, 0)


def test_after_its_time_it_sleeps_as_long_as_it_was_told_to(rig: Rig) -> None:
    rig.segment.create_semaphores()
    began_s, began_cpu_s = time.monotonic(), time.thread_time()
    assert send(rig, 1.0, spin_s=0.1) == TIMEOUT
    assert time.monotonic() - began_s >= 1.0
    assert time.thread_time() - began_cpu_s < 0.5


def test_a_kick_is_noticed_while_it_spins(rig: Rig, aside: ThreadPoolExecutor) -> None:
    rig.segment.create_semaphores()
    sending = aside.submit(send, rig, SPIN_S)
    rig.window.kick(SEMAPHORE)
    assert sending.result(timeout=SPIN_S / 2) == WOKEN


def test_a_segment_that_is_taken_away_is_noticed_while_it_spins(rig: Rig, aside: ThreadPoolExecutor) -> None:
    sending = aside.submit(send, rig, SPIN_S)
    os.unlink(rig.segment.path)
    with pytest.raises(SegmentLostError):
        sending.result(timeout=SPIN_S / 2)


@contextmanager
def spinning(folder: Path, shape: tuple[int, ...]) -> Iterator[tuple[Segment, Owner, DirectReceiver]]:
    with Segment.create(folder / "spun.im.shm", shape, "uint16") as segment, connected() as (near, far):
        receiver = DirectReceiver(far.detach())
        receiver.spin_ns = int(SPIN_S * 1e9)
        try:
            yield segment, Owner(near, segment.geometry), receiver
        finally:
            receiver.close()
            segment.unlink()


@pytest.mark.parametrize("shape", SHAPES, ids=["small", "large"])
def test_frames_that_come_in_pieces_while_it_spins_are_written_whole(
    tmp_path: Path, shape: tuple[int, ...], aside: ThreadPoolExecutor
) -> None:
    with spinning(tmp_path, shape) as (segment, owner, receiver):
        for counter in range(1, 6):
            raw = owner.frame(counter)
            taking = aside.submit(segment.window.take_direct, receiver, counter, soon())
            for start in range(0, len(raw), len(raw) // 7):
                assert segment.counter == counter - 1
                owner.say(raw[start : start + len(raw) // 7])
            while taking.result()[0] == TIMEOUT:  # only a part was here in time
                taking = aside.submit(segment.window.take_direct, receiver, counter, soon())
            assert taking.result()[0] == NEW
            assert segment.read().tobytes() == frame_of(segment.geometry, counter)
        assert (receiver.taken, receiver.passed_over, receiver.gaps) == (5, 0, 0)


@pytest.mark.parametrize("shape", SHAPES, ids=["small", "large"])
def test_a_link_that_dies_in_a_frame_while_it_spins_leaves_the_last_one(
    tmp_path: Path, shape: tuple[int, ...], aside: ThreadPoolExecutor
) -> None:
    with spinning(tmp_path, shape) as (segment, owner, receiver):
        owner.say(owner.frame(1) + owner.frame(2)[:-1])
        taking = aside.submit(segment.window.take_direct, receiver, 1, FOREVER_S)
        owner.close()
        assert taking.result(timeout=SPIN_S / 2) == (CLOSED, None, None)
        assert segment.read().tobytes() == frame_of(segment.geometry, 1)
        assert receiver.taken == 1


@pytest.mark.parametrize("what", hostile(make_geometry((1,), "uint16")))
def test_what_may_not_come_ends_it_while_it_spins(tmp_path: Path, what: str) -> None:
    with spinning(tmp_path, (32, 24)) as (segment, owner, receiver):
        owner.say(hostile(segment.geometry)[what])
        assert segment.window.take_direct(receiver, 1, FOREVER_S) == (BAD, None, None)
        assert segment.counter == 0


def test_what_is_no_frame_comes_to_who_spins(tmp_path: Path) -> None:
    with spinning(tmp_path, (32, 24)) as (segment, owner, receiver):
        owner.say(owner.description())
        outcome, raw, _ = segment.window.take_direct(receiver, 1, FOREVER_S)
        assert outcome == OTHER
        assert raw is not None
        assert dnet.decode_header(raw).kind == Kind.DESCRIBE


def acknowledges_at_once(connection: socket.socket) -> bool:
    """Whether the kernel does now; it goes back to delays once the connection talks both ways."""
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))


def test_what_comes_is_acknowledged_at_once_where_that_is_asked_for(tmp_path: Path) -> None:
    with Segment.create(tmp_path / "quick.im.shm", (16,), "uint16") as segment, connected() as (near, far):
        owner, same = Owner(near, segment.geometry), far.dup()
        receiver = DirectReceiver(far.detach())
        try:
            for counter, is_quick in ((1, False), (2, True)):
                receiver.is_quick = is_quick
                same.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
                assert not acknowledges_at_once(same)
                owner.send(counter)
                while receiver.taken < counter:
                    assert segment.window.take_direct(receiver, counter, 0.0)[0] in (NEW, TIMEOUT)
                assert acknowledges_at_once(same) is is_quick
        finally:
            receiver.close()
            same.close()
            segment.unlink()
