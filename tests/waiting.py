"""Waiting in tests: always for a condition, with a deadline, and never for a time."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")

_POLL_S = 0.005


def wait_until(condition: Callable[[], Value], timeout_s: float = 5.0, what: str = "the condition") -> Value:
    """Ask ``condition`` again and again until it is true, and return what it gave.

    Args:
        condition: Asked every few milliseconds, at least twice.
        timeout_s: How long, in seconds.
        what: Completes "waited 5 s in vain for …".

    Raises:
        AssertionError: If it was not true in time; the message holds its last value.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() >= deadline_s:
            value = condition()
            if value:
                break
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; its last value was {value!r}")
        time.sleep(_POLL_S)
    return value
