"""The highest rate at which less than 1 % of the frames are skipped: daosup beside bare programs that take turns.

The rate goes up by half until it is too high, and then back and forth by ever smaller steps; a frame is skipped if it
never was in the mirror, however many of those that were the observer saw. The writer sleeps between frames as long as
that is exact enough and looks at the clock for the rest; so at many kilohertz it needs a core, as any program does that
writes so fast, and on a machine with two the pump has the other one for both its ends. It has no priority here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.bare_programs import BarePrograms
from bench.contenders import BARE_OF, BARE_TCP, BARE_ZMQ, Contender, Course, course, daosup_name, size_name
from bench.figures import Goal, Point, Row, median, ratios
from bench.fleet import Fleet, fleet, temporary_place
from bench.plan import Plan

MOST_SKIPPED = 0.01
GOALS = {"direct": Goal(0.9, is_least=True), "zmq": None}
FIGURE = "rates"
#: Where to begin: frames a second, bytes a second.
_FIRST_HZ, _FIRST_BYTES_S = 4000.0, 4e8
_STEP = 1.5
_HALVINGS = 3
_PROBE_S, _PROBE_FRAMES = 0.5, 150
#: A writer that does no more than this of what it was asked for does all it can.
_WRITERS_SHARE = 0.9


@dataclass
class Search:
    """One contender's highest rate, in Hz: each search begins where the one before ended."""

    contender: Contender
    begin_hz: float
    found_hz: list[float] = field(default_factory=list)
    is_writers_limit: bool = False

    def run(self, place: Course) -> None:
        """Search it once more."""
        rate_hz, step = self.begin_hz, _STEP
        best_hz = first_hz = latest_hz = self._kept_hz(place, rate_hz)
        while bool(latest_hz) == bool(first_hz) and not self.is_writers_limit and rate_hz > 1.0:
            rate_hz = rate_hz * step if latest_hz else rate_hz / step
            latest_hz = self._kept_hz(place, rate_hz)
            best_hz = max(best_hz, latest_hz)
        for _ in range(0 if self.is_writers_limit else _HALVINGS):
            step **= 0.5
            rate_hz = rate_hz * step if latest_hz else rate_hz / step
            latest_hz = self._kept_hz(place, rate_hz)
            best_hz = max(best_hz, latest_hz)
        self.found_hz.append(best_hz)
        self.begin_hz = best_hz or rate_hz

    def _kept_hz(self, place: Course, rate_hz: float) -> float:
        """The rate at which it was written if that can be kept up; else 0."""
        seconds = max(_PROBE_S, _PROBE_FRAMES / rate_hz)
        turn = place.turn(self.contender, rate_hz=rate_hz, seconds=seconds, is_at_once=False)
        if turn.skipped_share >= MOST_SKIPPED:
            return 0.0
        written_hz = turn.written.frames / turn.written.seconds
        self.is_writers_limit = written_hz < _WRITERS_SHARE * rate_hz
        return written_hz


def measure(plan: Plan) -> Iterator[Row]:
    """Size by size; within one, all take turns."""
    with temporary_place() as folder, fleet() as hosts:
        plan.redis_flavour = hosts.redis_flavour
        programs = BarePrograms.build(folder)
        for nbytes in plan.sizes:
            yield from _size(plan, hosts, programs, nbytes)


def _size(plan: Plan, hosts: Fleet, programs: BarePrograms, nbytes: int) -> Iterator[Row]:
    begin_hz = min(_FIRST_HZ, _FIRST_BYTES_S / nbytes)
    with course(hosts, programs, nbytes) as place:
        searches = [Search(place.bare(name), begin_hz) for name in (BARE_TCP, BARE_ZMQ)]
        searches += [Search(place.daosup(transport), begin_hz) for transport in plan.transports]
        for repeat in range(plan.either(5, 1)):
            plan.say(f"highest rate, {size_name(nbytes)}, repeat {repeat + 1}")
            for search in searches:
                with plan.meter.repeat():
                    search.run(place)
    noise = plan.meter.take()
    found = {search.contender.name: tuple(search.found_hz) for search in searches}
    for transport in plan.transports:
        ours, bare = found[daosup_name(transport)], found[BARE_OF[transport]]
        what = f"{size_name(nbytes)}: {transport} / {BARE_OF[transport]}, highest rate"
        note = f"{median(ours):.0f} and {median(bare):.0f} Hz"
        yield Row(what, "x", ratios(ours, bare), GOALS[transport], note=note, noise=noise)
    for search in searches:
        name = search.contender.name
        note = "all that the writer could" if search.is_writers_limit else ""
        point = Point(FIGURE, name, nbytes)
        yield Row(f"{size_name(nbytes)}: {name}, highest rate", "Hz", found[name], note=note, noise=noise, point=point)
