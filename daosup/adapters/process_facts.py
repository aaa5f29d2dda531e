"""What /proc says of a process; asked only for the few that something is to be known of."""

from __future__ import annotations

import re
from pathlib import Path

_OWN_MEMORY = re.compile(rb"^(?:RssAnon|VmSwap):\s+(\d+) kB", re.MULTILINE)


def state_of(pid: int) -> str:
    """Its state as in /proc/PID/stat (``R``, ``S``, ``D``, ``T`` stopped, ``t`` traced, ...); empty if it is gone."""
    # Its name, in parentheses, may hold anything.
    return _read(pid, "stat").rpartition(b") ")[2][:1].decode("ascii", "replace")


def own_memory_bytes(pid: int) -> int:
    """Memory that is neither a file's nor shared memory: what leaks, and no segment it has mapped; 0 if it is gone."""
    return sum(int(kilobytes) * 1024 for kilobytes in _OWN_MEMORY.findall(_read(pid, "status")))


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
