"""How a worker process begins and ends.

Invariants: a worker ends when it is told to (SIGTERM), when its work is impossible, or when its supervisor is gone, and
it says why; Ctrl-C in a terminal reaches it but is the supervisor's to answer.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Optional, Union

from daosup.errors import DaosupError
from daosup.workers.mirror import mirror
from daosup.workers.orders import MirrorOrder, PublisherOrder
from daosup.workers.publisher import publish

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

Tell = Callable[..., None]


class Told(BaseException):
    """SIGTERM came."""


def _on_term(signal_number: int, frame: Optional[FrameType]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Told


def _bind_to_parent(name: str) -> None:
    """Die with the fork server, which dies with the supervisor; and be called by name in ``ps`` and ``top``."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    if os.getppid() == 1:
        raise Told


def run_worker(order: Union[PublisherOrder, MirrorOrder], channel: Connection) -> None:
    """Run one worker to its end; the target of its process."""

    def tell(event: str, **facts: object) -> None:
        with suppress(OSError):  # nobody listens any more: we are about to end
            os.write(channel.fileno(), json.dumps({"event": event, **facts}).encode() + b"\n")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_term)
    try:
        if isinstance(order, PublisherOrder):
            _bind_to_parent(f"dao>{order.key.source.name}")
            publish(order, tell)
        else:
            _bind_to_parent(f"dao<{order.key.source.name}")
            mirror(order, tell)
    except Told:
        pass
    except DaosupError as error:
        tell("failed", reason=str(error))
        sys.exit(error.exit_code)
