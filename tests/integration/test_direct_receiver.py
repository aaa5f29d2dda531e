"""From a direct connection into a segment without Python: whole frames that are described, and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from daosup.core import dnet
from daosup.core.dnet import Header, Kind
from daosup.core.latency import read_latencies
from daosup.core.layout import make_geometry
from daosup.errors import SegmentLostError
from daosup.shm import Segment
from daosup.shm._native import BAD, CLOSED, NEW, OTHER, TIMEOUT, DirectReceiver
from daosup.shm.segment import FOREVER_S
from daosup.workers.statistics import Statistics, StatisticsPage, StatisticsReader
from tests.integration.direct_owner import Owner, connected, frame_of, hostile, soon
from tests.semaphores_seen import values
from tests.waiting import wait_until

NAME = "direct_in"
#: A small one, which comes with others in one piece, and one that is read by itself.
SHAPES = [(32, 24), (256, 512)]


@dataclass
class Rig:
    segment: Segment
    owner: Owner
    receiver: DirectReceiver
    expected: int = 1

    def take(self, until_s: float = 0.0) -> tuple[int, Optional[bytes], Optional[bytes]]:
        """As a mirror does whose next frame is the one expected."""
        before = self.receiver.taken + self.receiver.skipped
        try:
            return self.segment.window.take_direct(self.receiver, self.expected, until_s)
        finally:
            self.expected += self.receiver.taken + self.receiver.skipped - before

    def take_until(self, counter: int) -> None:
        """Take until that frame is here."""
        deadline_s = soon(20.0)
        while self.expected <= counter:
            assert time.monotonic() < deadline_s, f"waits for {self.expected}"
            outcome = self.take()[0]
            assert outcome in (NEW, TIMEOUT), (outcome, self.receiver.wrong)

    def check_newest(self, counter: int, written: int) -> None:
        """The segment's newest frame is that one of the owner, and its own counter that."""
        assert self.segment.read().tobytes() == frame_of(self.segment.geometry, counter)
        assert self.segment.stamp[:3] == (written, counter + 1000, counter + 2000)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        receiver = self.receiver
        return receiver.taken, receiver.passed_over, receiver.skipped, receiver.gaps


@contextlib.contextmanager
def rigged(
    folder: Path, shape: tuple[int, ...], *, is_every: bool = False, most_waiting_bytes: int = 0, depth: int = 1
) -> Iterator[Rig]:
    with (
        Segment.create(folder / f"{NAME}.im.shm", shape, "uint16", depth=depth) as segment,
        connected(most_waiting_bytes) as (near, far),
    ):
        receiver = DirectReceiver(far.detach(), is_every)
        try:
            yield Rig(segment, Owner(near, segment.geometry), receiver)
        finally:
            receiver.close()
            segment.unlink()


