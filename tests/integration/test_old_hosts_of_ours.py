"""Ours reads from hosts that run the existing daemon, and both from each other."""

from __future__ import annotations

import json
import os
import pickle
import signal
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
import zmq

from daosup.shm import Segment
from tests.integration.fleet import Fleet
from tests.integration.interop import (
    LOOPBACK,
    MakeOld,
    check_arrives,
    check_comes,
    kill,
    mirroring,
    newest,
    owner_records,
    registry,
    segment_of,
    sources_of,
)
from tests.waiting import wait_until


def test_ours_mirrors_what_an_old_host_has(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    with mirroring(fleet.lab, owner, "interop_dm") as source:
        check_comes(fleet.lab, source, owner, 7)
        row = fleet.lab.worker(source)
        assert row is not None
        assert (row["protocol"], row["link"], row["rejected"]) == (1, "up", 0)
        (record,) = owner_records(fleet, source)
        assert record["client_hostname"] == "lab"
    wait_until(lambda: not owner.status()["published"], 10.0, "the old host to stop its stream")
    assert not list(fleet.lab.segments.iterdir())


def test_every_frame_of_an_old_host_is_taken_or_counted(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    with mirroring(fleet.lab, owner, "interop_count") as source:
        check_comes(fleet.lab, source, owner, 7)

        def taken() -> int:
            """With all that is in the mirror accounted for."""
            row = fleet.lab.worker(source)
            assert row is not None
            with Segment.open(fleet.lab.path("remote_owner_interop_count"), writable=False) as mirror:
                return row["frames"] + row["skipped"] if row["frames"] == mirror.counter else 0

        def sent() -> int:
            published: dict[str, int] = owner.status()["published"]["interop_count"]
            return published["frames"]

        def account(value: int) -> int:
            """Frames that were sent and not taken, once that of ``value``, which is the last one, has come."""
            owner.write("interop_count", value)
            wait_until(lambda: newest(fleet.lab, source) == value, 10.0, "the last frame")
            count = wait_until(taken, 10.0, "the frames so far to be accounted for")
            return sent() - count

        lost = account(8)  # before we subscribed
        enough = sent() + 400  # a busy host sends fewer than it writes
        while sent() < enough:
            owner.write("interop_count", 1.0, count=100, period_s=0.004)
            wait_until(lambda: owner.status()["writing"]["interop_count"] == 0, 30.0, "all to be written")
        assert account(-1) == lost


def test_a_source_that_an_old_host_makes_anew_is_followed(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    with mirroring(fleet.lab, owner, "interop_shape") as source:
        check_comes(fleet.lab, source, owner, 7)
        pid = fleet.lab.worker_pid(source)
        owner.create("interop_shape", (2, 2, 3), "int16")
        check_comes(fleet.lab, source, owner, 8)
        with Segment.open(fleet.lab.path("remote_owner_interop_shape"), writable=False) as mirror:
            assert (mirror.shape, mirror.dtype.name) == ((2, 2, 3), "int16")
        assert fleet.lab.worker_pid(source) == pid


def test_ours_is_not_cut_off_when_the_old_reader_leaves_whose_record_came_first(
    fleet: Fleet, make_old: MakeOld
) -> None:
    fleet.start("lab")
    owner, other = make_old("owner"), make_old("other")
    owner.create("interop_first", (4, 6), "float32")
    wait_until(lambda: "owner:interop_first" in sources_of(fleet.lab), 10.0, "the segment to be announced")
    other.mirror("owner:interop_first")
    with mirroring(fleet.lab, owner, "interop_first") as source:
        wait_until(lambda: len(owner_records(fleet, source)) == 2, 10.0, "ours to be written down")
        other.release(source)
        wait_until(lambda: len(owner_records(fleet, source)) == 1, 10.0, "the other to be gone")
        check_comes(fleet.lab, source, owner, 7)


@pytest.mark.parametrize("is_killed", [False, True], ids=["in-order", "killed"])
def test_an_old_host_that_is_back_at_another_port_is_followed(fleet: Fleet, make_old: MakeOld, is_killed: bool) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    with mirroring(fleet.lab, owner, "interop_old_back") as source:
        check_comes(fleet.lab, source, owner, 7)
        if is_killed:
            kill(owner)
        else:
            owner.close()

        def is_down() -> bool:
            row = fleet.lab.worker(source)
            return row is not None and row["link"] == "down"

        wait_until(is_down, 10.0, "the link to be down")
        again = make_old("owner")
        again.create("interop_old_back", (4, 6), "float32")
        check_comes(fleet.lab, source, again, 8, timeout_s=40.0)


def test_a_supervisor_that_is_killed_leaves_the_mirror_of_an_old_host_going(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    with mirroring(fleet.lab, owner, "interop_adopt") as source:
        pid = fleet.lab.worker_pid(source)
        fleet.lab.signal(signal.SIGKILL)
        check_comes(fleet.lab, source, owner, 7)
        fleet.lab.start()
        row = fleet.lab.worker(source)
        assert row is not None
        assert (row["pid"], row["protocol"]) == (pid, 1)
        check_comes(fleet.lab, source, owner, 8)
        # And one whose worker died with it is begun again, by the same protocol.
        fleet.lab.signal(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        fleet.lab.start()
        fleet.lab.worker_pid(source, other_than=pid)
        check_comes(fleet.lab, source, owner, 9)


def test_a_worker_that_stands_still_is_killed_and_begins_again(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    with mirroring(fleet.lab, owner, "interop_hang") as source:
        pid = fleet.lab.worker_pid(source)
        os.kill(pid, signal.SIGSTOP)
        fleet.lab.worker_pid(source, other_than=pid)
        row = fleet.lab.worker(source)
        assert row is not None
        assert row["hangs"] == 1
        check_comes(fleet.lab, source, owner, 7)


# -- both ways at once


def test_an_old_host_and_ours_read_from_each_other(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("rts")
    peer = make_old("peer")
    with segment_of(fleet.rts, "interop_here") as segment, mirroring(fleet.rts, peer, "interop_there") as source:
        mirror = peer.mirror("rts:interop_here")
        for value in (11, 12, 13):
            check_arrives(segment, peer, mirror, value)
            check_comes(fleet.rts, source, peer, value)


# -- harm


class Executes:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


HOSTILE = [pickle.dumps(Executes()), pickle.dumps(np.array([Executes()], dtype=object)), b"\x80\x04.", b"", b"noise"]


def test_pickles_that_would_do_harm_are_dropped_counted_and_told_of_once(fleet: Fleet) -> None:
    fleet.start("lab")
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        port = socket.bind_to_random_port(f"tcp://{LOOPBACK}")
        record = {
            "server_ip": LOOPBACK,
            "port": port,
            "transport": "zmq",
            "client_hostname": "lab",
            "client_ip": LOOPBACK,
        }
        stamp = datetime.now(timezone.utc).isoformat()
        base = "dao:machines:villain"
        registry(
            fleet,
            ("SET", f"{base}:ip", LOOPBACK),
            ("SET", f"{base}:last_connect", stamp),
            ("SET", f"{base}:shm:interop_evil:dimensions", "[4, 6]"),
            ("SET", f"{base}:shm:interop_evil:dtype", "float32"),
            ("SET", f"{base}:shm:interop_evil:connections", json.dumps([record])),
        )
        source = "villain:interop_evil"
        fleet.lab.call("keep", source=source)

        def rejected() -> int:
            for each in HOSTILE:
                socket.send_multipart([b"frameData", each])
            row = fleet.lab.worker(source) or next(
                row for row in fleet.lab.status()["workers"] if row["source"] == source
            )
            count: int = row["rejected"]
            return count

        wait_until(lambda: rejected() > 50, 20.0, "hostile pickles to be counted")

        def has_come() -> bool:
            socket.send_multipart([b"frameData", pickle.dumps(np.full((4, 6), 5, "float32"))])
            return newest(fleet.lab, source) == 5

        wait_until(has_come, 10.0, "a frame among them")
        row = fleet.lab.worker(source)
        assert row is not None
        assert "no frame" in row["warning"]
        assert fleet.lab.log.count("something came that is no frame") == 1
        assert row["restarts"] == 0
        fleet.lab.release(source)
