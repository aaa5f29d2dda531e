"""What a fault is, and the list of all of them.

Invariant: a fault's ``run`` injects it, checks every word of ``what``, and returns only when all is as it was before;
the seconds it returns were measured, and whatever did not heal is an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from tests.faults.scene import Scene
from tests.integration.fleet import Fleet

Run = Callable[[Scene], float]
Prepare = Callable[[Fleet], None]


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
        prepare: What its hosts need that others' have not: called before they start. None: any scene will do.
    """

    name: str
    theme: str
    how: str
    what: str
    since: str
    limit_s: float
    run: Run
    prepare: Optional[Prepare] = None


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
    prepare: Optional[Prepare] = None,
) -> Callable[[Run], Run]:
    """Enter the decorated function into the list."""

    def enter(run: Run) -> Run:
        FAULTS[name] = Fault(name, theme, how, what, since, limit_s, run, prepare)
        return run

    return enter
