"""Mirrors that are written back: what is written into one is in its source and in every mirror, once; either way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daosup.errors import (
    DeniedError,
    NoAnswerError,
    SegmentBusyError,
    SegmentLostError,
    UnavailableError,
    UnsupportedError,
)
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import filming, wait_for_frames
from tests.waiting import wait_until


@pytest.fixture(scope="module", params=["direct", "zmq"])
def transport(request: pytest.FixtureRequest) -> str:
    """How frames come, and what is written goes: so and not otherwise."""
    return str(request.param)


@pytest.fixture(scope="module")
def module_hosts(redis_binary: Path, transport: str) -> Iterator[Fleet]:
    made = Fleet()
    try:
        start(made, transport, '[publish]\nread_only = ["locked*"]\nsingle_writer = ["single*"]\n')
        yield made
    finally:
        made.close()


def start(fleet: Fleet, transport: str, owner: str) -> None:
    """Start an owner with that in its configuration, and two that mirror that way."""
    fleet.add("rts").configure(owner)
    for name in ("lab", "desk"):
        fleet.add(name).configure(f'[mirrors]\ntransport = "{transport}"\n')
    fleet.start("rts", "lab", "desk")


def written_back(host: Host, source: str, **options: object) -> Segment:
    """A mirror that is written back, open for writing."""
    answer = host.call("mirror", source=source, wait_s=20, bidirectional=True, **options)
    return Segment.open(answer["path"], writable=True)


def full(segment: Segment, value: int) -> np.ndarray[Any, Any]:
    return np.full(segment.shape, value, segment.dtype)


def has(segment: Segment, value: int) -> bool:
    try:
        return bool((segment.read() == value).all())
    except SegmentBusyError:
        return False


def wait_for(segment: Segment, value: int, timeout_s: float = 5.0) -> None:
    wait_until(lambda: has(segment, value), timeout_s, f"{value} in {segment.path}")


@contextmanager
def source_of(hosts: Fleet, name: str, **options: Any) -> Iterator[Segment]:
    segment = hosts.rts.create(name, (6, 7), "int32", **options)
    segment.write(full(segment, 1), frame_id=1)
    yield segment
    hosts.remove(f"rts:{name}", segment)


def row_of(host: Host, source: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = host.status()["workers"]
    return next(row for row in rows if row["source"] == source)


def test_what_is_written_into_a_mirror_is_in_its_source_and_in_other_mirrors_once(hosts: Fleet, transport: str) -> None:
    with source_of(hosts, "dm") as source, written_back(hosts.lab, "rts:dm") as mirror:
        other = Segment.open(hosts.desk.call("mirror", source="rts:dm", wait_s=20, name="third")["path"])
        before = mirror.counter, source.counter, other.counter
        mirror.write(full(mirror, 7), frame_id=41, time_ns=1_700_000_000_000_000_123)
        wait_for(other, 7)
        assert has(source, 7)
        assert source.stamp[:3] == (before[1] + 1, 41, 1_700_000_000_000_000_123)
        assert other.stamp[:3] == (before[2] + 1, 41, 1_700_000_000_000_000_123)
        wait_until(lambda: hosts.lab.worker("rts:dm")["written"] == 1, 2.0, "the answer to be counted")  # type: ignore[index]
        # What comes after shows that the first came back, and was not written a second time.
        source.write(full(source, 8))
        wait_for(mirror, 8)
        assert mirror.counter == before[0] + 2
        assert hosts.rts.worker("rts:dm")["written"] == 1  # type: ignore[index]
        reader = row_of(hosts.lab, "rts:dm")
        assert (reader["transport"], reader["transport_reason"]) == (transport, None)
        other.close()


def test_two_mirrors_may_write_and_each_gets_what_the_other_writes(hosts: Fleet) -> None:
    with (
        source_of(hosts, "both") as source,
        written_back(hosts.lab, "rts:both") as lab,
        written_back(hosts.desk, "rts:both", name="other") as desk,
    ):
        for value in range(10, 30, 2):
            lab.write(full(lab, value), wait=True)
            wait_for(desk, value)
            desk.write(full(desk, value + 1), wait=True)
            wait_for(lab, value + 1)
        assert source.counter == 1 + 20
        assert row_of(hosts.rts, "rts:both")["written"] == 20


@pytest.mark.parametrize("depth", [1, 16])
def test_both_ends_write_all_the_time_and_the_counters_add_up(hosts: Fleet, depth: int) -> None:
    with source_of(hosts, f"busy{depth}", depth=depth) as source, written_back(hosts.lab, f"rts:busy{depth}") as mirror:
        began = source.counter
        at_mirror = mirror.counter
        mine = Segment.open(source.path, writable=True)
        with filming(mine, 0.001) as here, filming(mirror, 0.001) as there:
            wait_until(lambda: here.written > 2000 and there.written > 2000, 30.0, "frames from both ends")
        mine.close()

        def differences() -> dict[str, int]:
            owner, reader = row_of(hosts.rts, f"rts:busy{depth}"), row_of(hosts.lab, f"rts:busy{depth}")
            # A write that is refused as the last one has the newest frame brought again.
            seen = reader["frames"] + reader["skipped"] + reader["echoes"] - source.counter
            sums = {
                "answered": reader["written"] + reader["refused"] - there.written,
                "taken": owner["written"] - reader["written"],
                "at the owner": source.counter - began - here.written - reader["written"],
                "seen": seen if not 0 <= seen <= reader["refused"] else 0,
                "in the mirror": mirror.counter - at_mirror - there.written - reader["frames"] + 1,
            }
            return {name: difference for name, difference in sums.items() if difference}

        with suppress(AssertionError):
            wait_until(lambda: not differences(), 5.0)
        assert differences() == {}
        np.testing.assert_array_equal(source.read(), mirror.read())
        reader = row_of(hosts.lab, f"rts:busy{depth}")
        # Of frames that one program writes while others have the processor, a segment keeps as many as it is deep.
        assert reader["refused"] < there.written / 2


def test_an_acknowledged_write_is_in_the_source_on_return(hosts: Fleet) -> None:
    with source_of(hosts, "sure") as source, written_back(hosts.lab, "rts:sure") as mirror:
        for value in range(2, 200):
            mirror.write(full(mirror, value), wait=True)
            assert has(source, value)
        source.write(full(source, 1), wait=True)  # of a segment of this host that is so at once


def test_frames_larger_than_any_buffer_arrive_whole(hosts: Fleet) -> None:
    source = hosts.rts.create("large", (2048, 2048), "int32")
    source.write(full(source, 1))
    with written_back(hosts.lab, "rts:large") as mirror:
        for value in range(2, 12):
            mirror.write(full(mirror, value), wait=True)
            assert has(source, value)
    hosts.remove("rts:large", source)


def test_a_mirror_that_is_not_written_back_says_so(hosts: Fleet) -> None:
    with source_of(hosts, "oneway") as source:
        path = hosts.lab.call("mirror", source="rts:oneway", wait_s=20)["path"]
        with Segment.open(path, writable=True) as mirror:
            with pytest.raises(UnsupportedError, match="not written back; ask for that with"):
                mirror.write(full(mirror, 5), wait=True)
            assert has(source, 1)


def test_what_is_read_only_refuses_and_says_what_to_do(hosts: Fleet) -> None:
    with source_of(hosts, "locked1") as source:
        with pytest.raises(DeniedError, match="rts:locked1 is read-only"):
            written_back(hosts.lab, "rts:locked1")
        wait_until(lambda: hosts.lab.mirrored() == [], 5.0, "all to be as it was")
        with hosts.lab.mirror("rts:locked1") as mirror:
            assert has(mirror, 1)
        assert has(source, 1)


def test_of_a_single_writer_the_next_one_takes_over_when_it_dies(fleet: Fleet, transport: str) -> None:
    start(fleet, transport, '[publish]\nsingle_writer = ["*"]\n')
    with source_of(fleet, "single1") as source:
        with written_back(fleet.desk, "rts:single1", name="first") as mirror:
            mirror.write(full(mirror, 2), wait=True)
        with pytest.raises(DeniedError, match="single writer, at present desk"):
            written_back(fleet.lab, "rts:single1")
        fleet.desk.kill_all()

        def takes_over() -> bool:
            try:
                with written_back(fleet.lab, "rts:single1") as mirror:
                    mirror.write(full(mirror, 3), wait=True)
            except DeniedError:
                return False
            return True

        wait_until(takes_over, 10.0, "the lease of a host that died to be free")
        assert has(source, 3)
        fleet.start("desk")


def test_who_lets_go_of_its_mirror_lets_the_next_one_write(hosts: Fleet) -> None:
    with source_of(hosts, "single2") as source:
        written_back(hosts.desk, "rts:single2", name="first").close()
        hosts.desk.release("rts:single2")
        with written_back(hosts.lab, "rts:single2") as mirror:
            mirror.write(full(mirror, 3), wait=True)
        assert has(source, 3)


@pytest.mark.parametrize("who", ["publisher", "mirror"])
def test_a_worker_that_is_killed_is_followed_by_one_that_writes_on(hosts: Fleet, who: str) -> None:
    with source_of(hosts, f"hurt_{who}") as source, written_back(hosts.lab, f"rts:hurt_{who}") as mirror:
        mirror.write(full(mirror, 2), wait=True)
        host = hosts.rts if who == "publisher" else hosts.lab
        os.kill(host.worker_pid(f"rts:hurt_{who}"), signal.SIGKILL)

        def goes_on() -> bool:
            try:
                mirror.write(full(mirror, 3), wait=True)
            except (DeniedError, UnavailableError, NoAnswerError):
                return False
            return True

        wait_until(goes_on, 5.0, "a write to arrive again")
        wait_for(source, 3)


def test_a_source_made_anew_takes_what_is_written_from_then_on(hosts: Fleet) -> None:
    with source_of(hosts, "anew") as source, written_back(hosts.lab, "rts:anew") as mirror:
        mirror.write(full(mirror, 2), wait=True)
        path = mirror.path
        source.close()
        other = Segment.create(source.path, (3, 3), "float32")
        other.write(full(other, 1))

        def is_like_it() -> bool:
            with suppress(SegmentLostError), Segment.open(path, writable=False) as now:
                return now.shape == (3, 3) and has(now, 1)
            return False  # it is being made anew

        wait_until(is_like_it, 5.0, "the mirror to be like the new source")
        with Segment.open(path, writable=True) as anew:
            anew.write(full(anew, 5), wait=True)
        assert has(other, 5)
        other.close()


def test_a_write_that_its_owner_does_not_take_any_more_is_undone(hosts: Fleet) -> None:
    with source_of(hosts, "closing") as source, written_back(hosts.lab, "rts:closing") as mirror:
        mirror.write(full(mirror, 2), wait=True)
        hosts.rts.config.write_text(hosts.rts.config.read_text().replace('"locked*"', '"locked*", "closing"'))
        hosts.rts.call("reload")

        def is_refused() -> bool:
            reader = row_of(hosts.lab, "rts:closing")
            return bool(reader["write_back"] and reader["write_back"]["state"] == "refused")

        wait_until(is_refused, 10.0, "the mirror to be told")
        assert "read-only" in row_of(hosts.lab, "rts:closing")["write_back"]["reason"]
        with pytest.raises(DeniedError, match="was not taken by its owner"):
            mirror.write(full(mirror, 9), wait=True)
        wait_for(mirror, 2)
        assert has(source, 2)


def test_without_a_link_a_write_fails_and_is_not_sent_later(hosts: Fleet) -> None:
    with source_of(hosts, "cut") as source, written_back(hosts.lab, "rts:cut") as mirror:
        pid = hosts.rts.worker_pid("rts:cut")
        os.kill(hosts.rts.pid, signal.SIGSTOP)  # or it would replace the publisher that hangs
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises((NoAnswerError, UnavailableError)):
                mirror.write(full(mirror, 9), wait=True, timeout_s=0.5)
            wait_until(lambda: mirror.keywords["NET_LINK"] == 0, 10.0, "the link to count as down")
            with pytest.raises((DeniedError, UnavailableError)):
                mirror.write(full(mirror, 10), wait=True)
        finally:
            os.kill(pid, signal.SIGCONT)
            os.kill(hosts.rts.pid, signal.SIGCONT)

        def goes_on() -> bool:
            try:
                mirror.write(full(mirror, 11), wait=True)
            except (DeniedError, UnavailableError):
                return False
            return True

        wait_until(goes_on, 10.0, "a write to arrive again")
        assert has(source, 11)
        history = time.monotonic()
        wait_until(lambda: time.monotonic() > history + 0.3 or not has(source, 11), 5.0, "a late frame, or none")
        assert has(source, 11)


FLOODS = {
    "zmq": """
