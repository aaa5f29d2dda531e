"""A real publisher, and mirrors of parts of its frames over direct connections of their own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from daosup.core.delivery import Delivery
from daosup.core.dnet_lines import Subscription
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.errors import SegmentError
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from daosup.stream.direct_connecting import DirectConnecting, RefusedError
from daosup.workers.direct_mirror import DirectMirror
from daosup.workers.mirroring import LinkLostError
from daosup.workers.orders import MirrorOrder
from daosup.workers.statistics import Statistics, StatisticsReader
from tests.integration.fleet import Fleet, Host
from tests.integration.shells import environment
from tests.integration.streams import Stream, filming, stream
from tests.waiting import wait_until

#: For hangs only.
PATIENCE_S = 30.0


@dataclass
class Viewer:
    """Mirrors a part of a stream; whoever calls its methods runs the mirror.

    Attributes:
        path: The mirror's file.
    """

    stream: Stream
    path: Path
    words: str
    mirror: Optional[DirectMirror] = None
    told: list[str] = field(default_factory=list)

    def connect(self) -> None:
        """Ask the publisher for it, as often as it takes to be heard.

        Raises:
            RefusedError: If it refuses.
        """
        source, until_s = Source.parse(self.stream.source), time.monotonic() + PATIENCE_S
        connection = None
        while connection is None:
            row = self.stream.hosts.rts.worker(self.stream.source)
            assert row is not None
            wanted = Subscription(source.name, "viewer", True, Delivery.parse(self.words.split()))
            connecting = DirectConnecting("127.0.0.1", row["direct_port"], wanted)
            connection = connecting.step(PATIENCE_S)
            assert time.monotonic() < until_s
        order = MirrorOrder(
            WorkerKey(WorkerKind.MIRROR, source), str(self.path), self.path.parent / "page", "tcp://127.0.0.1:1", 0o600,
            "source", delivery=self.words,
        )  # fmt: skip
        self.mirror = DirectMirror(order, lambda event, **facts: self.told.append(event), None, connection)

    def turn_until(self, condition: Callable[[], object], what: str) -> None:
        """Let the mirror work until something is so."""
        mirror = self.mirror
        assert mirror is not None
        wait_until(lambda: mirror.turn() or condition(), PATIENCE_S, what)

    def shows(self, part: np.ndarray) -> bool:
        """Whether that is the mirror's newest frame."""
        try:
            with Segment.open(self.path, writable=False) as segment:
                return segment.shape == part.shape and np.array_equal(segment.read(), part)
        except SegmentError:
            return False

    def shown(self) -> int:
        """How many frames it has got."""
        try:
            with Segment.open(self.path, writable=False) as segment:
                return segment.counter
        except SegmentError:
            return 0

    @property
    def page(self) -> Statistics:
        """Its numbers, as it stamped them last."""
        found = StatisticsReader(self.path.parent / "page").read(os.getpid())
        assert found is not None
        return found

    def close(self) -> None:
        if self.mirror is not None:
            self.mirror.close()
        unlink_segment(self.path)


@contextmanager
def viewing(one: Stream, folder: Path, words: str) -> Iterator[Viewer]:
    """A viewer of a stream, connected."""
    viewer = Viewer(one, folder / f"{os.getpid()}_view.im.shm", words)
    try:
        viewer.connect()
        yield viewer
    finally:
        viewer.close()


def ramp(shape: tuple[int, ...], first: int = 0) -> np.ndarray:
    return (np.arange(np.prod(shape), dtype="uint16") + first).reshape(shape)


def test_a_part_of_each_frame_is_mirrored(hosts: Fleet, tmp_path: Path) -> None:
    with stream(hosts, "cut", (32, 24)) as one, viewing(one, tmp_path, "roi=4:20,2:22 stride=2,5") as viewer:
        for first in (1, 2, 3):
            frame = ramp((32, 24), first)
            one.segment.write(frame)
            viewer.turn_until(lambda: viewer.shows(frame[4:20:2, 2:22:5]), "the part")  # noqa: B023
        with Segment.open(viewer.path, writable=False) as segment:
            assert (segment.shape, segment.geometry.layout) == ((8, 4), one.segment.geometry.layout)
            one.segment.read(), segment.read()
            assert segment.stamp[1:3] == one.segment.stamp[1:3]
        assert one.mirror.shape == (32, 24)
        one.check_going()


