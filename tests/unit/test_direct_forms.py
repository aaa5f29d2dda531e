"""Readers who want a part of each frame: made once for all who want the same, and at nobody else's cost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daosup.shm import lz4
from daosup.shm._native import MOST_FORMS
from tests.integration.direct_links import BYE, DESCRIBE, FRAME, FRAME_ID, PACKED, Far, Links, Message, links, message
from tests.integration.pumps import SEMAPHORE, Rig, pumps
from tests.packed_reference import unpacked
from tests.waiting import wait_until

#: Of the rig's frames, which are 32 x 24 of uint16.
CORNER = ((32, 0, 8, 1), (24, 0, 8, 1))
EVERY_OTHER = ((32, 0, 16, 2), (24, 0, 12, 2))
BIG = (2048, 1536)
#: More than a connection takes at once.
BIG_PART = ((2048, 8, 2040, 1), (1536, 0, 1536, 1))
SMALL_BUFFER = 1 << 17
#: For hangs only.
PATIENCE_S = 60.0


@pytest.fixture
def shape() -> tuple[int, int]:
    return (32, 24)


@pytest.fixture
def rig(tmp_path: Path, shape: tuple[int, int]) -> Iterator[Rig]:
    with pumps(tmp_path, shape) as made:
        yield made


@pytest.fixture
def line(rig: Rig) -> Iterator[Links]:
    with links() as made:
        made.begin(rig.segment.geometry.frame_bytes)
        yield made


def send(rig: Rig, line: Links, *, until_s: float = 1e9) -> int:
    return rig.window.send_frames(
        int(rig.near.underlying), rig.outlet.header, SEMAPHORE, 0.0, 0.02, until_s, direct=line.sender, has_zmq=False
    )


def arriving(rig: Rig, line: Links, far: Far) -> Message:
    """The next frame; the pump goes on until it is there, as a publisher's."""
    wait_until(lambda: send(rig, line) is not None and far.has_more(), what="a frame")
    return far.next(FRAME)


def flow(rig: Rig, line: Links, far: Far, value: int) -> Message:
    """Write a frame, and have it arrive."""
    rig.write(value)
    return arriving(rig, line, far)


def part(value: int, elements: int) -> bytes:
    return np.full(elements, value % 251, "uint16").tobytes()


def tend_until(line: Links, is_so: bool, far: Far) -> None:
    wait_until(lambda: any(said[:2] == (far.id, 0) for said in line.sender.tend()) == is_so, what="its end")


def test_a_part_has_all_that_belongs_to_its_frame(rig: Rig, line: Links) -> None:
    whole, corner = line.add(), line.add(form=line.form(2, *CORNER))
    assert corner.next(DESCRIBE).payload == b"part"
    assert whole.next(DESCRIBE).payload == b"one"
    for value in (1, 2, 3):
        found = flow(rig, line, corner, value)
        assert found.frame == part(value, 64)
        assert (found.cnt0, found.seq, found.dropped, found.atime_ns) == (value, value, 0, 2000 + value)
        assert (found.flags, found.reserved[0]) == (FRAME_ID, 1000 + value)
        assert whole.next(FRAME).frame == part(value, 32 * 24)
    wait_until(lambda: [row[1] for row in line.sender.readers()] == [3, 3], what="all to be counted")
    assert [row[:4] for row in line.sender.readers()] == [(whole.id, 3, 0, 3 * 1536), (corner.id, 3, 0, 3 * 128)]
    assert line.sender.count == 2
    assert (rig.window.sent, rig.window.skipped) == (3, 0)


def test_who_wants_only_a_part_needs_no_other_reader(rig: Rig, line: Links) -> None:
    far = line.add(form=line.form(2, *CORNER))
    far.next(DESCRIBE)
    for value in (1, 2, 3):
        assert flow(rig, line, far, value).cnt0 == value
    assert not rig.arrived()


def test_a_reader_that_comes_while_nothing_does_gets_the_newest_part_once(rig: Rig, line: Links) -> None:
    for value in (1, 2, 3):
        rig.write(value)
    form = line.form(2, *CORNER)
    fars = [line.add(form=form)]
    send(rig, line)
    first = fars[0].next(DESCRIBE), fars[0].next(FRAME)
    fars.append(line.add(form=form))
    second = fars[1].next(DESCRIBE), fars[1].next(FRAME)
    for _, frame in (first, second):
        assert (frame.frame, frame.cnt0) == (part(3, 64), 3)
    for _ in range(3):
        send(rig, line)
        line.sender.tend()
    assert not any(far.has_more() for far in fars)


