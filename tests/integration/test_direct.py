"""Frames that come directly from their owner: when they do, when ZeroMQ takes over, and when they come back.

The owner tells an address behind which both its ports lie on stretches of network of their own, each good or bad.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daosup.errors import SegmentBusyError
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.interop import MakeOld, kill
from tests.integration.streams import Stream, filming, stream, wait_for_frames
from tests.integration.tcp_proxy import Proxy
from tests.ports import free_port
from tests.waiting import wait_until

OUTSIDE = "127.0.0.2"
PORT_COUNT = 8
SOURCE = "rts:wfs"
#: By design 1 s for a direct connection that is swallowed, 4 s to notice a silent one; the rest is for busy machines.
SOON_S = 5.0


@dataclass
class Apart:
    """The hosts, and what is between them: to the publisher's ZeroMQ port, and to its direct one."""

    fleet: Fleet
    zmq: Proxy
    direct: Proxy


@pytest.fixture(scope="module")
def fleet_apart(redis_binary: Path) -> Iterator[Apart]:
    fleet = Fleet()
    first = free_port()
    zmq, direct = Proxy(first, OUTSIDE), Proxy(first + PORT_COUNT - 1, OUTSIDE)
    try:
        fleet.add("rts", base_port=first, port_count=PORT_COUNT, advertise=OUTSIDE)
        fleet.start("rts", "lab")
        yield Apart(fleet, zmq, direct)
    finally:
        fleet.close()
        zmq.close()
        direct.close()


@pytest.fixture
def apart(fleet_apart: Apart) -> Iterator[Apart]:
    yield fleet_apart
    fleet_apart.zmq.heal()
    fleet_apart.direct.heal()
    fleet_apart.fleet.clear()


@contextmanager
def filmed(fleet: Fleet, shape: tuple[int, ...] = (16, 16), period_s: float = 0.004) -> Iterator[Stream]:
    """rts:wfs, written all the time, and mirrored on lab."""
    with stream(fleet, "wfs", shape) as made, filming(made.segment, period_s):
        wait_for_frames(made.mirror)
        yield made


def row(host: Host) -> dict[str, Any]:
    found = host.worker(SOURCE)
    assert found is not None
    return found


def wait_until_by(host: Host, transport: str, timeout_s: float = SOON_S) -> dict[str, Any]:
    """Wait until frames come so; the worker's row then."""

    def by_it() -> dict[str, Any]:
        worker = host.worker(SOURCE) or {}
        return worker if (worker.get("transport"), worker.get("link")) == (transport, "up") else {}

    return wait_until(by_it, timeout_s, f"frames of {SOURCE} on {host.name} by {transport}")


def check_each_comes(made: Stream) -> None:
    """Frames that are written one by one arrive each, however busy the machine is."""
    for _ in range(50):
        made.check_going()


def check_whole(mirror: Segment) -> None:
    """The newest frame is one and the same value, as its camera wrote it."""
    frames: list[npt.NDArray[np.generic]] = []

    def is_read() -> bool:
        with suppress(SegmentBusyError):  # of a mirror that others keep waiting in the middle of a frame
            frames.append(mirror.read())
        return bool(frames)

    wait_until(is_read, what=f"a frame in {mirror.path}")
    assert (frames[0] == frames[0].flat[0]).all()


# -- when they do


def test_frames_come_directly_where_nothing_is_said(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet):
        mirror, publisher = wait_until_by(fleet.lab, "direct"), wait_until_by(fleet.rts, "direct")
        wait_until(lambda: row(fleet.rts)["connected_direct"] == 1, SOON_S, "the owner to see its reader")
        assert publisher["connected"] == 1
        assert mirror["direct_endpoint"] == f"tcp://{OUTSIDE}:{publisher['direct_port']}"
        assert (mirror["transport_reason"], mirror["gaps"]) == (None, 0)
        assert "frames come directly" in fleet.lab.log


