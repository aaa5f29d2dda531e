"""Waiting in tests: always for a condition, with a deadline, and never for a time."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")

_POLL_S = 0.005
#: A deadline ends what hangs. How long something may take on a machine of its own is measured by the benchmarks; tests
#: share theirs with other tests, which have kept each other waiting four times as long.
_PATIENCE = 4.0


def wait_until(condition: Callable[[], Value], timeout_s: float = 5.0, what: str = "the condition") -> Value:
    """Ask ``condition`` again and again until it is true, and return what it gave.

    Args:
        condition: Asked every few milliseconds, at least twice.
        timeout_s: How long it may take on a machine that is not busy, in seconds.
        what: Completes "waited 5 s in vain for …".

    Raises:
        AssertionError: If it was not true in time; the message holds its last value.
    """
    deadline_s = time.monotonic() + _PATIENCE * timeout_s
    while not (value := condition()):
        if time.monotonic() >= deadline_s:
            value = condition()
            if value:
                break
            raise AssertionError(f"waited {_PATIENCE * timeout_s:g} s in vain for {what}; its last value was {value!r}")
        time.sleep(_POLL_S)
    return value
