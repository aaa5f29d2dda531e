"""SIGKILL to a worker: how long its mirror stands still, and whether another stream notices.

The outage is taken from the frames' own arrivals in the mirror; the other stream's longest gap after each kill is
compared with its longest gap in a window of the same length before it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Optional

from bench.children import BenchError, camera, wait_until
from bench.figures import Goal, Judged, Row, longest_gap_s, median, ratios, recovery_s
from bench.fleet import Fleet, fleet
from bench.plan import Plan
from bench.rounds import quietest
from bench.watch import Watcher

GOAL = Goal(500.0, Judged.WORST)
_WINDOW_S = 2.0
_GIVE_UP_S = 15.0


def measure(plan: Plan) -> Iterator[Row]:
    """Publisher and mirror, each killed several times."""
    with ExitStack() as stack:
        hosts = stack.enter_context(fleet())
        plan.redis_flavour = hosts.redis_flavour
        for what in ("hit", "other"):
            stack.enter_context(camera(hosts.source_file(what), rate_hz=500))
            hosts.await_known(what)
        hit, other = (stack.enter_context(Watcher(hosts.mirror(what))).sight.arrivals_s for what in ("hit", "other"))
        for arrivals_s in (hit, other):
            wait_until(lambda arrivals_s=arrivals_s: len(arrivals_s) > 100, 10.0, "both streams to run")  # type: ignore[misc]
        for index, kind in enumerate(("publisher", "mirror")):
            yield from _killed(plan, hosts, index, kind, hit, other)


def _killed(plan: Plan, hosts: Fleet, index: int, kind: str, hit: list[float], other: list[float]) -> Iterator[Row]:
    def run() -> tuple[float, float, float]:
        with plan.meter.repeat():
            pid = hosts.worker_pids("hit")[index]
            time.sleep(_WINDOW_S)
            killed_s = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            outage_s = _outage_s(hit, killed_s, kind)
        gap_before_s = longest_gap_s(other, killed_s - _WINDOW_S, killed_s)
        return outage_s * 1e3, gap_before_s * 1e3, longest_gap_s(other, killed_s, killed_s + _WINDOW_S) * 1e3

    rounds, noise = quietest(plan, f"kill the {kind}", plan.either(10, 3), run)
    outages_ms, gaps_before_ms, gaps_ms = zip(*rounds)
    yield Row(f"{kind} killed: until new frames", "ms", outages_ms, GOAL, noise=noise)
    ratio = median(ratios(gaps_ms, gaps_before_ms))
    yield Row(
        f"{kind} killed: other stream's gap",
        "ms",
        gaps_ms,
        None,
        ratio,
        "before",
        _before(gaps_before_ms),
        noise,
    )


def _before(gaps_ms: Sequence[float]) -> str:
    return f"before: {median(gaps_ms):.1f}, worst {max(gaps_ms):.1f} ms"


def _outage_s(arrivals_s: list[float], killed_s: float, kind: str) -> float:
    """Watches until frames have come again and the window is over, however long that takes."""

    def is_flowing() -> Optional[bool]:
        now_s = time.monotonic()
        return now_s > killed_s + _WINDOW_S and bool(arrivals_s) and now_s - arrivals_s[-1] < 0.1

    wait_until(is_flowing, _GIVE_UP_S, f"frames after the {kind} was killed")
    outage_s = recovery_s([t for t in arrivals_s if t > killed_s - 1], killed_s)
    if outage_s is None:
        raise BenchError(f"no frame came after the {kind} was killed")
    return outage_s
