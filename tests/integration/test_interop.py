"""Hosts of ours and hosts that run the existing daemon, on one registry: each reads from the other.

Where they meet, ours keeps its own times: it is heard every 10 s, and drops whoever was not heard for 25 s.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
import zmq

from daosup.adapters.redis_link import Command, blocking_link
from daosup.errors import SegmentError
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import Stream, filming, wait_for_frames
from tests.integration.tcp_proxy import free_port
from tests.old_daemon.peer import QUICK, OldPeer
from tests.waiting import wait_until

Make = Callable[..., OldPeer]
LOOPBACK = "127.0.0.1"


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[list[OldPeer]]:
    made: list[OldPeer] = []
    try:
        yield made
        for peer in made:
            if peer.is_there:
                peer.check_well()
    finally:
        for peer in made:
            peer.close()


@pytest.fixture
def make(fleet: Fleet, peers: list[OldPeer], tmp_path: Path) -> Make:
    """Makes old daemons on the fleet's registry."""

    def make_one(host: str) -> OldPeer:
        times = {**QUICK, "client_timeout_s": 25.0}
        peer = OldPeer(host, tmp_path / host, fleet.redis.tcp_address.port, **times)
        peers.append(peer)
        return peer

    return make_one


def registry(fleet: Fleet, *commands: Command) -> list[Any]:
    with blocking_link(fleet.redis.address) as run:
        return run(list(commands))


def readers_of(host: Host, name: str) -> dict[str, int]:
    """The readers of a segment as status shows them, and what they speak."""
    rows = [row for row in host.status()["workers"] if row["source"] == f"{host.name}:{name}"]
    return {peer["host"]: peer["protocol"] for row in rows for peer in row["peers"]}


def publisher_of(host: Host, name: str) -> Optional[dict[str, Any]]:
    return host.worker(f"{host.name}:{name}")


def frames_of(peer: OldPeer, source: str) -> int:
    """How many frames an old reader got."""
    frames: int = peer.status()["mirrored"][source]["frames"]
    return frames


def kill(peer: OldPeer, *mirrors: str) -> None:
    """A power cut; whoever comes after cleans up."""
    peer.kill()
    for mirror in mirrors:
        unlink_segment(peer.path(mirror))


def check_arrives(segment: Segment, peer: OldPeer, mirror: str, value: int) -> None:
    """A frame that is written now gets to an old daemon's mirror."""

    def is_here() -> bool:
        segment.write(np.full(segment.shape, value, segment.dtype))
        try:
            return bool(peer.read(mirror)["value"] == value)
        except RuntimeError:  # it is just being made anew
            return False

    wait_until(is_here, 20.0, f"{value} in {mirror} of {peer.host}")


def all_sent(host: Host, segment: Segment) -> dict[str, Any]:
    """A publisher that began before the second frame, once it has accounted for all."""

    def row() -> Optional[dict[str, Any]]:
        found = publisher_of(host, segment.path.rpartition("/")[2].partition(".")[0])
        is_all = found is not None and found["frames"] + found["skipped"] == segment.counter
        return found if is_all else None

    found = wait_until(row, 10.0, "every frame to be accounted for")
    assert found is not None
    return found


def check_comes(host: Host, source: str, peer: OldPeer, value: int, timeout_s: float = 20.0) -> None:
    """A frame that an old daemon's segment gets now is in our mirror."""

    def is_here() -> bool:
        peer.write(source.partition(":")[2], value)
        return newest(host, source) == value

    wait_until(is_here, timeout_s, f"{value} in {source} at {host.name}")


def newest(host: Host, source: str) -> Optional[float]:
    """What all elements of a mirror's newest frame are; None if there is no such frame."""
    try:
        with Segment.open(host.path(f"remote_{source.replace(':', '_')}"), writable=False) as mirror:
            values = np.unique(mirror.read())
    except SegmentError:  # it is just being made
        return None
    return float(values[0]) if len(values) == 1 else None


@contextmanager
def segment_of(host: Host, name: str, shape: tuple[int, ...] = (16, 16)) -> Iterator[Segment]:
    made = host.create(name, shape)
    try:
        yield made
    finally:
        made.close()
        made.unlink()


# -- old readers, our host


