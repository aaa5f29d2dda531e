"""``python -m tests.faults [NAME ...]``: inject faults and time how they heal.

Exits with 1 if one did not heal in time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from bench import interrupts
from bench.fleet import redis_flavour
from bench.machine import describe
from tests.faults import catalogue, page
from tests.faults.fault import FAULTS, Fault
from tests.faults.page import Result
from tests.faults.scene import scene
from tests.mounts import make_shm_private


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Inject the faults named, or all of them."""
    assert FAULTS, f"{catalogue.__name__} has none"
    options = _parse(arguments)
    interrupts.install()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Nobody else's semaphores are in the way, and it may be full.
    make_shm_private()
    results: list[Result] = []
    try:
        for name in options.names or list(FAULTS):
            for transport in FAULTS[name].transports:
                began_s = time.monotonic()
                result = _injected(FAULTS[name], transport, options.repeats)
                results.append(result)
                _say(f"{name}, {transport}: {result.verdict}; all took {time.monotonic() - began_s:.1f} s")
    except KeyboardInterrupt:
        _say("interrupted; everything it started is stopped")
        return 130
    print(page.text(results))
    if options.write:
        options.write.write_text(page.page(results, describe(redis_flavour()), options.repeats))
    return int(any(result.is_failed for result in results))


def _injected(fault: Fault, transport: str, repeats: int) -> Result:
    """Run one fault on a scene; a run that fails gets a new scene, so that the next one starts from health."""
    times_s: list[float] = []
    failures: list[str] = []
    while len(times_s) + len(failures) < repeats:
        try:
            with scene(fault.prepare) as stage:
                for _ in range(1 if fault.is_final else repeats - len(times_s) - len(failures)):
                    stage.hit.come_by(transport)
                    began_s = time.monotonic()
                    times_s.append(fault.run(stage))
                    cost_s = time.monotonic() - began_s
                    _say(f"{fault.name}, {len(times_s)} of {repeats}: {times_s[-1]:.3f} s, took {cost_s:.1f} s")
        except Exception as error:
            failures.append(str(error) or type(error).__name__)
            traceback.print_exc()
            if len(failures) == 3:
                break
    return Result(fault, transport, tuple(times_s), tuple(failures))


def _say(text: str) -> None:
    print(f"faults: {text}", file=sys.stderr, flush=True)


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Inject faults and time the healing.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all); --list names them")
    parser.add_argument("--list", action="store_true", help="list the faults and exit")
    parser.add_argument("--repeats", type=int, default=10, metavar="N", help="how often each (default 10)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there, as docs/faults.md is")
    options = parser.parse_args(arguments)
    if options.list:
        parser.exit(0, "".join(f"{name}\n" for name in FAULTS))
    unknown = [name for name in options.names if name not in FAULTS]
    if unknown:
        parser.error(f"no fault is called {unknown[0]!r}; --list names them")
    return options


if __name__ == "__main__":
    sys.exit(main())