def test_while_frames_flow_parts_are_whole_and_come_at_their_rate(hosts: Fleet, tmp_path: Path) -> None:
    with (
        stream(hosts, "rated", (64, 64)) as one,
        filming(one.segment, 0.004),
        viewing(one, tmp_path, "rate=20 roi=0:8,0:8") as viewer,
    ):
        viewer.turn_until(lambda: viewer.shown() > 0, "a frame")
        began, first = time.monotonic(), viewer.shown()
        viewer.turn_until(lambda: viewer.shown() >= first + 20, "20 frames")
        assert time.monotonic() - began > 19 / 20 * 0.95
        with Segment.open(viewer.path, writable=False) as segment:
            frame = segment.read()
        assert (frame == frame.flat[0]).all()


def test_of_every_frame_of_a_part_it_is_known_whether_it_came(hosts: Fleet, tmp_path: Path) -> None:
    with stream(hosts, "recorded", (64, 64)) as one, viewing(one, tmp_path, "mode=every stride=8,8") as viewer:
        with filming(one.segment, 0.002):
            viewer.turn_until(lambda: viewer.shown() >= 200, "200 frames")
        viewer.turn_until(lambda: viewer.shows(one.segment.read()[::8, ::8]), "the last one")
        page = viewer.page
        with Segment.open(viewer.path, writable=False) as segment:
            assert segment.counter == page.frames + page.passed_over
        # From the first one on that came, which is the one that was there already or the one after it.
        assert page.frames + page.passed_over + page.skipped in (one.segment.counter - 1, one.segment.counter)


@pytest.mark.parametrize("words", ["compress=lz4", "roi=8:40,0:64 stride=1,2 compress=lz4"])
def test_packed_frames_are_mirrored_as_they_were(hosts: Fleet, tmp_path: Path, words: str) -> None:
    part = np.s_[8:40, 0:64:2] if "roi" in words else np.s_[:, :]
    noise = np.random.default_rng(7)
    with stream(hosts, "packed", (64, 64)) as one, viewing(one, tmp_path, words) as viewer:
        for frame in (
            np.full((64, 64), 1000, "uint16"),
            noise.normal(1000, 5, (64, 64)).astype("uint16"),
            noise.integers(0, 65536, (64, 64), "uint16"),  # this one does not get smaller
            ramp((64, 64)),
        ):
            one.segment.write(frame)
            viewer.turn_until(lambda: viewer.shows(frame[part]), "the frame")  # noqa: B023
        with filming(one.segment, 0.002):
            first = viewer.shown()
            viewer.turn_until(lambda: viewer.shown() >= first + 100, "100 frames")
        viewer.turn_until(lambda: viewer.shows(one.segment.read()[part]), "the last one")


