"""A mirror over a direct connection: like its source, never torn, and given up for a reason."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from daosup.core import dnet
from daosup.core.dnet import Kind
from daosup.core.header import Description
from daosup.core.layout import Layout, make_geometry
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.errors import SegmentError
from daosup.shm import Keyword, Segment
from daosup.shm.keywords import encode
from daosup.workers.any_mirror import AnyMirror
from daosup.workers.direct_mirror import DirectMirror
from daosup.workers.mirroring import LinkLostError, Mirroring
from daosup.workers.orders import MirrorOrder
from daosup.workers.statistics import Statistics, StatisticsReader
from tests.integration.direct_owner import LOOPBACK, SOURCE, Owner, connected, frame_of, hostile
from tests.ports import free_port
from tests.waiting import wait_until

GEOMETRY = make_geometry((8, 6), "uint16", keyword_count=2)


class Lab:
    """A host that mirrors the owner's source; whoever calls its methods runs the mirror.

    Attributes:
        owner: The other end of the present connection.
        told: What the mirror told its supervisor.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "remote_rts_wfs.im.shm"
        self._page = folder / "page"
        key = WorkerKey(WorkerKind.MIRROR, Source.parse(SOURCE))
        self._order = MirrorOrder(key, str(self.path), self._page, "tcp://127.0.0.1:1", 0o600, "source")
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.mirror: Optional[DirectMirror] = None
        self._connections = contextlib.ExitStack()
        self.owner: Owner
        self.connect()

    def connect(self, before: Optional[Mirroring] = None) -> Owner:
        """Mirror over a new connection."""
        near, far = self._connections.enter_context(connected())
        self.owner = Owner(near, GEOMETRY)
        self.mirror = DirectMirror(self._order, lambda event, **facts: self.told.append((event, facts)), before, far)
        return self.owner

    def reconnect(self) -> Owner:
        """The same mirror goes on over a new connection."""
        before = self.mirror
        assert before is not None
        before.unlink()
        return self.connect(before)

    def turn_until(self, condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
        """Let the mirror work until something is so."""
        mirror = self.mirror
        assert mirror is not None

        def turned() -> object:
            mirror.turn()
            return condition()

        wait_until(turned, timeout_s, what)

    def turn_until_lost(self) -> str:
        """Let the mirror work until it gives its connection up: why."""
        with pytest.raises(LinkLostError) as lost:
            self.turn_until(lambda: False, "an end")
        return str(lost.value)

    @property
    def page(self) -> Statistics:
        """The mirror's numbers, as it stamped them last."""
        found = StatisticsReader(self._page).read(os.getpid())
        assert found is not None
        return found

    @contextlib.contextmanager
    def opened(self) -> Iterator[Segment]:
        """The mirror as programs see it."""
        with Segment.open(self.path, writable=False) as segment:
            yield segment

    def seen(self) -> tuple[int, bytes, tuple[int, ...]]:
        """The mirror's counter, its newest frame, and its stamp."""
        with self.opened() as segment:
            frame = segment.read().tobytes()
            return segment.counter, frame, tuple(segment.stamp[1:3])

    def flow(self, *counters: int) -> None:
        """Have frames come and be taken."""
        for counter in counters:
            self.owner.send(counter)
            self.turn_until(lambda: self.holds(counter), f"frame {counter}")  # noqa: B023

    def holds(self, counter: int) -> bool:
        """Whether that frame is the newest."""
        try:
            return self.seen()[2] == (counter + 1000, counter + 2000)
        except SegmentError:
            return False

    def is_asked_again(self) -> bool:
        """Whether the mirror has asked for the newest frame."""
        return (Kind.AGAIN, b"") in self.owner.hear()

    def begin(self, counter: int = 5) -> None:
        """Describe the source and have its newest frame."""
        self.owner.describe(counter)
        self.owner.send(counter)
        self.turn_until(lambda: self.path.exists() and self.holds(counter), "the first frame")

    def close(self) -> None:
        if self.mirror is not None:
            self.mirror.close()
            self.mirror = None  # and with it its maps of the page and the segment
        self._connections.close()
        with contextlib.suppress(SegmentError), self.opened() as segment:
            segment.unlink()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


def events(lab: Lab) -> list[str]:
    return [event for event, _ in lab.told]


def test_a_source_is_mirrored_with_all_that_belongs_to_it(lab: Lab) -> None:
    gain = encode(Keyword("GAIN", 0.5, "of the loop"))
    lab.owner.describe(5, gain)
    lab.owner.send(5)
    lab.turn_until(lambda: lab.path.exists() and lab.holds(5), "the first frame")
    with lab.opened() as mirror:
        assert (mirror.geometry.shape, mirror.geometry.dtype, mirror.geometry.layout) == ((8, 6), "uint16", Layout.FIFO)
        assert mirror.keywords["GAIN"] == 0.5
        assert (mirror.keywords["NET_REPLICA"], mirror.keywords["NET_LINK"]) == (1, 1)
        assert mirror.counter == 1
        assert mirror.read().tobytes() == frame_of(GEOMETRY, 5)
        lab.flow(6, 7)
        assert mirror.counter == 3
    assert events(lab) == ["link", "ready"]
    lab.turn_until(lambda: lab.page.frames == 3, "the numbers")
    page = lab.page
    assert (page.has_link, page.source_counter, page.skipped, page.gaps, page.rejected) == (1, 7, 0, 0, 0)
    assert page.payload_bytes == 2 * (64 + 96 + 8) + 96 + 8  # the first one came by way of Python
    assert page.write_time_utc_ns == 2007


def test_a_source_that_was_never_written_is_mirrored_before_it_is(lab: Lab) -> None:
    lab.owner.describe(0)
    lab.turn_until(lambda: "ready" in events(lab), "the mirror")
    with lab.opened() as mirror:
        assert mirror.counter == 0
    lab.flow(1)
    assert lab.seen()[0] == 1


def test_missing_frames_are_counted(lab: Lab) -> None:
    lab.begin(5)
    lab.flow(6, 9, 20)
    lab.turn_until(lambda: lab.page.frames == 4, "the numbers")
    assert (lab.page.skipped, lab.page.gaps, lab.page.source_counter) == (2 + 10, 2, 20)
    assert lab.seen()[0] == 4


def test_keywords_that_change_are_changed_without_a_frame(lab: Lab) -> None:
    lab.begin()
    lab.owner.describe(5, encode(Keyword("GAIN", 7, "")))
    lab.turn_until(lambda: keyword(lab, "GAIN") == 7, "the keyword")
    assert lab.seen()[0] == 1
    lab.flow(6)


def keyword(lab: Lab, name: str) -> object:
    with lab.opened() as mirror:
        return mirror.keywords.get(name)


def test_a_source_made_anew_is_followed_over_the_same_connection(lab: Lab) -> None:
    lab.begin(50)
    lab.flow(51)
    lab.owner.remake(make_geometry((4, 3, 2), "float32", layout=Layout.V0))
    lab.owner.describe(1)
    lab.owner.send(1)
    lab.turn_until(lambda: lab.holds(1), "the new source's frame")
    with lab.opened() as mirror:
        assert (mirror.shape, mirror.dtype, mirror.geometry.layout) == ((4, 3, 2), np.dtype("float32"), Layout.V0)
        assert mirror.counter == 1
    lab.flow(2, 3)
    lab.turn_until(lambda: lab.page.frames == 5, "the numbers")
    assert (lab.page.skipped, lab.page.gaps) == (0, 0)


def test_a_source_made_anew_just_alike_is_followed_from_its_first_frame_on(lab: Lab) -> None:
    lab.begin(50)
    lab.owner.remake(GEOMETRY)
    lab.owner.describe(0)
    lab.flow(1, 2)
    assert lab.seen()[0] == 3


def test_a_frame_that_did_not_come_whole_leaves_the_last_one(lab: Lab) -> None:
    lab.begin(5)
    lab.flow(6)
    before = lab.path.read_bytes()[:4400]
    raw = lab.owner.frame(7)
    lab.owner.say(raw[: len(raw) - 1])
    lab.owner.close()
    lab.turn_until_lost()
    assert lab.path.read_bytes()[:4400] == before
    lab.reconnect().describe(7)
    lab.owner.send(7)
    lab.turn_until(lambda: lab.holds(7), "the frame over the next connection")
    assert lab.seen()[0] == 3


@pytest.mark.parametrize("what", hostile(make_geometry((1,), "uint16")))
def test_garbage_ends_the_connection_and_is_counted_and_named(lab: Lab, what: str) -> None:
    lab.begin(5)
    lab.owner.say(hostile(GEOMETRY)[what])
    before = lab.seen()
    reason = lab.turn_until_lost()
    assert "sends what is no stream: " in reason
    assert lab.seen() == before
    lab.reconnect().describe(5)
    lab.owner.send(5)
    lab.flow(6)
    assert lab.seen()[0] == 2
    lab.turn_until(lambda: lab.page.rejected == 1, "the numbers")


def test_a_description_is_checked_before_anything_is_made(lab: Lab) -> None:
    other = Description(GEOMETRY, 1.0, "rts:other")
    for raw, complaint in [
        (dnet.message(Kind.DESCRIBE, bytes(32)), "description with layout 0, element type 0, 0 axes"),
        (dnet.encode_describe(other, 1, 1, bytes(240)), "another source's"),
        (dnet.message(Kind.META, bytes(288)), "meta with element type 0"),
    ]:
        lab.owner.say(raw)
        assert complaint in lab.turn_until_lost()
        assert not lab.path.exists()
        lab.reconnect()
    lab.turn_until(lambda: lab.page.rejected == 3, "the numbers")


def test_frames_before_a_description_end_the_connection(lab: Lab) -> None:
    lab.owner.send(1)
    assert "none is described" in lab.turn_until_lost()


def test_an_owner_that_says_goodbye_is_gone(lab: Lab) -> None:
    lab.begin()
    lab.owner.say(dnet.BYE)
    assert lab.turn_until_lost().endswith("is leaving")
    assert lab.page.rejected == 0


def test_an_owner_that_falls_silent_is_given_up(lab: Lab) -> None:
    lab.begin()
    began = time.monotonic()
    assert "no word from 127.0.0.1:" in lab.turn_until_lost()
    assert dnet.SILENCE_S - 0.1 < time.monotonic() - began < 3 * dnet.SILENCE_S
    assert ("link", False) in [(event, facts.get("is_up")) for event, facts in lab.told]


def test_each_side_hears_the_other_once_a_second(lab: Lab) -> None:
    lab.begin()
    began = time.monotonic()
    heard: list[tuple[int, bytes]] = []

    def owner_speaks() -> bool:
        lab.owner.say(dnet.HEARTBEAT)
        heard.extend(lab.owner.hear())
        return len(heard) >= 4

    lab.turn_until(owner_speaks, "four heartbeats", 20.0)
    assert set(heard) == {(Kind.HEARTBEAT, b"")}
    assert time.monotonic() - began > 2.0
    assert lab.page.has_link


def test_a_new_connection_goes_on_where_the_last_one_ended(lab: Lab) -> None:
    lab.begin(5)
    lab.flow(6)
    with lab.opened() as mirror:
        inode = lab.path.stat().st_ino
        lab.owner.reset()
        lab.turn_until_lost()
        lab.reconnect().describe(8)
        lab.owner.send(8)
        lab.turn_until(lambda: lab.holds(8), "a frame")
        assert lab.path.stat().st_ino == inode
        assert mirror.counter == 3
    lab.turn_until(lambda: lab.page.frames == 3, "the numbers")
    assert (lab.page.skipped, lab.page.gaps) == (1, 1)
    assert events(lab).count("ready") == 1


def test_a_frame_that_is_here_already_is_not_written_again(lab: Lab) -> None:
    lab.begin(5)
    lab.reconnect().describe(5)
    lab.owner.send(5)
    lab.flow(6)
    assert lab.seen()[0] == 2


def test_a_mirror_that_begins_anew_knows_the_frame_it_has(lab: Lab) -> None:
    lab.begin(5)
    assert lab.mirror is not None
    lab.mirror.close()
    lab.connect().describe(5)
    lab.owner.send(5)
    lab.turn_until(lambda: events(lab).count("ready") == 2, "the mirror")
    assert lab.seen()[0] == 1
    lab.flow(6)
    assert lab.seen()[0] == 2


def test_a_mirror_that_is_removed_is_made_anew_and_gets_the_frame_that_it_lacks(lab: Lab) -> None:
    lab.begin(5)
    lab.path.unlink()
    lab.turn_until(lambda: lab.path.exists() and lab.is_asked_again(), "a word that a frame is lacking")
    lab.owner.send(5)
    lab.turn_until(lambda: lab.holds(5), "the frame")
    lab.flow(6)
    assert lab.seen()[0] == 2


def test_a_mirror_that_is_removed_while_frames_flow_needs_no_new_connection(lab: Lab) -> None:
    lab.begin(5)
    lab.path.unlink()
    lab.owner.send(6)
    lab.turn_until(lambda: lab.path.exists() or lab.owner.send(7), "the mirror made anew")
    lab.flow(8, 9)


def test_a_mirror_that_cannot_be_made_is_tried_again(lab: Lab) -> None:
    lab.path.mkdir()
    lab.owner.describe(5)
    lab.owner.send(5)
    lab.turn_until(lambda: "blocked" in events(lab), "the obstacle")
    assert "it is a folder" in dict(lab.told)["blocked"]["reason"]
    lab.path.rmdir()
    lab.turn_until(lab.is_asked_again, "a word that a frame is lacking")  # it came when there was no place for it
    lab.owner.send(5)
    lab.turn_until(lambda: lab.path.exists() and lab.holds(5), "the frame")
    assert "made" in events(lab)


def test_an_owner_that_is_not_ours_is_mirrored_too(lab: Lab) -> None:
    keywords = encode(Keyword("GAIN", 3, "")) + bytes(120)
    lab.owner.say(dnet.encode_meta("wfs", GEOMETRY, keywords))
    lab.owner.say(dnet.encode_frame(frame_of(GEOMETRY, 9), 9, 90))
    lab.turn_until(lambda: lab.path.exists() and lab.seen()[2] == (9, 90), "the frame")
    lab.owner.say(dnet.encode_frame(frame_of(GEOMETRY, 10), 10, 91))
    lab.turn_until(lambda: lab.seen()[2] == (10, 91), "the next frame")
    assert keyword(lab, "GAIN") == 3
    # Made anew there, which only its counter shows.
    lab.owner.say(dnet.encode_meta("wfs", GEOMETRY, keywords) + dnet.encode_frame(frame_of(GEOMETRY, 1), 1, 92))
    lab.turn_until(lambda: lab.seen()[2] == (1, 92), "the frame of the one made anew")
    torn = dnet.encode_frame(frame_of(GEOMETRY, 2), 2, 93)[:-8] + bytes(8)
    lab.owner.say(torn + dnet.encode_frame(frame_of(GEOMETRY, 3), 3, 94))
    lab.turn_until(lambda: lab.seen()[2] == (3, 94), "the whole frame")
    assert lab.seen()[0] == 4


def test_an_idle_mirror_wakes_up_less_than_five_times_a_second(lab: Lab) -> None:
    lab.begin()
    assert lab.mirror is not None
    began, turns = time.monotonic(), 0
    while turns < 10:
        lab.mirror.turn()
        turns += 1
    assert turns / (time.monotonic() - began) < 4.0


class Enough(Exception):
    pass


def test_an_owner_that_is_not_written_to_directly_is_by_zmq(tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def tell(event: str, **facts: Any) -> None:
        told.append((event, facts))
        if event == "transport":
            raise Enough

    def refuse(listener: socket.socket) -> bytes:
        connection, _ = listener.accept()
        with connection:
            line = connection.recv(1024)
            connection.sendall(b"ERR option 'write=1' is not known here\n")
            return line

    with socket.create_server((LOOPBACK, 0)) as listener, ThreadPoolExecutor(1) as aside:
        refusing = aside.submit(refuse, listener)
        key = WorkerKey(WorkerKind.MIRROR, Source.parse(SOURCE))
        order = MirrorOrder(
            key, str(tmp_path / "remote_rts_wfs.im.shm"), tmp_path / "page", f"tcp://{LOOPBACK}:{free_port()}", 0o600,
            "source", is_written_back=True, offered_port=listener.getsockname()[1], host="lab",
        )  # fmt: skip
        with pytest.raises(Enough):
            AnyMirror(order, tell).run()
        assert refusing.result() == b"SUBSCRIBE wfs lab daosup=1 write=1\n"
    assert dict(told)["transport"]["reason"].endswith("refuses: option 'write=1' is not known here")


def test_an_answer_that_nobody_asked_for_ends_the_connection(lab: Lab) -> None:
    lab.begin(5)
    lab.owner.say(dnet.message(Kind.ANSWER, b"yes"))
    assert "an answer, though nothing was asked" in lab.turn_until_lost()


@pytest.mark.parametrize("transport", ["auto", "direct"])
def test_an_owner_that_sends_garbage_is_not_asked_without_a_pause(tmp_path: Path, transport: str) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def tell(event: str, **facts: Any) -> None:
        told.append((event, facts))
        if event == "transport" and facts["reason"]:
            raise Enough

    came: list[float] = []

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                came.append(time.monotonic())
                with connection, contextlib.suppress(OSError):
                    connection.recv(1024)
                    connection.sendall(b"OK daosup=1\n" + b"garbage" * 100)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1024)
                if transport == "direct" and len(came) == 4:
                    listener.close()

    with socket.create_server((LOOPBACK, 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,))
        accepting.start()
        key = WorkerKey(WorkerKind.MIRROR, Source.parse(SOURCE))
        order = MirrorOrder(
            key, str(tmp_path / "remote_rts_wfs.im.shm"), tmp_path / "page", f"tcp://{LOOPBACK}:{free_port()}", 0o600,
            "source", transport=transport, offered_port=listener.getsockname()[1], host="lab",
        )  # fmt: skip
        try:
            with pytest.raises(Enough):
                AnyMirror(order, tell).run()
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
    assert [event for event, _ in told].count("rejected") == 1
    assert "sends what is no stream: no message begins with" in dict(told)["rejected"]["warning"]
    if transport == "auto":
        assert len(came) == 3
        assert "sends what is no stream" in dict(told)["transport"]["reason"]
    else:
        assert [later - before > pause for before, later, pause in zip(came, came[1:], (0.0, 0.2, 0.4))] == [True] * 3
