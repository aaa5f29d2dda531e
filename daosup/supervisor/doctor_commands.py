"""The command that has this host examined, for other hosts.

Invariant: the doctor is a process of its own, one at a time, for a bounded time; here nothing waits for it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.adapters.interpreter import same_python
from daosup.errors import NoAnswerError, UnavailableError
from daosup.supervisor.requests import only_looks

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

EXAMINE_S = 12.0


class DoctorCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._examination: Optional[asyncio.Future[Any]] = None
        self.by_name = {"doctor": self._doctor}

    @only_looks
    async def _doctor(self, request: Request) -> Any:
        """What `daosupctl doctor --json` prints here, as this daemon's user; one examination for all who ask."""
        if self._examination is None or self._examination.done():
            self._examination = self._begin()
        # Who asked may go away, the process does not.
        return await asyncio.shield(self._examination)

    def _begin(self) -> asyncio.Future[Any]:
        socket = str(self._supervisor.config.control.socket)
        command = [*same_python(), "-m", "daosup.ctl", "doctor", "--json", "--socket", socket]
        examination = asyncio.get_running_loop().run_in_executor(None, _examine, command)
        examination.add_done_callback(lambda done: done.cancelled() or done.exception())  # told to who still waits
        return examination


def _examine(command: list[str]) -> Any:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=EXAMINE_S, check=False)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"its doctor is not done after {EXAMINE_S:g} s") from None
    except (OSError, ValueError):
        raise UnavailableError("its doctor could not be had; log in there and run daosupctl doctor") from None
