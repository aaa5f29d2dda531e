"""What the kernel says of a process.

Its CPU time costs half a microsecond, and is asked of every worker each second. All else is read from /proc, some ten
microseconds each, and ``shared_out_bytes`` some hundreds: asked for when somebody wants to know.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import Optional

_PAGE_BYTES = os.sysconf("SC_PAGESIZE")
_MOST_BYTES = 65536
#: Of the clock of a process, below its complemented pid: what the scheduler counts, of all its threads.
_CPU_CLOCK = 2
_SHARED_OUT = re.compile(rb"^(?:Pss|SwapPss):\s+(\d+) kB", re.MULTILINE)
_OWN_MEMORY = re.compile(rb"^(?:RssAnon|VmSwap):\s+(\d+) kB", re.MULTILINE)
_UID = re.compile(rb"^Uid:\s+(\d+)", re.MULTILINE)
_FUTEX = {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine, "")
_KERNEL_THREAD = 0x00200000
_FLAGS_AT = 6  # words after the name in /proc/PID/stat
_MOST_CHARACTERS = 40


def pids() -> list[int]:
    """All processes that we are shown."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def name_of(pid: int) -> str:
    """What it calls itself; ``?`` if it is gone."""
    return _read(pid, "comm").decode("utf-8", "replace").strip() or "?"


def command_of(pid: int) -> str:
    """As ``name_of``; of an interpreter also the program that it runs."""
    name = name_of(pid)
    if not name.startswith("python"):
        return name
    words = [word.decode("utf-8", "replace") for word in _read(pid, "cmdline").split(b"\0")[1:]]
    if words[:1] == ["-m"]:
        words = words[1:]
    program = next((word for word in words if word and not word.startswith("-")), "")
    shown = program if "-c" not in words[:2] else "-c ..."
    return f"{name} {os.path.basename(shown)}".strip()[:_MOST_CHARACTERS]


def uid_of(pid: int) -> Optional[int]:
    """Whose process it is; None if it is gone."""
    found = _UID.search(_read(pid, "status"))
    return int(found[1]) if found else None


def is_kernel_thread(pid: int) -> bool:
    """Whether it is the kernel's own, which has no files open."""
    words = _read(pid, "stat").rpartition(b") ")[2].split()
    return len(words) > _FLAGS_AT and bool(int(words[_FLAGS_AT]) & _KERNEL_THREAD)


def futex_addresses(pid: int) -> Optional[list[int]]:
    """Where in its memory its threads wait for each other or for a semaphore, now; None if we may not know.

    To know takes the rights of a debugger.
    """
    if not _FUTEX:
        return None
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                with open(f"/proc/{pid}/task/{thread}/syscall") as file:
                    words = file.read().split()
                if len(words) > 1 and words[0] == _FUTEX:
                    found.append(int(words[1], 16))
    except FileNotFoundError:
        return []  # it ended
    except OSError:
        return None
    return found


def waits_for_futex(pid: int) -> bool:
    """Whether any thread of it sleeps like one that waits for a semaphore; which one, we need not be told for that."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return any(_read(pid, f"task/{thread}/wchan").startswith(b"futex") for thread in threads)


def state_of(pid: int) -> str:
    """Its state as in /proc/PID/stat (``R``, ``S``, ``D``, ``T`` stopped, ``t`` traced, ...); empty if it is gone."""
    # Its name, in parentheses, may hold anything.
    return _read(pid, "stat").rpartition(b") ")[2][:1].decode("ascii", "replace")


def cpu_ns(pid: int) -> Optional[int]:
    """CPU time that a process has used since it began, ns; None if it is gone."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _CPU_CLOCK)
    except OSError:
        return None


def resident_bytes(pid: int) -> Optional[int]:
    """Memory that it has in RAM, what it shares with others included (RSS); None if it is gone."""
    fields = _read(pid, "statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else None


def shared_out_bytes(pid: int) -> Optional[int]:
    """The same and what is swapped out, but of what it shares only its share (PSS); None if that cannot be known."""
    found = _SHARED_OUT.findall(_read(pid, "smaps_rollup"))
    return sum(int(kilobytes) * 1024 for kilobytes in found) if found else None


def own_memory_bytes(pid: int) -> int:
    """Memory that is neither a file's nor shared memory: what leaks, and no segment it has mapped; 0 if it is gone."""
    return sum(int(kilobytes) * 1024 for kilobytes in _OWN_MEMORY.findall(_read(pid, "status")))


def open_file_count(pid: int) -> int:
    """How many files it has open; 0 if it is gone, or another user's."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _read(pid: int, name: str) -> bytes:
    """A file of it; empty if it is gone, or another user's. All that are asked for come whole with one read."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, _MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(fd)
