"""What clients of the old protocol write into a segment of ours, and what we write for an old owner: the data path."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from daosup.core.types import OLD_PROTOCOL, OldWriter, Source, WorkerKey, WorkerKind
from daosup.errors import UnsupportedError
from daosup.shm import Segment
from daosup.workers.old_mirror import OldMirror
from daosup.workers.orders import MirrorOrder
from daosup.workers.statistics import Statistics, StatisticsReader
from daosup.workers.taking_old_writes import TakingOldWrites
from tests.waiting import wait_until

LOOPBACK = "127.0.0.1"
TOPIC = b"frameData"
SHAPE = (6, 7)


def frame(value: int) -> np.ndarray[Any, Any]:
    return np.full(SHAPE, value, "int32")


class Client:
    """An old client's port, and a subscriber of it from its owner."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        port = self._socket.bind_to_random_port(f"tcp://{LOOPBACK}")
        self.writer = OldWriter("old", LOOPBACK, port)

    def wait_for_owner(self) -> None:
        assert self._socket.poll(5000), "nobody subscribed"
        assert self._socket.recv() == b"\x01" + TOPIC

    def send(self, pickled: bytes) -> None:
        self._socket.send_multipart([TOPIC, pickled])

    def write(self, value: int) -> None:
        self.send(pickle.dumps(frame(value)))

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    made = Segment.create(tmp_path / "old_dm.im.shm", SHAPE, "int32")
    made.write(frame(0))
    yield made
    made.close()
    made.unlink()


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    made = [Client(), Client()]
    yield made
    for client in made:
        client.close()


@pytest.fixture
def taking(segment: Segment, clients: list[Client]) -> Iterator[TakingOldWrites]:
    made = TakingOldWrites(segment.path, lambda host: True)
    made.follow([client.writer for client in clients])
    for client in clients:
        client.wait_for_owner()
    yield made
    made.close()


def wait_for(segment: Segment, value: int) -> None:
    wait_until(lambda: bool((segment.read() == value).all()), 5.0, f"{value} in {segment.path}")


def test_every_client_that_writes_is_followed_not_the_first_only(
    segment: Segment, clients: list[Client], taking: TakingOldWrites
) -> None:
    for value in range(1, 21):
        clients[value % 2].write(value)
        wait_for(segment, value)
    assert segment.counter == 21
    wait_until(lambda: taking.counts == (20, 0, 0), 2.0, "all to be counted")


def test_a_frame_that_is_the_newest_already_is_not_written_again(
    segment: Segment, clients: list[Client], taking: TakingOldWrites
) -> None:
    segment.write(frame(5))
    clients[0].write(5)
    wait_until(lambda: taking.counts == (0, 0, 1), 5.0, "the frame to be known")
    assert segment.counter == 2


class _Boom:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


@pytest.mark.parametrize(
    "pickled",
    [
        pickle.dumps(_Boom()),
        b"noise",
        pickle.dumps(np.zeros(SHAPE, "float32")),
        pickle.dumps(np.zeros((7, 6), "int32")),
        pickle.dumps([1, 2]),
    ],
    ids=["that would execute something", "noise", "another dtype", "another shape", "no array"],
)
def test_what_is_no_frame_of_the_segment_is_refused(
    segment: Segment, clients: list[Client], taking: TakingOldWrites, pickled: bytes
) -> None:
    clients[0].send(pickled)
    wait_until(lambda: taking.counts == (0, 1, 0), 5.0, "the refusal to be counted")
    clients[0].write(3)
    wait_for(segment, 3)
    assert segment.counter == 2


def test_who_may_not_write_is_refused(segment: Segment, clients: list[Client]) -> None:
    taking = TakingOldWrites(segment.path, lambda host: False)
    taking.follow([clients[0].writer])
    try:
        clients[0].wait_for_owner()
        clients[0].write(3)
        wait_until(lambda: taking.counts == (0, 1, 0), 5.0, "the refusal to be counted")
        assert segment.counter == 1
    finally:
        taking.close()


def test_a_segment_made_anew_is_written_from_then_on(
    segment: Segment, clients: list[Client], taking: TakingOldWrites
) -> None:
    clients[0].write(1)
    wait_for(segment, 1)
    with Segment.create(segment.path, SHAPE, "int32") as anew:
        number = 10

        def arrives() -> bool:
            nonlocal number
            number += 1
            clients[0].write(number)
            return anew.counter > 0

        wait_until(arrives, 5.0, "a frame in the new segment")


def test_what_is_counted_stays_when_a_client_leaves(
    segment: Segment, clients: list[Client], taking: TakingOldWrites
) -> None:
    clients[0].write(1)
    wait_for(segment, 1)
    taking.follow([clients[1].writer])
    assert taking.counts == (1, 0, 0)
    clients[1].write(2)
    wait_for(segment, 2)


