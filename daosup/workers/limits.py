"""What a worker process may use of its machine, and how the kernel is told.

Invariant: a limit that cannot be set is told once and left; the worker does its work without it.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

_MCL_CURRENT_AND_FUTURE = 1 | 2
_CAP_IPC_LOCK = 14


@dataclass(frozen=True)
class Limits:
    """Limits of one worker; None, 0 and False leave a thing as it is inherited.

    ``memory_limit_mb`` is kept by the supervisor, the others by the kernel.
    """

    memory_limit_mb: Optional[int] = None
    cpu_affinity: Optional[tuple[int, ...]] = None
    nice: Optional[int] = None
    fifo_priority: int = 0
    lock_memory: bool = False


def apply_limits(limits: Limits, tell: Callable[..., None]) -> None:
    """Set what the kernel keeps, for this process, before it has a second thread."""
    refused = "; ".join(_apply(limits))
    if refused:
        tell("limited", warning=refused)


def _apply(limits: Limits) -> Iterator[str]:
    """Set each limit, and say which ones cannot be set."""
    if limits.cpu_affinity is not None:
        wanted = set(limits.cpu_affinity)
        try:
            os.sched_setaffinity(0, wanted)
        except OSError as error:
            yield f"cpu_affinity {sorted(wanted)} cannot be set: {error.strerror}"
        else:
            missing = sorted(wanted - os.sched_getaffinity(0))
            if missing:
                yield f"cpu_affinity: this process may not use CPU {', '.join(map(str, missing))}"
    if limits.nice is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, limits.nice)
        except OSError as error:
            yield f"nice {limits.nice} cannot be set: {error.strerror}; the service needs LimitNICE"
    if limits.fifo_priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(limits.fifo_priority))
        except OSError as error:
            yield f"fifo_priority {limits.fifo_priority} cannot be set: {error.strerror}; the service needs LimitRTPRIO"
    if limits.lock_memory:
        yield from _lock_memory()


def _lock_memory() -> Iterator[str]:
    """Lock what is mapped now and will be.

    Not under a finite limit: the lock itself would succeed, and mapping a large segment fail later because of it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if hard != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        yield f"lock_memory: only {hard} bytes may be locked; the service needs LimitMEMLOCK=infinity"
        return
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE):
        yield f"lock_memory: {os.strerror(ctypes.get_errno())}"


def _has_capability(number: int) -> bool:
    found = re.search(rb"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_bytes(), re.MULTILINE)
    return found is not None and bool(int(found.group(1), 16) >> number & 1)