def test_what_is_told_of_bytes_is_what_came_over_the_line(hosts: Fleet, tmp_path: Path) -> None:
    with stream(hosts, "flat", (64, 64)) as one, viewing(one, tmp_path, "mode=every compress=lz4") as viewer:
        for first in range(50):
            one.segment.write(np.full((64, 64), first, "uint16"))
            viewer.turn_until(lambda: viewer.shows(np.full((64, 64), first, "uint16")), "it")  # noqa: B023
        page, frame_bytes = viewer.page, one.segment.geometry.frame_bytes
        assert page.frames >= 50
        assert page.payload_bytes < 2 * frame_bytes + 48 * frame_bytes / 10  # the first ones come before the stream


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("roi=0:33,0:24", "roi 0:33,0:24 is outside of the frame, which is 32x24"),
        ("roi=0:8", "roi is of 1 axes, but the frame is 32x24"),
        ("stride=1,1,2", "stride is of 3 axes, but the frame is 32x24"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(hosts: Fleet, tmp_path: Path, words: str, why: str) -> None:
    with stream(hosts, "refusing", (32, 24)) as one:
        with pytest.raises(RefusedError, match=why), viewing(one, tmp_path, words):
            pass
        one.check_going()


def test_a_source_made_anew_is_followed_or_the_reason_is_told(hosts: Fleet, tmp_path: Path) -> None:
    with stream(hosts, "anew", (32, 24)) as one, viewing(one, tmp_path, "roi=8:16,0:8") as viewer:
        viewer.turn_until(lambda: viewer.shows(np.zeros((8, 8), "uint16")), "the part")
        one.segment.close()
        one.segment = hosts.rts.create("anew", (16, 64))
        one.segment.write(ramp((16, 64)))
        viewer.turn_until(lambda: viewer.shows(ramp((16, 64))[8:16, 0:8]), "the part of another shape")
        one.segment.close()
        one.segment = hosts.rts.create("anew", (12, 12))
        one.segment.write(ramp((12, 12)))
        why = "roi 8:16,0:8 is outside of the frame, which is 12x12"
        with pytest.raises(LinkLostError, match=f"is leaving: {why}"):
            viewer.turn_until(lambda: False, "a goodbye")
        with pytest.raises(RefusedError, match=why):
            viewer.connect()
        assert viewer.shows(ramp((16, 64))[8:16, 0:8])
        one.reopen()
        one.check_going()


# -- on two whole hosts


def ctl(host: Host, *arguments: str) -> str:
    """What a command prints that succeeds."""
    done = subprocess.run(
        ["daosupctl", "--socket", str(host.socket), *arguments],
        env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def lab_shows(hosts: Fleet, part: np.ndarray) -> bool:
    """Whether that is the newest frame of lab's mirror."""
    try:
        with Segment.open(hosts.lab.path("remote_rts_cam"), writable=False) as mirror:
            return mirror.shape == part.shape and np.array_equal(mirror.read(), part)
    except SegmentError:
        return False


def lab_row(hosts: Fleet) -> dict[str, Any]:
    rows: list[dict[str, Any]] = hosts.lab.status()["workers"]
    return next((each for each in rows if (each["kind"], each["source"]) == ("mirror", "rts:cam")), {})


def test_an_operator_mirrors_a_packed_part(hosts: Fleet) -> None:
    cam = hosts.rts.create("cam", (128, 96))
    try:
        cam.write(ramp((128, 96)))
        ctl(hosts.lab, "mirror", "rts:cam", "--roi", "0:64,0:64", "--compress", "lz4")
        assert lab_shows(hosts, ramp((128, 96))[:64, :64])
        for first in (5, 6):
            cam.write(ramp((128, 96), first))
            wait_until(lambda: lab_shows(hosts, ramp((128, 96), first)[:64, :64]), PATIENCE_S, "the part")  # noqa: B023
        row = lab_row(hosts)
        assert (row["transport"], row["delivery"]["roi"], row["delivery"]["compress"]) == (
            "direct", "0:64,0:64", "lz4",
        )  # fmt: skip
        before = row["pid"]

        # Made anew, with another shape: one that has such a part, one that has none, and one that has it again.
        cam.close()
        cam = hosts.rts.create("cam", (64, 200))
        cam.write(ramp((64, 200)))
        wait_until(lambda: lab_shows(hosts, ramp((64, 200))[:64, :64]), PATIENCE_S, "the part of another shape")
        cam.close()
        cam = hosts.rts.create("cam", (32, 32))
        cam.write(ramp((32, 32)))
        why = "roi 0:64,0:64 is outside of the frame, which is 32x32"
        wait_until(lambda: why in (lab_row(hosts).get("transport_reason") or ""), PATIENCE_S, "the reason to be told")
        assert lab_row(hosts)["link"] == "down"
        assert lab_shows(hosts, ramp((64, 200))[:64, :64])
        cam.close()
        cam = hosts.rts.create("cam", (64, 64))
        cam.write(ramp((64, 64), 9))
        wait_until(lambda: lab_shows(hosts, ramp((64, 64), 9)), PATIENCE_S, "the part again")
        assert lab_row(hosts)["pid"] == before
    finally:
        hosts.remove("rts:cam", cam)
