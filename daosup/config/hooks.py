"""What the configuration says of hooks: programs that are run for events."""

# ruff: noqa: RUF009  # key() makes dataclass fields; that is what the rule asks for

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Optional

from daosup.config.kinds import Kind, Refused, key, one_of, seconds
from daosup.core.fleet_events import LEVELS, FleetEvent, Wanted
from daosup.core.notices import EVENTS

_EVENT_GLOB = r"[a-z*?\[\]!-]{1,64}\Z"
_ABOUT_GLOB = r"(?:[A-Za-z0-9_.*?\[\]!-]{1,120}:)?[^\s/:\x00-\x1f\x7f]{1,120}\Z"
_MOST_WORDS, _LONGEST_WORD = 64, 4096


class Scope(Enum):
    """Whose events a hook is run for."""

    HOST = "host"
    FLEET = "fleet"


def _read_events(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise Refused("put it in brackets: [...]")
    if not value:
        raise Refused('["*"] is all of them')
    for index, item in enumerate(value):
        if not isinstance(item, str) or not re.match(_EVENT_GLOB, item):
            raise Refused("", index)
        if not any(fnmatchcase(each.name, item) for each in EVENTS):
            raise Refused(_nearest(item), index)
    return tuple(value)


def _nearest(word: str) -> str:
    from daosup.core.nearest import nearest  # only a mistake pays for this import

    near = nearest(word, (each.name for each in EVENTS))
    return f"did you mean {near!r}?" if near else "docs/journal.md marks what is an event"


def _read_command(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        raise Refused('put program and arguments in brackets; for a shell: ["/bin/sh", "-c", "..."]')
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _MOST_WORDS:
        raise Refused("put it in brackets: [...]")
    for index, item in enumerate(value):
        if not isinstance(item, str) or "\0" in item or len(item) > _LONGEST_WORD:
            raise Refused("", index)
        try:
            item.encode()
        except UnicodeEncodeError:
            raise Refused("", index) from None
    if not value[0].startswith("/"):
        raise Refused("begin it with /", 0)
    return tuple(value)


def _read_about(value: object) -> str:
    if not isinstance(value, str):
        raise Refused("put it in quotes")
    if not re.match(_ABOUT_GLOB, value):
        raise Refused
    return value


_EVENTS = Kind("an array of events (* ? [abc] match)", _read_events, "the name of an event, or a pattern of some")
_COMMAND = Kind(
    "an array of a program's absolute path and its arguments",
    _read_command,
    f"a text of at most {_LONGEST_WORD} characters, the first an absolute path",
)
_ABOUT = Kind("a pattern NAME or HOST:NAME (* ? [abc] match)", _read_about)


@dataclass(frozen=True)
class HookConfig:
    """A program that is run for events."""

    on: tuple[str, ...] = key(
        _EVENTS, "For which events: `worker-died`, `link-*`; docs/journal.md lists them.", is_required=True
    )
    command: tuple[str, ...] = key(
        _COMMAND,
        "What is run, without a shell; it finds the event as JSON on its standard input. Everybody may see it "
        "(`daosupctl config show`): keep passwords in files.",
        is_required=True,
    )
    of: Scope = key(one_of(Scope), 'Whose events: "host": this host\'s; "fleet": those of all hosts.', "host")
    level: str = key(one_of(LEVELS), "The least level.", LEVELS[0])
    match: Optional[str] = key(
        _ABOUT,
        "Only events that concern segments of such names, or such sources; `rts:*`: that concern a host.",
        unset="all",
    )
    timeout_s: float = key(seconds(0.1, 600), "After this time the program is ended.", 30.0)

    def wants(self, event: FleetEvent, *, is_own: bool) -> bool:
        """Whether it is run for an event; ``is_own``: of this host."""
        is_in_scope = is_own or self.of is Scope.FLEET
        return is_in_scope and Wanted(self.match or "", self.level, self.on).includes(event)