def test_an_old_reader_alone_asks_and_gets_a_stream_until_it_is_not_heard_any_more(fleet: Fleet, make: Make) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_wfs") as segment:
        one = make("one")
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


COUNT, PERIOD_S = 3000, 0.001


def film(segment: Segment, count: int, period_s: float) -> None:
    """Write so many frames, all elements their number."""
    frame = np.empty(segment.shape, segment.dtype)
    due_s = time.monotonic()
    for number in range(1, count + 1):
        frame.fill(number)
        segment.write(frame)
        due_s += period_s
        time.sleep(max(0.0, due_s - time.monotonic()))


@contextmanager
def streaming(fleet: Fleet, name: str) -> Iterator[Stream]:
    """A segment of rts that is mirrored by lab."""
    with segment_of(fleet.rts, name) as segment:
        segment.write(np.zeros(segment.shape, segment.dtype))
        going = Stream(fleet, name, segment, fleet.lab.mirror(f"rts:{name}"))
        try:
            yield going
        finally:
            going.mirror.close()


def test_two_old_readers_and_ours_get_every_frame_at_1_khz(fleet: Fleet, make: Make) -> None:
    fleet.start("rts", "lab")
    source = "rts:interop_khz"
    with streaming(fleet, "interop_khz") as going:
        one, two = make("one"), make("two")
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


def test_old_readers_come_and_go_and_nobody_else_notices(fleet: Fleet, make: Make) -> None:
    fleet.start("rts", "lab")
    source = "rts:interop_go"
    with streaming(fleet, "interop_go") as going:
        one, two = make("one"), make("two")
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


def test_an_old_reader_follows_a_segment_made_anew_with_another_shape(fleet: Fleet, make: Make) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_anew") as segment:
        one = make("one")
        mirror = one.mirror("rts:interop_anew")
        check_arrives(segment, one, mirror, 1)
        with Segment.create(segment.path, (5, 3), "float64") as anew:
            check_arrives(anew, one, mirror, 2)
            assert one.read(mirror)["shape"] == [5, 3]
            assert one.read(mirror)["dtype"] == "float64"


def test_a_supervisor_that_is_killed_costs_an_old_reader_no_frame(fleet: Fleet, make: Make) -> None:
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_kill") as segment:
        one = make("one")
        source = "rts:interop_kill"
        mirror = one.mirror(source)
        check_arrives(segment, one, mirror, 1)
        row, got = all_sent(fleet.rts, segment), frames_of(one, source)
        fleet.rts.signal(signal.SIGKILL)
        film(segment, 200, 0.005)
        fleet.rts.start()
        wait_until(lambda: readers_of(fleet.rts, "interop_kill") == {"one": 1}, 25.0, "the old reader to be known")
        film(segment, 200, 0.005)
        one.wait_for_value(mirror, 200)
        after = all_sent(fleet.rts, segment)
        assert after["pid"] == row["pid"]
        assert frames_of(one, source) - got == after["frames"] - row["frames"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["in-order", "power-cut"])
def test_old_readers_go_on_when_their_owner_is_back_each_with_its_own_segment(
    fleet: Fleet, make: Make, number: int
) -> None:
    fleet.add("rts", base_port=free_port(), port_count=20)
    fleet.start("rts")
    with segment_of(fleet.rts, "interop_z") as first, segment_of(fleet.rts, "interop_a") as second:
        one = make("one")
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


# -- our reader, old hosts


@contextmanager
def mirroring(host: Host, peer: OldPeer, name: str) -> Iterator[str]:
    """A segment of an old host that is not written yet, and ours has a mirror of it."""
    source = f"{peer.host}:{name}"
    if not peer.path(name).exists():
        peer.create(name, (4, 6), "float32")
    wait_until(lambda: source in sources_of(host), 10.0, f"{source} to be announced")
    host.mirror(source).close()
    yield source
    if source in host.mirrored():
        host.release(source)


def sources_of(host: Host) -> list[str]:
    """All segments that the registry knows."""
    machines = host.call("machines")
    return [f"{machine['hostname']}:{segment['name']}" for machine in machines for segment in machine["segments"]]


