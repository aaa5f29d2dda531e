"""How a worker process begins and ends.

Invariants: a worker ends when it is told to (SIGTERM), when its work is impossible, when another process does it
already, or when nobody supervises it any more, and it leaves word of why; Ctrl-C in a terminal reaches it but is the
supervisor's to answer. Neither the end of its supervisor nor that of the fork server is its own.
"""

from __future__ import annotations

import ctypes
import signal
from types import FrameType
from typing import Optional

from daosup.core.types import DNET_PROTOCOL, OLD_PROTOCOL
from daosup.errors import DaosupError
from daosup.shm._native import share_copies
from daosup.workers.any_mirror import mirror
from daosup.workers.dnet_mirror import mirror_node
from daosup.workers.gate import keep_gate
from daosup.workers.limits import apply_limits, telling_once
from daosup.workers.old_mirror import mirror_old
from daosup.workers.orders import GateOrder, Order, PublisherOrder, Request
from daosup.workers.publisher import publish
from daosup.workers.records import OUTPUT_SUFFIX, WORDS_SUFFIX, TakenError, claim
from daosup.workers.succession import watch
from daosup.workers.telling import Teller
from daosup.workers.words import LastWords, write_output_to

_PR_SET_NAME = 15
#: What else than protocol 2 a source can speak.
_MIRRORS = {OLD_PROTOCOL: mirror_old, DNET_PROTOCOL: mirror_node}


class Told(BaseException):
    """SIGTERM came."""


def _on_term(signal_number: int, frame: Optional[FrameType]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Told


def run_worker(request: Request) -> int:
    """Run one worker to its end; returns its exit code."""
    order = request.order
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _on_term)
        write_output_to(order.page.with_suffix(OUTPUT_SUFFIX))
        claim(order)
        words = LastWords(order.page.with_suffix(WORDS_SUFFIX))
    except Told:
        return 0
    except TakenError as error:
        return error.exit_code  # the last words are those of the other one
    try:
        _work(order, request.orphan_grace_s)
    except Told:
        return 0
    except DaosupError as error:
        words.say(str(error))
        return error.exit_code
    except BaseException as error:
        words.say(f"{type(error).__name__}: {error}", error)
        return 1
    return 0


def _work(order: Order, orphan_grace_s: float) -> None:
    folder = order.page.parent
    tell = telling_once(Teller(folder, order.key).tell)
    apply_limits(order.limits, tell)
    # Where both ends spin on this machine, two CPUs are theirs.
    share_copies(4 if order.limits.spin_ms else 2)
    watch(folder, orphan_grace_s)
    if isinstance(order, GateOrder):
        _be_called("dao-gate")
        keep_gate(order, tell)
    elif isinstance(order, PublisherOrder):
        _be_called(f"dao>{order.key.source.name}")
        publish(order, tell)
    else:
        _be_called(f"dao<{order.key.source.name}")
        # A form of delivery is for ours alone; that others offer nothing of the kind, says the one who can do it.
        others = {} if order.delivery else _MIRRORS
        others.get(order.protocol, mirror)(order, tell)


def _be_called(name: str) -> None:
    """In ``ps`` and ``top``."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
