"""Shows the events of the fleet.

Invariants: each event is shown once, those that are there already in the order in which they happened, and those to
come as they become known. Following outlasts a daemon or a registry that is away; what happened meanwhile is shown
when it is back.
"""

from __future__ import annotations

import select
import sys
import time

from daosup.core.fleet_events import FleetEvent, Wanted, event_of_json
from daosup.ctl.asking import ANSWER_S, ask_object
from daosup.ctl.event_lines import EventLines, Program
from daosup.ctl.tables import safe
from daosup.ctl.times import moment
from daosup.errors import UnavailableError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

    #: An event, and the same as the daemon told it.
    Told = tuple[FleetEvent, dict[str, Any]]

USUAL_COUNT = 50
USUAL_COUNT_BEFORE_FOLLOWING = 10
#: What is read at once, and after how many of these what is left is called endless.
_PAGE, _MOST_PAGES = 500, 50
#: How long the daemon waits for an event before it says that there is none; a closed pipe is noticed that late.
_WAIT_S = 5.0
_AGAIN_S = 1.0
#: By how much this machine's clock may be ahead of Redis's.
_SLACK_MS = 60_000
_MOST_SEEN = 10_000
_LEVELS = {
    "error": "error",
    "err": "error",
    "warning": "warning",
    "warn": "warning",
    "info": "info",
    "notice": "info",
    "debug": "info",
}


def events(options: Options) -> int:
    """Show events; with -f until somebody ends it."""
    return _Events(options).show()


class _Events:
    """What is shown, of what the daemon tells."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._wanted = Wanted(options.name or "", _level(options.level))
        self._since_ms = 0 if options.since is None else round(moment(options.since, time.time()) * 1000)
        self._program = None if options.program is None else Program(options.program)
        self._lines = EventLines(is_clock=options.follow, is_verbose=options.verbose)
        self._seen: dict[tuple[str, str], None] = {}
        self._names: set[str] = set()
        self._skipped = 0

    def show(self) -> int:
        began_ms = round(time.time() * 1000) - _SLACK_MS
        found, after, reason = self._past(self._count(), self._since_ms)
        for told in found:
            self._tell(told)
        if self._skipped:
            _say(f"passed over what is no event in the stream: {self._skipped} entries")
        if self._options.follow:
            if reason is not None:
                _say(f"{reason}; until it is back there are this host's own events alone")
            self._follow(after, began_ms)
        if reason is not None:
            raise UnavailableError(f"these are this host's own events alone: {reason}")
        if not found and self._options.name:
            self._say_nearest(self._options.name)
        return 0

    def _count(self) -> int:
        options = self._options
        if options.count is not None:
            return options.count
        if options.since is not None:
            return sys.maxsize
        if not options.follow:
            return USUAL_COUNT
        return 0 if self._program else USUAL_COUNT_BEFORE_FOLLOWING

    # -- what there is

    def _past(self, count: int, since_ms: int) -> tuple[list[Told], str | None, str | None]:
        """The last events that are wanted, where to go on from, and why these are not all that there are."""
        found: list[Told] = []
        before: str | None = None
        after: str | None = None
        for _ in range(_MOST_PAGES):
            asked: dict[str, Any] = {"count": _PAGE if count else 1}
            page = self._ask({**asked, "before": before} if before else asked)
            if before is None:
                after = page.get("after")
            found = [each for each in self._wanted_of(page) if each[0].time_ms >= since_ms] + found
            before = page.get("before")
            # What an entry tells of is no younger than its id.
            if before is None or len(found) >= count or int(before.partition("-")[0]) < since_ms:
                break
        found.sort(key=lambda each: each[0].time_ms)
        return (found[-count:] if count else []), after, page.get("reason")

    def _wanted_of(self, page: dict[str, Any]) -> list[Told]:
        """What is wanted of a page, and was not there before."""
        self._skipped += int(page.get("skipped", 0))
        wanted = []
        for told in page.get("events", ()):
            event = event_of_json(told)
            self._names.update(filter(None, (event.segment, event.source)))
            if self._wanted.includes(event) and self._is_new(event):
                wanted.append((event, told))
        return wanted

    def _is_new(self, event: FleetEvent) -> bool:
        """One of which Redis could not say that it took it is in the stream twice."""
        key = event.host, event.ident
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return True

    def _ask(self, arguments: dict[str, Any]) -> dict[str, Any]:
        timeout_s = float(arguments.get("wait_s", 0.0)) + ANSWER_S
        page: dict[str, Any] = ask_object(self._options, "events", timeout_s, arguments)
        return page

    # -- what comes

    def _follow(self, after: str | None, began_ms: int) -> None:
        """Show what comes after an entry; or, if none could be named, what is there since then."""
        is_away = after is None
        while True:
            _check_output()
            try:
                found, after = self._next(after, began_ms)
            except UnavailableError as error:
                if not is_away:
                    _say(f"{error}; it goes on when that is back")
                is_away = True
                time.sleep(_AGAIN_S)
                continue
            is_away = False
            for told in found:
                self._tell(told)

    def _next(self, after: str | None, began_ms: int) -> tuple[list[Told], str | None]:
        if after is not None:
            page = self._ask({"after": after, "count": _PAGE, "wait_s": _WAIT_S})
            return self._wanted_of(page), str(page.get("after"))
        found, after, reason = self._past(sys.maxsize, began_ms)
        if after is None:
            # They come once more from the stream, and are not new then.
            for told in found:
                self._tell(told)
            raise UnavailableError(reason or "the registry is away")
        return found, after

    # -- telling

    def _tell(self, told: Told) -> None:
        event, as_told = told
        if self._options.json:
            import json

            print(json.dumps(as_told), flush=self._options.follow)
        else:
            print(self._lines.of(event), flush=self._options.follow)
        if self._program is not None:
            exit_code = self._program.run(event, as_told)
            if exit_code:
                _say(f"--exec for {event.name} of {event.host} ended with {exit_code}")

    def _say_nearest(self, name: str) -> None:
        from daosup.core.nearest import did_you_mean

        _say(f"no event concerns {name}{did_you_mean(name, sorted(self._names))}")


def _level(word: str | None) -> str:
    if word is None:
        return "info"
    if word not in _LEVELS:
        from daosup.ctl.arguments import nearest

        raise UsageError(f"there is no level {word!r}{nearest(word, ['error', 'warning', 'info', 'debug'])}")
    return _LEVELS[word]


def _say(text: str) -> None:
    sys.stdout.flush()
    print(f"daosupctl: {safe(text)}", file=sys.stderr, flush=True)


def _check_output() -> None:
    """Notice that nobody reads any more, also when there is nothing to write.

    Raises:
        BrokenPipeError: If so.
    """
    poll = select.poll()
    poll.register(1, 0)
    if any(happened & (select.POLLERR | select.POLLHUP) for _, happened in poll.poll(0)):
        raise BrokenPipeError
