"""A 500 Hz camera of 240x240 uint16: whole frames, none lost, and what it costs beside a bare PUB/SUB program.

The bare program and daosup take turns on the same camera, with the same reader checking every frame of the target, so
the ratio of their CPU times holds on a busy machine too. CPU time is that of the two processes that move the frames.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.children import BenchError, bare_pair, camera
from bench.figures import Goal, Noise, Row, median, ratios
from bench.fleet import Fleet, fleet, segment_name
from bench.machine import cpu_time_s
from bench.plan import Plan
from bench.watch import Sight, first_value, watch_for
from daosup.shm import Segment

RATE_HZ = 500
SIDE = 240
NBYTES = SIDE * SIDE * 2
FRAME_OFFSET = 4304  # of a fifo segment of depth 1
WHAT = "camera"
_SETTLE_S = 1.0


@dataclass(frozen=True)
class Window:
    """One program watched for a time: what it delivered and the CPU time of its two processes."""

    sight: Sight
    cpu_s: float

    @property
    def cpu_us_per_frame(self) -> float:
        """CPU time for a delivered frame."""
        return self.cpu_s / self.sight.delivered * 1e6


def measure(plan: Plan) -> Iterator[Row]:
    """The long run, then bare and daosup in turn."""
    repeats, turn_s = 3, plan.stream_s / 3
    with fleet() as hosts, camera(hosts.source_file(WHAT), rate_hz=RATE_HZ, side=SIDE):
        plan.redis_flavour = hosts.redis_flavour
        hosts.await_known(WHAT)
        plan.say(f"stream for {plan.stream_s:g} s")
        with plan.meter.repeat(), _daosup(hosts) as (target, pids):
            long_run = _window(target, pids, plan.stream_s)
        yield from _promises(long_run, plan.stream_s, plan.meter.take())
        ours, bare = [], []
        for repeat in range(repeats):
            plan.say(f"stream, bare and daosup in turn, {turn_s:g} s each, repeat {repeat + 1} of {repeats}")
            with plan.meter.repeat(), _bare(hosts) as (target, pids):
                bare.append(_window(target, pids, turn_s))
            with plan.meter.repeat(), _daosup(hosts) as (target, pids):
                ours.append(_window(target, pids, turn_s))
        yield from _costs(ours, bare, plan.meter.take())


def _promises(window: Window, seconds: float, noise: Noise) -> Iterator[Row]:
    sight = window.sight
    title = f"stream {RATE_HZ} Hz, {seconds:g} s"
    yield Row(
        f"{title}: torn frames", "", (float(sight.torn),), Goal(0), note=f"{sight.seen} frames looked at", noise=noise
    )
    share = 100 * sight.skipped / sight.written
    note = f"{sight.skipped} of {sight.written} frames"
    yield Row(f"{title}: skipped", "%", (share,), Goal(0.1, is_strict=True), note=note, noise=noise)


def _costs(ours: list[Window], bare: list[Window], noise: Noise) -> Iterator[Row]:
    ours_us = tuple(window.cpu_us_per_frame for window in ours)
    bare_us = tuple(window.cpu_us_per_frame for window in bare)
    samples = ratios(ours_us, bare_us)
    yield Row("stream: CPU, daosup / bare", "x", samples, Goal(1.25), noise=noise)
    yield Row("stream: CPU a frame, daosup", "us", ours_us, None, median(samples), "bare", _delivery(ours), noise)
    yield Row("stream: CPU a frame, bare", "us", bare_us, None, note=_delivery(bare), noise=noise)


def _delivery(windows: list[Window]) -> str:
    skipped = sum(window.sight.skipped for window in windows)
    return f"skipped {skipped} of {sum(window.sight.written for window in windows)}"


def _window(target: Path, pids: tuple[int, int], seconds: float) -> Window:
    if first_value(target, lambda value: value > 0, 10.0) is None:
        raise BenchError(f"no frame came to {target} in 10 s")
    time.sleep(_SETTLE_S)
    before_s = sum(map(cpu_time_s, pids))
    sight = watch_for(target, seconds)
    cpu_s = sum(map(cpu_time_s, pids)) - before_s
    if not sight.delivered:
        raise BenchError(f"no frame came to {target} in {seconds:g} s")
    return Window(sight, cpu_s)


@contextmanager
def _daosup(hosts: Fleet) -> Iterator[tuple[Path, tuple[int, int]]]:
    target = hosts.mirror(WHAT)
    pids = hosts.worker_pids(WHAT)
    yield target, pids
    if hosts.worker_pids(WHAT) != pids:
        raise BenchError("a worker was restarted while its CPU time was measured")
    hosts.release(WHAT)


@contextmanager
def _bare(hosts: Fleet) -> Iterator[tuple[Path, tuple[int, int]]]:
    # Beside the hosts' folders, so that no daemon takes the target for a segment of its own.
    target = hosts.source_file(WHAT).parents[2] / f"{segment_name('bare')}.im.shm"
    with Segment.create(target, shape=(SIDE, SIDE), dtype="uint16", layout="fifo", depth=1) as segment:
        try:
            with bare_pair(hosts.source_file(WHAT), target, FRAME_OFFSET, NBYTES) as pids:
                yield target, pids
        finally:
            segment.unlink()
