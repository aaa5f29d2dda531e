"""Who supervises, and what a worker does when nobody does.

Invariants: a worker outlives its supervisor by no more than the grace it was given, unless another one has come by
then; its end does not depend on the loop that moves its frames. A supervisor is told from another process by its start
time.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Optional

from daosup.adapters.process_handle import ProcessHandle, start_time_of

#: In the folder of the workers' files.
FILE_NAME = "supervisor"
ORPHAN_EXIT_CODE = 75
#: How long a worker without a supervisor may take to end in order.
END_S = 5.0
_LOOK_S = 0.25
_MAX_BYTES = 200


def announce(folder: Path) -> None:
    """Be the supervisor of the workers whose files are in ``folder``.

    Raises:
        OSError: If that cannot be written down.
    """
    pid = os.getpid()
    new = folder / f".{FILE_NAME}.{pid}"
    new.write_text(json.dumps([pid, start_time_of(pid)]))
    new.replace(folder / FILE_NAME)


def supervisor_of(folder: Path) -> Optional[ProcessHandle]:
    """The supervisor, if it is alive."""
    try:
        with open(folder / FILE_NAME, "rb") as file:
            pid, start_time = json.loads(file.read(_MAX_BYTES))
        return ProcessHandle(int(pid), int(start_time))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def watch(folder: Path, grace_s: float) -> None:
    """From now on, end when there has been no supervisor for ``grace_s``; in a thread of its own."""
    threading.Thread(target=_watch, args=(folder, grace_s), name="orphan-watch", daemon=True).start()


def _watch(folder: Path, grace_s: float) -> None:
    while (supervisor := _find(folder, grace_s)) is not None:
        supervisor.wait(None)
        supervisor.close()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_S)
    os._exit(ORPHAN_EXIT_CODE)  # the loop hangs, and nobody else is there to end it


def _find(folder: Path, grace_s: float) -> Optional[ProcessHandle]:
    deadline = time.monotonic() + grace_s
    while (found := supervisor_of(folder)) is None and time.monotonic() < deadline:
        time.sleep(min(_LOOK_S, grace_s))
    return found
