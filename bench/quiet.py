"""2,000 segments that nobody writes or reads, in the folder of a host whose supervisor has nothing else to do.

The files are copies of one segment, without semaphores of their own. CPU is the supervisor process alone, heartbeats
and safety scans of the folder included.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

from bench.children import wait_until
from bench.figures import Goal, Row
from bench.fleet import fleet
from bench.machine import cpu_time_s
from bench.many_sources import ELEMENTS
from bench.plan import Plan
from daosup.shm import Segment

SEGMENTS = 2000
TURN_S = 30.0


def measure(plan: Plan) -> Iterator[Row]:
    """Let it rest and look at what that costs."""
    count = plan.either(SEGMENTS, 200)
    with fleet() as hosts:
        plan.redis_flavour = hosts.redis_flavour
        first = hosts.source_file("quiet")
        with Segment.create(first, (ELEMENTS,), "float32") as segment:
            for number in range(1, count):
                shutil.copy(first, hosts.source_file(f"quiet{number:04d}"))
            wait_until(lambda: len(hosts.rts.call("status")["segments"]) == count, 60.0, f"{count} segments to be seen")
            supervisor = int(hosts.rts.call("status")["pid"])
            plan.say(f"an idle supervisor with {count} segments")
            shares = []
            for _ in range(plan.either(5, 1)):
                with plan.meter.repeat():
                    before_s, began_s = cpu_time_s(supervisor), time.monotonic()
                    time.sleep(TURN_S)
                    shares.append(100 * (cpu_time_s(supervisor) - before_s) / (time.monotonic() - began_s))
            title = f"{count} quiet segments: CPU of the idle supervisor"
            yield Row(title, "%", tuple(shares), Goal(1.0), noise=plan.meter.take())
            segment.unlink()
