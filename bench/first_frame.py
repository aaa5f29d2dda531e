"""From ``DaoServer.get_remote_shm`` to the first whole frame in the mirror.

Before each repeat both ends have stopped their workers, so every repeat starts a publisher and a mirror. A frame counts
only if it was the source's newest when the mirror was asked for, or is newer: what an earlier mirror left is not it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.children import BenchError, camera
from bench.figures import Goal, Row, is_same_or_newer
from bench.fleet import Fleet, fleet, segment_name
from bench.plan import Plan
from bench.watch import first_value
from daosup.server import DaoServer
from daosup.shm import Segment

GOAL = Goal(100.0, is_strict=True)
_TIMEOUT_S = 10.0


def measure(plan: Plan) -> Iterator[Row]:
    """A source written at 500 Hz, and one that nobody writes to."""
    with fleet() as hosts, hosts.programs_server() as server:
        plan.redis_flavour = hosts.redis_flavour
        file = hosts.source_file("live")
        with camera(file, rate_hz=500), Segment.open(file) as source:
            hosts.await_known("live")
            yield _row(plan, hosts, server, "live", "source written at 500 Hz", lambda _: int(source.read().flat[0]))
        file = hosts.source_file("still")
        with Segment.create(file, shape=(240, 240), dtype="uint16") as source:
            hosts.await_known("still")

            def write_once(repeat: int) -> int:
                source.write(np.full((240, 240), 1000 + repeat, dtype=np.uint16))
                return 1000 + repeat

            yield _row(plan, hosts, server, "still", "source nobody writes to", write_once)
            source.unlink()


def _row(plan: Plan, hosts: Fleet, server: DaoServer, what: str, title: str, newest: Callable[[int], int]) -> Row:
    samples_ms = []
    for repeat in range(plan.either(15, 5)):
        plan.say(f"first frame, {title}, repeat {repeat + 1}")
        with plan.meter.repeat():
            samples_ms.append(_one(server, what, newest(repeat)))
        server.release_remote_shm("rts", segment_name(what))
        hosts.await_released(what)
    return Row(f"first frame: {title}", "ms", tuple(samples_ms), GOAL, noise=plan.meter.take())


def _one(server: DaoServer, what: str, value: int) -> float:
    begin_s = time.monotonic()
    opened = server.get_remote_shm("rts", segment_name(what))
    mirror = Path(opened.fname)
    opened.close()
    arrival_s = first_value(mirror, lambda seen: is_same_or_newer(seen, value), _TIMEOUT_S)
    if arrival_s is None:
        raise BenchError(f"no frame of rts:{segment_name(what)} in {mirror} within {_TIMEOUT_S:g} s after it was got")
    return (arrival_s - begin_s) * 1e3
