"""What a fault is, and the list of all of them.

Invariant: a fault's ``run`` injects it, checks every word of ``what``, and returns only when all is as it was before;
the seconds it returns were measured, and whatever did not heal is an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from tests.faults.scene import DIRECT, ZMQ, Prepare, Scene

Run = Callable[[Scene], float]

#: Of a fault that hits the way of frames, or an end of it.
BY_BOTH = (DIRECT, ZMQ)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: What breaks.
        theme: The chapter of the page it is told in.
        how: How it is injected.
        what: What goes on meanwhile, what the operator sees, and what heals it.
        since: What the time to heal is counted from.
        limit_s: The longest it may take, in seconds.
        run: Inject it once; returns the seconds it took to heal.
        transports: How the frames of the stream that is hit come, when it is injected: it is, for each of them.
        prepare: What its scene needs that others' have not. None: any scene will do.
        is_wide: It hits both streams, not the one alone.
        is_renewal: It leaves other supervisors behind than it found.
        is_final: Its scene cannot be used again.
    """

    name: str
    theme: str
    how: str
    what: str
    since: str
    limit_s: float
    run: Run
    transports: tuple[str, ...] = (DIRECT,)
    prepare: Optional[Prepare] = None
    is_wide: bool = False
    is_renewal: bool = False
    is_final: bool = False


FAULTS: dict[str, Fault] = {}
"""All faults by name, in the order in which they are told."""


def fault(
    name: str,
    *,
    theme: str,
    how: str,
    what: str,
    limit_s: float,
    since: str = "the fault",
    transports: tuple[str, ...] = (DIRECT,),
    prepare: Optional[Prepare] = None,
    is_wide: bool = False,
    is_renewal: bool = False,
    is_final: bool = False,
) -> Callable[[Run], Run]:
    """Enter the decorated function into the list."""

    def enter(run: Run) -> Run:
        assert name not in FAULTS, name
        FAULTS[name] = Fault(
            name, theme, how, what, since, limit_s, run, transports, prepare, is_wide, is_renewal, is_final
        )
        return run

    return enter
