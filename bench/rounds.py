"""Rounds of a measurement, of which those count in which the machine was ours.

A hypervisor that takes cores away does so for minutes, and what is measured then is the hypervisor. So a round in which
it took more than ``QUIET_STEAL`` of the cores' time is made again, as long as there is patience, and those with the
least of it count. Nothing but that decides which: least of all what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, TypeVar

from bench.figures import Noise
from bench.plan import Plan

QUIET_STEAL = 0.05
#: So many times the rounds that are wanted are made at most.
_PATIENCE = 3

Result = TypeVar("Result")


def quietest(plan: Plan, title: str, count: int, run: Callable[[], Result]) -> tuple[list[Result], Noise]:
    """What ``run`` gave in the ``count`` quietest rounds, in the order they were made, and the noise of these.

    Args:
        plan: Its meter is used by ``run``.
        title: For who waits.
        count: Rounds that are wanted.
        run: Makes one.
    """
    results: list[Result] = []
    noises: list[Noise] = []
    while len(results) < count or (len(results) < plan.either(_PATIENCE, 1) * count and _quiet_count(noises) < count):
        plan.say(f"{title}, round {len(results) + 1}: {_quiet_count(noises)} of {count} were quiet")
        results.append(run())
        noises.append(plan.meter.take())
    kept = chosen([noise.steal for noise in noises], count)
    return [results[number] for number in kept], _joined([noises[number] for number in kept], len(results) - count)


def chosen(steals: Sequence[float], count: int) -> list[int]:
    """Which rounds count: those with the least steal, of equal ones the earlier."""
    return sorted(sorted(range(len(steals)), key=lambda number: steals[number])[:count])


def _quiet_count(noises: Sequence[Noise]) -> int:
    return sum(noise.steal <= QUIET_STEAL for noise in noises)


def _joined(noises: Sequence[Noise], left_out: int) -> Noise:
    return Noise(
        spins_ms=tuple(spin_ms for noise in noises for spin_ms in noise.spins_ms),
        steal=max(noise.steal for noise in noises),
        busy=sum(noise.busy for noise in noises) / len(noises),
        left_out=left_out,
    )
