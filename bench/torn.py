"""Snapshots of a segment that is written flat out: not one may hold parts of two frames.

Once straight from the source, once from its mirror. Beside it stand what shows that the question was a hard one: how
often a plain copy of the same memory is torn, how often the reader had to begin again, and how often it refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.children import camera
from bench.figures import Goal, Row
from bench.fleet import fleet, segment_name, temporary_place
from bench.plan import Plan
from bench.watch import is_torn
from daosup.errors import SegmentBusyError
from daosup.shm import Segment

SIDE = 240
_WHAT = "flatout"


def measure(plan: Plan) -> Iterator[Row]:
    """The source itself, then its mirror."""
    count = plan.either(1_000_000, 50_000)
    with temporary_place() as folder:
        file = folder / f"{segment_name(_WHAT)}.im.shm"
        with camera(file, rate_hz=0, side=SIDE):
            yield _row(plan, file, count, "read")
    with fleet() as hosts:
        plan.redis_flavour = hosts.redis_flavour
        with camera(hosts.source_file(_WHAT), rate_hz=0, side=SIDE):
            hosts.await_known(_WHAT)
            yield _row(plan, hosts.mirror(_WHAT), count, "mirrored")


def _row(plan: Plan, file: Path, count: int, how: str) -> Row:
    plan.say(f"{count} snapshots of a source written flat out, {how}")
    torn = busy = taken = 0
    with plan.meter.repeat(), Segment.open(file) as segment:
        first = segment.counter
        frame = segment.read()
        while taken < count:
            try:
                segment.read(out=frame)
            except SegmentBusyError:
                busy += 1
                continue
            taken += 1
            torn += is_torn(frame)
        frames, retries = segment.counter - first, segment.retries
        plain = sum(is_torn(segment.view().copy()) for _ in range(count // 50))
    note = (
        f"{taken} snapshots of {frames} frames; begun again {retries}, refused {busy}; "
        f"plain copies torn: {plain} of {count // 50}"
    )
    return Row(f"flat out, {how}: torn frames", "", (float(torn),), Goal(0), note=note, noise=plan.meter.take())
