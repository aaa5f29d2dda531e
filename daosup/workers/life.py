"""How a worker process begins and ends.

Invariants: a worker ends when it is told to (SIGTERM), when its work is impossible, or when its supervisor is gone, and
it says why; Ctrl-C in a terminal reaches it but is the supervisor's to answer.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Optional, Union

from daosup.errors import DaosupError
from daosup.workers.limits import apply_limits
from daosup.workers.mirror import mirror
from daosup.workers.orders import MirrorOrder, PublisherOrder
from daosup.workers.publisher import publish

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

#: How long a worker without a supervisor may take to end in order.
ORPHAN_GRACE_S = 5.0
ORPHAN_EXIT_CODE = 75


class Told(BaseException):
    """SIGTERM came."""


def _on_term(signal_number: int, frame: Optional[FrameType]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Told


def _bind_to_parents(name: str) -> None:
    """End with the supervisor, and with the fork server; and be called by name in ``ps`` and ``top``.

    The supervisor's end does not end the fork server as long as it has children, so it is watched for itself.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    if os.getppid() == 1:
        raise Told
    threading.Thread(target=_end_with_supervisor, name="orphan-watch", daemon=True).start()


def _end_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_GRACE_S)
        os._exit(ORPHAN_EXIT_CODE)  # the loop hangs, and nobody else is there to end it


def run_worker(order: Union[PublisherOrder, MirrorOrder], channel: Connection) -> None:
    """Run one worker to its end; the target of its process."""

    def tell(event: str, **facts: object) -> None:
        with suppress(OSError):  # nobody listens any more: we are about to end
            os.write(channel.fileno(), json.dumps({"event": event, **facts}).encode() + b"\n")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_term)
    try:
        apply_limits(order.limits, tell)
        if isinstance(order, PublisherOrder):
            _bind_to_parents(f"dao>{order.key.source.name}")
            publish(order, tell)
        else:
            _bind_to_parents(f"dao<{order.key.source.name}")
            mirror(order, tell)
    except Told:
        pass
    except DaosupError as error:
        tell("failed", reason=str(error))
        sys.exit(error.exit_code)