import os, sys, zmq
socket = zmq.Context().socket(zmq.XSUB)
socket.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
message = b"DAO2" + os.urandom(100)
while True:
    socket.send(message)
""",
    "direct": """
import os, socket, sys, threading
from daosup.core.dnet import Kind, message
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"SUBSCRIBE flooded elsewhere daosup=1 write=1\\n")
assert connection.recv(12) == b"OK daosup=1\\n"
def read():
    while connection.recv(1 << 16):
        pass
threading.Thread(target=read, daemon=True).start()
messages = 100 * message(Kind.ASK, b"DAO2" + os.urandom(100))
while True:
    connection.sendall(messages)
""",
}


def test_a_flood_of_what_is_no_write_does_not_keep_frames_from_anybody(hosts: Fleet, transport: str) -> None:
    with source_of(hosts, "flooded") as source, written_back(hosts.lab, "rts:flooded") as mirror:
        publisher = row_of(hosts.rts, "rts:flooded")
        pid, port = publisher["pid"], publisher["direct_port" if transport == "direct" else "port"]
        flooding = subprocess.Popen([sys.executable, "-c", FLOODS[transport], str(port)])
        try:
            wait_until(lambda: row_of(hosts.rts, "rts:flooded")["rejected"] > 10_000, 20.0, "the flood")
            mine = Segment.open(source.path, writable=True)
            with filming(mine, 0.005):
                wait_for_frames(mirror, 200, 10.0)
            mine.close()
        finally:
            flooding.kill()
            flooding.wait()

        def is_over() -> bool:
            try:
                mirror.write(full(mirror, 77), wait=True)
            except (DeniedError, UnavailableError):  # it waits behind the flood
                return False
            return True

        wait_until(is_over, 20.0, "a write to arrive again")
        assert has(source, 77)
        assert hosts.rts.worker_pid("rts:flooded") == pid
