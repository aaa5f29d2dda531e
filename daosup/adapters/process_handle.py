"""One process, told from every other: a pid alone may belong to another one by the time it is used.

Invariant: a handle never speaks of, or signals, another process than the one it was made for. Where the kernel has
pidfds (Linux 5.3, and a Python built with them) that is exact; else pid and start time are compared before each use.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Optional

_STAT_START_TIME = 21 - 2  # field 22 of /proc/PID/stat, counted from the state, the first one after the name
_POLL_S = 0.05


def start_time_of(pid: int) -> Optional[int]:
    """When a process was started, in clock ticks since the machine was; None if there is none, or it has ended."""
    fields = _stat(pid)
    if not fields or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[_STAT_START_TIME])


def is_stopped(pid: int) -> bool:
    """Whether somebody stopped a process (SIGSTOP, a debugger)."""
    fields = _stat(pid)
    return bool(fields) and fields[0] in (b"T", b"t")


def _stat(pid: int) -> list[bytes]:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    # The command's name comes before the last parenthesis, and may hold anything.
    return text[text.rindex(b")") + 2 :].split()


class ProcessHandle:
    """A process that was alive when the handle was made.

    Args:
        pid: Its number.
        start_time: When it was started, as ``start_time_of``; None for whatever has the number now.

    Attributes:
        fd: Becomes readable when the process ends; None where there are no pidfds.

    Raises:
        ProcessLookupError: If there is no such process.
    """

    def __init__(self, pid: int, start_time: Optional[int] = None) -> None:
        self.pid = pid
        self.fd = _pidfd(pid)
        found = start_time_of(pid)  # after the pidfd is there: it can not change hands any more
        if found is None or start_time not in (None, found):
            self.close()
            raise ProcessLookupError(f"no process {pid} that was started at {start_time}")
        self.start_time = found

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        if self.fd is None:
            return start_time_of(self.pid) == self.start_time
        return not self.wait(0)

    def wait(self, timeout_s: Optional[float]) -> bool:
        """Wait until it has ended, for ever with None; False if it has not in time."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if self.fd is not None:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            return bool(poll.poll(None if timeout_s is None else max(0, int(timeout_s * 1000))))
        while self.is_alive():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        with suppress(ProcessLookupError):
            if self.fd is not None and hasattr(signal, "pidfd_send_signal"):
                signal.pidfd_send_signal(self.fd, number)
            elif self.is_alive():
                os.kill(self.pid, number)

    def close(self) -> None:
        """Let go of it."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)


def _pidfd(pid: int) -> Optional[int]:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:  # an old kernel, a filter of system calls, or no descriptor left
        return None