@pytest.fixture(params=SHAPES, ids=["small", "large"])
def rig(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rigged(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_frames_are_written_with_all_that_belongs_to_them(rig: Rig, aside: ThreadPoolExecutor) -> None:
    for counter in range(1, 6):
        sending = aside.submit(rig.owner.send, counter)
        rig.take_until(counter)
        sending.result()
        rig.check_newest(counter, counter)
    assert rig.counts == (5, 0, 0, 0)
    assert values(NAME) == [1] * 11


def test_each_frame_is_counted_with_how_late_it_is(rig: Rig, aside: ThreadPoolExecutor, tmp_path: Path) -> None:
    page = StatisticsPage(tmp_path / "page")
    reader = StatisticsReader(tmp_path / "page")
    written_ns = time.time_ns() - 10_000_000
    frames = [
        dnet.encode_frame(frame_of(rig.segment.geometry, counter), counter, written_ns, frame_id=counter)
        for counter in (1, 4)
    ]
    for count, frame in enumerate(frames, 1):
        sending = aside.submit(rig.owner.say, frame)
        while rig.receiver.taken < count:
            rig.segment.window.take_direct(rig.receiver, 1 if count == 1 else 2, 0.0, page.memory)
        sending.result()
    before, now = Statistics(), reader.read(os.getpid())
    assert now is not None
    assert now._replace(pid=0, started_ns=0, beat_ns=0) == before._replace(
        frames=2, payload_bytes=sum(map(len, frames)), skipped=2, gaps=1, source_counter=4, write_time_utc_ns=written_ns
    )
    latency = reader.latency()
    assert latency is not None
    counted = read_latencies(latency)
    assert sum(counted.frames) == 2
    assert 20_000_000 <= counted.total_ns < 2 * (time.time_ns() - written_ns)


@pytest.fixture
def roomy(tmp_path: Path, aside: ThreadPoolExecutor) -> Iterator[Rig]:
    """One whose connection has room for a large frame that was not read."""
    with rigged(tmp_path, (256, 512), most_waiting_bytes=4 << 20) as made:
        # The kernel opens the window only as it sees that what comes is read.
        sending = aside.submit(made.owner.say, dnet.message(Kind.META, bytes(288 + 20_000 * 120)))
        wait_until(lambda: made.take()[0] == OTHER, what="the window to be open")
        sending.result()
        yield made


def waits(rig: Rig, count: int) -> None:
    wait_until(lambda: waiting_bytes(rig) == count, what="all to be here")


def test_a_frame_that_is_here_goes_straight_into_the_mirror(roomy: Rig) -> None:
    for counter in range(1, 4):
        roomy.owner.send(counter)
        waits(roomy, len(roomy.owner.frame(counter)))
        roomy.take_until(counter)
        roomy.check_newest(counter, counter)
    assert roomy.receiver.straight == 3
    assert roomy.counts == (3, 0, 0, 0)


def test_so_does_the_end_of_one_that_came_in_pieces(roomy: Rig) -> None:
    frame = roomy.owner.frame(1)
    roomy.owner.say(frame[:100_000])
    wait_until(lambda: roomy.take()[0] == TIMEOUT and waiting_bytes(roomy) == 0, what="the beginning")
    assert roomy.segment.counter == 0
    roomy.owner.say(frame[100_000:])
    waits(roomy, len(frame) - 100_000)
    roomy.take_until(1)
    roomy.check_newest(1, 1)
    assert roomy.receiver.straight == 1


def test_where_frames_come_one_behind_the_other_all_that_is_there_is_read(tmp_path: Path) -> None:
    with rigged(tmp_path, (10_000,), most_waiting_bytes=1 << 20) as rig:
        length = len(rig.owner.frame(1))
        rig.owner.send(1, 2)
        waits(rig, 2 * length)
        rig.take_until(2)
        for counter, straight in [(3, 0), (4, 1)]:
            heard_s = rig.receiver.heard_s
            wait_until(lambda heard_s=heard_s: time.monotonic() > heard_s + 0.001, what="a moment")
            rig.owner.send(counter)
            waits(rig, length)
            rig.take_until(counter)
            assert rig.receiver.straight == straight
        assert rig.counts == (4, 0, 0, 0)


def test_urgent_bytes_lie_among_the_others(roomy: Rig) -> None:
    frame = roomy.owner.frame(1)
    for start, end, is_urgent in [(0, 70_000, False), (70_000, 70_001, True), (70_001, len(frame), False)]:
        roomy.owner.say(frame[start:end], is_urgent=is_urgent)
    waits(roomy, len(frame))
    roomy.take_until(1)
    roomy.check_newest(1, 1)
    assert roomy.receiver.straight == 1


@pytest.mark.parametrize("what", ["more behind it", "no frame of ours", "known already"])
def test_another_frame_is_read_whole_first(roomy: Rig, what: str) -> None:
    frame = roomy.owner.frame(1)
    if what == "more behind it":
        frame += dnet.HEARTBEAT
    elif what == "no frame of ours":
        frame = dnet.encode_frame(frame_of(roomy.segment.geometry, 1), 1, 2001)
    else:
        roomy.expected = 2
    roomy.owner.say(frame)
    waits(roomy, len(frame))
    assert roomy.take()[0] == NEW
    assert roomy.receiver.straight == 0
    assert roomy.receiver.taken == roomy.segment.counter == int(what != "known already")


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Rig]:
    """One whose mirror has three slots."""
    with rigged(tmp_path, (256, 512), depth=3) as made:
        yield made


@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("spin_ns", [0, 1_000_000])
def test_into_a_spare_slot_a_frame_goes_while_it_comes(
    fifo: Rig, aside: ThreadPoolExecutor, is_ours: bool, spin_ns: int
) -> None:
    fifo.receiver.spin_ns = spin_ns
    for counter in range(1, 6):
        frame = fifo.owner.frame(counter)
        if not is_ours:
            frame = dnet.encode_frame(frame_of(fifo.segment.geometry, counter), counter, counter + 2000)
        sending = aside.submit(fifo.owner.say, frame)
        fifo.take_until(counter)
        sending.result()
        assert fifo.segment.read().tobytes() == frame_of(fifo.segment.geometry, counter)
        assert fifo.segment.stamp[:3] == (counter, counter + 1000 * is_ours, counter + 2000)
    assert fifo.receiver.straight == 5
    assert fifo.counts == (5, 0, 0, 0)


def test_while_half_of_a_frame_is_in_a_spare_slot_the_others_are_as_they_were(fifo: Rig) -> None:
    window, geometry = fifo.segment.window, fifo.segment.geometry
    for counter in range(1, 4):
        fifo.owner.send(counter)
        fifo.take_until(counter)
    frame = fifo.owner.frame(4)
    fifo.owner.say(frame[:100_000])
    wait_until(lambda: fifo.take()[0] == TIMEOUT and waiting_bytes(fifo) == 0, what="the half")
    fifo.check_newest(3, 3)
    assert [window.counter(slot) for slot in range(3)] == [0, 2, 3]
    for slot in (1, 2):
        into = bytearray(geometry.frame_bytes)
        window.snapshot(into, 0, slot, 0.0)
        assert into == frame_of(geometry, slot + 1)
    fifo.owner.say(frame[100_000:200_000])
    wait_until(lambda: fifo.take()[0] == TIMEOUT and waiting_bytes(fifo) == 0, what="more of it")
    fifo.owner.say(frame[200_000:])
    fifo.take_until(4)
    fifo.check_newest(4, 4)
    assert [window.counter(slot) for slot in range(3)] == [4, 2, 3]


def test_a_link_that_dies_leaves_no_half_frame_under_an_old_counter(fifo: Rig) -> None:
    for counter in range(1, 4):
        fifo.owner.send(counter)
        fifo.take_until(counter)
    fifo.owner.say(fifo.owner.frame(4)[:100_000])
    fifo.owner.close()
    wait_until(lambda: fifo.take()[0] == CLOSED, what="the end")
    assert fifo.receiver.wrong == "the owner closed the connection"
    fifo.check_newest(3, 3)
    assert [fifo.segment.window.counter(slot) for slot in range(3)] == [0, 2, 3]
    fifo.segment.write(fifo.segment.read())
    assert [fifo.segment.window.counter(slot) for slot in range(3)] == [4, 2, 3]


def test_a_frame_that_was_torn_at_another_owner_leaves_the_newest(fifo: Rig) -> None:
    fifo.owner.send(1)
    fifo.take_until(1)
    torn = dnet.encode_frame(frame_of(fifo.segment.geometry, 2), 2, 2002)[:-8] + dnet.TRAILER.pack(3)
    fifo.owner.say(torn)
    fifo.owner.send(3)
    fifo.take_until(3)
    fifo.check_newest(3, 2)
    assert fifo.counts == (2, 1, 1, 1)


def test_half_a_frame_outlasts_the_mirror_that_it_was_for(fifo: Rig, aside: ThreadPoolExecutor) -> None:
    frame = fifo.owner.frame(1)
    fifo.owner.say(frame[:100_000])
    wait_until(lambda: fifo.take()[0] == TIMEOUT and waiting_bytes(fifo) == 0, what="the half")
    os.truncate(fifo.segment.path, 8192)
    sending = aside.submit(fifo.owner.say, frame[100_000:])
    with pytest.raises(SegmentLostError):
        fifo.take()
    outcome, header, payload = fifo.receiver.receive(fifo.segment.geometry.frame_bytes, soon())
    sending.result()
    assert (outcome, header, payload) == (OTHER, frame[: dnet.HEADER_BYTES], frame[dnet.HEADER_BYTES :])
    assert fifo.receiver.taken == 0


def after_its_mirror_went(folder: Path, aside: ThreadPoolExecutor, depth: int) -> tuple[int, str]:
    """How it goes on if the mirror is cut before a frame comes, and while that is waited for."""
    with rigged(folder, (10_000,), depth=depth) as rig:
        before = rig.receiver.heard_s
        taking = aside.submit(rig.take, FOREVER_S)
        rig.owner.say(dnet.HEARTBEAT)
        wait_until(lambda: rig.receiver.heard_s > before or taking.done(), what="the heartbeat")
        os.truncate(rig.segment.path, -(-4304 * depth // 4096) * 4096)  # in the midst of its first slot
        rig.owner.send(1)
        try:
            taking.result()
        except SegmentLostError:
            assert (rig.receiver.taken, rig.receiver.straight) == (0, 0)
        return rig.receiver.receive(rig.segment.geometry.frame_bytes, soon())[0], rig.receiver.wrong


@pytest.mark.parametrize("depth", [1, 3])
def test_a_mirror_that_goes_while_a_frame_is_written_costs_the_connection(
    tmp_path: Path, aside: ThreadPoolExecutor, depth: int
) -> None:
    def is_closed() -> bool:
        outcome, wrong = after_its_mirror_went(tmp_path, aside, depth)
        assert outcome in (CLOSED, OTHER, TIMEOUT)  # it may have been missed before
        return outcome == CLOSED and wrong == "a frame could not be read to its end: Bad address"

    wait_until(is_closed, what="one to go just then")


@pytest.mark.parametrize("depth", [1, 3])
def test_who_sends_a_little_now_and_then_keeps_nobody_spinning(
    tmp_path: Path, aside: ThreadPoolExecutor, depth: int
) -> None:
    has_returned = threading.Event()

    def trickle(frame: bytes) -> None:
        rig.owner.say(frame[:100])
        deadline_s = soon(20.0)
        for at in range(100, len(frame) - 1):
            if has_returned.wait(0.001) or time.monotonic() > deadline_s:
                return
            rig.owner.say(frame[at : at + 1])

    with rigged(tmp_path, (256, 512), depth=depth) as rig:
        rig.receiver.spin_ns = 100_000_000
        trickling = aside.submit(trickle, rig.owner.frame(1))
        outcome = rig.take()[0]
        assert not trickling.done()
        has_returned.set()
        trickling.result()
        assert outcome == TIMEOUT
        assert rig.segment.counter == 0


def test_while_a_frame_comes_slowly_the_page_tells_of_it(rig: Rig, aside: ThreadPoolExecutor, tmp_path: Path) -> None:
    page, reader = StatisticsPage(tmp_path / "page"), StatisticsReader(tmp_path / "page")
    first = reader.read(os.getpid())
    assert first is not None
    raw, beats_ns = rig.owner.frame(1), {first.beat_ns}
    taking = aside.submit(rig.segment.window.take_direct, rig.receiver, 1, soon(20.0), page.memory)
    for at in range(len(raw) - 1):
        rig.owner.say(raw[at : at + 1])
        assert not threading.Event().wait(0.01)
        seen = reader.read(os.getpid())
        assert seen is not None
        beats_ns.add(seen.beat_ns)
        if len(beats_ns) > 3 or taking.done():
            break
    assert not taking.done()
    assert len(beats_ns) > 3
    assert rig.segment.counter == 0
    rig.owner.say(raw[at + 1 :] + rig.owner.description())  # which ends it
    assert taking.result()[0] == OTHER
    rig.check_newest(1, 1)


def test_a_frame_that_comes_in_pieces_is_written_when_it_is_here_whole(rig: Rig) -> None:
    raw = rig.owner.frame(1)
    for start in (0, 1, 63, 64, 65, len(raw) - 9, len(raw) - 8):
        end = {0: 1, 1: 63, 63: 64, 64: 65, 65: len(raw) - 9, len(raw) - 9: len(raw) - 8}.get(start, len(raw))
        assert rig.segment.counter == 0
        rig.owner.say(raw[start:end])
        rig.take(soon(0.01))
    rig.take_until(1)
    rig.check_newest(1, 1)


def test_a_link_that_dies_in_the_middle_of_a_frame_leaves_the_last_one(rig: Rig, aside: ThreadPoolExecutor) -> None:
    sending = aside.submit(rig.owner.send, 1)
    rig.take_until(1)
    sending.result()
    before = Path(rig.segment.path).read_bytes()
    raw = rig.owner.frame(2)
    rig.owner.say(raw[: len(raw) - 1])
    wait_until(lambda: rig.take()[0] == TIMEOUT, what="the rest in vain")
    assert Path(rig.segment.path).read_bytes() == before
    rig.owner.close()
    assert rig.take() == (CLOSED, None, None)
    assert rig.receiver.wrong == "the owner closed the connection"
    assert Path(rig.segment.path).read_bytes() == before


def test_an_owner_that_is_suddenly_gone_is_noticed(rig: Rig) -> None:
    rig.owner.reset()
    assert wait_until(lambda: rig.take()[0] == CLOSED, what="the end")
    assert rig.receiver.wrong == "Connection reset by peer"


def test_missing_frames_are_counted_exactly(rig: Rig, aside: ThreadPoolExecutor) -> None:
    for counter in (3, 4, 9):
        sending = aside.submit(rig.owner.send, counter)
        rig.take_until(counter)
        sending.result()
    rig.check_newest(9, 3)
    assert rig.counts == (3, 0, 2 + 4, 2)


def test_what_is_here_already_is_not_written_again(rig: Rig, aside: ThreadPoolExecutor) -> None:
    sending = aside.submit(lambda: [rig.owner.send(counter) for counter in (5, 5, 3, 6)])
    rig.take_until(6)
    sending.result()
    rig.check_newest(6, 2)
    assert rig.counts == (2, 0, 4, 1)


def test_a_frame_that_was_torn_at_the_source_is_dropped(rig: Rig, aside: ThreadPoolExecutor) -> None:
    torn = dnet.encode_frame(frame_of(rig.segment.geometry, 1), 1, 10)[:-8] + dnet.TRAILER.pack(2)
    sending = aside.submit(rig.owner.say, torn + rig.owner.frame(2))
    rig.take_until(2)
    sending.result()
    rig.check_newest(2, 1)
    assert rig.counts == (1, 1, 1, 1)


def test_a_torn_frame_is_none_of_ours(rig: Rig, aside: ThreadPoolExecutor) -> None:
    sending = aside.submit(rig.owner.say, rig.owner.frame(1)[:-8] + dnet.TRAILER.pack(2))
    wait_until(lambda: rig.take()[0] == BAD, what="the refusal")
    sending.result()
    assert rig.receiver.wrong == "frame 1 has another counter behind it"
    assert rig.counts == (0, 0, 0, 0)
    assert rig.segment.counter == 0
    assert rig.take()[0] in (BAD, CLOSED)


def test_a_frame_without_a_frame_id_has_its_counter(rig: Rig, aside: ThreadPoolExecutor) -> None:
    sending = aside.submit(rig.owner.say, dnet.encode_frame(frame_of(rig.segment.geometry, 7), 7, 70))
    rig.take_until(7)
    sending.result()
    assert rig.segment.read() is not None
    assert rig.segment.stamp[:3] == (1, 7, 70)


def test_a_burst_of_small_frames_is_written_whole(tmp_path: Path) -> None:
    with rigged(tmp_path, (16,)) as rig:
        rig.owner.send(*range(1, 200))
        rig.take_until(199)
        rig.check_newest(199, 199)
        assert rig.counts == (199, 0, 0, 0)


def test_of_many_small_frames_that_wait_the_old_ones_are_passed_over(tmp_path: Path) -> None:
    with rigged(tmp_path, (2048,)) as rig:
        rig.owner.send(*range(1, 201))  # three times what is written of a burst
        rig.take_until(200)
        taken, passed_over, skipped, gaps = rig.counts
        assert taken + passed_over == 200
        assert skipped == passed_over > 0
        assert gaps > 0
        rig.check_newest(200, taken)


def test_of_large_frames_that_wait_only_the_newest_is_written(tmp_path: Path, aside: ThreadPoolExecutor) -> None:
    with rigged(tmp_path, (65600,), most_waiting_bytes=1 << 20) as rig:
        filling = aside.submit(rig.owner.send, 1, 2, 3, 4)
        wait_until(lambda: waiting_bytes(rig) >= 2 * len(rig.owner.frame(1)), what="two to be here")
        rig.take_until(4)
        filling.result()
        assert rig.receiver.passed_over >= 1
        assert rig.receiver.taken + rig.receiver.passed_over == 4
        rig.check_newest(4, rig.receiver.taken)


def test_who_wants_every_frame_has_every_frame(tmp_path: Path, aside: ThreadPoolExecutor) -> None:
    for shape in [(2048,), (256, 512)]:
        with rigged(tmp_path, shape, is_every=True) as rig:
            filling = aside.submit(rig.owner.send, *range(1, 201))
            rig.take_until(200)
            filling.result()
            assert rig.counts == (200, 0, 0, 0)


def waiting_bytes(rig: Rig) -> int:
    """What has come and was not read yet, by what the kernel says of the reader's end."""
    port = rig.owner.address[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[2].rpartition(":")[2], 16) == port:
            return int(words[4].partition(":")[2], 16)
    raise AssertionError("no such connection")


def test_heartbeats_are_eaten_and_tell_that_the_owner_is_there(rig: Rig) -> None:
    for _ in range(3):
        before = rig.receiver.heard_s
        rig.owner.say(dnet.HEARTBEAT)
        assert rig.take(FOREVER_S) == (TIMEOUT, None, None)
        assert rig.receiver.heard_s > before


def test_it_ends_when_nothing_comes(rig: Rig) -> None:
    began = time.monotonic()
    assert rig.take(FOREVER_S) == (TIMEOUT, None, None)
    assert 0.2 <= time.monotonic() - began < 5.0


@pytest.mark.parametrize("what", ["heartbeats", "frames", "a frame, byte by byte"])
def test_it_ends_after_its_time_though_more_goes_on(rig: Rig, aside: ThreadPoolExecutor, what: str) -> None:
    until_s = soon(0.3)
    taking = aside.submit(lambda: (rig.take(until_s), time.monotonic()))
    raw, counter = rig.owner.frame(1), 0
    with contextlib.suppress(ConnectionError):
        while not taking.done():
            counter += 1
            if what == "heartbeats":
                rig.owner.say(dnet.HEARTBEAT)
            elif what == "frames":
                rig.owner.send(counter)
            else:
                rig.owner.say(raw[counter - 1 : counter])
                threading.Event().wait(0.01)
    (outcome, _, _), ended = taking.result()
    assert outcome in (NEW, TIMEOUT)
    assert until_s <= ended < until_s + 5.0


def test_what_is_no_frame_is_handed_over_in_its_order(rig: Rig, aside: ThreadPoolExecutor) -> None:
    described = rig.owner.description(3, b"")
    sending = aside.submit(rig.owner.say, rig.owner.frame(1) + described + rig.owner.frame(2) + dnet.BYE)
    said = []
    while len(said) < 2:
        outcome, header, payload = rig.take()
        assert outcome in (NEW, TIMEOUT, OTHER)
        if outcome == OTHER and header is not None and payload is not None:
            said.append((rig.segment.counter, header + payload))
    sending.result()
    assert said == [(1, described), (2, dnet.BYE)]


def test_frames_are_handed_over_to_who_asks_for_messages(rig: Rig, aside: ThreadPoolExecutor) -> None:
    sending = aside.submit(rig.owner.say, dnet.HEARTBEAT + rig.owner.description() + rig.owner.frame(1))
    said = []
    while len(said) < 2:
        frame_bytes = rig.segment.geometry.frame_bytes if said else 0
        outcome, header, payload = rig.receiver.receive(frame_bytes, soon())
        if outcome == OTHER and header is not None and payload is not None:
            said.append(header + payload)
    sending.result()
    assert said == [rig.owner.description(), rig.owner.frame(1)]
    assert rig.segment.counter == 0


def test_a_frame_before_any_description_is_refused(rig: Rig) -> None:
    rig.owner.say(rig.owner.frame(1)[:64])
    assert rig.receiver.receive(0, FOREVER_S) == (BAD, None, None)
    assert "none is described" in rig.receiver.wrong


@pytest.mark.parametrize("what", hostile(make_geometry((1,), "uint16")))
def test_what_may_not_come_ends_it_and_nothing_is_written(rig: Rig, what: str) -> None:
    rig.owner.say(dnet.HEARTBEAT + hostile(rig.segment.geometry)[what])
    before = Path(rig.segment.path).read_bytes()
    assert rig.take(FOREVER_S) == (BAD, None, None)
    assert rig.receiver.wrong
    assert rig.take(FOREVER_S) == (BAD, None, None)
    assert Path(rig.segment.path).read_bytes() == before
    assert rig.receiver.taken == 0


def take_for_ever(rig: Rig) -> None:
    while rig.take(FOREVER_S)[0] in (NEW, TIMEOUT):
        pass


def test_a_signal_is_handled_while_nothing_comes(rig: Rig) -> None:
    class Told(Exception):
        pass

    def handle(*_: object) -> None:
        raise Told

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        timer = threading.Timer(0.05, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1))
        timer.start()
        with pytest.raises(Told):
            take_for_ever(rig)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    rig.owner.say(dnet.BYE)  # and it goes on
    assert rig.take(FOREVER_S)[0] == OTHER


def test_a_mirror_that_was_taken_away_is_noticed(rig: Rig, aside: ThreadPoolExecutor) -> None:
    Path(rig.segment.path).write_bytes(b"")
    sending = aside.submit(rig.owner.send, 1)
    with pytest.raises(SegmentLostError):
        take_for_ever(rig)
    assert rig.receiver.taken == 0
    # The frame waits for another mirror.
    outcome = TIMEOUT
    while outcome == TIMEOUT:
        outcome, _, payload = rig.receiver.receive(rig.segment.geometry.frame_bytes, soon())
    sending.result()
    assert payload == rig.owner.frame(1)[64:]


def test_a_segment_that_is_open_for_reading_is_not_written(rig: Rig) -> None:
    with Segment.open(rig.segment.path, writable=False) as reader, pytest.raises(PermissionError, match="reading only"):
        reader.window.take_direct(rig.receiver, 1, 0.0)


def test_what_is_sent_arrives_whole_or_not_at_all(tmp_path: Path) -> None:
    with rigged(tmp_path, (16,)) as rig:
        ask = dnet.message(Kind.ASK, bytes(1_000_000))
        sent = [rig.receiver.send(ask) for _ in range(64)]
        assert sent[0]
        assert not sent[-1]
        later: list[bool] = []
        heard = rig.owner.hear(lambda: any(later) or later.append(rig.receiver.send(dnet.HEARTBEAT)))
        assert heard == [(Kind.ASK, bytes(1_000_000))] * sum(sent) + [(Kind.HEARTBEAT, b"")]


def test_what_there_was_no_room_for_goes_out_when_there_is(tmp_path: Path, aside: ThreadPoolExecutor) -> None:
    payload = bytes(range(256)) * 80_000
    with rigged(tmp_path, (16,)) as rig:
        assert rig.receiver.send(dnet.encode_header(Header(Kind.ASK, payload_bytes=len(payload))), payload)
        assert rig.receiver.has_rest
        assert not rig.receiver.flush(0.0)
        assert not rig.receiver.send(dnet.HEARTBEAT)
        hearing = aside.submit(rig.owner.hear)
        while not rig.receiver.flush(20.0):
            pass
        assert not rig.receiver.has_rest
        assert rig.receiver.send(dnet.HEARTBEAT)
        assert hearing.result() == [(Kind.ASK, payload), (Kind.HEARTBEAT, b"")]


def test_what_is_on_its_way_does_not_arrive_after_an_abrupt_end(tmp_path: Path, aside: ThreadPoolExecutor) -> None:
    with rigged(tmp_path, (16,)) as rig:
        rig.receiver.send(dnet.HEARTBEAT, bytes(50_000_000))
        waiting = aside.submit(rig.receiver.flush, 600.0)
        rig.receiver.close(True)
        with pytest.raises(ConnectionResetError):
            rig.owner.hear()
        assert waiting.result()
        assert not rig.receiver.has_rest


@pytest.mark.parametrize("is_every", [False, True])
def test_frames_that_are_handed_over_are_passed_over_likewise(tmp_path: Path, is_every: bool) -> None:
    with rigged(tmp_path, (2048,), is_every=is_every) as rig:
        rig.owner.send(*range(1, 201))
        counters = [0]
        while counters[-1] < 200:
            outcome, raw, payload = rig.receiver.receive(4096, soon())
            if outcome == OTHER:
                assert raw is not None
                assert payload is not None
                counters.append(dnet.decode_header(raw).counter)
                assert payload == rig.owner.frame(counters[-1])[64:]
        assert counters == sorted(set(counters))
        assert len(counters) - 1 + rig.receiver.passed_over == 200
        assert bool(rig.receiver.passed_over) is not is_every


def test_a_closed_connection_can_do_nothing_more(rig: Rig) -> None:
    rig.receiver.close()
    rig.receiver.close()
    assert not rig.receiver.send(dnet.HEARTBEAT)
    for call in (rig.take, lambda: rig.receiver.receive(0, 0.0)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_one_thread_takes_at_a_time(rig: Rig, aside: ThreadPoolExecutor) -> None:
    taking = aside.submit(rig.take, FOREVER_S)
    with contextlib.suppress(ValueError):
        while not taking.done():
            rig.receiver.receive(0, 0.0)
        pytest.fail("both of them could")
    taking.result()


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="Socket operation on non-socket"):
        DirectReceiver(file.fileno())


def test_an_idle_reader_wakes_up_less_than_five_times_a_second(tmp_path: Path) -> None:
    with rigged(tmp_path, (16,)) as rig:
        began_s, calls = time.monotonic(), 0
        while calls < 10:
            rig.take(FOREVER_S)
            calls += 1
        assert calls / (time.monotonic() - began_s) < 4.0
