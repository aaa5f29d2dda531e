"""Frames that are lent to libzmq: the same memory again and again, and never while somebody still reads it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq

from daosup.core.dnet import encode_describe, encode_meta
from daosup.core.header import HEADER_BYTES
from daosup.shm import Segment
from daosup.shm._native import TIMEOUT, DirectSender
from daosup.stream.sender import Messages
from tests.integration.pumps import EPOCH, SEMAPHORE, Outlet, Rig, filled, pumps, wire

LARGE = (256, 256)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path, LARGE) as made:
        yield made


def write_and_send(rig: Rig, value: int) -> None:
    rig.write(value)
    assert rig.outlet.send() == TIMEOUT


def pages_faulted() -> int:
    """How often this thread got a page of memory that it had not."""
    return int(Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()[7])


def address_of(frame: zmq.Frame) -> int:
    return int(np.frombuffer(frame.buffer, "uint8").ctypes.data)


def test_frames_that_were_let_go_are_sent_from_again(rig: Rig) -> None:
    addresses = set()
    for value in range(1, 101):
        write_and_send(rig, value)
        message = rig.far.recv(copy=False)
        assert bytes(message.buffer[HEADER_BYTES:]) == filled(rig.segment, value)
        addresses.add(address_of(message))
    assert len(addresses) <= 2  # one of the reader's, while the next one is sent


def test_what_somebody_holds_is_not_written_to(rig: Rig) -> None:
    held = []
    for value in range(1, 21):
        write_and_send(rig, value)
        held.append(rig.far.recv(copy=False))
    assert len({address_of(message) for message in held}) == 20
    for value, message in enumerate(held, 1):
        assert bytes(message.buffer[HEADER_BYTES:]) == filled(rig.segment, value)
    del held, message
    write_and_send(rig, 21)
    assert rig.far.recv()[HEADER_BYTES:] == filled(rig.segment, 21)


def test_in_the_steady_state_no_memory_is_asked_for(rig: Rig) -> None:
    def turns(count: int) -> int:
        before = pages_faulted()
        for value in range(count):
            write_and_send(rig, value)
            rig.far.recv(copy=False)
        return pages_faulted() - before

    turns(100)
    assert turns(1000) < 32 * 10  # a frame has 32 pages: ten frames of a thousand, whoever else needs some


@contextmanager
def lending(path: Path, socket: zmq.Socket[bytes], values: Iterable[int]) -> Iterator[Segment]:
    """A segment with those frames sent; nothing of it is left in this process afterwards."""
    with Segment.create(path, LARGE, "uint16") as segment:
        outlet = Outlet(segment, socket)
        for value in values:
            segment.write(np.full(LARGE, value, "uint16"))
            assert outlet.send() == TIMEOUT
        yield segment
        segment.unlink()
    del segment, outlet
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(path) in os.path.realpath(link)]


def test_frames_outlive_their_segment(tmp_path: Path) -> None:
    with wire() as (near, far):
        with lending(tmp_path / "lent.im.shm", near, range(1, 6)):
            held = far.recv(copy=False)
        assert (np.frombuffer(held.buffer, "uint16", offset=HEADER_BYTES) == 1).all()
        for value in range(2, 6):
            assert (np.frombuffer(far.recv(), "uint16", offset=HEADER_BYTES) == value).all()


def test_a_child_that_ends_with_them_harms_nobody(tmp_path: Path) -> None:
    with wire() as (near, far):
        with lending(tmp_path / "lent.im.shm", near, (1, 2)):
            child = os.fork()
            if child != 0:
                assert os.waitpid(child, 0)[1] == 0
        if child == 0:
            os._exit(0)
        for value in (1, 2):
            assert (np.frombuffer(far.recv(), "uint16", offset=HEADER_BYTES) == value).all()


# -- the same frame for direct readers


@pytest.fixture
def direct(rig: Rig) -> Iterator[DirectSender]:
    """With one reader, whose end is never read from: it takes two or three frames at most."""
    made = DirectSender()
    made.begin(rig.segment.geometry.frame_bytes, *said_of(rig.segment))
    near, far = socket.socketpair()
    with far:
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        made.add(near.detach(), True)
        yield made
        made.close()


def said_of(segment: Segment) -> tuple[bytes, bytes]:
    keywords = segment.keywords.raw()
    return (
        encode_meta("pumped", segment.geometry, keywords, 0),
        encode_describe(Messages(segment, EPOCH).description, EPOCH, 0, keywords),
    )


def send_both_ways(rig: Rig, direct: DirectSender, value: int) -> None:
    rig.write(value)
    outcome = rig.window.send_frames(
        int(rig.near.underlying), rig.outlet.header, SEMAPHORE, 0.0, 1.0, 1e9, direct=direct, has_zmq=True
    )
    assert outcome == TIMEOUT


def test_what_is_sent_directly_is_lent_as_well(rig: Rig, direct: DirectSender) -> None:
    addresses = set()
    for value in range(1, 51):
        send_both_ways(rig, direct, value)
        message = rig.far.recv(copy=False)
        assert bytes(message.buffer[HEADER_BYTES:]) == filled(rig.segment, value)
        addresses.add(address_of(message))
    assert len(addresses) <= 4  # and one that the direct reader never takes
    assert rig.window.sequence == 50


def test_frames_outlive_the_direct_sender(rig: Rig, direct: DirectSender) -> None:
    for value in (1, 2, 3):
        send_both_ways(rig, direct, value)
    direct.close()
    for value in (1, 2, 3):
        assert rig.far.recv()[HEADER_BYTES:] == filled(rig.segment, value)


def test_a_segment_made_anew_with_another_size_leaves_what_is_lent_alone(rig: Rig, direct: DirectSender) -> None:
    send_both_ways(rig, direct, 1)
    held = rig.far.recv(copy=False)
    direct.begin(8, *said_of(rig.segment))
    assert bytes(held.buffer[HEADER_BYTES:]) == filled(rig.segment, 1)
    del held
    direct.begin(rig.segment.geometry.frame_bytes, *said_of(rig.segment))
    send_both_ways(rig, direct, 2)
    assert rig.far.recv()[HEADER_BYTES:] == filled(rig.segment, 2)
