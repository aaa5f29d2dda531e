"""The peer that stands for an old daemon does as the old daemon does: two of them, and what they write to Redis."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import redis
import zmq

from daosup.adapters.redis_server import EmbeddedRedis
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from tests.old_daemon.peer import QUICK, OldPeer
from tests.waiting import wait_until

SHAPE = (4, 6)
KEY = "dao:machines:left:shm:old_a"

Make = Callable[..., OldPeer]


@pytest.fixture
def registry(fresh_redis: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis("127.0.0.1", fresh_redis.tcp_address.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def make(fresh_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[Make]:
    """Makes old daemons; when they end well they have had no errors."""
    peers: list[OldPeer] = []

    def make_one(host: str, **options: object) -> OldPeer:
        peer = OldPeer(host, tmp_path / host, fresh_redis.tcp_address.port, **{**QUICK, **options})
        peers.append(peer)
        return peer

    yield make_one
    for peer in peers:
        peer.close()
    for path in tmp_path.glob("*/*.im.shm"):
        unlink_segment(path)


@pytest.fixture
def left(make: Make, registry: Any) -> OldPeer:
    """The owner of old_a."""
    peer = make("left")
    peer.create("old_a", SHAPE, "float32")
    wait_until(lambda: registry.get(f"{KEY}:connections") == "[]", 10.0, "old_a to be announced")
    return peer


def records(registry: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(registry.get(f"{KEY}:connections"))
    return found


# -- the registry


def test_a_host_writes_its_keys_and_its_segments(left: OldPeer, registry: Any) -> None:
    wait_until(lambda: registry.get("dao:machines:left:last_connect"), 5.0, "its heartbeat")
    assert registry.get("dao:machines:left:ip") == "127.0.0.1"
    assert registry.get("dao:machines:left:hostname") == "left"
    assert registry.get("dao:machines:left:role") == "minion"
    assert json.loads(registry.get(f"{KEY}:dimensions")) == [4, 6]
    assert registry.get(f"{KEY}:dtype") == "float32"
    assert all(registry.ttl(key) == -1 for key in registry.keys("dao:machines:*"))
    left.check_well()


def test_a_host_refreshes_its_heartbeat(left: OldPeer, registry: Any) -> None:
    before = registry.get("dao:machines:left:last_connect")
    wait_until(lambda: registry.get("dao:machines:left:last_connect") != before, 10.0, "another heartbeat")


def test_a_segment_that_is_gone_is_taken_back(left: OldPeer, registry: Any) -> None:
    unlink_segment(left.path("old_a"))
    wait_until(lambda: not registry.keys(f"{KEY}:*"), 10.0, "its keys to be gone")


def test_a_master_evicts_a_machine_that_is_silent_and_no_other(make: Make, left: OldPeer, registry: Any) -> None:
    make("right", role="master")
    left.kill()
    wait_until(lambda: not registry.keys("dao:machines:left:*"), 20.0, "left to be evicted")
    assert registry.get("dao:machines:right:role") == "master"


# -- mirrors


def test_a_client_asks_is_answered_and_written_down(make: Make, left: OldPeer, registry: Any) -> None:
    right = make("right")
    mirror = right.mirror("left:old_a")
    (record,) = records(registry)
    port = left.status()["published"]["old_a"]["port"]
    assert record == {
        "server_ip": "127.0.0.1",
        "port": port,
        "transport": "zmq",
        "client_hostname": "right",
        "client_ip": "127.0.0.1",
        "bidirectional": False,
        "client_pub_port": None,
    }
    assert right.status()["mirrored"]["left:old_a"] | {"frames": 0} == {
        "state": "streaming", "port": port, "has_asked": True, "frames": 0, "sent_frames": 0,
    }  # fmt: skip
    assert registry.get("dao:connections:left:old_a") is None
    assert 0 < registry.pttl("dao:heartbeats:left:old_a:right") <= 7500
    for value in (3, 4, 5):
        wait_for_arrival(left, right, mirror, value)
    for peer in (left, right):
        peer.check_well()


def wait_for_arrival(source: OldPeer, target: OldPeer, mirror: str, value: float) -> None:
    """Write until it arrives: an old stream does not tell when its reader has come."""

    def is_here() -> bool:
        source.write("old_a", value)
        return bool(target.read(mirror)["value"] == value)

    wait_until(is_here, 10.0, f"{value} in {mirror} of {target.host}")


def test_the_stream_is_two_parts_with_a_pickle(make: Make, left: OldPeer) -> None:
    make("right").mirror("left:old_a")
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    try:
        socket.setsockopt(zmq.SUBSCRIBE, b"frameData")
        socket.connect(f"tcp://127.0.0.1:{left.status()['published']['old_a']['port']}")
        wait_until(lambda: left.write("old_a", 7) or socket.poll(10), 5.0, "a frame")
        topic, pickled = socket.recv_multipart()
    finally:
        socket.close(0)
        context.term()
    assert topic == b"frameData"
    frame = pickle.loads(pickled)
    assert (frame.dtype, frame.shape) == ("float32", SHAPE)
    assert (frame == 7).all()


def test_a_second_client_takes_record_0_is_not_written_down_and_dies_with_the_first(
    make: Make, left: OldPeer, registry: Any
) -> None:
    first, second = make("first"), make("second")
    mirror = first.mirror("left:old_a")
    assert second.mirror("left:old_a") == mirror
    assert [record["client_hostname"] for record in records(registry)] == ["first"]
    assert not second.status()["mirrored"]["left:old_a"]["has_asked"]
    wait_for_arrival(left, second, mirror, 1)
    first.release("left:old_a")
    assert records(registry) == []
    wait_until(lambda: left.status()["published"] == {}, 10.0, "the stream to end")
    left.write("old_a", 2)
    assert second.read(mirror)["value"] == 1
    left.check_well()


def test_a_client_that_is_silent_is_dropped(make: Make, left: OldPeer, registry: Any) -> None:
    right = make("right")
    right.mirror("left:old_a")
    killed_s = time.monotonic()
    right.kill()
    wait_until(lambda: records(registry) == [], 20.0, "the silent client to be dropped")
    assert time.monotonic() - killed_s > QUICK["client_timeout_s"] - QUICK["client_heartbeat_s"]
    wait_until(lambda: left.status()["published"] == {}, 5.0, "the stream to end")


def test_a_client_that_lives_is_not_dropped(make: Make, left: OldPeer, registry: Any) -> None:
    right = make("right")
    mirror = right.mirror("left:old_a")
    before = left.status()["published"]["old_a"]["port"]
    ends_s = time.monotonic() + 2 * QUICK["client_timeout_s"]
    while time.monotonic() < ends_s:
        wait_for_arrival(left, right, mirror, time.monotonic() % 1000 // 1)
    assert len(records(registry)) == 1
    assert left.status()["published"]["old_a"]["port"] == before


def test_of_two_that_ask_at_once_one_is_overwritten(make: Make, registry: Any) -> None:
    left = make("left", request_poll_s=3.0)
    left.create("old_a", SHAPE, "float32")
    wait_until(lambda: registry.get(f"{KEY}:connections") == "[]", 10.0, "old_a to be announced")
    first, second = make("first"), make("second")
    first.status(), second.status()  # both are up
    # Right after the owner has looked, so that it looks again only when both have asked.
    registry.set("dao:connections:left:old_a", json.dumps({"client_ip": "127.0.0.1", "client_hostname": "nobody",
        "bidirectional": False, "client_pub_port": None}))  # fmt: skip
    wait_until(lambda: registry.get("dao:connections:left:old_a") is None, 10.0, "the owner to look")
    registry.set(f"{KEY}:connections", "[]")
    first.tell("mirror", source="left:old_a")
    second.tell("mirror", source="left:old_a")
    for peer in (first, second):
        wait_until(lambda: peer.status()["mirrored"]["left:old_a"]["state"] == "streaming", 10.0, "both to stream")  # noqa: B023
        assert peer.status()["mirrored"]["left:old_a"]["has_asked"]
    assert [record["client_hostname"] for record in records(registry)] == ["second"]


def test_a_client_gives_up_asking(make: Make, left: OldPeer) -> None:
    right = make("right", connect_timeout_s=0.5)
    right.tell("mirror", source="nowhere:old_a")
    wait_until(lambda: right.status()["mirrored"]["nowhere:old_a"]["state"] == "failed", 10.0, "it to give up")


def test_a_source_made_anew_is_followed_in_the_stream(make: Make, left: OldPeer) -> None:
    right = make("right")
    mirror = right.mirror("left:old_a")
    wait_for_arrival(left, right, mirror, 1)
    left.create("old_a", (3, 2), "int16")
    wait_for_arrival(left, right, mirror, 2)
    assert right.read(mirror)["shape"] == [3, 2]


# -- both ways


def test_a_bidirectional_pair_writes_both_ways(make: Make, left: OldPeer, registry: Any) -> None:
    right = make("right")
    mirror = right.mirror("left:old_a", bidirectional=True)
    (record,) = records(registry)
    assert record["bidirectional"]
    assert record["client_pub_port"] > 0
    wait_until(lambda: left.status()["published"]["old_a"]["written_by"] == "right", 10.0, "left to listen")
    wait_for_arrival(left, right, mirror, 1)

    def is_there() -> bool:
        right.write(mirror, 2)
        return bool(left.read("old_a")["value"] == 2)

    wait_until(is_there, 10.0, "the written frame at its owner")
    for peer in (left, right):
        peer.check_well()


def test_writing_both_ways_comes_to_rest(make: Make, left: OldPeer) -> None:
    right = make("right")
    mirror = right.mirror("left:old_a", bidirectional=True)
    wait_for_arrival(left, right, mirror, 1)
    left.write("old_a", 0, count=200, period_s=0.003)
    right.write(mirror, 1000, count=200, period_s=0.003)

    def is_done() -> bool:
        return left.status()["writing"] == {"old_a": 0} and right.status()["writing"] == {mirror: 0}

    wait_until(is_done, 20.0, "both to have written")
    counters = (0, 0)

    def is_at_rest() -> bool:
        nonlocal counters
        before, counters = counters, (left.read("old_a")["counter"], right.read(mirror)["counter"])
        return before == counters

    wait_until(is_at_rest, 10.0, "the counters to stand still")
    assert counters[0] <= 200 + 200 + 50
    assert right.status()["mirrored"]["left:old_a"]["frames"] > 0
    assert left.status()["published"]["old_a"]["written_frames"] > 0


def test_only_the_first_writing_client_is_heard(make: Make, left: OldPeer, registry: Any) -> None:
    first, second = make("first"), make("second")
    mirror = first.mirror("left:old_a", bidirectional=True)
    second.mirror("left:old_a", bidirectional=True)
    assert [record["client_hostname"] for record in records(registry)] == ["first"]
    wait_until(lambda: left.status()["published"]["old_a"]["written_by"] == "first", 10.0, "left to listen")
    second.write(mirror, 5)

    def is_there() -> bool:
        first.write(mirror, 6)
        return bool(left.read("old_a")["value"] == 6)

    wait_until(is_there, 10.0, "the first one's frame")
    assert left.status()["published"]["old_a"]["written_by"] == "first"


# -- its segments


@pytest.mark.parametrize(("layout", "depth"), [("v0", 1), ("fifo", 1), ("fifo", 3)])
def test_its_segments_are_those_that_everybody_knows(left: OldPeer, layout: str, depth: int) -> None:
    left.create("old_b", (3, 5), "uint16", layout=layout, depth=depth)
    with Segment.open(left.path("old_b"), writable=True) as segment:
        assert (segment.layout, segment.depth, segment.shape, segment.dtype) == (layout, depth, (3, 5), "uint16")
        for value in range(1, 6):
            left.write("old_b", value)
            assert segment.wait(value - 1, 5.0) == value
            assert (segment.read() == value).all()
        segment.write(segment.read() * 2)
    assert left.read("old_b") == {"counter": 6, "shape": [3, 5], "dtype": "uint16", "value": 10}
