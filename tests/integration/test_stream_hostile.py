"""A sender that means harm: what it sends is counted and dropped, and the mirror goes on."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from daosup.core.header import (
    DESCRIPTION,
    HEADER_BYTES,
    MAGIC,
    Description,
    Flag,
    Header,
    Kind,
    pack_header,
)
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.shm import Keyword, Segment
from daosup.shm.making import unlink_segment
from daosup.stream.sender import Messages
from daosup.workers.mirror import Mirror
from daosup.workers.orders import MirrorOrder
from daosup.workers.statistics import Statistics, StatisticsReader
from tests.waiting import wait_until

LOOPBACK = "127.0.0.1"
SHAPE = (8, 8)
SOURCE = Source("rts", "source")


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    made = Segment.create(tmp_path / "stream_source.im.shm", SHAPE, "uint16", keywords=[Keyword("GAIN", 3, "")])
    yield made
    made.close()
    made.unlink()


class Attacked:
    """A mirror worker's loop, and a socket that may send it anything."""

    def __init__(self, folder: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        port = self._socket.bind_to_random_port(f"tcp://{LOOPBACK}")
        self.path = folder / "remote_rts_source.im.shm"
        page = folder / "page"
        key = WorkerKey(WorkerKind.MIRROR, SOURCE)
        order = MirrorOrder(key, str(self.path), page, f"tcp://{LOOPBACK}:{port}", 0o600, "source")
        self.told: list[object] = []
        self.mirror = Mirror(order, lambda event, **facts: self.told.append((event, facts)))
        self._page = StatisticsReader(page)
        assert self._socket.recv() == b"\x01" + MAGIC

    def send(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def is_asked(self) -> bool:
        """Whether the mirror asked for a description since it was last looked."""
        asked = False
        while self._socket.poll(0):
            asked |= self._socket.recv().startswith(b"\x01" + MAGIC + b"\xff")
        return asked

    @property
    def statistics(self) -> Statistics:
        """Of the mirror, after another turn."""
        self.mirror.turn()
        statistics = self._page.read(os.getpid())
        assert statistics is not None
        return statistics

    @property
    def rejected(self) -> int:
        return self.statistics.rejected

    def close(self) -> None:
        self.mirror.close()
        del self.mirror, self._page  # and with them what they have mapped
        self._socket.close()
        self._context.term()
        unlink_segment(self.path)


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Attacked]:
    made = Attacked(tmp_path)
    yield made
    made.close()


def describing(description: Description, payload: bytes, **changes: int) -> bytes:
    """A describe message with a frame, with fields of its header changed."""
    body = description.encode() + payload
    fields: dict[str, int] = {
        "kind": Kind.DESCRIBE,
        "flags": Flag.HAS_FRAME,
        "epoch": 1,
        "sequence": 1,
        "counter": 1,
        "frame_id": 0,
        "write_time_ns": 1,
        "send_time_ns": 1,
        "layout_id": description.layout_id,
        "payload_bytes": len(body),
    }
    message = bytearray(HEADER_BYTES)
    pack_header(message, Header(**{**fields, **changes}))
    return bytes(message) + body


def hostile(segment: Segment) -> dict[str, tuple[bytes, ...]]:
    """Messages that must be rejected, by what is wrong with them; each as its parts."""
    good = Description(segment.geometry, 1.0, str(SOURCE))
    payload = segment.keywords.raw() + bytes(segment.geometry.frame_bytes)
    many = replace(segment.geometry, keyword_count=65535)
    huge = DESCRIPTION.pack(1, 3, 1, 0, 2**16, 2**16, 2**14, 1, 0, 0, 1.0)  # 64 TB
    deep = DESCRIPTION.pack(1, 3, 1, 0, 2**10, 2**10, 2**10, 65536, 0, 0, 1.0)  # 64 TB in frames of 1 GB

    def raw_description(raw: bytes) -> bytes:
        message = bytearray(describing(good, b"", flags=Flag.NONE))
        message[HEADER_BYTES:] = raw
        layout_id = zlib.crc32(str(SOURCE).encode(), zlib.crc32(raw))
        pack_header(message, (Kind.DESCRIBE, Flag.NONE, 1, 1, 1, 0, 1, 1, layout_id, len(raw)))
        return bytes(message)

    return {
        "more than one part": (b"".join((MAGIC, b"x")), b"y"),
        "the topic alone": (MAGIC,),
        "half a header": (describing(good, payload)[: HEADER_BYTES // 2],),
        "too short": (describing(good, payload)[:-1],),
        "too long": (describing(good, payload) + b"x",),
        "a size that is not so": (describing(good, payload, payload_bytes=2**32 - 1),),
        "another version": (MAGIC + b"\x09" + describing(good, payload)[5:],),
        "an unknown kind": (describing(good, payload, kind=77),),
        "a kind for owners": (describing(good, payload, kind=Kind.WRITE),),
        "another layout id": (describing(good, payload, layout_id=good.layout_id ^ 1),),
        "another source": (describing(Description(segment.geometry, 1.0, "rts:other"), payload),),
        "frames of 64 TB": (raw_description(huge),),
        "64 TB of frames": (raw_description(deep),),
        "no frame although it says so": (describing(good, segment.keywords.raw()),),
        "keywords that do not come": (describing(Description(many, 1.0, str(SOURCE)), payload),),
        "a keyword cut short": (describing(good, payload[1:]),),
    }


NAMES = (
    "more than one part", "the topic alone", "half a header", "too short", "too long", "a size that is not so",
    "another version", "an unknown kind", "a kind for owners", "another layout id", "another source", "frames of 64 TB",
    "64 TB of frames", "no frame although it says so", "keywords that do not come", "a keyword cut short",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_message_is_counted_and_the_mirror_goes_on(attacked: Attacked, segment: Segment, name: str) -> None:
    messages = hostile(segment)
    assert tuple(messages) == NAMES
    attacked.send(*messages[name])
    wait_until(lambda: attacked.rejected >= 1, 5.0, "the message to be rejected")
    assert not attacked.path.exists()
    check_mirrors(attacked, segment, 4)
    # And once there is a mirror it stays as it was.
    rejected = attacked.rejected
    attacked.send(*messages[name])
    wait_until(lambda: attacked.rejected > rejected, 5.0, "the message to be rejected")
    check_mirrors(attacked, segment, 5)


def test_noise_under_the_right_topic_is_counted_and_the_mirror_goes_on(attacked: Attacked, segment: Segment) -> None:
    check_mirrors(attacked, segment, 1)
    for length in (0, 1, 2, 10, 59, 60, 61, 200, 5000):
        before = attacked.rejected
        attacked.send(MAGIC + os.urandom(length))
        wait_until(lambda: attacked.rejected > before, 5.0, f"noise of {length} bytes to be rejected")  # noqa: B023
    check_mirrors(attacked, segment, 2)


def check_mirrors(attacked: Attacked, segment: Segment, value: int) -> None:
    """A right message is mirrored."""
    segment.write(np.full(SHAPE, value, "uint16"), time_ns=value)
    messages = Messages(segment, 10**9, str(SOURCE))
    description = bytes(messages.describe(1, has_frame=True))
    attacked.send(description)

    def is_mirrored() -> bool:
        attacked.mirror.turn()
        if attacked.is_asked():  # as when the mirror could not be made just before
            attacked.send(description)
        if not attacked.path.exists():
            return False
        with Segment.open(attacked.path, writable=False) as mirror:
            return bool((mirror.read() == value).all())

    wait_until(is_mirrored, 5.0, "the right message to be mirrored")


def test_of_a_flood_the_mirror_tells_what_it_passed_over(attacked: Attacked, segment: Segment) -> None:
    description, counter = Description(segment.geometry, 1.0, str(SOURCE)), 1
    payload = bytes(segment.geometry.frame_bytes)
    attacked.send(describing(description, segment.keywords.raw() + payload))
    wait_until(lambda: attacked.statistics.frames == 1, 5.0, "the first frame")

    def flood() -> int:
        nonlocal counter
        for _ in range(20):
            counter += 1
            header = {"kind": Kind.FRAME, "flags": Flag.NONE, "counter": counter, "payload_bytes": len(payload)}
            message = describing(description, b"", **header)
            attacked.send(message[:HEADER_BYTES] + payload)
        wait_until(lambda: attacked.statistics.source_counter == counter, 5.0, "the newest frame")
        said = attacked.statistics
        assert said.frames + said.skipped == counter
        assert said.passed_over == said.skipped  # nothing was lost
        return said.passed_over

    wait_until(flood, 5.0, "a frame to be passed over")


def test_keywords_that_mean_harm_leave_the_mirrors_own_as_they_are(attacked: Attacked, segment: Segment) -> None:
    check_mirrors(attacked, segment, 1)
    for raw in (
        b"NET_LINK".ljust(16, b"\0") + b"L" + b"\xff" * 103,
        b"NET_REPLICA\0" + os.urandom(108),
        os.urandom(120),
    ):
        segment.keywords.replace_raw(0, raw)
        check_mirrors(attacked, segment, raw[0])
        with Segment.open(attacked.path, writable=False) as mirror:
            assert (mirror.keywords["NET_LINK"], mirror.keywords["NET_REPLICA"]) == (1, 1)
            slots = mirror.keywords.raw()
        is_own_name = raw.startswith(b"NET_")
        assert slots[:120] == (bytes(16) + b"N" + bytes(103) if is_own_name else raw)
    assert attacked.rejected == 0


def test_a_description_with_more_keywords_than_a_mirror_has_room_for_makes_no_mirror(
    attacked: Attacked, segment: Segment
) -> None:
    count = 65535
    description = Description(replace(segment.geometry, keyword_count=count), 1.0, str(SOURCE))
    attacked.send(describing(description, bytes(count * 120 + segment.geometry.frame_bytes)))
    wait_until(lambda: attacked.rejected >= 0 and "65535 keywords" in str(attacked.told), 5.0, "the reason to be told")
    assert not attacked.path.exists()
    check_mirrors(attacked, segment, 5)
