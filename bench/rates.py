"""The highest rate at which less than 1 % of the frames are skipped: daosup beside bare programs that take turns.

Trial by trial each searches its own, up when it kept a rate and down when it failed twice (bench/staircase.py): so
what the machine does otherwise meets all of them alike, and what is found is kept in about three trials of ten. A
frame is skipped if it never was in the mirror, however many of those that were the observer saw. The writer sleeps
between frames as long as that is exact enough and looks at the clock for the rest; so at many kilohertz it needs a
core, as any program does that writes so fast, and on a machine with two the pump has the other one for both its ends.
It has no priority here.

In each round all processes begin anew: where a process has its memory is chance, and stays so as long as it lives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Callable

from bench.bare_programs import BarePrograms
from bench.contenders import BARE_OF, BARE_TCP, BARE_ZMQ, Contender, Course, course, daosup_name, size_name
from bench.figures import Goal, Point, Row, median, ratios
from bench.fleet import Fleet, fleet, temporary_place
from bench.plan import Plan
from bench.rounds import quietest
from bench.staircase import Staircase

MOST_SKIPPED = 0.01
GOALS = {"direct": Goal(0.9, is_least=True), "zmq": None}
FIGURE = "rates"
#: Where to begin: frames a second, bytes a second.
_FIRST_HZ, _FIRST_BYTES_S = 4000.0, 4e8
#: So long is a trial: one frame skipped is not yet too much.
_TRIAL_S, _TRIAL_FRAMES = 0.4, 110
#: Trials of each: at most so many until all have found their place, and then in each repeat.
_MOST_TO_FIND, _REPEAT = 24, 8
#: A writer that does no more than this of what it was asked for does all it can.
_WRITERS_SHARE = 0.9
_BARE = (BARE_TCP, BARE_ZMQ)


def _try(place: Course, contender: Contender, search: Staircase) -> None:
    seconds = max(_TRIAL_S, _TRIAL_FRAMES / search.rate_hz)
    turn = place.turn(contender, rate_hz=search.rate_hz, seconds=seconds, is_at_once=False)
    written_hz = turn.written.frames / turn.written.seconds
    if turn.skipped_share >= MOST_SKIPPED:
        search.failed()
    elif written_hz < _WRITERS_SHARE * search.rate_hz:
        search.all_written_kept(written_hz)
    else:
        search.kept()


def measure(plan: Plan) -> Iterator[Row]:
    """Size by size; within one, all take turns."""
    with temporary_place() as folder, fleet() as hosts:
        plan.redis_flavour = hosts.redis_flavour
        programs = BarePrograms.build(folder)
        for nbytes in plan.sizes:
            yield from _size(plan, hosts, programs, nbytes)


def _contenders(plan: Plan, place: Course) -> list[Contender]:
    return [place.bare(name) for name in _BARE] + [place.daosup(transport) for transport in plan.transports]


def _find(plan: Plan, begin: Callable[[], AbstractContextManager[Course]], searches: Mapping[str, Staircase]) -> None:
    """Until each goes up and down about its place."""
    with begin() as place:
        contenders = _contenders(plan, place)
        for _ in range(_MOST_TO_FIND):
            if all(search.has_found for search in searches.values()):
                break
            for contender in contenders:
                _try(place, contender, searches[contender.name])
    for search in searches.values():
        search.take()


def _round(
    plan: Plan, begin: Callable[[], AbstractContextManager[Course]], searches: Mapping[str, Staircase]
) -> dict[str, float]:
    """The rate of each, in Hz."""
    with begin() as place:
        contenders = _contenders(plan, place)
        with plan.meter.repeat():
            for _ in range(_REPEAT):
                for contender in contenders:
                    _try(place, contender, searches[contender.name])
    return {name: search.take() for name, search in searches.items()}


def _size(plan: Plan, hosts: Fleet, programs: BarePrograms, nbytes: int) -> Iterator[Row]:
    begin_hz = min(_FIRST_HZ, _FIRST_BYTES_S / nbytes)
    begin = partial(course, hosts, programs, nbytes)
    searches = {name: Staircase(begin_hz) for name in (*_BARE, *map(daosup_name, plan.transports))}
    title = f"highest rate, {size_name(nbytes)}"
    plan.say(title)
    _find(plan, begin, searches)
    plan.meter.take()
    rounds, noise = quietest(plan, title, plan.either(5, 1), partial(_round, plan, begin, searches))
    found = {name: tuple(rates_hz[name] for rates_hz in rounds) for name in searches}
    for transport in plan.transports:
        ours, bare = found[daosup_name(transport)], found[BARE_OF[transport]]
        what = f"{size_name(nbytes)}: {transport} / {BARE_OF[transport]}, highest rate"
        note = f"{median(ours):.0f} and {median(bare):.0f} Hz"
        yield Row(what, "x", ratios(ours, bare), GOALS[transport], note=note, noise=noise)
    for name, search in searches.items():
        note = "all that the writer could" if search.is_writers_limit else ""
        point = Point(FIGURE, name, nbytes)
        what = f"{size_name(nbytes)}: {name}, highest rate"
        yield Row(what, "Hz", found[name], note=note, noise=noise, point=point)
