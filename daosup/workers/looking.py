"""How often a worker looks around: each look costs as much as several small frames."""

from __future__ import annotations

from daosup.workers.limits import Limits

#: While frames flow without Python.
LOOK_INTERVAL_S = 1.0
#: The same where Python is to see soon whether frames come fast enough to spin for, or each of them passes through it.
NEAR_LOOK_INTERVAL_S = 0.45


def look_interval_s(limits: Limits) -> float:
    """While frames flow without Python into or out of a worker with those limits."""
    return NEAR_LOOK_INTERVAL_S if limits.spin_ms else LOOK_INTERVAL_S
