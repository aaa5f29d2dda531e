"""An old daemon and ours on one registry, as far as one of them needs nothing from the other's decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from daosup.adapters.redis_link import blocking_link
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from daosup.workers.old_mirror import OldMirror
from daosup.workers.orders import MirrorOrder
from tests.integration.fleet import Fleet
from tests.integration.streams import Stream, stream
from tests.old_daemon.peer import QUICK, OldPeer
from tests.waiting import wait_until

Make = Callable[..., OldPeer]


@pytest.fixture
def make(hosts: Fleet, tmp_path: Path) -> Iterator[Make]:
    """Makes old daemons on the fleet's registry."""
    peers: list[OldPeer] = []

    def make_one(host: str) -> OldPeer:
        peer = OldPeer(host, tmp_path / host, hosts.redis.tcp_address.port, **QUICK)
        peers.append(peer)
        return peer

    yield make_one
    for peer in peers:
        peer.check_well()
        peer.close()


def stamp() -> str:
    return datetime.now(timezone.utc).isoformat()


def check_arrives(going: Stream, peer: OldPeer, mirror: str, value: int) -> None:
    """A frame that is written to our segment gets to the old daemon's mirror and to ours."""

    def is_here() -> bool:
        going.segment.write(np.full(going.segment.shape, value, "uint16"))
        return bool(peer.read(mirror)["value"] == value)

    wait_until(is_here, 10.0, f"{value} in {mirror} of {peer.host}")
    assert wait_until(lambda: bool((going.mirror.read() == value).all()), 5.0, f"{value} in our mirror")


def test_old_clients_take_the_port_of_our_record_and_get_our_frames(hosts: Fleet, make: Make) -> None:
    with stream(hosts, "old_pairs_wfs") as going:
        one, two = make("one"), make("two")
        mirror = one.mirror(going.source)
        assert two.mirror(going.source) == mirror
        assert not one.status()["mirrored"][going.source]["has_asked"]
        check_arrives(going, one, mirror, 3)
        check_arrives(going, two, mirror, 4)
        assert one.read(mirror)["shape"] == [16, 16]
        one.release(going.source)
        check_arrives(going, two, mirror, 5)


RECORDS = "dao:machines:owner:shm:old_pairs_dm:connections"
REQUEST = {"client_ip": "127.0.0.1", "client_hostname": "ours", "transport": "zmq", "bidirectional": False,
           "client_pub_port": None}  # fmt: skip


@pytest.fixture
def run(hosts: Fleet) -> Iterator[Callable[..., Any]]:
    with blocking_link(hosts.redis.address) as link:
        yield link


def test_ours_mirrors_what_an_old_daemon_streams(make: Make, run: Callable[..., Any], tmp_path: Path) -> None:
    owner = make("owner")
    owner.create("old_pairs_dm", (4, 6), "float32")
    wait_until(lambda: run([("GET", RECORDS)]) == [b"[]"], 10.0, "old_pairs_dm to be announced")
    run([("SET", "dao:connections:owner:old_pairs_dm", json.dumps(REQUEST))])
    wait_until(lambda: run([("GET", RECORDS)]) != [b"[]"], 10.0, "the connection")
    (record,) = json.loads(run([("GET", RECORDS)])[0])
    path = tmp_path / "remote_owner_old_pairs_dm.im.shm"
    key = WorkerKey(WorkerKind.MIRROR, Source("owner", "old_pairs_dm"))
    endpoint = f"tcp://{record['server_ip']}:{record['port']}"
    order = MirrorOrder(key, str(path), tmp_path / "page", endpoint, 0o600, "source")
    worker = OldMirror(order, lambda event, **facts: None)

    def arrives(value: int) -> bool:
        run([("SET", "dao:heartbeats:owner:old_pairs_dm:ours", stamp())])
        owner.write("old_pairs_dm", value)
        worker.turn()
        if not path.exists():
            return False
        with Segment.open(path, writable=False) as mirror:
            return bool((mirror.read() == value).all())

    try:
        wait_until(lambda: arrives(1), 10.0, "a frame in our mirror")
        owner.create("old_pairs_dm", (2, 2, 3), "int16")
        wait_until(lambda: arrives(2), 10.0, "a frame of another shape in our mirror")
        with Segment.open(path, writable=False) as mirror:
            assert (mirror.shape, mirror.dtype) == ((2, 2, 3), "int16")
    finally:
        worker.close()
        unlink_segment(path)
