"""The highest rate at which less than 1 % of the frames are skipped: daosup beside bare programs that take turns.

Trial by trial each searches its own, up when it kept a rate and down when it failed twice (bench/staircase.py): so
what the machine does otherwise meets all of them alike, and what is found is kept in about three trials of ten. A
frame is skipped if it never was in the mirror, however many of those that were the observer saw. The writer sleeps
between frames as long as that is exact enough and looks at the clock for the rest; so at many kilohertz it needs a
core, as any program does that writes so fast, and on a machine with two the pump has the other one for both its ends.
It has no priority here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

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


def _find(place: Course, searches: Sequence[tuple[Contender, Staircase]]) -> None:
    """Until each goes up and down about its place."""
    for _ in range(_MOST_TO_FIND):
        if all(search.has_found for _, search in searches):
            break
        for contender, search in searches:
            _try(place, contender, search)
    for _, search in searches:
        search.take()


def _round(plan: Plan, place: Course, searches: Sequence[tuple[Contender, Staircase]]) -> dict[str, float]:
    """The rate of each, in Hz."""
    with plan.meter.repeat():
        for _ in range(_REPEAT):
            for contender, search in searches:
                _try(place, contender, search)
    return {contender.name: search.take() for contender, search in searches}


def _size(plan: Plan, hosts: Fleet, programs: BarePrograms, nbytes: int) -> Iterator[Row]:
    begin_hz = min(_FIRST_HZ, _FIRST_BYTES_S / nbytes)
    with course(hosts, programs, nbytes) as place:
        contenders = [place.bare(name) for name in (BARE_TCP, BARE_ZMQ)]
        contenders += [place.daosup(transport) for transport in plan.transports]
        searches = [(each, Staircase(begin_hz)) for each in contenders]
        title = f"highest rate, {size_name(nbytes)}"
        plan.say(title)
        _find(place, searches)
        plan.meter.take()
        rounds, noise = quietest(plan, title, plan.either(5, 1), partial(_round, plan, place, searches))
    found = {each.name: tuple(rates_hz[each.name] for rates_hz in rounds) for each in contenders}
    for transport in plan.transports:
        ours, bare = found[daosup_name(transport)], found[BARE_OF[transport]]
        what = f"{size_name(nbytes)}: {transport} / {BARE_OF[transport]}, highest rate"
        note = f"{median(ours):.0f} and {median(bare):.0f} Hz"
        yield Row(what, "x", ratios(ours, bare), GOALS[transport], note=note, noise=noise)
    for contender, search in searches:
        name = contender.name
        note = "all that the writer could" if search.is_writers_limit else ""
        point = Point(FIGURE, name, nbytes)
        what = f"{size_name(nbytes)}: {name}, highest rate"
        yield Row(what, "Hz", found[name], note=note, noise=noise, point=point)
