"""A writer that never pauses: not one frame of the mirror may be torn, and none may be old.

The bare writer writes frames of 560 B, each word of which is the frame's number, as fast as it can; a bare observer
waits on a semaphore of the mirror, copies each frame that it sees and compares all of it, until ten million have been.
Most of them come from a FIFO of 64 frames; of depth 1 a segment that is never left alone is read only now and then,
which is the harder case, and a part of the time is its.
Whoever is between them may skip frames, and has to; what comes must be whole, and no older than a moment: age is from
the frame's being written to its being seen, and grows without bound where frames queue up. On a machine with two cores
the writer has one, and all others share the other one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from bench.bare_programs import BarePrograms, Sight
from bench.figures import Goal, Judged, Row
from bench.fleet import Fleet, fleet, temporary_place
from bench.plan import Plan
from daosup.shm import Segment

NBYTES = 560
FRAMES = 10_000_000
DEEP = 64
#: What a queue that grows passes within a second; the scheduler alone makes a frame some milliseconds old.
DELAY_GOAL = Goal(100.0, Judged.WORST)
_TURN_S = 20.0
_MOST_S = 600.0


def measure(plan: Plan) -> Iterator[Row]:
    """Transport by transport."""
    with temporary_place() as folder, fleet() as hosts:
        plan.redis_flavour = hosts.redis_flavour
        programs = BarePrograms.build(folder)
        for transport in plan.transports:
            sights = _sights(plan, hosts, programs, transport, 1, 0)
            missing = plan.either(FRAMES, FRAMES // 100) - _seen(sights)
            sights += _sights(plan, hosts, programs, transport, DEEP, missing)
            yield from _rows(plan, transport, sights)


def _sights(plan: Plan, hosts: Fleet, programs: BarePrograms, transport: str, depth: int, missing: int) -> list[Sight]:
    """One turn, and then more until so many frames were seen or the time is over."""
    what = f"flatout_{transport}_{depth}"
    sights: list[Sight] = []
    file = hosts.source_file(what)
    with Segment.create(file, (NBYTES // 8,), "uint64", layout="fifo", depth=depth) as source:
        hosts.await_known(what)
        mirror = hosts.mirror(what, transport)
        began_s = time.monotonic()
        while not sights or (_seen(sights) < missing and time.monotonic() - began_s < _MOST_S):
            plan.say(f"flat out by {transport}, depth {depth}, {_seen(sights)} frames seen")
            with plan.meter.repeat(), programs.observer(mirror, is_checking=True) as observer:
                programs.write([file], rate_hz=0, seconds=2.0 if plan.is_quick else _TURN_S)
                sights.append(observer.end())
        hosts.release(what)
        source.unlink()
    return sights


def _seen(sights: Sequence[Sight]) -> int:
    return sum(len(sight.ages_us) for sight in sights)


def _rows(plan: Plan, transport: str, sights: Sequence[Sight]) -> Iterator[Row]:
    noise, what = plan.meter.take(), f"flat out by {transport}"
    written, delivered = sum(sight.written for sight in sights), sum(sight.delivered for sight in sights)
    note = f"{delivered} delivered of {written} written; of depth 1 {len(sights[0].ages_us)} seen"
    yield Row(
        f"{what}: torn frames", "", (float(sum(sight.torn for sight in sights)),), Goal(0), note=note, noise=noise
    )
    seen_goal = Goal(float(FRAMES), is_least=True)
    yield Row(f"{what}: frames looked at", "", (float(_seen(sights)),), seen_goal, noise=noise)
    ages_us = np.concatenate([sight.ages_us for sight in sights])
    p999s_ms = tuple(float(np.percentile(sight.ages_us, 99.9)) / 1e3 for sight in sights)
    note = f"p50 {np.percentile(ages_us, 50):.0f} us, the oldest of all {ages_us.max() / 1e3:.1f} ms"
    yield Row(f"{what}: age, p99.9", "ms", p999s_ms, DELAY_GOAL, note=note, noise=noise)
