"""What an old daemon and ours have of each other, as tests see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional

import numpy as np

from daosup.adapters.redis_link import Command, blocking_link
from daosup.errors import SegmentError
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import Stream
from tests.old_daemon.peer import OldPeer
from tests.waiting import wait_until

MakeOld = Callable[[str], OldPeer]

LOOPBACK = "127.0.0.1"


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


def owner_records(fleet: Fleet, source: str) -> list[dict[str, Any]]:
    host, _, name = source.partition(":")
    raw = registry(fleet, ("GET", f"dao:machines:{host}:shm:{name}:connections"))[0]
    records: list[dict[str, Any]] = json.loads(raw or b"[]")
    return records
