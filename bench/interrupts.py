"""Ctrl-C, SIGTERM and SIGHUP end the run by KeyboardInterrupt, once, and never where it would lose hold of something.

Between a process being made and somebody being bound to stop it an interrupt waits; once one was raised, further ones
are ignored, so that the cleaning up is not interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_is_held = False
_is_pending = False


def install() -> None:
    """From now on; in the main thread only."""
    for number in _SIGNALS:
        signal.signal(number, _on_signal)


@contextmanager
def held() -> Iterator[None]:
    """An interrupt waits until the block ends (blocks do not nest)."""
    global _is_held
    _is_held = True
    try:
        yield
    finally:
        _is_held = False
    if _is_pending:
        _interrupt()


def _on_signal(_number: int, _frame: Optional[FrameType]) -> None:
    global _is_pending
    _is_pending = True
    if not _is_held:
        _interrupt()


def _interrupt() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
