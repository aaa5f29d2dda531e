"""How old a frame is when a program sees it in the mirror: daosup beside bare programs that take turns with it.

From the moment at which the writer has written a frame (its stamp, inside the frame) to the moment at which a program
that waits on a semaphore of the mirror has read that stamp there. Frames of 560 B, 64 kB and 1 MB are written at 200 Hz
and frames of 16 MB at 20 Hz, of which 200 a second are more than this memory moves four times over. Each turn has a
p50 and a p99; a ratio is that of two turns beside one another, so what the machine did in these seconds meets both.

*Staged* is the bare TCP program with what it leaves out and daosup may not: each frame is received whole before it
goes into the mirror. It is compared without a goal, and says how much of a difference is the price of that. A mirror
with a FIFO pays no such price: a frame goes into a slot at which nobody looks until it is there whole. *In a FIFO of 4*
are segments that are FIFOs at both ends, for the bare program, too; *keeping 4* is a mirror of that ``depth``, of a
source that keeps its newest frame alone, as in the other rows.

Every third round all processes begin anew: where a process has its memory is chance and stays so, and one pair that is
asked again and again tells of that.

Neither writer nor observer spins, as on a machine with two cores they would take one of them from who moves the
frames. Where it is allowed they run before programs that compute: behind one that spins they would measure for how long
the scheduler lets it. *CPU* is that of both ends together, all their threads, for each frame delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from typing import Callable, Optional

import numpy as np

from bench.bare_programs import BarePrograms
from bench.contenders import (
    BARE_OF,
    BARE_SPINNING,
    BARE_STAGED,
    BARE_TCP,
    BARE_ZMQ,
    LARGE_BYTES,
    SPINNING_CONFIG,
    Contender,
    Course,
    Turn,
    course,
    daosup_name,
    size_name,
)
from bench.figures import Goal, Noise, Point, Row, median, ratios
from bench.fleet import Fleet, fleet, temporary_place
from bench.plan import Plan
from bench.rounds import quietest

RATE_HZ, LARGE_RATE_HZ = 200.0, 20.0
FIGURE = "latency"
#: Of p50, p99 and CPU against the bare program of the same transport.
GOALS = {"direct": (Goal(1.15), Goal(1.3), Goal(1.2)), "zmq": (Goal(1.15), None, None)}
SPINNING_GOAL = Goal(1.3)
#: Frames from this size on are also measured in a FIFO of so many.
FIFO_BYTES, FIFO_DEPTH = 1 << 20, 4
_TURN_S, _REPEATS = 1.5, 9
_ROUNDS_OF_A_COURSE = 3
_LARGE_TURN_S, _LARGE_REPEATS = 4.0, 5
#: Whoever spins sees first, for up to a second, whether frames flow.
_SETTLING_SHARE = 0.5


def measure(plan: Plan) -> Iterator[Row]:
    """Size by size; within one, all take turns."""
    with temporary_place() as folder, fleet(SPINNING_CONFIG, SPINNING_CONFIG) as hosts:
        plan.redis_flavour = hosts.redis_flavour
        programs = BarePrograms.build(folder)
        for nbytes in plan.sizes:
            yield from _size(plan, hosts, programs, nbytes)
        for nbytes in plan.sizes:
            if nbytes >= FIFO_BYTES and "direct" in plan.transports:
                yield from _in_fifo(plan, hosts, programs, nbytes)


def _size(plan: Plan, hosts: Fleet, programs: BarePrograms, nbytes: int) -> Iterator[Row]:
    def contenders(place: Course) -> list[Contender]:
        made = [place.bare(name) for name in (BARE_TCP, BARE_STAGED, BARE_SPINNING, BARE_ZMQ)]
        made += [place.daosup(transport) for transport in plan.transports]
        if "direct" in plan.transports:
            depths = (0, FIFO_DEPTH) if is_deep else (0,)
            made += [place.daosup("direct", keeping=depth) for depth in depths[1:]]
            made += [place.daosup("direct", is_spinning=True, keeping=depth) for depth in depths]
        return made

    title, is_deep = size_name(nbytes), nbytes >= FIFO_BYTES
    turns, noise = _turns(plan, title, nbytes, partial(course, hosts, programs, nbytes), contenders)
    for transport in plan.transports:
        yield from _against_bare(title, transport, turns, noise)
    if "direct" in plan.transports:
        yield from _against_staged(title, turns, noise)
        yield _spinning(title, turns, noise)
        if is_deep:
            yield from _against_bare(title, "direct", turns, noise, keeping=FIFO_DEPTH)
            yield _spinning(title, turns, noise, keeping=FIFO_DEPTH)
    for name, its in turns.items():
        yield from _alone(title, name, its, noise, nbytes)


def _in_fifo(plan: Plan, hosts: Fleet, programs: BarePrograms, nbytes: int) -> Iterator[Row]:
    def contenders(place: Course) -> list[Contender]:
        made = [place.bare(name) for name in (BARE_TCP, BARE_SPINNING)]
        return [*made, *(place.daosup("direct", is_spinning=is_spinning) for is_spinning in (False, True))]

    title = f"{size_name(nbytes)} in a FIFO of {FIFO_DEPTH}"
    turns, noise = _turns(plan, title, nbytes, partial(course, hosts, programs, nbytes, FIFO_DEPTH), contenders)
    yield from _against_bare(title, "direct", turns, noise)
    yield _spinning(title, turns, noise)
    for name, its in turns.items():
        yield from _alone(title, name, its, noise)


class _Rounds:
    """Makes rounds of turns; all processes begin anew after some of them."""

    def __init__(
        self,
        plan: Plan,
        begin: Callable[[], AbstractContextManager[Course]],
        contenders: Callable[[Course], Sequence[Contender]],
    ) -> None:
        self._plan, self._begin, self._contenders_of = plan, begin, contenders
        self._stack = ExitStack()
        self._made = 0
        self._place: Optional[Course] = None
        self._contenders: Sequence[Contender] = ()

    def make(self) -> dict[str, Turn]:
        """One turn of each of them, by its name."""
        if self._place is None or self._made % _ROUNDS_OF_A_COURSE == 0:
            self.close()
            self._place = self._stack.enter_context(self._begin())
            self._contenders = self._contenders_of(self._place)
        self._made += 1
        turns = {}
        for contender in self._contenders:
            with self._plan.meter.repeat():
                turns[contender.name] = _turn(self._plan, self._place, contender)
        return turns

    def close(self) -> None:
        self._stack.close()


def _turns(
    plan: Plan,
    title: str,
    nbytes: int,
    begin: Callable[[], AbstractContextManager[Course]],
    contenders: Callable[[Course], Sequence[Contender]],
) -> tuple[dict[str, list[Turn]], Noise]:
    count = plan.either(_LARGE_REPEATS if nbytes >= LARGE_BYTES else _REPEATS, 2)
    with closing(_Rounds(plan, begin, contenders)) as rounds:
        results, noise = quietest(plan, f"latency, {title}", count, rounds.make)
    return {name: [result[name] for result in results] for name in results[0]}, noise


def _turn(plan: Plan, place: Course, contender: Contender) -> Turn:
    rate_hz, seconds = (LARGE_RATE_HZ, _LARGE_TURN_S) if place.nbytes >= LARGE_BYTES else (RATE_HZ, _TURN_S)
    return place.turn(contender, rate_hz=rate_hz, seconds=min(seconds, 1.0) if plan.is_quick else seconds)


def _against_bare(
    title: str, transport: str, turns: dict[str, list[Turn]], noise: Noise, keeping: int = 0
) -> Iterator[Row]:
    name = daosup_name(transport, keeping=keeping)
    ours, bare = turns[name], turns[BARE_OF[transport]]
    what = f"{title}: {name.removeprefix('daosup ')} / {BARE_OF[transport]}"
    for goal, name, of in zip(GOALS[transport], ("p50", "p99", "CPU"), (p50s_us, p99s_us, cpus_us)):
        yield _ratio(f"{what}, {name}", of(ours), of(bare), goal, noise)


def _against_staged(title: str, turns: dict[str, list[Turn]], noise: Noise) -> Iterator[Row]:
    """What is left of the difference where the bare program, too, gives mirrors whole frames only."""
    ours, bare = turns[daosup_name("direct")], turns[BARE_STAGED]
    for name, of in (("p50", p50s_us), ("p99", p99s_us), ("CPU", cpus_us)):
        yield _ratio(f"{title}: direct / {BARE_STAGED}, {name}", of(ours), of(bare), None, noise)


def _spinning(title: str, turns: dict[str, list[Turn]], noise: Noise, keeping: int = 0) -> Row:
    name = daosup_name("direct", is_spinning=True, keeping=keeping)
    ours, bare = turns[name], turns[BARE_SPINNING]
    what = f"{title}: {name.removeprefix('daosup ')} / {BARE_SPINNING}, p50"
    return _ratio(what, p50s_us(ours), p50s_us(bare), SPINNING_GOAL, noise)


def _ratio(what: str, ours_us: Sequence[float], bare_us: Sequence[float], goal: Optional[Goal], noise: Noise) -> Row:
    note = f"{median(ours_us):.1f} and {median(bare_us):.1f} us"
    return Row(what, "x", ratios(ours_us, bare_us), goal, note=note, noise=noise)


def _alone(
    title: str, name: str, turns: Sequence[Turn], noise: Noise, point_bytes: Optional[int] = None
) -> Iterator[Row]:
    """``point_bytes``: where it is in the figures; None: it is in none."""
    skipped, written = (sum(getattr(turn.sight, field) for turn in turns) for field in ("skipped", "written"))
    note = f"CPU {median(cpus_us(turns)):.1f} us a frame, skipped {skipped} of {written}"
    if not all(turn.written.is_at_once for turn in turns):
        note += "; writer and observer were not allowed to run at once"
    for what, ages_us, more in (("p50", p50s_us(turns), note), ("p99", p99s_us(turns), "")):
        point = None if point_bytes is None else Point(f"{FIGURE}-{what}", name, point_bytes)
        yield Row(f"{title}: {name}, {what}", "us", ages_us, note=more, noise=noise, point=point)


def p50s_us(turns: Sequence[Turn]) -> tuple[float, ...]:
    """The middle age of each turn's frames."""
    return tuple(float(np.percentile(_settled(turn), 50)) for turn in turns)


def p99s_us(turns: Sequence[Turn]) -> tuple[float, ...]:
    """The age below which 99 % of each turn's frames are."""
    return tuple(float(np.percentile(_settled(turn), 99)) for turn in turns)


def cpus_us(turns: Sequence[Turn]) -> tuple[float, ...]:
    """The CPU time of each turn for a delivered frame."""
    return tuple(turn.cpu_us for turn in turns)


def _settled(turn: Turn) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Without the first frames after a pause."""
    ages_us = turn.sight.ages_us
    return ages_us[int(len(ages_us) * _SETTLING_SHARE) :]
