"""From a segment to direct readers: each gets whole frames behind their description, and nobody waits for another."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from daosup.core import dnet
from daosup.core.header import decode_header
from daosup.shm._native import TIMEOUT
from tests.integration.direct_links import (
    ASK,
    DESCRIBE,
    ECHO,
    FRAME,
    FRAME_ID,
    HEADER,
    HEARTBEAT,
    META,
    PATIENCE_S,
    WRITE,
    Links,
    links,
    message,
)
from tests.integration.pumps import SEMAPHORE, Rig, filled, pumps

VECTORS = Path(__file__).parents[1] / "vectors" / "dnet"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with pumps(tmp_path) as made:
        yield made


@pytest.fixture
def line(rig: Rig) -> Iterator[Links]:
    with links() as made:
        made.begin(rig.segment.geometry.frame_bytes)
        yield made


def send(rig: Rig, line: Optional[Links], *, has_zmq: bool = False, until_s: float = 1e9, rest_s: float = 0.0) -> int:
    return rig.window.send_frames(
        int(rig.near.underlying), rig.outlet.header, SEMAPHORE, rest_s, 0.02, until_s,
        direct=line.sender if line else None, has_zmq=has_zmq,
    )  # fmt: skip


def test_a_frame_goes_out_whole_with_all_that_belongs_to_it(rig: Rig, line: Links) -> None:
    ours, foreign = line.add(), line.add(is_ours=False)
    before_ns = time.time_ns()
    for value in (1, 2, 3):
        rig.write(value)
        assert send(rig, line) == TIMEOUT
    assert ours.next(DESCRIBE).payload == b"one"
    assert foreign.next(META).payload == b"meta one"
    for value in (1, 2, 3):
        mine, theirs = ours.next(FRAME), foreign.next(FRAME)
        for found in (mine, theirs):
            assert found.frame == filled(rig.segment, value)
            assert (found.cnt0, found.seq, found.dropped, found.atime_ns) == (value, value, 0, 2000 + value)
        assert mine.flags == FRAME_ID
        assert mine.reserved[0] == 1000 + value
        assert before_ns <= mine.reserved[1] <= time.time_ns()
        assert (theirs.flags, theirs.reserved) == (0, (0, 0))
    assert (rig.window.sequence, rig.window.sent, rig.window.skipped, rig.window.gaps) == (3, 3, 0, 0)
    assert not rig.arrived()
    frame_bytes = rig.segment.geometry.frame_bytes
    assert line.sender.readers() == [(far.id, 3, 0, 3 * frame_bytes, False) for far in (ours, foreign)]


def test_a_reader_that_comes_while_nothing_does_gets_the_newest_frame_once(rig: Rig, line: Links) -> None:
    for value in (1, 2, 3):
        rig.write(value)
    assert send(rig, line) == TIMEOUT
    first = line.add()
    assert send(rig, line) == TIMEOUT
    second = line.add()
    for _ in range(3):
        assert send(rig, line) == TIMEOUT
    for far in (first, second):
        far.next(DESCRIBE)
        assert far.next(FRAME).frame == filled(rig.segment, 3)
        assert not far.has_more()
    assert (rig.window.sequence, rig.window.sent) == (1, 3)


def test_a_frame_never_written_is_what_a_new_reader_gets_of_a_new_segment(rig: Rig, line: Links) -> None:
    far = line.add()
    assert send(rig, line) == TIMEOUT
    far.next(DESCRIBE)
    assert far.next(FRAME).cnt0 == 0
    assert rig.window.sequence == 0


def test_readers_of_the_socket_get_the_very_same_frame(rig: Rig, line: Links) -> None:
    far = line.add()
    rig.write(5)
    assert send(rig, line, has_zmq=True) == TIMEOUT
    far.next(DESCRIBE)
    frame = far.next(FRAME)
    (arrived,) = rig.arrived()
    header = decode_header(arrived)
    assert (header.counter, header.frame_id, header.write_time_ns) == (frame.cnt0, frame.reserved[0], frame.atime_ns)
    assert header.sequence == 1
    assert arrived[-len(frame.frame) :] == frame.frame


def test_without_direct_readers_frames_go_to_the_socket_as_ever(rig: Rig, line: Links) -> None:
    rig.write(5)
    assert send(rig, line) == TIMEOUT
    rig.write(6)
    assert send(rig, None) == TIMEOUT
    assert len(rig.arrived()) == 2


def test_a_frame_left_to_the_caller_went_to_direct_readers_already(rig: Rig, line: Links) -> None:
    far = line.add()
    rig.write(1)
    assert send(rig, line, has_zmq=True, until_s=0.0) != TIMEOUT
    far.next(DESCRIBE)
    assert far.next(FRAME).cnt0 == 1
    assert not rig.arrived()
    rig.segment.read()
    rig.window.note_sent()
    rig.window.send_frames(int(rig.near.underlying), rig.outlet.header, SEMAPHORE, 0.0, 0.02, 1e9, direct=line.sender)
    assert not far.has_more()


def test_new_keywords_are_told_at_once_and_before_the_next_frame(rig: Rig, line: Links) -> None:
    far = line.add()
    rig.write(1)
    send(rig, line)
    line.sender.describe(b"\1" * 64, b"\2" * 64)
    assert far.next(DESCRIBE).payload == b"one"
    assert far.next(FRAME).cnt0 == 1
    assert far.bytes(64) == b"\2" * 64
    assert not far.has_more()


def test_an_echo_is_flagged_for_the_one_who_wrote_it(rig: Rig, line: Links) -> None:
    writer, other = line.add(is_ours=False), line.add()
    line.sender.echo(writer.id, 2)
    for value in (1, 2, 3):
        rig.write(value)
        send(rig, line)
    writer.next(META)
    other.next(DESCRIBE)
    assert [writer.next(FRAME).flags for _ in range(3)] == [0, ECHO, 0]
    assert [other.next(FRAME).flags for _ in range(3)] == [FRAME_ID] * 3


def test_the_newest_frame_is_sent_again_to_the_one_who_lacks_it(rig: Rig, line: Links) -> None:
    lacking, every, other = line.add(), line.add(ring_frames=4), line.add()
    for value in (1, 2):
        rig.write(value)
        send(rig, line)
    for far in (lacking, every):
        far.connection.sendall(dnet.AGAIN)
        assert line.sender.tend() == []
    for far in (lacking, every):
        far.next(DESCRIBE)
        frames = [far.next(FRAME) for _ in range(3)]
        assert [frame.cnt0 for frame in frames] == [1, 2, 2]
        assert (frames[2].frame, frames[2].dropped) == (filled(rig.segment, 2), 0)
        assert not far.has_more()
    other.next(DESCRIBE)
    assert [other.next(FRAME).cnt0 for _ in range(2)] == [1, 2]
    assert not other.has_more()
    rig.write(3)
    send(rig, line)
    assert [far.next(FRAME).cnt0 for far in (lacking, every, other)] == [3, 3, 3]


def test_only_those_that_may_write_are_heard_and_waited_for() -> None:
    with links(100) as line:
        line.begin(24)
        reader, writer = line.add(), line.add(may_write=True)
        reader.connection.sendall(message(HEARTBEAT) + message(WRITE, bytes(24)))
        assert line.sender.tend() == []
        assert not select.select([line.sender.fd], [], [], 0)[0]
        writer.connection.sendall(message(ASK, b"may I?"))
        assert select.select([line.sender.fd], [], [], PATIENCE_S)[0]
        assert line.sender.tend() == [(writer.id, ASK, b"may I?")]
        assert not select.select([line.sender.fd], [], [], 0)[0]
        reader.connection.sendall(message(ASK, b"may I?"))
        assert line.sender.tend() == [(reader.id, 0, b"it asks with 6 bytes, allowed are 0")]
        writer.connection.close()
        assert select.select([line.sender.fd], [], [], PATIENCE_S)[0]
        assert [(id, kind) for id, kind, _ in line.sender.tend()] == [(writer.id, 0)]


def test_its_headers_are_those_of_the_codec(rig: Rig, line: Links) -> None:
    far = line.add()
    rig.write(7)
    send(rig, line)
    far.next(DESCRIBE)
    raw = far.bytes(HEADER.size)
    header = dnet.decode_header(raw)
    assert dnet.encode_header(header) == raw
    assert (header.kind, header.flags) == (dnet.Kind.FRAME, dnet.Flag.HAS_FRAME_ID)
    assert (header.counter, header.sequence, header.write_time_ns, header.reserved[0]) == (1, 1, 2007, 1007)
    far.bytes(header.payload_bytes)
    line.sender.close()
    assert far.bytes(1000) == (VECTORS / "bye.bin").read_bytes()