def test_ours_mirrors_what_an_old_host_has(fleet: Fleet, make: Make) -> None:
    fleet.start("lab")
    owner = make("owner")
    with mirroring(fleet.lab, owner, "interop_dm") as source:
        check_comes(fleet.lab, source, owner, 7)
        row = fleet.lab.worker(source)
        assert row is not None
        assert (row["protocol"], row["link"], row["rejected"]) == (1, "up", 0)
        (record,) = owner_records(fleet, source)
        assert record["client_hostname"] == "lab"
    wait_until(lambda: not owner.status()["published"], 10.0, "the old host to stop its stream")
    assert not list(fleet.lab.segments.iterdir())


def owner_records(fleet: Fleet, source: str) -> list[dict[str, Any]]:
    host, _, name = source.partition(":")
    raw = registry(fleet, ("GET", f"dao:machines:{host}:shm:{name}:connections"))[0]
    records: list[dict[str, Any]] = json.loads(raw or b"[]")
    return records


def test_every_frame_of_an_old_host_is_taken_or_counted(fleet: Fleet, make: Make) -> None:
    fleet.start("lab")
    owner = make("owner")
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
        owner.write("interop_count", 1.0, count=500, period_s=0.004)
        wait_until(lambda: owner.status()["writing"]["interop_count"] == 0, 30.0, "all to be written")
        assert account(-1) == lost
        assert sent() > 400


def test_a_source_that_an_old_host_makes_anew_is_followed(fleet: Fleet, make: Make) -> None:
    fleet.start("lab")
    owner = make("owner")
    with mirroring(fleet.lab, owner, "interop_shape") as source:
        check_comes(fleet.lab, source, owner, 7)
        pid = fleet.lab.worker_pid(source)
        owner.create("interop_shape", (2, 2, 3), "int16")
        check_comes(fleet.lab, source, owner, 8)
        with Segment.open(fleet.lab.path("remote_owner_interop_shape"), writable=False) as mirror:
            assert (mirror.shape, mirror.dtype) == ((2, 2, 3), "int16")
        assert fleet.lab.worker_pid(source) == pid


def test_ours_is_not_cut_off_when_the_old_reader_leaves_whose_record_came_first(fleet: Fleet, make: Make) -> None:
    fleet.start("lab")
    owner, other = make("owner"), make("other")
    owner.create("interop_first", (4, 6), "float32")
    wait_until(lambda: "owner:interop_first" in sources_of(fleet.lab), 10.0, "the segment to be announced")
    other.mirror("owner:interop_first")
    with mirroring(fleet.lab, owner, "interop_first") as source:
        wait_until(lambda: len(owner_records(fleet, source)) == 2, 10.0, "ours to be written down")
        other.release(source)
        wait_until(lambda: len(owner_records(fleet, source)) == 1, 10.0, "the other to be gone")
        check_comes(fleet.lab, source, owner, 7)


@pytest.mark.parametrize("is_killed", [False, True], ids=["in-order", "killed"])
def test_an_old_host_that_is_back_at_another_port_is_followed(fleet: Fleet, make: Make, is_killed: bool) -> None:
    fleet.start("lab")
    owner = make("owner")
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
        again = make("owner")
        again.create("interop_old_back", (4, 6), "float32")
        check_comes(fleet.lab, source, again, 8, timeout_s=40.0)


def test_a_supervisor_that_is_killed_leaves_the_mirror_of_an_old_host_going(fleet: Fleet, make: Make) -> None:
    fleet.start("lab")
    owner = make("owner")
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


def test_a_worker_that_stands_still_is_killed_and_begins_again(fleet: Fleet, make: Make) -> None:
    fleet.start("lab")
    owner = make("owner")
    with mirroring(fleet.lab, owner, "interop_hang") as source:
        pid = fleet.lab.worker_pid(source)
        os.kill(pid, signal.SIGSTOP)
        fleet.lab.worker_pid(source, other_than=pid)
        row = fleet.lab.worker(source)
        assert row is not None
        assert row["hangs"] == 1
        check_comes(fleet.lab, source, owner, 7)


# -- both ways at once


def test_an_old_host_and_ours_read_from_each_other(fleet: Fleet, make: Make) -> None:
    fleet.start("rts")
    peer = make("peer")
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
        assert fleet.lab.log.count("mirror rejected") == 1
        assert row["restarts"] == 0
        fleet.lab.release(source)
