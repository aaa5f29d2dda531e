"""Hosts that run the existing daemon read from ours, which keeps its own times: 25 s of silence."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

from daosup.shm import Segment
from tests.integration.fleet import Fleet
from tests.integration.interop import (
    MakeOld,
    all_sent,
    check_arrives,
    frames_of,
    kill,
    publisher_of,
    readers_of,
    registry,
    segment_of,
    streaming,
)
from tests.integration.streams import filming, wait_for_frames
from tests.old_daemon.peer import OldPeer
from tests.ports import free_port
from tests.waiting import wait_until


def test_an_old_reader_alone_asks_and_gets_a_stream_until_it_is_not_heard_any_more(
    fleet: Fleet, make_old: MakeOld
) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_wfs") as segment:
        one = make_old("one")
        assert publisher_of(fleet.rts, "interop_wfs") is None
        mirror = one.mirror("rts:interop_wfs")
        assert one.status()["mirrored"]["rts:interop_wfs"]["has_asked"]
        check_arrives(segment, one, mirror, 3)
        assert readers_of(fleet.rts, "interop_wfs") == {"one": 1}
        assert registry(fleet, ("EXISTS", "dao:connections:rts:interop_wfs")) == [0]
        assert one.read(mirror)["shape"] == [16, 16]
        kill(one, mirror)
        wait_until(lambda: publisher_of(fleet.rts, "interop_wfs") is None, 60.0, "the publisher to end")
        assert readers_of(fleet.rts, "interop_wfs") == {}
        assert "reader vanished" in fleet.rts.log


COUNT, PERIOD_S = 1000, 0.004


def film(segment: Segment, count: int, period_s: float) -> None:
    """Write so many frames, all elements their number."""
    frame = np.empty(segment.shape, segment.dtype)
    due_s = time.monotonic()
    for number in range(1, count + 1):
        frame.fill(number)
        segment.write(frame)
        due_s = max(due_s, time.monotonic()) + period_s  # two at once would be a gap that only the writer made
        time.sleep(max(0.0, due_s - time.monotonic()))


def check_each_comes(segment: Segment, peer: OldPeer, mirror: str, values: range) -> None:
    """Frames that are written one by one arrive each, however busy the machine is."""
    for value in values:
        segment.write(np.full(segment.shape, value, segment.dtype))
        peer.wait_for_value(mirror, value)


def test_two_old_readers_and_ours_get_every_frame(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("rts", "lab")
    source = "rts:interop_all"
    with streaming(fleet, "interop_all") as going:
        one, two = make_old("one"), make_old("two")
        mirror = one.mirror(source)
        assert two.mirror(source) == mirror
        assert not two.status()["mirrored"][source]["has_asked"]  # it took the port of record 0
        for number, peer in enumerate((one, two), 5):
            check_arrives(going.segment, peer, mirror, number)
        going.check_going()
        wait_until(lambda: readers_of(fleet.rts, going.name) == {"lab": 2, "one": 1, "two": 1}, 20.0, "all readers")
        before, mirrored = all_sent(fleet.rts, going.segment), going.mirror.counter
        got = [frames_of(peer, source) for peer in (one, two)]
        film(going.segment, COUNT, PERIOD_S)
        sent = all_sent(fleet.rts, going.segment)["frames"] - before["frames"]
        assert sent > 0.95 * COUNT  # the rest is the machine's business, and accounted for
        for peer, count in zip((one, two), got):
            peer.wait_for_value(mirror, COUNT)
            assert frames_of(peer, source) - count == sent
        going.check_going()
        row = fleet.lab.worker(source)
        assert row is not None
        assert going.mirror.counter - mirrored + row["skipped"] >= sent


def test_old_readers_come_and_go_and_nobody_else_notices(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("rts", "lab")
    source = "rts:interop_go"
    with streaming(fleet, "interop_go") as going:
        one, two = make_old("one"), make_old("two")
        mirror = one.mirror(source)
        two.mirror(source)
        check_arrives(going.segment, two, mirror, 1)
        with filming(going.segment):
            row = fleet.lab.worker(source)
            assert row is not None
            one.release(source)
            frames = frames_of(two, source)
            wait_until(lambda: frames_of(two, source) > frames + 20, 10.0, "frames for the other old reader")
            wait_for_frames(going.mirror)
            kill(two, mirror)
            wait_for_frames(going.mirror)
            after = fleet.lab.worker(source)
            assert after is not None
            assert (after["pid"], after["link"]) == (row["pid"], "up")


def test_an_old_reader_follows_a_segment_made_anew_with_another_shape(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_anew") as segment:
        one = make_old("one")
        mirror = one.mirror("rts:interop_anew")
        check_arrives(segment, one, mirror, 1)
        with Segment.create(segment.path, (5, 3), "float64") as anew:
            check_arrives(anew, one, mirror, 2)
            assert one.read(mirror)["shape"] == [5, 3]
            assert one.read(mirror)["dtype"] == "float64"


def test_a_supervisor_that_is_killed_costs_an_old_reader_no_frame(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_kill") as segment:
        one = make_old("one")
        source = "rts:interop_kill"
        mirror = one.mirror(source)
        check_arrives(segment, one, mirror, 1)
        row, got = all_sent(fleet.rts, segment), frames_of(one, source)
        fleet.rts.signal(signal.SIGKILL)
        check_each_comes(segment, one, mirror, range(2, 52))
        fleet.rts.spawn()
        check_each_comes(segment, one, mirror, range(52, 102))  # while the publisher is taken over, too
        fleet.rts.wait_up()
        wait_until(lambda: readers_of(fleet.rts, "interop_kill") == {"one": 1}, 25.0, "the old reader to be known")
        check_each_comes(segment, one, mirror, range(102, 152))
        after = all_sent(fleet.rts, segment)
        assert after["pid"] == row["pid"]
        assert frames_of(one, source) - got == after["frames"] - row["frames"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["in-order", "power-cut"])
def test_old_readers_go_on_when_their_owner_is_back_each_with_its_own_segment(
    fleet: Fleet, make_old: MakeOld, number: int
) -> None:
    fleet.add("rts", base_port=free_port(), port_count=20)
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_z") as first, segment_of(fleet.rts, "interop_a") as second:
        one = make_old("one")
        mirrors = [one.mirror(f"rts:{name}") for name in ("interop_z", "interop_a")]
        for segment, mirror, value in zip((first, second), mirrors, (1, 2)):
            check_arrives(segment, one, mirror, value)
        if number == signal.SIGTERM:
            assert fleet.rts.signal(number) == 0
        else:
            fleet.rts.kill_all()
        fleet.rts.start()
        for segment, mirror, value in zip((first, second), mirrors, (3, 4)):
            check_arrives(segment, one, mirror, value)
        assert [one.read(mirror)["value"] for mirror in mirrors] == [3, 4]
        assert readers_of(fleet.rts, "interop_z") == readers_of(fleet.rts, "interop_a") == {"one": 1}
