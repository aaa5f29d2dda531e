"""How an event of the fleet looks, and the program that is run for it.

Invariant: what comes from other hosts cannot move the cursor or change colours, and reaches no shell.
"""

from __future__ import annotations

import os
import sys
import time

from daosup.core.fleet_events import FleetEvent
from daosup.ctl.asking import style_of
from daosup.ctl.tables import safe
from daosup.ctl.times import ago, clock, stamp
from daosup.errors import UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

_COLOURS = {"error": "bad", "warning": "doubtful", "info": ""}
#: Fields that speak for themselves; all others are told with their names.
_PLAIN = ("cause", "reason", "mistake", "why", "warning")
_WHEN_WIDTH, _HOST_WIDTH, _NAME_WIDTH = 10, 8, 18


class EventLines:
    """The lines for events on standard output.

    Args:
        is_clock: Whether times are of the day, for a view in which what is new gets old; else they are relative.
        is_verbose: Whether to tell all that is known of each.
    """

    def __init__(self, *, is_clock: bool, is_verbose: bool) -> None:
        self._is_clock, self._is_verbose = is_clock, is_verbose
        self._is_terminal = sys.stdout.isatty()
        self._style = style_of()

    def of(self, event: FleetEvent) -> str:
        """The lines of one, no wider than the terminal unless all is to be told."""
        now_s, happened_s = time.time(), event.time_ms / 1000
        when = clock(happened_s, now_s) if self._is_clock else ago(now_s - happened_s)
        head = f"{when:>{_WHEN_WIDTH}}  {event.host:<{_HOST_WIDTH}}  "
        line = safe(f"{event.name:<{_NAME_WIDTH}}  {_story(event)}".rstrip())
        if not self._is_verbose:
            line = _cut(line, self._width() - len(head))
        name = self._style(line[: len(event.name)], _COLOURS[event.level])
        lines = [head + name + line[len(event.name) :]]
        if self._is_verbose:
            lines += [self._style(each, "faint") for each in _details(event, self._width())]
        return "\n".join(lines)

    def _width(self) -> int:
        return os.get_terminal_size(1).columns if self._is_terminal else sys.maxsize


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(1, width - 1)] + "…"


def _story(event: FleetEvent) -> str:
    fields = {name: value for name, value in event.fields.items() if value is not None}
    told = ", ".join(str(value) if name in _PLAIN else f"{name}={value}" for name, value in fields.items())
    return ": ".join(filter(None, (event.source or event.segment or event.peer, told)))


def _details(event: FleetEvent, width: int) -> list[str]:
    """All else that is known, in lines of a terminal's width."""
    import textwrap

    about = (
        event.worker_kind,
        f"segment {event.segment}" if event.segment else "",
        f"pid {event.worker_pid}" if event.worker_pid else "",
        f"peer {event.peer}" if event.peer else "",
        f"cause {event.cause_id}" if event.cause_id else "",
    )
    told = (f"{stamp(event.time_ms / 1000)}: {event.text}", ", ".join(filter(None, about)))
    blank = " " * (_WHEN_WIDTH + 2)
    return [
        line
        for each in filter(None, told)
        for line in textwrap.wrap(safe(each), max(40, width), initial_indent=blank, subsequent_indent=blank)
    ]


class Program:
    """A program that is run for events.

    Args:
        text: It and its arguments, as for a shell, but that no shell sees it.

    Raises:
        UsageError: If it cannot be understood.
    """

    def __init__(self, text: str) -> None:
        import shlex

        try:
            self._words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"--exec {text!r} is no command: {error}") from None
        if not self._words:
            raise UsageError("--exec needs a command, for example: daosupctl events -f --exec ./page-me")

    def run(self, event: FleetEvent, told: dict[str, Any]) -> int:
        """Run it for an event and wait for its end; returns its exit code.

        Raises:
            UsageError: If it cannot be run.
        """
        import json
        import subprocess

        sys.stdout.flush()
        given = json.dumps(told).encode() + b"\n"
        try:
            done = subprocess.run(self._words, input=given, env={**os.environ, **event.variables()}, check=False)
        except OSError as error:
            raise UsageError(f"--exec {self._words[0]!r} cannot be run: {error.strerror}") from None
        return done.returncode
