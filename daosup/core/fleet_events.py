"""Events of the fleet: what a host's notices become for all other hosts, encoded, and decoded with distrust.

Invariant: whatever bytes Redis hands back, the decoder returns an event within the bounds below whose text is printable
and on one line, or raises :class:`ProtocolError`; and what the encoder makes of an event of ours is within them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Union

from daosup.core.checked_json import (
    as_object,
    encode_json,
    host_field,
    integer_field,
    kind_of,
    parse_json,
    string_field,
)
from daosup.core.notices.notice import Notice
from daosup.core.types import Source, WorkerKind, check_host, check_name
from daosup.errors import ProtocolError, UsageError

MAX_EVENT_BYTES = 4096
MAX_TEXT_LENGTH = 400
MOST_FIELDS = 16
#: From the least on.
LEVELS = ("info", "warning", "error")

_DIGITS_OF_TIME = 16
_TIME_LIMIT_MS = 2**47  # the year 6429; calendars end in 9999
_NAME = re.compile(r"(?=.{1,64}\Z)[a-z]+(?:-[a-z]+)*\Z")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_IDENT = re.compile(r"[0-9a-zA-Z._-]{1,64}\Z")
_IDENT_OR_NONE = re.compile(r"[0-9a-zA-Z._-]{0,64}\Z")
_PEER = re.compile(r"[\x21-\x7e]{0,255}\Z")
_KIND = re.compile("(?:" + "|".join(kind.value for kind in WorkerKind) + r")?\Z")
_LEVEL = re.compile("(?:" + "|".join(LEVELS) + r")\Z")
_ANY = re.compile("")
#: Of a notice's fields, those that an event has of its own, if it has them.
OF_SOME = ("segment", "source", "worker_kind", "worker_pid", "peer", "cause_id")

Value = Union[str, int, float, bool, None]


@dataclass(frozen=True)
class FleetEvent:
    """Something that happened on a host.

    Attributes:
        host: Which tells it.
        name: Of the notice.
        level: info, warning or error.
        text: What happened, in a few words.
        ident: Names it; nothing else that this host tells has the same.
        time_ms: When it happened, by Redis's clock: milliseconds since 1970.
        segment: The segment of ``host`` that is concerned, by its name there.
        source: The same by its owner, HOST:NAME.
        worker_kind: publisher or mirror, if a worker is concerned.
        worker_pid: Its process; 0 if there is none.
        peer: Another host that is concerned.
        cause_id: What led to it, as in the journal.
        fields: All else that the notice says.
    """

    host: str
    name: str
    level: str
    text: str
    ident: str
    time_ms: int = 0
    segment: str = ""
    source: str = ""
    worker_kind: str = ""
    worker_pid: int = 0
    peer: str = ""
    cause_id: str = ""
    fields: Mapping[str, Value] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The event as a JSON object; what it does not have is left out."""
        told = {
            "time_ms": self.time_ms,
            "id": self.ident,
            "host": self.host,
            "event": self.name,
            "level": self.level,
            "text": self.text,
        }
        about = {name: getattr(self, name) for name in OF_SOME if getattr(self, name)}
        return {**told, **about, "fields": dict(self.fields)}

    def variables(self) -> dict[str, str]:
        """What a small script needs of it, as variables of its environment; each on one line."""
        return {
            "DAOSUP_EVENT": self.name,
            "DAOSUP_EVENT_HOST": self.host,
            "DAOSUP_EVENT_LEVEL": self.level,
            "DAOSUP_EVENT_SOURCE": self.source,
            "DAOSUP_EVENT_TEXT": self.text,
        }


def event_of(notice: Notice, fields: Mapping[str, object], host: str, ident: str) -> FleetEvent:
    """What a notice that is told on ``host`` is as an event; its time is not said yet.

    If there is too much to say, what the notice says beside is left out.
    """
    own = {name: _line(str(fields[name])) for name in OF_SOME if fields.get(name)}
    pid = own.pop("worker_pid", "0")
    rest = {name: _plain(value) for name, value in fields.items() if name not in OF_SOME}
    if rest.get("host") == host:
        del rest["host"]
    rest = dict(list(rest.items())[:MOST_FIELDS])
    event = FleetEvent(
        host,
        notice.name,
        notice.level,
        notice.text,
        ident,
        worker_pid=int(pid),
        fields=rest,
        **own,  # type: ignore[arg-type]
    )
    if len(encode_event(event)) <= MAX_EVENT_BYTES - _DIGITS_OF_TIME:
        return event
    return replace(event, fields={"is_cut": True})


