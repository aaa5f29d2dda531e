"""What worker processes may use of their machine: for all of them, and for some otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Optional

from daosup.config.kinds import YES_OR_NO, Kind, Refused, key, seconds, whole
from daosup.core.types import SEGMENT_SUFFIX

_SOURCE_GLOB = r"(?:[A-Za-z0-9_.*?\[\]!-]{1,120}:)?[^\s/:\x00-\x1f\x7f]{1,120}\Z"
_LAST_CPU = 4095


def _read_match(value: object) -> str:
    if not isinstance(value, str):
        raise Refused("put it in quotes")
    if value.endswith(SEGMENT_SUFFIX):
        raise Refused(f"leave out {SEGMENT_SUFFIX}")
    if not re.match(_SOURCE_GLOB, value):
        raise Refused
    return value


def _read_cpus(value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise Refused("put it in brackets: [...]")
    if not value:
        raise Refused("leave it out to allow all")
    for index, item in enumerate(value):
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= _LAST_CPU:
            raise Refused("", index)
    return tuple(value)


_MATCH = Kind("a pattern NAME or HOST:NAME (* ? [abc] match)", _read_match)
_CPUS = Kind("an array of CPU numbers", _read_cpus, f"a whole number from 0 to {_LAST_CPU}")
_MEMORY_MB = whole(32, 10_000_000)
_NICE = whole(-20, 19)
_FIFO = whole(1, 99, zero_means="no real-time priority")
_SPIN_MS = whole(1, 100, zero_means="it never does")
_BUSY_POLL_US = whole(1, 10_000, zero_means="it does not")
_AS_ALL = "as in `[workers]`"


@dataclass(frozen=True)
class WorkersConfig:
    """How long all workers live, and their limits. ``cpu_affinity`` and ``nice`` are as inherited if None."""

    survive_supervisor: bool = key(
        YES_OR_NO,
        "Whether streams go on when daosupd crashes or is killed, until another daosupd takes them over; "
        "`false`: they end with it at once.",
        True,
    )
    orphan_grace_s: float = key(
        seconds(1, 3600), "How long streams go on without a daosupd before they end by themselves.", 30.0
    )
    memory_limit_mb: Optional[int] = key(
        _MEMORY_MB,
        "Own memory in MB (10⁶ bytes; RssAnon + VmSwap in /proc, so no mapped segment counts) above which a worker is "
        "replaced; it begins with about 20 MB, most of which all share.",
        is_live=True,
    )
    cpu_affinity: Optional[tuple[int, ...]] = key(
        _CPUS, "The CPUs it may run on.", unset="as the supervisor", is_live=True
    )
    nice: Optional[int] = key(_NICE, "Its niceness.", unset="as the supervisor", is_live=True)
    fifo_priority: int = key(_FIFO, "Its real-time priority (SCHED_FIFO).", 0, is_live=True)
    lock_memory: bool = key(
        YES_OR_NO, "Whether its memory, and the segments it maps, stay in RAM.", False, is_live=True
    )
    spin_ms: int = key(
        _SPIN_MS,
        "Spins for the next frame (looks again and again instead of sleeping, which saves the time to wake up and "
        "takes a whole CPU) while frames come faster than one each so many milliseconds, and somebody reads them. Of "
        "all workers of a machine no more do so than there are CPUs they may run on. Publishers, and mirrors whose "
        "frames come directly.",
        0,
        is_live=True,
    )
    busy_poll_us: int = key(
        _BUSY_POLL_US,
        "For how many microseconds the kernel looks at the network device itself before a mirror sleeps "
        "(SO_BUSY_POLL), where its frames come directly; not every device can.",
        0,
        is_live=True,
    )
    quick_ack: bool = key(
        YES_OR_NO,
        "Whether a mirror acknowledges all that comes directly at once (TCP_QUICKACK), which takes a system call more "
        "each time.",
        False,
        is_live=True,
    )
    huge_pages: bool = key(
        YES_OR_NO,
        "Whether the memory in which a worker has frames of more than a huge page (2 MB) is wished for in such pages. "
        "It saves time where memory is large and busy, and may take up to 2 MB more for each frame. The segments "
        "themselves have the pages that their folder is mounted with (`huge=` of tmpfs).",
        False,
        is_live=True,
    )


@dataclass(frozen=True)
class WorkerConfig:
    """The limits of the workers that ``match``; None is as for all."""

    match: str = key(
        _MATCH, "Which workers: publisher and mirrors of segments of such names, or of such sources.", is_required=True
    )
    memory_limit_mb: Optional[int] = key(_MEMORY_MB, "As there.", unset=_AS_ALL)
    cpu_affinity: Optional[tuple[int, ...]] = key(_CPUS, "As there.", unset=_AS_ALL)
    nice: Optional[int] = key(_NICE, "As there.", unset=_AS_ALL)
    fifo_priority: Optional[int] = key(_FIFO, "As there.", unset=_AS_ALL)
    lock_memory: Optional[bool] = key(YES_OR_NO, "As there.", unset=_AS_ALL)
    spin_ms: Optional[int] = key(_SPIN_MS, "As there.", unset=_AS_ALL)
    busy_poll_us: Optional[int] = key(_BUSY_POLL_US, "As there.", unset=_AS_ALL)
    quick_ack: Optional[bool] = key(YES_OR_NO, "As there.", unset=_AS_ALL)
    huge_pages: Optional[bool] = key(YES_OR_NO, "As there.", unset=_AS_ALL)

    def matches(self, host: str, name: str) -> bool:
        """Whether it is about the workers for ``name`` of ``host``."""
        return fnmatchcase(f"{host}:{name}" if ":" in self.match else name, self.match)
