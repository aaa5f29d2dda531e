"""Mirrored segments for tests: written meanwhile, watched, and taken away afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from daosup.errors import SegmentBusyError, SegmentError
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.waiting import wait_until


class Camera:
    """Writes frames from a thread, all elements the counter's value, until it is stopped.

    A thread that was kept waiting does not catch up: two frames at once would be a gap that only the camera made.

    Attributes:
        written: How many so far.

    Args:
        segment: What is written.
        period_s: From one frame to the next, at least.
        mirror: Where each frame must have come before the next is written; None to wait for nobody.
    """

    def __init__(self, segment: Segment, period_s: float, mirror: Segment | None) -> None:
        self._segment = segment
        self._period_s = period_s
        self._mirror = mirror
        self.written = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera")
        self._thread.start()

    def _run(self) -> None:
        frame = np.zeros(self._segment.shape, self._segment.dtype)
        number = self._segment.counter
        due_s = time.monotonic()
        while not self._ending.is_set():
            number += 1
            frame.fill(number % 251)
            mirrored = self._mirror.counter if self._mirror else 0
            self._segment.write(frame, frame_id=number)
            self.written += 1
            due_s = max(due_s, time.monotonic()) + self._period_s
            self._ending.wait(due_s - time.monotonic())
            while self._mirror and self._mirror.counter == mirrored and not self._ending.is_set():
                self._ending.wait(0.01)

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self._thread.join()


@contextmanager
def filming(segment: Segment, period_s: float = 0.004, mirror: Segment | None = None) -> Iterator[Camera]:
    """A camera that writes to a segment meanwhile."""
    camera = Camera(segment, period_s, mirror)
    try:
        yield camera
    finally:
        camera.stop()


def wait_for_frames(mirror: Segment, count: int = 5, timeout_s: float = 5.0) -> None:
    """Wait until a mirror has got more frames."""
    before = mirror.counter
    wait_until(lambda: mirror.counter >= before + count, timeout_s, f"{count} more frames in {mirror.path}")


def wait_for_value(mirror: Segment, value: object, timeout_s: float = 5.0) -> None:
    """Wait until the newest frame of a mirror has ``value`` everywhere."""

    def is_there() -> bool:
        try:
            return bool((mirror.read() == value).all())
        except SegmentBusyError:  # just being written, by a process that others keep waiting
            return False

    wait_until(is_there, timeout_s, f"{value} in {mirror.path}")


WHOLE_AGAIN_S = 5.0
FOLLOWED_S = 3.0


@dataclass
class Stream:
    """A segment of rts, and lab's mirror of it as this process has it open."""

    hosts: Fleet
    name: str
    segment: Segment
    mirror: Segment

    @property
    def source(self) -> str:
        return f"rts:{self.name}"

    def reopen(self) -> Segment:
        """Open the mirror that is there now."""
        self.mirror.close()
        self.mirror = wait_until(self._opened, FOLLOWED_S, f"a mirror of {self.source}")
        return self.mirror

    def _opened(self) -> Segment | None:
        try:
            return Segment.open(self.hosts.lab.path(f"remote_rts_{self.name}"), writable=False)
        except SegmentError:
            return None

    def check_going(self, timeout_s: float = WHOLE_AGAIN_S) -> None:
        """A frame that is written now arrives, whole."""
        value = int(self.segment.counter) % 251 + 1
        self.segment.write(np.full(self.segment.shape, value, self.segment.dtype))
        wait_for_value(self.mirror, value, timeout_s)


@contextmanager
def stream(hosts: Fleet, name: str, shape: tuple[int, ...] = (16, 16)) -> Iterator[Stream]:
    """A mirrored segment; taken away afterwards."""
    segment = hosts.rts.create(name, shape)
    segment.write(np.zeros(shape, "uint16"))
    made = Stream(hosts, name, segment, hosts.lab.mirror(f"rts:{name}"))
    try:
        yield made
    finally:
        made.mirror.close()
        hosts.remove(made.source, made.segment)


_PERIOD_S = 0.1


@contextmanager
def undisturbed(other: Stream) -> Iterator[None]:
    """Nothing that happens meanwhile is noticed by this stream: same processes, and each frame comes.

    However busy the machine is: no frame is written before the one before it has come.
    """

    def look() -> list[tuple[int, int, str]]:
        return [_process_and_gaps(host, other.source) for host in (other.hosts.rts, other.hosts.lab)]

    with filming(other.segment, _PERIOD_S, other.mirror):
        wait_for_frames(other.mirror, 3)
        before = look()
        yield
        wait_for_frames(other.mirror, 3)
        after = look()
        assert after == before, f"{before} became {after}"


def _process_and_gaps(host: Host, source: str) -> tuple[int, int, str]:
    row = host.worker(source)
    assert row is not None
    return row["pid"], row["gaps"], row["link"]