def test_an_owner_that_does_not_offer_it_is_read_by_zmq(apart: Apart) -> None:
    fleet = apart.fleet
    fleet.rts.configure("[publish]\ndirect = false\n")
    fleet.rts.call("reload")
    try:
        with filmed(fleet):
            mirror = wait_until_by(fleet.lab, "zmq")
            assert mirror["transport_reason"] == "its owner does not offer frames directly"
            assert mirror["direct_endpoint"] is None
            assert row(fleet.rts)["direct_port"] is None
            # A record as hosts of the version before write it has no such port at all.
            fleet.rts.config.write_text(fleet.rts.config.read_text().replace("direct = false\n", ""))
            fleet.rts.call("reload")
            wait_until_by(fleet.lab, "direct")
    finally:
        fleet.rts.config.write_text(fleet.rts.config.read_text().replace("[publish]\ndirect = false\n", ""))
        fleet.rts.call("reload")


def test_the_operator_says_how_and_it_lasts_until_it_is_released(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet) as made:
        wait_until_by(fleet.lab, "direct")
        fleet.lab.call("mirror", source=SOURCE, wait_s=20, transport="zmq")
        mirror = wait_until_by(fleet.lab, "zmq")
        assert mirror["transport_reason"] is None
        fleet.lab.call("mirror", source=SOURCE, wait_s=20)
        assert wait_until_by(fleet.lab, "zmq")["pid"] == mirror["pid"]
        fleet.lab.release(SOURCE)
        fleet.lab.call("mirror", source=SOURCE, wait_s=20)
        wait_until_by(fleet.lab, "direct")
        wait_for_frames(made.reopen())


def test_what_is_written_goes_on_in_order_by_whichever_way_there_is(apart: Apart) -> None:
    fleet = apart.fleet
    with stream(fleet, "wfs") as made:
        fleet.lab.call("mirror", source=SOURCE, wait_s=20, bidirectional=True)
        pid = wait_until_by(fleet.lab, "direct")["pid"]
        with (
            Segment.open(fleet.lab.path("remote_rts_wfs"), writable=True) as mirror,
            seen_at(made.segment) as seen,
            filming(mirror, 0.002) as camera,
        ):
            wait_for_frames(made.segment, 50, SOON_S)
            apart.direct.cut()
            wait_until_by(fleet.lab, "zmq")
            wait_for_frames(made.segment, 50, SOON_S)
            apart.direct.heal()
            apart.zmq.cut()  # when the owner is heard again, or was lately, a direct connection is tried soon
            wait_until(
                lambda: row(fleet.lab)["link"] == "down" or row(fleet.lab)["transport"] == "direct", SOON_S, "a loss"
            )
            apart.zmq.heal()
            wait_until_by(fleet.lab, "direct")
            wait_for_frames(made.segment, 50, SOON_S)
            camera.stop()
            wait_until(
                lambda: row(fleet.lab)["written"] + row(fleet.lab)["refused"] == camera.written, SOON_S, "all answers"
            )
            wait_until(lambda: np.array_equal(mirror.read(), made.segment.read()), SOON_S, "one frame at both ends")
        assert len(seen) > 100
        assert seen == sorted(seen)
        assert row(fleet.lab)["pid"] == pid
        assert row(fleet.lab)["written"] > 100


@contextmanager
def seen_at(source: Segment) -> Iterator[list[int]]:
    """The frame ids that a program at the source sees meanwhile."""
    seen: list[int] = []
    ending = threading.Event()

    def watch() -> None:
        with Segment.open(source.path, writable=False) as segment:
            while not ending.is_set():
                with suppress(SegmentBusyError, TimeoutError):
                    segment.wait(timeout_s=0.25)
                    segment.read()
                    seen.append(segment.stamp.frame_id)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        ending.set()
        watching.join()


