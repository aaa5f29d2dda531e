"""What ``daosupctl status`` takes beyond starting Python itself.

Both are started in turn, and the difference is taken pair by pair. The daemon it asks has a publisher at work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.children import BenchError
from bench.figures import Goal, Row, differences, median, ratios
from bench.fleet import fleet
from bench.plan import Plan
from bench.rounds import quietest
from daosup.shm import Segment

GOAL = Goal(20.0)
_CALL = "import sys; from daosup.ctl import main; sys.exit(main())"


def measure(plan: Plan) -> Iterator[Row]:
    """Pairs of ``python -c pass`` and ``daosupctl status``."""
    with fleet() as hosts, Segment.create(hosts.source_file("still"), shape=(240, 240), dtype="uint16") as source:
        plan.redis_flavour = hosts.redis_flavour
        source.write(np.ones((240, 240), dtype=np.uint16))
        hosts.await_known("still")
        hosts.mirror("still")
        hosts.worker_pids("still")  # both run: status ends with 1 if one does not
        status = [*console_script(), "--socket", str(hosts.rts.control_socket), "status"]
        _wall_ms(status)  # whatever has to be compiled to bytecode is compiled here

        def run() -> tuple[float, float]:
            with plan.meter.repeat():
                return _wall_ms([sys.executable, "-c", "pass"]), _wall_ms(status)

        rounds, noise = quietest(plan, "daosupctl status beside python -c pass", plan.either(30, 10), run)
        bare_ms, ours_ms = zip(*rounds)
        yield Row("daosupctl status - python", "ms", differences(ours_ms, bare_ms), GOAL, noise=noise)
        ratio = median(ratios(ours_ms, bare_ms))
        yield Row("daosupctl status", "ms", ours_ms, None, ratio, "python", noise=noise)
        yield Row("python -c pass", "ms", bare_ms, None, noise=noise)
        source.unlink()


def console_script() -> list[str]:
    """The command as installed; from a bare source tree, what that command would run."""
    installed = Path(sys.executable).with_name("daosupctl")
    return [os.fspath(installed)] if installed.exists() else [sys.executable, "-c", _CALL]


def _wall_ms(command: Sequence[str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    elapsed_ms = (time.perf_counter() - begin) * 1e3
    if done.returncode:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout).decode()}")
    return elapsed_ms
