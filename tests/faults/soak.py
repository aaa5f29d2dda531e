"""``python -m tests.faults.soak --minutes N``: faults at random, for as long as you like, while every frame is checked.

Fails on a torn frame, on a gap that nobody owns up to, on a fault that does not heal in time, and when what a
supervisor needs (memory, file descriptors, processes) has grown over the run. The seed is printed: the same seed
injects the same faults in the same order.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bench import interrupts
from tests.faults import catalogue
from tests.faults.fault import FAULTS
from tests.faults.scene import Scene, scene
from tests.integration.fleet import Host
from tests.integration.processes_seen import processes_of_session
from tests.waiting import wait_until

#: What a long run may need more of than a short one: the allocator's slack, not a leak's slope.
SLACK_BYTES = 6 * 1024 * 1024
#: Until everything was done once, caches fill.
WARM_UP_S = 90.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Needs:
    """What a host's supervisor needs at one moment."""

    memory_bytes: int
    descriptors: int
    processes: int


def needs_of(host: Host) -> Needs:
    """Looked up in /proc."""
    resident_pages = int(Path(f"/proc/{host.pid}/statm").read_text().split()[1])
    descriptors = len(os.listdir(f"/proc/{host.pid}/fd"))
    return Needs(resident_pages * _PAGE_BYTES, descriptors, len(processes_of_session(host.pid)))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Soak; returns 1 if anything was not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    interrupts.install()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    _say(f"{options.minutes:g} minutes, seed {seed}")
    try:
        with scene() as stage:
            soak(stage, options.minutes * 60, random.Random(seed))
    except KeyboardInterrupt:
        _say("interrupted; everything it started is stopped")
        return 130
    except (AssertionError, OSError, RuntimeError) as error:
        _say(f"FAILED: {error}")
        return 1
    return 0


def soak(stage: Scene, seconds: float, chance: random.Random) -> None:
    """Inject faults until the time is over, then compare with the beginning.

    Raises:
        AssertionError: What was not as promised.
    """
    began_s = time.monotonic()
    injected: Counter[str] = Counter()
    worst_s: dict[str, float] = {}
    before: Optional[list[Needs]] = None
    choices = [fault for fault in FAULTS.values() if fault.prepare is None]
    assert choices, f"no fault of {catalogue.__name__} can be soaked"
    while time.monotonic() < began_s + seconds:
        if before is None and time.monotonic() > began_s + min(WARM_UP_S, seconds / 3):
            before = _settled_needs(stage)
        fault = chance.choice(choices)
        healed_s = fault.run(stage)
        assert healed_s <= fault.limit_s, f"{fault.name} took {healed_s:.2f} s to heal, more than {fault.limit_s:g} s"
        injected[fault.name] += 1
        worst_s[fault.name] = max(healed_s, worst_s.get(fault.name, 0.0))
        _check_frames(stage)
        _say(f"{time.monotonic() - began_s:6.0f} s  {fault.name}: {healed_s * 1e3:.0f} ms")
    after = _settled_needs(stage)
    for name, count in sorted(injected.items()):
        print(f"{name:44} {count:4} times, worst {worst_s[name] * 1e3:6.0f} ms")
    for stream in (stage.hit, stage.other):
        sight = stream.sight
        print(f"{stream.source}: {sight.seen} frames looked at, {sight.torn} torn, {sight.skipped} skipped")
    for host, then, now in zip((stage.rts, stage.lab), before or after, after):
        print(f"supervisor of {host.name}: {then} before, {now} after")
        assert now.memory_bytes <= then.memory_bytes + SLACK_BYTES, f"the supervisor of {host.name} grew"
        assert now.descriptors <= then.descriptors, f"the supervisor of {host.name} leaks descriptors"
        assert now.processes <= then.processes, f"{host.name} leaks processes"


def _check_frames(stage: Scene) -> None:
    for stream in (stage.hit, stage.other):
        assert stream.sight.torn == 0, f"{stream.sight.torn} torn frames in {stream.source}"


def _settled_needs(stage: Scene) -> list[Needs]:
    """When nothing that ends is still ending."""
    hosts = (stage.rts, stage.lab)

    def settled() -> Optional[list[Needs]]:
        first = [needs_of(host) for host in hosts]
        time.sleep(0.5)
        second = [needs_of(host) for host in hosts]
        same = [(a.descriptors, a.processes) == (b.descriptors, b.processes) for a, b in zip(first, second)]
        return second if all(same) else None

    found = wait_until(settled, 30.0, "the hosts to come to rest")
    assert found is not None
    return found


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
