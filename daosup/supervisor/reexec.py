"""Replacing a running supervisor by the installed version: the same process runs the same command line anew.

Invariants: the pid stays, so whoever watches this process need not know; what is open is closed by the exec, for every
file descriptor of Python's is; a version that cannot even be imported is refused while the old one still runs. What the
new one must know of the old one is in one environment variable, which it removes before it starts anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Optional

from daosup import __version__
from daosup.adapters.interpreter import same_python
from daosup.errors import UnavailableError

_VARIABLE = "DAOSUP_REEXEC"
_TRIAL = "import daosup, daosup.daosupd, daosup.supervisor, daosup.workers.fork_server; print(daosup.__version__)"
_TRIAL_S = 30.0
_POLL_S = 0.02


class Renewing(Enum):
    """Which workers that are found alive are replaced by new ones."""

    NONE = "none"
    CHANGED = "changed"
    ALL = "all"

    def includes(self, version: str) -> bool:
        """Whether a worker of this version is."""
        return self is Renewing.ALL or (self is Renewing.CHANGED and version != __version__)


@dataclass(frozen=True)
class Heritage:
    """What a supervisor leaves to the one that takes its place: what to renew, and its Redis, if it had one."""

    renewing: Renewing = Renewing.NONE
    redis: Optional[dict[str, int]] = None


def replace_process(heritage: Heritage) -> None:
    """Run this process's command line anew. Does not return.

    Raises:
        OSError: If the interpreter is gone.
    """
    words = Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    os.environ[_VARIABLE] = json.dumps({"renewing": heritage.renewing.value, "redis": heritage.redis})
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [os.fsencode(sys.executable), *words[1:]])


def take_heritage() -> Heritage:
    """What was left to us; nothing, if this process was simply started."""
    text = os.environ.pop(_VARIABLE, None)
    if text is None:
        return Heritage()
    told: Any = json.loads(text)
    return Heritage(Renewing(told["renewing"]), told["redis"])


async def installed_version() -> str:
    """The version that would run.

    Raises:
        UnavailableError: If it cannot run.
    """
    with tempfile.TemporaryFile() as output:
        trial = subprocess.Popen(  # noqa: ASYNC220 -- returns at once; nothing here waits for it to end
            [*same_python(), "-c", "import sys; sys.path[:] = sys.argv[1:]; " + _TRIAL, *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = asyncio.get_running_loop().time() + _TRIAL_S
            while trial.poll() is None and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 -- of a process
                await asyncio.sleep(_POLL_S)
        finally:
            trial.kill()
            trial.wait()
        output.seek(0)
        said = output.read(65536).decode("utf-8", "replace").strip().splitlines()
    if trial.returncode != 0 or not said:
        reason = said[-1] if said else f"exit code {trial.returncode}"
        raise UnavailableError(f"the installed version does not run, so this one goes on: {reason}")
    return said[-1]
