"""A mirror of an old daemon's stream, and senders that mean harm."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from daosup.workers.old_mirror import OldMirror
from daosup.workers.orders import MirrorOrder
from daosup.workers.statistics import Statistics, StatisticsReader
from tests.waiting import wait_until

LOOPBACK = "127.0.0.1"
SHAPE = (4, 6)
TOPIC = b"frameData"

Array = np.ndarray[Any, Any]


class Old:
    """A mirror worker's loop for an old source, and the source's socket."""

    def __init__(self, folder: Path, layout: str = "source", looks: tuple[tuple[int, ...], str] = ((), "")) -> None:
        self._context = zmq.Context()
        self._listen("*")
        self.path = folder / "remote_rts_old_source.im.shm"
        self._folder, self._layout, self._looks = folder, layout, looks
        self.told: list[tuple[str, dict[str, object]]] = []
        self.start()

    def _listen(self, port: str) -> None:
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # who subscribes while another leaves is heard, too
        self._socket.bind(f"tcp://{LOOPBACK}:{port}")
        self.port = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2]

    def start(self) -> None:
        """Start a mirror and wait until it has subscribed."""
        page = self._folder / "page"
        key = WorkerKey(WorkerKind.MIRROR, Source("rts", "old_source"))
        order = MirrorOrder(key, str(self.path), page, f"tcp://{LOOPBACK}:{self.port}", 0o600, self._layout)
        order = replace(order, protocol=1, shape=self._looks[0], dtype=self._looks[1])
        self.mirror = OldMirror(order, lambda event, **facts: self.told.append((event, facts)))
        self._page = StatisticsReader(page)
        self.hear()

    def hear(self) -> None:
        """Wait until it has subscribed."""
        while True:  # it may have left before
            assert self._socket.poll(5000)
            if self._socket.recv() == b"\x01" + TOPIC:
                return

    def relisten(self) -> None:
        """Be away, come back on the same port, and wait until the mirror has found that."""
        self._socket.close()
        wait_until(lambda: not self.statistics.has_link, 10.0, "the link to be down")
        self._listen(self.port)
        wait_until(lambda: self.statistics.has_link, 10.0, "the link to be up")
        self.hear()

    def stop(self) -> None:
        self.mirror.close()
        del self.mirror, self._page  # and with them what they have mapped

    def send(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def send_frame(self, frame: Array, protocol: int = 4) -> None:
        self.send(TOPIC, pickle.dumps(frame, protocol))

    @property
    def statistics(self) -> Statistics:
        self.mirror.turn()
        statistics = self._page.read(os.getpid())
        assert statistics is not None
        return statistics

    def wait_for(self, frame: Array) -> None:
        """Wait until the mirror is this frame."""

        def is_here() -> bool:
            self.mirror.turn()
            if not self.path.exists():
                return False
            with Segment.open(self.path, writable=False) as mirror:
                found = mirror.read()
            return (found.dtype, found.shape, found.tobytes()) == (frame.dtype, frame.shape, frame.tobytes())

        wait_until(is_here, 5.0, "the frame in the mirror")

    def opened(self) -> Segment:
        return Segment.open(self.path, writable=False)

    def close(self) -> None:
        self.stop()
        self._socket.close()
        self._context.term()
        unlink_segment(self.path)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    made = Old(tmp_path)
    yield made
    made.close()


def frame_of(value: float, shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> Array:
    return np.full(shape, value, dtype)


def test_a_mirror_is_made_of_the_first_frame(old: Old) -> None:
    assert not old.path.exists()
    old.send_frame(frame_of(1))
    old.wait_for(frame_of(1))
    assert ("ready", {"port": 0}) in old.told
    assert old.statistics.is_ready
    assert ("link", {"is_up": True, "reason": None}) in old.told
    with old.opened() as mirror:
        assert (mirror.layout, mirror.depth) == ("fifo", 1)


@pytest.mark.parametrize("dtype", ["float32", "<f4"])
def test_a_mirror_is_there_before_the_first_frame_if_it_is_known_what_that_will_look_like(
    tmp_path: Path, dtype: str
) -> None:
    old = Old(tmp_path, looks=((5, 3), dtype))
    try:
        assert old.statistics.is_ready
        with old.opened() as mirror:
            assert (mirror.shape, mirror.dtype.name, mirror.counter) == ((5, 3), "float32", 0)
            assert not mirror.read().any()
        old.send_frame(frame_of(1))
        old.wait_for(frame_of(1))
    finally:
        old.close()


def test_what_the_mirror_was_before_counts_more_than_what_the_registry_says(tmp_path: Path) -> None:
    old = Old(tmp_path, looks=((5, 3), "float32"))
    try:
        old.send_frame(frame_of(1))
        old.wait_for(frame_of(1))
        old.stop()
        old.start()
        assert old.statistics.is_ready
        old.wait_for(frame_of(1))
    finally:
        old.close()


@pytest.mark.parametrize(
    "looks",
    [((0, 4), "float32"), ((2**39, 2**39), "float64"), ((2**20, 2**20), "float64"), ((1, 1, 1, 1), "float32"),
     ((4, 6), "float16"), ((4, 6), "object"), ((4, 6), "no_such_type"), ((4, 6), "V8")],
)  # fmt: skip
def test_whatever_else_the_registry_says_waits_for_a_frame(tmp_path: Path, looks: tuple[tuple[int, ...], str]) -> None:
    old = Old(tmp_path, looks=looks)
    try:
        assert not old.statistics.is_ready
        assert not old.path.exists()
        old.send_frame(frame_of(1))
        old.wait_for(frame_of(1))
    finally:
        old.close()


@pytest.mark.parametrize("layout", ["fifo", "v0", "semreg"])
def test_a_mirror_has_the_layout_that_was_ordered(tmp_path: Path, layout: str) -> None:
    old = Old(tmp_path, layout)
    try:
        old.send_frame(frame_of(1))
        old.wait_for(frame_of(1))
        with old.opened() as mirror:
            assert mirror.layout == layout
    finally:
        old.close()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_each_frame_raises_the_counter_by_one_and_carries_what_is_known_of_it(old: Old, protocol: int) -> None:
    for number in range(1, 21):
        frame = np.arange(24, dtype="int16").reshape(SHAPE) + np.int16(number)
        before_ns = time.time_ns()
        old.send_frame(frame, protocol)
        old.wait_for(frame)
        with old.opened() as mirror:
            mirror.read()
            assert mirror.counter == mirror.stamp.counter == mirror.stamp.frame_id == number
            assert before_ns <= mirror.stamp.time_ns <= time.time_ns()
    assert old.statistics.frames == old.statistics.source_counter == 20
    assert old.statistics.payload_bytes == 20 * 48


def test_a_frame_of_another_order_comes_out_right(old: Old) -> None:
    frame = np.arange(24, dtype="float64").reshape(6, 4).T
    old.send_frame(frame, 5)
    old.wait_for(np.ascontiguousarray(frame))


def test_a_source_made_anew_is_noticed_from_its_frames(old: Old) -> None:
    for shape, dtype in (((4, 6), "float32"), ((6, 4), "float32"), ((6, 4), "int32"), ((2, 3, 4), "int32")):
        frame = np.arange(24, dtype=dtype).reshape(shape)
        old.send_frame(frame)
        old.wait_for(frame)
        with old.opened() as mirror:
            assert mirror.counter == 1
    assert [event for event, _ in old.told if event == "ready"] == 4 * ["ready"]


def test_of_a_burst_the_newest_frame_is_kept(old: Old) -> None:
    for value in range(1, 501):
        old.send_frame(frame_of(value))
    old.wait_for(frame_of(500))
    statistics = old.statistics
    assert statistics.frames + statistics.skipped == 500
    assert statistics.skipped > 0
    with old.opened() as mirror:
        assert mirror.counter == statistics.frames


def test_a_flood_ends_with_the_present(old: Old) -> None:
    for value in range(3000):  # more than the queues of both sides can hold
        old.send_frame(frame_of(value, (64, 64)))

    def is_here() -> bool:
        old.send_frame(frame_of(-1))
        old.mirror.turn()
        with old.opened() as mirror:
            return mirror.shape == SHAPE

    old.mirror.turn()
    wait_until(is_here, 10.0, "the newest frame")


def test_a_mirror_says_how_fresh_it_is(old: Old) -> None:
    old.send_frame(frame_of(1))
    old.wait_for(frame_of(1))

    def keywords() -> dict[str, object]:
        old.mirror.turn()
        with old.opened() as mirror:
            return dict(mirror.keywords)

    wait_until(lambda: keywords()["NET_LINK"] == 1, 5.0, "the link in the keywords")
    assert keywords()["NET_REPLICA"] == keywords()["NET_SRC_CNT"] == 1
    with old.opened() as mirror:
        mirror.read()
        assert keywords()["NET_SRC_TIME"] == mirror.stamp.time_ns
    old.stop()
    with old.opened() as mirror:
        assert mirror.keywords["NET_LINK"] == 0
        assert (mirror.read() == 1).all()
    old.start()


def test_a_source_that_is_away_leaves_its_last_frame_and_is_found_again(old: Old) -> None:
    old.send_frame(frame_of(1))
    old.wait_for(frame_of(1))
    old.relisten()
    with old.opened() as mirror:
        assert (mirror.read() == 1).all()
        old.send_frame(frame_of(2))
        old.wait_for(frame_of(2))
        assert mirror.counter == 2


def test_a_mirror_that_is_started_again_goes_on_counting(old: Old) -> None:
    for value in (1, 2, 3):
        old.send_frame(frame_of(value))
        old.wait_for(frame_of(value))
    old.stop()
    old.start()
    old.send_frame(frame_of(4))
    old.wait_for(frame_of(4))
    with old.opened() as mirror:
        mirror.read()
        assert mirror.stamp.counter == mirror.stamp.frame_id == 4


def test_a_mirror_that_somebody_removed_is_made_anew(old: Old) -> None:
    old.send_frame(frame_of(1))
    old.wait_for(frame_of(1))
    unlink_segment(old.path)

    def is_back() -> bool:
        old.send_frame(frame_of(2))
        old.mirror.turn()
        return old.path.exists()

    wait_until(is_back, 5.0, "the mirror to be back")
    old.wait_for(frame_of(2))


def test_a_mirror_that_somebody_truncated_is_made_anew_with_the_frame_that_found_it(old: Old) -> None:
    old.send_frame(frame_of(1))
    old.wait_for(frame_of(1))
    os.truncate(old.path, 100)
    old.send_frame(frame_of(2))
    old.wait_for(frame_of(2))


# -- harm

MARKER = "executed"


class Executes:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (MARKER,)


GOOD = pickle.dumps(frame_of(9), 4)
HARMFUL: dict[str, tuple[bytes, ...]] = {
    "a call": (TOPIC, pickle.dumps(Executes())),
    "a call in an array": (TOPIC, pickle.dumps(np.array([Executes()], dtype=object))),
    "the topic alone": (TOPIC,),
    "three parts": (TOPIC, GOOD, b""),
    "a hundred parts": (TOPIC, *[GOOD] * 99),
    "another topic that begins alike": (TOPIC + b"2", GOOD),
    "frame and topic in one": (TOPIC + GOOD,),
    "no bytes": (TOPIC, b""),
    "a frame cut short": (TOPIC, GOOD[:-1]),
    "a frame with more behind it": (TOPIC, GOOD + b"x"),
    "no array": (TOPIC, pickle.dumps("frameData")),
    "an empty array": (TOPIC, pickle.dumps(np.zeros((0, 4)))),
    "a number": (TOPIC, pickle.dumps(np.float32(1))),
    "four axes": (TOPIC, pickle.dumps(np.zeros((1, 1, 1, 1)))),
    "noise": (TOPIC, os.urandom(5000)),
    "a message of protocol 2": (TOPIC, b"DAO2" + bytes(200)),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_is_no_frame_is_counted_and_told_once_and_the_mirror_goes_on(
    old: Old, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old.send(*HARMFUL[name])
    wait_until(lambda: old.statistics.rejected == 1, 5.0, "the message to be rejected")
    assert not old.path.exists()
    old.send_frame(frame_of(1))
    old.wait_for(frame_of(1))
    old.send(*HARMFUL[name])
    wait_until(lambda: old.statistics.rejected == 2, 5.0, "the message to be rejected")
    old.send_frame(frame_of(2))
    old.wait_for(frame_of(2))
    assert old.statistics.frames == 2
    assert len([event for event, _ in old.told if event == "rejected"]) == 1
    assert not (tmp_path / MARKER).exists()


def test_a_frame_that_noise_came_right_behind_is_not_lost(old: Old) -> None:
    for _ in range(20):
        old.send(TOPIC, b"noise")
    old.send_frame(frame_of(1))
    old.send(TOPIC, b"noise")
    old.send(TOPIC, b"noise", b"and more")
    old.wait_for(frame_of(1))
    statistics = old.statistics
    assert statistics.rejected >= 2
    assert statistics.rejected + statistics.skipped + statistics.frames == 23