def test_a_form_ends_with_its_last_reader(rig: Rig, line: Links) -> None:
    form = line.form(2, *CORNER)
    fars = [line.add(form=form) for _ in range(2)]
    other = line.form(2, *EVERY_OTHER)
    line.add(form=other)
    assert line.sender.forms == [form, other]
    for far in fars:
        assert form in line.sender.forms
        far.connection.close()
        tend_until(line, True, far)
    wait_until(lambda: line.sender.tend() is not None and line.sender.forms == [other], what="it to end")
    with pytest.raises(ValueError, match="no such form"):
        line.form(2, *CORNER, id=form)
    near, _ = line.connect()
    with near, pytest.raises(ValueError, match="no such form"):
        line.sender.add(near.fileno(), True, form=form)


@pytest.mark.parametrize(
    ("element_bytes", "axes"),
    [
        (2, ((32, 0, 33, 1), (24, 0, 24, 1))),
        (2, ((32, 32, 1, 1), (24, 0, 24, 1))),
        (2, ((32, 1, 16, 2), (24, 0, 13, 2))),
        (2, ((32, 0, 2, 2**64 - 1), (24, 0, 24, 1))),
        (2, ((32, 2**64 - 1, 1, 1), (24, 0, 24, 1))),
        (2, ((32, 0, 2**64 - 1, 2**64 - 1), (24, 0, 24, 1))),
        (2, ((32, 0, 0, 1), (24, 0, 24, 1))),
        (2, ((32, 0, 32, 0), (24, 0, 24, 1))),
        (2, ((24, 0, 8, 1), (24, 0, 8, 1))),
        (2, ((2**63, 0, 8, 1), (2**63, 0, 8, 1), (2**63, 0, 8, 1))),
        (3, ((16, 0, 8, 1), (32, 0, 8, 1))),
        (0, CORNER),
        (-2, CORNER),
    ],
)
def test_what_is_no_part_of_a_frame_is_refused(
    rig: Rig, line: Links, element_bytes: int, axes: tuple[tuple[int, int, int, int], ...]
) -> None:
    with pytest.raises(ValueError, match="no part of a frame of 1536 bytes"):
        line.form(element_bytes, *axes)
    assert line.sender.forms == []


def test_what_is_no_cut_at_all_is_refused(rig: Rig, line: Links) -> None:
    for axes in ((), ((1, 0, 1, 1),) * 4):
        with pytest.raises(ValueError, match="1 to 3 axes"):
            line.form(2, *axes)
    with pytest.raises(TypeError):
        line.sender.form(0, 2, ((32, 0, 8),), message(DESCRIBE))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a message has at least 64"):
        line.sender.form(0, 2, CORNER, b"too short")


def test_there_are_only_so_many_forms(rig: Rig, line: Links) -> None:
    for row in range(MOST_FORMS):
        line.form(2, (32, row, 1, 1), (24, 0, 24, 1))
    with pytest.raises(OSError, match="Too many users"):
        line.form(2, *CORNER)

    def made() -> int:
        line.sender.tend()
        try:
            return line.form(2, *CORNER)
        except OSError:  # those without readers are ending
            return 0

    far = line.add(form=wait_until(made, what="one of those without readers to end"))
    far.next(DESCRIBE)
    assert flow(rig, line, far, 1).frame == part(1, 64)


def test_a_segment_made_anew_is_cut_as_it_is_now(rig: Rig, line: Links) -> None:
    corner, lost = line.form(2, *CORNER), line.form(2, *EVERY_OTHER)
    fars = [line.add(form=form) for form in (corner, lost)]
    rig.write(1)
    for far in fars:
        far.next(DESCRIBE)
        assert arriving(rig, line, far).cnt0 == 1
    line.begin(rig.segment.geometry.frame_bytes, b"two")  # the same file does for it
    line.form(2, (16, 0, 4, 1), (48, 0, 4, 1), id=corner, name=b"another part")
    assert fars[0].next(DESCRIBE).payload == b"another part"
    assert arriving(rig, line, fars[0]).frame == part(1, 16)
    assert flow(rig, line, fars[0], 2).frame == part(2, 16)
    assert not fars[1].has_more()
    assert line.sender.answer(fars[1].id, message(BYE, b"gone"))
    wait_until(fars[1].has_more, what="a goodbye")
    assert fars[1].next(BYE).payload == b"gone"


def test_new_keywords_are_told_to_readers_of_parts(rig: Rig, line: Links) -> None:
    form = line.form(2, *CORNER)
    far = line.add(form=form)
    line.sender.describe_form(form, message(DESCRIBE, b"new"))
    assert [far.next(DESCRIBE).payload for _ in range(2)] == [b"part", b"new"]


