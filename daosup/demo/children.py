"""The demonstration's processes.

Invariant: whatever was started is stopped in the reverse order, and its process group with it: politely, then not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

STOPPED_WITHIN_S = 10.0
GROUP_GONE_WITHIN_S = 2.0
_TAIL_BYTES = 8192


class Child:
    """One process in a session of its own, so that a terminal's Ctrl-C reaches it through us only, and in order.

    Args:
        name: What people call it.
        module: Python module it runs.
        arguments: The module's arguments.
        log: File that gets what it prints.
    """

    def __init__(self, name: str, module: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        bound = [sys.executable, "-m", "daosup.demo.bound", str(os.getpid())]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*bound, sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def death(self) -> Optional[str]:
        """How it ended, in words; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        if status < 0:
            return f"{self.name} was killed by {signal.Signals(-status).name}"
        return f"{self.name} ended with exit code {status}"

    def last_words(self, count: int) -> list[str]:
        """The last ``count`` lines of its log."""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()[-count:]

    def stop(self) -> None:
        """Have it end and wait until nothing is left of its group."""
        self._process.terminate()
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            deadline = time.monotonic() + GROUP_GONE_WITHIN_S
            while self._has_group() and time.monotonic() < deadline:
                time.sleep(0.01)
        if self._has_group():
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _has_group(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True
