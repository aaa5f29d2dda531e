"""What the numbers were taken on, and how quiet it was: read from /proc, and a spin of fixed work.

The spin is the same work each time, so its wall time moves only with the machine: clock speed, other programs, a
hypervisor that took the core away.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Noise

_SPIN_ROUNDS = 150_000
_CPUCLOCK_SCHED = 2


def spin_ms() -> float:
    """Wall time of a fixed piece of work, in ms."""
    begin = time.perf_counter()
    total = 0
    for number in range(_SPIN_ROUNDS):
        total += number
    return (time.perf_counter() - begin) * 1e3


def cpu_time_s(pid: int) -> float:
    """CPU time of a process with all its threads, ended ones too, in s.

    The clock is the one that clock_getcpuclockid(3) names; /proc/PID/stat counts in steps of 10 ms.

    Raises:
        ProcessLookupError: If there is no such process.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLookupError(f"process {pid} is gone; its CPU time cannot be read") from error


@dataclass(frozen=True)
class CoreTimes:
    """The first line of /proc/stat in clock ticks, summed over the cores."""

    total: int
    idle: int
    steal: int

    @classmethod
    def parse(cls, stat: str) -> CoreTimes:
        """Read the text of /proc/stat."""
        fields = [int(word) for word in stat.split("\n", 1)[0].split()[1:]]
        # Guest time (fields 8 and 9) is already in user and nice.
        return cls(total=sum(fields[:8]), idle=fields[3] + fields[4], steal=fields[7])

    @classmethod
    def now(cls) -> CoreTimes:
        """As of now."""
        return cls.parse(Path("/proc/stat").read_text())

    def shares_since(self, earlier: CoreTimes) -> tuple[float, float]:
        """Shares (0 to 1) of all cores' time stolen and busy since ``earlier``."""
        total = max(1, self.total - earlier.total)
        return (self.steal - earlier.steal) / total, 1 - (self.idle - earlier.idle) / total


class NoiseMeter:
    """Collects the noise around the repeats of one measurement."""

    def __init__(self) -> None:
        self._spins_ms: list[float] = []
        self._steals: list[float] = []
        self._busies: list[float] = []

    @contextmanager
    def repeat(self) -> Iterator[None]:
        """Around one repeat: a spin before and after it, core times over it."""
        self._spins_ms.append(spin_ms())
        before = CoreTimes.now()
        yield
        steal, busy = CoreTimes.now().shares_since(before)
        self._steals.append(steal)
        self._busies.append(busy)
        self._spins_ms.append(spin_ms())

    def take(self) -> Noise:
        """The noise since the last take: the worst repeat's steal, the mean repeat's busyness."""
        noise = Noise(
            spins_ms=tuple(self._spins_ms),
            steal=max(self._steals, default=0.0),
            busy=sum(self._busies) / max(1, len(self._busies)),
        )
        self._spins_ms, self._steals, self._busies = [], [], []
        return noise


def describe(redis_flavour: str) -> dict[str, str]:
    """The machine and the versions of what the numbers depend on."""
    import numpy
    import zmq

    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "")
    return {
        "cpu": model or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "pyzmq": zmq.__version__,
        "libzmq": zmq.zmq_version(),
        "redis": redis_flavour,
    }
