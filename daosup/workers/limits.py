"""What a worker process may use of its machine, also to be quick, and how the kernel is told.

Invariant: a limit that cannot be set is told once and left; the worker does its work without it.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from daosup.shm._native import take_huge_pages

_MCL_CURRENT_AND_FUTURE = 1 | 2
_CAP_IPC_LOCK = 14
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
_SO_BUSY_POLL = 46  # not in the module socket


@dataclass(frozen=True)
class Limits:
    """Limits of one worker; None, 0 and False leave a thing as it is inherited.

    ``memory_limit_mb`` is kept by the supervisor. The worker itself spins for frames that come faster than one each
    ``spin_ms``, and sets up the connections that it takes frames from: ``busy_poll_us`` is how long the kernel looks at
    the network device itself before it sleeps, ``quick_ack`` whether all that comes is acknowledged at once;
    ``huge_pages`` is a wish for the memory in which it has large frames. The others are kept by the kernel.
    """

    memory_limit_mb: Optional[int] = None
    cpu_affinity: Optional[tuple[int, ...]] = None
    nice: Optional[int] = None
    fifo_priority: int = 0
    lock_memory: bool = False
    spin_ms: int = 0
    busy_poll_us: int = 0
    quick_ack: bool = False
    huge_pages: bool = False


def telling_once(tell: Callable[..., None]) -> Callable[..., None]:
    """``tell``, but what cannot be set is told once, however often it is tried."""
    told: set[str] = set()

    def tell_once(event: str, **facts: Any) -> None:
        if event != "limited" or facts["warning"] not in told:
            told.update([facts["warning"]] if event == "limited" else [])
            tell(event, **facts)

    return tell_once


def apply_limits(limits: Limits, tell: Callable[..., None]) -> None:
    """Set what the kernel keeps, for this process, before it has a second thread."""
    refused = "; ".join(_apply(limits))
    if refused:
        tell("limited", warning=refused)


def apply_to_connection(limits: Limits, connection: socket.socket, tell: Callable[..., None]) -> None:
    """Set what the kernel keeps of a connection that frames come from."""
    if not limits.busy_poll_us:
        return
    try:
        connection.setsockopt(socket.SOL_SOCKET, _SO_BUSY_POLL, limits.busy_poll_us)
    except OSError as error:
        advice = "set the kernel's net.core.busy_read to as much, or give the service CAP_NET_ADMIN"
        tell("limited", warning=f"busy_poll_us {limits.busy_poll_us} cannot be set: {error.strerror}; {advice}")


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
            needed = "the service needs LimitRTPRIO and RestrictRealtime=no"
            yield f"fifo_priority {limits.fifo_priority} cannot be set: {error.strerror}; {needed}"
    if limits.lock_memory:
        yield from _lock_memory()
    if limits.huge_pages:
        yield from _take_huge_pages()


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


def _take_huge_pages() -> Iterator[str]:
    """Have those that the kernel gives to who wishes for them (transparent huge pages)."""
    try:
        enabled, page_bytes = (_HUGE_PAGES / "enabled").read_text(), int((_HUGE_PAGES / "hpage_pmd_size").read_text())
    except (OSError, ValueError):
        yield "huge_pages: this kernel has none to give"
        return
    if "[never]" in enabled:
        yield f"huge_pages: the kernel gives none; write madvise into {_HUGE_PAGES / 'enabled'}"
        return
    take_huge_pages(page_bytes)


def _has_capability(number: int) -> bool:
    found = re.search(rb"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_bytes(), re.MULTILINE)
    return found is not None and bool(int(found.group(1), 16) >> number & 1)
