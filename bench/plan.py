"""What every measurement is given: how much to measure, where to say so, and the noise meter."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from bench.machine import NoiseMeter

#: Slopes or mirror commands, a small camera, a camera, a large one: 560 B, 64 kB, 1 MB, 16 MB.
SIZES = (560, 1 << 16, 1 << 20, 1 << 24)
TRANSPORTS = ("direct", "zmq")


@dataclass
class Plan:
    """How much to measure. ``redis_flavour`` is filled in by the first fleet that ran.

    Attributes:
        sizes: Bytes of a frame, of measurements that are made for several sizes.
        transports: Those of daosup that are compared with bare programs.
    """

    is_quick: bool = False
    stream_s: float = 60.0
    sizes: tuple[int, ...] = SIZES
    transports: tuple[str, ...] = TRANSPORTS
    meter: NoiseMeter = field(default_factory=NoiseMeter)
    redis_flavour: str = "not used"

    def either(self, full: int, quick: int) -> int:
        """A count for this run."""
        return quick if self.is_quick else full

    def say(self, text: str) -> None:
        """Progress, for whoever waits; not part of the result."""
        print(f"bench: {text}", file=sys.stderr, flush=True)
