"""Eight readers of one segment, and what the others notice when one of them stands still.

Each reader is a host of its own with its own daemon. The eighth's daemon and mirror are stopped by SIGSTOP, so nobody
restarts it, for as long as a turn takes: not longer than an owner waits before it takes a silent reader for gone, so
that its buffers are full and it is served all the time. Turns with all eight and with seven alternate. A frame has
64 kB, so a reader that takes nothing has no room for more after a few frames. Its p99 is of all frames of all seven.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from bench.bare_programs import BarePrograms, Sight
from bench.figures import Goal, Noise, Row, median, ratios
from bench.fleet import Fleet, Host, fleet, temporary_place
from bench.plan import Plan
from bench.rounds import quietest
from daosup.shm import Segment

READERS = 8
RATE_HZ = 200.0
NBYTES = 1 << 16
GOAL = Goal(1.2)
_TURN_S = 2.5


def measure(plan: Plan) -> Iterator[Row]:
    """Transport by transport."""
    with temporary_place() as folder, fleet(more_readers=READERS - 1) as hosts:
        plan.redis_flavour = hosts.redis_flavour
        programs = BarePrograms.build(folder)
        for transport in plan.transports:
            yield _transport(plan, hosts, programs, transport)


def _transport(plan: Plan, hosts: Fleet, programs: BarePrograms, transport: str) -> Row:
    what = f"readers_{transport}"
    file = hosts.source_file(what)
    with Segment.create(file, (NBYTES // 8,), "uint64", layout="fifo", depth=1) as segment, ExitStack() as stack:
        stack.callback(segment.unlink)
        hosts.await_known(what)
        mirrors = [hosts.mirror(what, transport, reader=reader) for reader in hosts.readers]
        last = hosts.readers[-1]
        title = f"{READERS} readers by {transport}"

        def run() -> tuple[list[Sight], list[Sight]]:
            with plan.meter.repeat():
                before = _turn(plan, programs, file, mirrors[:-1])
            with plan.meter.repeat(), _standing_still(hosts, what, last):
                return before, _turn(plan, programs, file, mirrors[:-1])

        rounds, noise = quietest(plan, title, plan.either(7, 2), run)
        return _row(transport, rounds, noise)


def _row(transport: str, rounds: Sequence[tuple[list[Sight], list[Sight]]], noise: Noise) -> Row:
    before_us, after_us = ([_p99_us(each[place]) for each in rounds] for place in (0, 1))
    most_skipped = 100 * max(sight.skipped / max(1, sight.written) for _, after in rounds for sight in after)
    note = f"{median(after_us):.1f} and {median(before_us):.1f} us; skipped by one at most {most_skipped:.2g} %"
    what = f"{READERS} readers by {transport}, one stands still: the others' p99 / before"
    return Row(what, "x", ratios(after_us, before_us), GOAL, note=note, noise=noise)


def _turn(plan: Plan, programs: BarePrograms, source: Path, mirrors: Sequence[Path]) -> list[Sight]:
    with ExitStack() as stack:
        observers = [stack.enter_context(programs.observer(mirror, is_at_once=True)) for mirror in mirrors]
        programs.write([source], rate_hz=RATE_HZ, seconds=1.0 if plan.is_quick else _TURN_S, is_at_once=True)
        return [observer.end() for observer in observers]


def _p99_us(sights: Sequence[Sight]) -> float:
    return float(np.percentile(np.concatenate([sight.ages_us for sight in sights]), 99))


@contextmanager
def _standing_still(hosts: Fleet, what: str, reader: Host) -> Iterator[None]:
    worker = reader.running_pid(hosts.source(what))
    assert worker is not None  # its mirror was asked for and is there
    pids = (reader.pid, worker)  # the daemon first: it would take the worker for hung
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