def test_a_rate_is_kept_and_every_frame_is_got_of_parts_too(rig: Rig, line: Links) -> None:
    form = line.form(2, *CORNER)
    seldom, every = line.add(form=form, min_period_ns=10**12), line.add(form=form, ring_frames=50)
    for value in range(1, 31):
        rig.write(value)
        send(rig, line)
        if value == 1:
            seldom.next(DESCRIBE)
            assert seldom.next(FRAME).cnt0 == 1
    every.next(DESCRIBE)
    found = [every.next(FRAME) for _ in range(30)]
    assert [each.cnt0 for each in found] == [*range(1, 31)]
    assert [each.frame for each in found] == [part(value, 64) for value in range(1, 31)]
    assert {id: frames for id, frames, *_ in line.sender.readers()}[seldom.id] == 1


@pytest.mark.parametrize("shape", [BIG])
def test_one_that_stands_still_delays_nobody_and_then_gets_the_newest(rig: Rig, line: Links) -> None:
    form = line.form(2, *BIG_PART)
    still = line.add(form=form, receive_buffer_bytes=SMALL_BUFFER)
    corner = line.add(form=line.form(2, (2048, 0, 8, 1), (1536, 0, 8, 1)))
    corner.next(DESCRIBE)
    for value in range(1, 6):
        assert flow(rig, line, corner, value).frame == part(value, 64)
        wait_until(lambda: [row[4] for row in line.sender.readers()] == [True, False], what="it to be behind")
    still.next(DESCRIBE)
    found = still.next(FRAME)
    while found.cnt0 < 5:
        assert found.frame == part(found.cnt0, 2040 * 1536)
        found = arriving(rig, line, still)
    assert found.frame == part(5, 2040 * 1536)
    assert found.seq + found.dropped == 5


@pytest.mark.parametrize("shape", [BIG])
def test_a_sender_is_closed_in_the_middle_of_making_frames(rig: Rig, line: Links) -> None:
    fars = [
        line.add(form=line.form(2, *BIG_PART)),
        line.add(form=line.form(2, *((2048, 0, 1024, 2), (1536, 0, 768, 2)))),
    ]
    for far in fars:
        far.next(DESCRIBE)
    rig.write(1)
    send(rig, line, until_s=time.monotonic())
    line.sender.close()
    assert line.sender.count == 0


def test_packed_and_plain_parts_are_forms_of_their_own(rig: Rig, line: Links) -> None:
    plain = line.add(form=line.form(2, *CORNER))
    form = line.sender.form(0, 2, CORNER, message(DESCRIBE, b"packed"), True)
    packed = line.add(form=form)
    with pytest.raises(ValueError, match="no such form"):
        line.form(2, *CORNER, id=form)
    assert plain.next(DESCRIBE).payload == b"part"
    assert packed.next(DESCRIBE).payload == b"packed"
    found = flow(rig, line, packed, 258)
    assert found.flags == FRAME_ID | PACKED | 2 << 16
    assert len(found.frame) < 128
    assert unpacked(found.frame, 2) == part(258, 64)
    assert arriving(rig, line, plain).frame == part(258, 64)
    noise = np.random.default_rng(3).integers(0, 65536, (32, 24), "uint16")
    rig.segment.write(noise)
    found = arriving(rig, line, packed)
    assert (found.flags, found.frame) == (FRAME_ID, noise[:8, :8].tobytes())


def test_without_liblz4_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lz4.why_not("lz4", "here") is None
    monkeypatch.setattr(lz4, "load_liblz4", lambda: False)
    assert lz4.why_not("none", "here") is None
    assert lz4.why_not("lz4", "at the owner") == (
        "compress=lz4 needs liblz4.so.1 at the owner: install liblz4-1 (Debian, Ubuntu) or lz4-libs (Rocky, AlmaLinux)"
    )


#: With two forms, and so with their threads, a child ends, one way or the other.
FORKING = """
import os, sys
from pathlib import Path
from tests.integration.direct_links import DESCRIBE, FRAME, links
from tests.integration.pumps import SEMAPHORE, pumps
from tests.packed_reference import unpacked
from tests.waiting import wait_until

with pumps(Path(sys.argv[1]), (32, 24)) as rig, links() as line:
    line.begin(rig.segment.geometry.frame_bytes)
    far = line.add(form=line.form(2, (32, 0, 8, 1), (24, 0, 8, 1)))
    child = os.fork()
    if child == 0:
        line.sender.close()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    far.next(DESCRIBE)
    rig.write(1)
    def send():
        rig.window.send_frames(
            int(rig.near.underlying), rig.outlet.header, SEMAPHORE, 0.0, 1.0, 1e9, direct=line.sender, has_zmq=False
        )
        return far.has_more()
    wait_until(send, what="a frame")
    assert far.next(FRAME).cnt0 == 1
    assert line.sender.tend() == []
    print("whole")
"""


def test_a_child_that_closes_its_copy_leaves_forms_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.stdout, done.returncode) == ("whole\n", 0), done.stderr