def test_readers_of_all_kinds_get_the_same_frames_of_one_snapshot(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.add("desk").configure('[mirrors]\ntransport = "zmq"\n')
    fleet.start("rts", "lab", "desk")
    with stream(fleet, "wfs") as made:
        by_zmq, one = fleet.desk.mirror(SOURCE), make_old("one")
        name = one.mirror(SOURCE)
        wait_until_by(fleet.lab, "direct")
        wait_until_by(fleet.desk, "zmq")
        wait_until(lambda: row(fleet.rts)["connected"] == 3, SOON_S, "three readers")
        before = row(fleet.rts)
        for value in range(1, 101):
            made.segment.write(np.full(made.segment.shape, value, made.segment.dtype), frame_id=1000 + value)

            def has_all(value: int = value) -> bool:
                newest = [segment.read().flat[0] for segment in (made.mirror, by_zmq)]
                return [*newest, one.read(name)["value"]] == [value] * 3

            wait_until(has_all, SOON_S, f"frame {value} everywhere")
        stamps = {segment.stamp[1:] for segment in (made.mirror, by_zmq, made.segment)}
        assert len(stamps) == 1
        publisher = wait_until_by(fleet.rts, "direct, zmq")
        wait_until(lambda: row(fleet.rts)["frames"] == before["frames"] + 100, SOON_S, "each frame to count once")
        assert (publisher["connected_direct"], publisher["skipped"]) == (1, before["skipped"])
        by_zmq.close()
        kill(one, name)


# -- faults, by name


def test_a_port_that_refuses(apart: Apart) -> None:
    fleet = apart.fleet
    apart.direct.cut()
    with filmed(fleet) as made:
        mirror = wait_until_by(fleet.lab, "zmq")
        assert mirror["transport_reason"] == f"{OUTSIDE}:{row(fleet.rts)['direct_port']}: refuses connections"
        assert mirror["reason"] is None
        wait_until(lambda: "frames do not come directly" in fleet.lab.log, SOON_S, "the journal to say so")
        pids = [host.worker_pid(SOURCE) for host in (fleet.rts, fleet.lab)]
        apart.direct.heal()
        # It is tried again in half a minute; at once if the owner was away meanwhile.
        apart.zmq.cut()
        wait_until(
            lambda: row(fleet.lab)["link"] == "down" or row(fleet.lab)["transport"] == "direct", SOON_S, "a loss"
        )
        apart.zmq.heal()
        wait_until_by(fleet.lab, "direct")
        wait_for_frames(made.mirror)
        assert [host.worker_pid(SOURCE) for host in (fleet.rts, fleet.lab)] == pids


def test_a_firewall_that_swallows(apart: Apart) -> None:
    fleet = apart.fleet
    apart.direct.swallow()
    with filmed(fleet):
        mirror = wait_until_by(fleet.lab, "zmq")
        assert mirror["transport_reason"] == f"{OUTSIDE}:{row(fleet.rts)['direct_port']} does not answer within 1 s"


def test_a_connection_that_is_cut_and_cannot_be_had_again(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet) as made:
        wait_until_by(fleet.lab, "direct")
        pid = fleet.lab.worker_pid(SOURCE)
        apart.direct.cut()
        wait_until_by(fleet.lab, "zmq")
        wait_for_frames(made.mirror, 20)
        check_whole(made.mirror)
        made.mirror.check()
        assert fleet.lab.worker_pid(SOURCE) == pid


def test_a_connection_that_falls_silent(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet) as made:
        wait_until_by(fleet.lab, "direct")
        apart.direct.lose()
        wait_until_by(fleet.lab, "zmq", 2 * SOON_S)
        wait_for_frames(made.mirror, 20)
        assert made.mirror.keywords["NET_LINK"] == 1


def test_a_cut_in_the_middle_of_a_frame_leaves_the_last_one(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet, (2048, 2048), 0.01) as made:
        wait_until_by(fleet.lab, "direct")
        for _ in range(3):
            wait_for_frames(made.mirror, 3, 4 * SOON_S)
            apart.direct.stall()  # of frames that come one after the other, one is under way now
            counter = wait_until_still(made.mirror)
            apart.direct.cut()
            check_whole(made.mirror)
            assert made.mirror.counter >= counter
            apart.direct.heal()
            wait_for_frames(made.mirror, 3, 4 * SOON_S)
            check_whole(made.mirror)


def wait_until_still(mirror: Segment) -> int:
    """Wait until no frame comes any more; the counter then."""
    last, since_s = -1, 0.0

    def is_still() -> bool:
        nonlocal last, since_s
        counter, now = mirror.counter, time.monotonic()
        if counter != last:
            last, since_s = counter, now
        return now >= since_s + 0.3

    wait_until(is_still, SOON_S, "the frames to stop")
    return last


def test_a_publisher_that_is_killed_is_had_directly_again(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet) as made:
        before = wait_until_by(fleet.lab, "direct")
        publisher = row(fleet.rts)
        os.kill(publisher["pid"], signal.SIGKILL)
        fleet.rts.worker_pid(SOURCE, other_than=publisher["pid"])
        wait_until(lambda: row(fleet.rts)["connected_direct"] == 1, SOON_S, "the mirror to be back")
        wait_for_frames(made.mirror, 20)
        after = wait_until_by(fleet.lab, "direct")
        assert (after["pid"], after["restarts"]) == (before["pid"], 0)
        assert row(fleet.rts)["direct_port"] == publisher["direct_port"]


def test_a_source_that_is_made_anew_with_another_shape(apart: Apart) -> None:
    fleet = apart.fleet
    with stream(fleet, "wfs") as made:
        with filming(made.segment):
            wait_for_frames(made.mirror)
            pid = wait_until_by(fleet.lab, "direct")["pid"]
        made.segment.close()
        made.segment = Segment.create(fleet.rts.path("wfs"), (5, 7, 3), "float32", is_replacing=True)
        made.segment.write(np.full((5, 7, 3), 2.5, "float32"))

        def is_like_it() -> bool:
            return made.reopen().shape == (5, 7, 3)

        wait_until(is_like_it, SOON_S, "the mirror to be like its source")
        made.check_going()
        after = wait_until_by(fleet.lab, "direct")
        assert (after["pid"], after["restarts"]) == (pid, 0)


def test_an_owner_s_supervisor_that_is_killed_and_comes_back(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as made:
        before = wait_until_by(fleet.lab, "direct")
        publisher = row(fleet.rts)
        fleet.rts.signal(signal.SIGKILL)
        check_each_comes(made)
        fleet.rts.spawn()
        check_each_comes(made)  # while the publisher is taken over, too
        fleet.rts.wait_up()
        wait_until(lambda: row(fleet.rts)["pid"] == publisher["pid"], SOON_S, "the publisher to be taken over")
        check_each_comes(made)
        after = wait_until_by(fleet.lab, "direct")
        assert (after["pid"], after["gaps"]) == (before["pid"], before["gaps"])
        assert row(fleet.rts)["direct_port"] == publisher["direct_port"]


def test_directly_or_not_at_all(apart: Apart) -> None:
    fleet = apart.fleet
    with filmed(fleet) as made:
        fleet.lab.call("mirror", source=SOURCE, wait_s=20, transport="direct")
        wait_until_by(fleet.lab, "direct")
        apart.direct.cut()

        def is_down() -> bool:
            worker = row(fleet.lab)
            return worker["link"] == "down" and "refuses connections" in str(worker["reason"])

        wait_until(is_down, SOON_S, "the mirror to be without a link")
        assert made.mirror.keywords["NET_LINK"] == 0
        apart.direct.heal()
        wait_until_by(fleet.lab, "direct")
        wait_for_frames(made.mirror, 20)