def encode_event(event: FleetEvent) -> bytes:
    """The event as it stands in the stream."""
    return encode_json(event.as_json())


def decode_event(raw: bytes) -> FleetEvent:
    """Read an event of the stream.

    Raises:
        ProtocolError: If it is none.
    """
    return event_of_json(parse_json(raw, MAX_EVENT_BYTES))


def event_of_json(value: object) -> FleetEvent:
    """Read an event from a JSON value, as `FleetEvent.as_json` has it.

    Raises:
        ProtocolError: If it is none.
    """
    entry = as_object(value, "event")
    return FleetEvent(
        host=host_field(entry, "host"),
        name=string_field(entry, "event", _NAME),
        level=string_field(entry, "level", _LEVEL),
        text=_line(string_field(entry, "text", _ANY)),
        ident=string_field(entry, "id", _IDENT),
        time_ms=integer_field(entry, "time_ms", 0, _TIME_LIMIT_MS),
        segment=_segment(string_field(entry, "segment", _ANY, default="")),
        source=_source(string_field(entry, "source", _ANY, default="")),
        worker_kind=string_field(entry, "worker_kind", _KIND, default=""),
        worker_pid=integer_field(entry, "worker_pid", 0, 2**31 - 1, default=0),
        peer=string_field(entry, "peer", _PEER, default=""),
        cause_id=string_field(entry, "cause_id", _IDENT_OR_NONE, default=""),
        fields=_fields(as_object(entry.get("fields", {}), "event's fields")),
    )


def _fields(entry: Mapping[str, object]) -> dict[str, Value]:
    if len(entry) > MOST_FIELDS:
        raise ProtocolError(f"an event with {len(entry)} fields, more than {MOST_FIELDS}")
    fields: dict[str, Value] = {}
    for name, value in entry.items():
        if not _FIELD.match(name) or isinstance(value, (dict, list)):
            raise ProtocolError(f"an event's field {name[:40]!r} is {kind_of(value)}, which it cannot be")
        fields[name] = _plain(value)
    return fields


def _segment(text: str) -> str:
    return _checked(text, check_name) if text else ""


def _source(text: str) -> str:
    if not text:
        return ""
    host, colon, name = text.partition(":")
    if not colon:
        raise ProtocolError("an event's source is not HOST:NAME")
    return f"{_checked(host, check_host)}:{_checked(name, check_name)}"


def _checked(text: str, check: Callable[[str], str]) -> str:
    try:
        checked = check(text)
    except UsageError as error:
        raise ProtocolError(str(error)[:200]) from None
    return _line(checked)


def _plain(value: object) -> Value:
    """A value as JSON has it, and every host's JSON: no text that is long or odd, no number without bounds."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else _line(hex(value))
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    return _line(str(value))


def _line(text: str) -> str:
    """``text`` on one line and without anything that is not printed."""
    cut = text if len(text) <= MAX_TEXT_LENGTH else text[: MAX_TEXT_LENGTH - 1] + "…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else "?" for c in cut)


@dataclass(frozen=True)
class Wanted:
    """Which events somebody wants.

    Attributes:
        about: A pattern of names of segments; or HOST:NAME, of sources, or of mirrors where they are. HOST:* is all
            that concerns a host. Empty: everything.
        least: The least level.
        names: Patterns of names of events.
    """

    about: str = ""
    least: str = LEVELS[0]
    names: tuple[str, ...] = ("*",)

    def includes(self, event: FleetEvent) -> bool:
        """Whether it is one of them."""
        return (
            LEVELS.index(event.level) >= LEVELS.index(self.least)
            and any(fnmatchcase(event.name, each) for each in self.names)
            and (not self.about or _concerns(event, self.about))
        )


def _concerns(event: FleetEvent, about: str) -> bool:
    owner, _, name = event.source.partition(":")
    host_pattern, colon, name_pattern = about.partition(":")
    if not colon:
        return any(each and fnmatchcase(each, about) for each in (event.segment, name))
    if name_pattern in ("", "*"):
        return any(each and fnmatchcase(each, host_pattern) for each in (event.host, event.peer, owner))
    pairs = Source(owner, name), Source(event.host, event.segment)
    return any(fnmatchcase(each.host, host_pattern) and fnmatchcase(each.name, name_pattern) for each in pairs)
