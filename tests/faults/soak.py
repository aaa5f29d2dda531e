"""``python -m tests.faults.soak --minutes N``: faults at random, for as long as you like, while every frame is checked.

Fails on a torn frame; on a gap that nobody owns up to, which in the stream that is never hit is any gap, and in the
other one any gap between two faults; on a fault that does not heal in time; and when a process that lives on (a
supervisor, a worker of the stream that is never hit) needs more memory or file descriptors than before, or there are
more processes. Supervisors are replaced in the first third only: what they need could not be seen to grow otherwise.
Frames come directly or by ZeroMQ, from fault to fault as chance has it, and in the stream that is never hit for good.
The seed is printed: the same seed injects the same faults in the same order.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bench import interrupts
from tests.faults import catalogue
from tests.faults.fault import BY_BOTH, FAULTS, Fault
from tests.faults.room import on_a_small_disk, with_semaphores_apart, without_override
from tests.faults.scene import STEADY_S, Prepare, Scene, scene
from tests.faults.wild import unruly
from tests.faults.wires import wired
from tests.mounts import make_shm_private
from tests.waiting import wait_until

#: What a soak's scene is prepared with: faults that need no more than this can be injected.
PREPARED = (wired, unruly, without_override)
#: Only root can do this.
PREPARED_BY_ROOT = (on_a_small_disk, with_semaphores_apart)
#: What a long run may need more of than a short one: the allocator's slack, not a leak's slope.
SLACK_BYTES = 6 * 1024 * 1024
#: Until everything was done once, caches fill.
WARM_UP_S = 90.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_REST_S = 0.5
#: So many arrivals of frames are remembered from one fault to the next.
_REMEMBERED = 2000


@dataclass(frozen=True)
class Needs:
    """What a process needs at one moment."""

    pid: int
    memory_bytes: int
    #: What each is open on, so that one too many can be named.
    descriptors: list[str]

    def __str__(self) -> str:
        return f"process {self.pid}, {self.memory_bytes / 1e6:.1f} MB, {len(self.descriptors)} descriptors"


def needs_of(pid: int) -> Needs:
    """Looked up in /proc."""
    resident_pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Needs(pid, resident_pages * _PAGE_BYTES, sorted(_open_on(pid)))


def _open_on(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(descriptor)


@dataclass(frozen=True)
class Look:
    """What lives on, by its name, and how many processes there are in all."""

    needs: dict[str, Needs]
    processes: int


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Soak; returns 1 if anything was not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    interrupts.install()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    make_shm_private()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    _say(f"{options.minutes:g} minutes, seed {seed}")
    try:
        with scene(*_prepared()) as stage:
            soak(stage, options.minutes * 60, random.Random(seed))
    except KeyboardInterrupt:
        _say("interrupted; everything it started is stopped")
        return 130
    except Exception as error:
        traceback.print_exc()
        _say(f"FAILED: {type(error).__name__}: {error}")
        return 1
    return 0


def _prepared() -> tuple[Prepare, ...]:
    return (*PREPARED, *PREPARED_BY_ROOT) if os.geteuid() == 0 else PREPARED


def choices() -> list[Fault]:
    """The faults that suit a soak: of one stream at most, and leaving a scene that can be used again."""
    assert FAULTS, f"{catalogue.__name__} has none"
    prepared = (None, *_prepared())
    return [each for each in FAULTS.values() if each.prepare in prepared and not each.is_wide and not each.is_final]


def soak(stage: Scene, seconds: float, chance: random.Random) -> None:
    """Inject faults until the time is over, then compare with the beginning.

    Raises:
        AssertionError: What was not as promised.
    """
    began_s = time.monotonic()
    begin_s = began_s + max(seconds / 3, min(WARM_UP_S, seconds / 2))
    injected: Counter[str] = Counter()
    worst_s: dict[str, float] = {}
    before: Optional[Look] = None
    faults = choices()
    stage.other.come_by(chance.choice(BY_BOTH))
    while before is None or time.monotonic() < began_s + seconds:
        if before is None and time.monotonic() > begin_s:
            before = _settled(stage)
            faults = [each for each in faults if not each.is_renewal]
        fault = chance.choice(faults)
        stage.hit.come_by(chance.choice(fault.transports))
        with _frames_checked(stage):
            healed_s = fault.run(stage)
        assert healed_s <= fault.limit_s, f"{fault.name} took {healed_s:.2f} s to heal, more than {fault.limit_s:g} s"
        injected[fault.name] += 1
        worst_s[fault.name] = max(healed_s, worst_s.get(fault.name, 0.0))
        _say(f"{time.monotonic() - began_s:6.0f} s  {fault.name}, {stage.hit.transport}: {healed_s * 1e3:.0f} ms")
    for name, count in sorted(injected.items()):
        print(f"{name:44} {count:4} times, worst {worst_s[name] * 1e3:6.0f} ms")
    for stream, role in zip(stage.streams, ("hit", "never hit")):
        sight = stream.sight
        told = f"{sight.seen} frames looked at, {sight.torn} torn"
        print(f"the stream that was {role} (by {stream.transport}, at the end): {told}")
    print("no gap that nobody owns up to")
    _compare(before, _settled(stage))


@contextmanager
def _frames_checked(stage: Scene) -> Iterator[None]:
    """While a fault happens, and for a while of rest before it."""
    for stream in stage.streams:
        stream.wait_steady()
        del stream.sight.arrivals_s[:-_REMEMBERED]
    of_hit, of_other = (stream.unexplained() for stream in stage.streams)
    time.sleep(_REST_S)
    lost = stage.hit.unexplained() - of_hit
    assert lost == 0, f"{lost} frames of {stage.hit.source} were lost while nothing happened"
    yield
    stage.other.wait_steady()
    lost = stage.other.unexplained() - of_other
    assert lost == 0, f"{lost} frames of {stage.other.source} were lost, which was not hit"
    for stream in stage.streams:
        assert stream.sight.torn == 0, f"{stream.sight.torn} torn frames in {stream.source}"


def _look(stage: Scene) -> Look:
    hosts = (stage.rts, stage.lab)
    needs = {f"supervisor of {host.name}": needs_of(host.pid) for host in hosts}
    for host in hosts:
        needs[f"worker of {host.name} for {stage.other.source}"] = needs_of(stage.other.worker(host))
    return Look(needs, sum(len(host.processes()) for host in hosts))


def _settled(stage: Scene) -> Look:
    """When nothing that ends is still ending."""

    def settled() -> Optional[Look]:
        first = _look(stage)
        time.sleep(STEADY_S)
        second = _look(stage)
        same = [len(a.descriptors) == len(b.descriptors) for a, b in zip(first.needs.values(), second.needs.values())]
        return second if all(same) and first.processes == second.processes else None

    found = wait_until(settled, 30.0, "the hosts to come to rest")
    assert found is not None
    return found


def _compare(before: Look, after: Look) -> None:
    for name, then in before.needs.items():
        now = after.needs[name]
        print(f"{name}: {then} before, {now} after")
        assert now.pid == then.pid, f"the {name} is another one"
        assert now.memory_bytes <= then.memory_bytes + SLACK_BYTES, f"the {name} grew"
        more = Counter(now.descriptors) - Counter(then.descriptors)
        less = Counter(then.descriptors) - Counter(now.descriptors)
        assert len(now.descriptors) <= len(then.descriptors), f"the {name} leaks descriptors: {more} and not {less}"
    print(f"{before.processes} processes before, {after.processes} after")
    assert after.processes <= before.processes, "processes are left over"


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