# -- a mirror of an old owner


class Owner:
    """An old owner's port, its subscription to what the mirror's programs write, and the mirror."""

    def __init__(self, folder: Path) -> None:
        self._context = zmq.Context()
        self._out = self._context.socket(zmq.XPUB)
        self._in = self._context.socket(zmq.SUB)
        for socket in (self._out, self._in):
            socket.setsockopt(zmq.LINGER, 0)
        port = self._out.bind_to_random_port(f"tcp://{LOOPBACK}")
        key = WorkerKey(WorkerKind.MIRROR, Source("old", "dm"))
        order = MirrorOrder(
            key, str(folder / "remote_old_dm.im.shm"), folder / "page", f"tcp://{LOOPBACK}:{port}", 0o600, "source",
            protocol=OLD_PROTOCOL, shape=SHAPE, dtype="<i4", is_written_back=True, host="lab", bind=LOOPBACK,
        )  # fmt: skip
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.mirror = OldMirror(order, lambda event, **facts: self.told.append((event, facts)))
        self._page = StatisticsReader(order.page)
        assert self._out.recv() == b"\x01" + TOPIC
        self._in.setsockopt(zmq.SUBSCRIBE, TOPIC)
        self._in.connect(f"tcp://{LOOPBACK}:{self.statistics.port}")
        self.segment = Segment.open(order.path, writable=True)
        wait_until(self._hears, 5.0, "the connection to the mirror's port")

    @property
    def statistics(self) -> Statistics:
        self.mirror.turn()
        found = self._page.read(os.getpid())
        assert found is not None
        return found

    def _hears(self) -> bool:
        self.segment.write(frame(-1))
        return self._in.poll(50) != 0

    def received(self, timeout_s: float = 5.0) -> int:
        """The value of the next frame that was written in the mirror."""
        assert self._in.poll(int(timeout_s * 1000)), "nothing came"
        topic, pickled = self._in.recv_multipart()
        assert topic == TOPIC
        array = pickle.loads(pickled)
        assert (array.shape, array.dtype.name, array.min()) == (SHAPE, "int32", array.max())
        return int(array[0, 0])

    def drain(self) -> None:
        while self._in.poll(20):
            self._in.recv_multipart()

    def send(self, value: int) -> None:
        self._out.send_multipart([TOPIC, pickle.dumps(frame(value))])

    def close(self) -> None:
        self.segment.close()
        self.mirror.close()
        del self.mirror, self._page  # and with them what they have mapped
        self._in.close()
        self._out.close()
        self._context.term()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    made = Owner(tmp_path)
    made.drain()
    yield made
    made.close()
    with Segment.open(tmp_path / "remote_old_dm.im.shm") as left:
        left.unlink()


def test_what_is_written_into_the_mirror_goes_to_the_old_owner_once(owner: Owner) -> None:
    for value in range(1, 20):
        owner.segment.write(frame(value))
        assert owner.received() == value
    before = owner.statistics
    owner.send(100)
    wait_until(lambda: owner.statistics.frames == before.frames + 1, 5.0, "the owner's frame")
    owner.segment.write(frame(20))
    assert owner.received() == 20  # and not the owner's own 100
    assert ("writing", {"state": "open", "reason": None}) in owner.told


def test_what_an_old_owner_sends_back_is_not_written_again(owner: Owner) -> None:
    owner.segment.write(frame(7))
    assert owner.received() == 7
    counter = owner.segment.counter
    owner.send(7)
    wait_until(lambda: owner.statistics.echoes == 1, 5.0, "the frame to be known")
    assert owner.segment.counter == counter
    owner.send(8)
    owner.send(8)  # of its own it may send the same twice
    wait_until(lambda: owner.segment.counter + owner.statistics.passed_over >= counter + 1, 5.0, "the owner's frames")
    wait_for(owner.segment, 8)


def test_no_old_owner_acknowledges_and_that_is_said(owner: Owner) -> None:
    with pytest.raises(UnsupportedError, match="runs the existing daemon, which never answers"):
        owner.segment.write(frame(9), wait=True)
    assert owner.received() == 9


def test_a_mirror_that_is_removed_before_it_is_announced_is_made_anew(owner: Owner) -> None:
    os.unlink(owner.segment.path)
    owner.mirror._announce()
    told = len(owner.told)
    wait_until(lambda: owner.statistics.is_ready and os.path.exists(owner.segment.path), 5.0, "another mirror")
    assert ("ready", {"port": owner.statistics.port}) in owner.told[told:]
