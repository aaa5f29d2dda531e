"""How often a worker looks around: each look costs as much as several small frames.

Streams that begin to flow together would have their workers look together, again and again; with hundreds of them
everybody's frames are late each time. So each worker has an interval of its own.
"""

from __future__ import annotations

import random

from daosup.workers.limits import Limits

#: While frames flow without Python: the longest that any worker has, and the shortest as a share of it.
LOOK_INTERVAL_S = 1.0
_SHORTEST_SHARE = 0.75
#: The same where Python is to see soon whether frames come fast enough to spin for, or each of them passes through it.
NEAR_LOOK_INTERVAL_S = 0.45


def own_look_interval_s() -> float:
    """While frames flow without Python into or out of a worker: another one at each call."""
    return random.uniform(_SHORTEST_SHARE, 1.0) * LOOK_INTERVAL_S


def look_interval_s(limits: Limits) -> float:
    """The same for a worker with those limits, which may spin."""
    return NEAR_LOOK_INTERVAL_S if limits.spin_ms else own_look_interval_s()
