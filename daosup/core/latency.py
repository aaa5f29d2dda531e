"""How late frames are: the buckets in which they are counted, and what the counts are.

A frame's latency is the time from when it was written at its source until it is sent (of a publisher), or until readers
of this host are told of it (of a mirror). It is counted by ``shm/latency.c`` in the loop that moves frames:

- one bucket below 1.024 us,
- four for each doubling from there to 17.2 s, each as wide as a quarter of where its doubling begins, so that none is
  wider than a quarter of what it holds,
- one for all that is later.

A mirror's is a difference between the clocks of two hosts. A frame that seems to come before it was written is in the
first bucket and counts as ``ahead``. A frame without a write time is not counted; nor is one that was written before
the publisher or mirror was there. Quantiles, which are asked of all workers at once, ``shm/latency.c`` works out, too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

_FIRST_BIT, _LAST_BIT, _PARTS = 10, 34, 4

#: Where all buckets but the last one end, ns; a latency of just that is in the next one.
BOUNDS_NS: tuple[int, ...] = (
    1 << _FIRST_BIT,
    *((1 << bit) * (_PARTS + part) // _PARTS for bit in range(_FIRST_BIT, _LAST_BIT) for part in range(1, _PARTS + 1)),
)
BUCKETS = len(BOUNDS_NS) + 1
_BOUNDS_S = tuple(bound / 1e9 for bound in BOUNDS_NS)

#: ahead, total ns, and each bucket's count.
_COUNTS = struct.Struct(f"<{2 + BUCKETS}Q")
LATENCY_BYTES = _COUNTS.size


class Latencies(NamedTuple):
    """Frames counted by their latency.

    ``ahead``: those that seem to have come before they were written; ``total_ns``: the sum, in which one frame has at
    most 17.2 s; ``frames``: how many there are in each bucket.
    """

    ahead: int
    total_ns: int
    frames: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many frames were counted."""
        return sum(self.frames)

    def cumulative(self, bounds: Iterable[int]) -> Iterator[tuple[float, int]]:
        """These of ``BOUNDS_NS``, in seconds, and how many frames are below each; each fourth is a doubling."""
        totals = list(accumulate(self.frames))
        return ((_BOUNDS_S[index], totals[index]) for index in bounds)


def read_latencies(raw: bytes) -> Latencies:
    """What ``LATENCY_BYTES`` bytes of a statistics page say."""
    ahead, total_ns, *frames = _COUNTS.unpack(raw)
    return Latencies(ahead, total_ns, tuple(frames))
