"""200 segments of 4 kB, each written 100 times a second, all mirrored at once on this machine.

One writer writes them in turn, evenly over each hundredth of a second, and runs before programs that compute where that
is allowed: it stands for 200 programs that each write at their time. What is judged is the worst of them: how many of
its frames were in its mirror, by the mirror's own counter, of those that should have been written at that rate. What
it wrote in all is told as well, and the bare program of each transport does the same with 200 pairs of processes,
which tells what the machine itself has room for. Nobody looks at the frames meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.bare_programs import BarePrograms
from bench.children import wait_until
from bench.contenders import BARE_OF, BARE_TCP, BARE_ZMQ
from bench.figures import Goal, Judged, Row, median
from bench.fleet import Fleet, fleet, segment_name, temporary_place
from bench.machine import cpu_time_s
from bench.plan import Plan
from bench.rounds import quietest
from daosup.shm import Segment

STREAMS = 200
RATE_HZ = 100.0
NBYTES = 4096
GOAL = Goal(99.0, Judged.WORST, is_least=True)
_TURN_S = 6.0
_START_S = 120.0
_ARRIVAL_S = 0.5


def measure(plan: Plan) -> Iterator[Row]:
    """Each transport, after the bare program of it."""
    count = plan.either(STREAMS, 20)
    with temporary_place() as folder:
        programs = BarePrograms.build(folder)
        for transport in plan.transports:
            yield _bare(plan, programs, count, BARE_OF[transport])
            yield _daosup(plan, programs, count, transport)


def _bare(plan: Plan, programs: BarePrograms, count: int, name: str) -> Row:
    pair = {BARE_TCP: programs.tcp_pair, BARE_ZMQ: programs.zmq_pair}[name]
    with ExitStack() as stack:
        sources, targets = (
            [
                _segment(stack, programs.folder / f"{segment_name(f'{end}{number:03d}')}.im.shm")
                for number in range(count)
            ]
            for end in ("source", "target")
        )
        pids = [pid for ends in zip(sources, targets) for pid in stack.enter_context(pair(*ends))]
        return _row(plan, programs, name, sources, targets, pids)


def _daosup(plan: Plan, programs: BarePrograms, count: int, transport: str) -> Row:
    names = [f"many_{transport}_{number:03d}" for number in range(count)]
    with fleet() as hosts, ExitStack() as stack:
        plan.redis_flavour = hosts.redis_flavour
        sources = [_segment(stack, hosts.source_file(name)) for name in names]
        hosts.await_known(names[-1])
        targets = [hosts.mirror(name, transport) for name in names]
        wait_until(lambda: _pids(hosts, names), _START_S, f"{2 * count} workers to run")
        return _row(plan, programs, f"daosup {transport}", sources, targets, _pids(hosts, names))


def _pids(hosts: Fleet, names: Sequence[str]) -> list[int]:
    wanted = {hosts.source(name) for name in names}
    workers = [worker for host in (hosts.rts, hosts.lab) for worker in host.call("status")["workers"]]
    pids = [int(worker["pid"]) for worker in workers if worker["state"] == "running" and worker["source"] in wanted]
    return pids if len(pids) == 2 * len(names) else []


def _segment(stack: ExitStack, file: Path) -> Path:
    segment = stack.enter_context(Segment.create(file, (NBYTES // 8,), "uint64", layout="fifo", depth=1))
    stack.callback(segment.unlink)
    return file


def _row(
    plan: Plan, programs: BarePrograms, name: str, sources: Sequence[Path], targets: Sequence[Path], pids: list[int]
) -> Row:
    with ExitStack() as stack:
        mirrors = [stack.enter_context(Segment.open(target)) for target in targets]
        programs.write(sources, rate_hz=RATE_HZ, seconds=1.0)  # so that each of them has a frame

        def run() -> tuple[float, float, float]:
            time.sleep(_ARRIVAL_S)
            with plan.meter.repeat():
                before, before_s = [mirror.counter for mirror in mirrors], sum(map(cpu_time_s, pids))
                wrote = programs.write(sources, rate_hz=RATE_HZ, seconds=_TURN_S, is_at_once=True)
                time.sleep(_ARRIVAL_S)
                cpu_s = sum(map(cpu_time_s, pids)) - before_s
            delivered = [mirror.counter - count for mirror, count in zip(mirrors, before)]
            wanted = RATE_HZ * _TURN_S
            return 100 * min(delivered) / wanted, 100 * wrote.frames / wanted, cpu_s / max(1, sum(delivered)) * 1e6

        rounds, noise = quietest(plan, f"{len(sources)} streams, {name}", plan.either(5, 1), run)
    shares, written, cpu_us = zip(*rounds)
    goal = GOAL if name not in BARE_OF.values() else None
    note = f"of the rate in the slowest; the writer wrote {min(written):.1f} % of it or more"
    note += f"; CPU {median(cpu_us):.1f} us a frame"
    title = f"{len(sources)} streams of 4 kB at {RATE_HZ:g} Hz: {name}"
    return Row(title, "%", shares, goal, note=note, noise=noise)
