"""The names of the registry's keys; the only place that spells them.

Invariant: what is under ``dao:`` is the schema the existing daemons read and write, kept to the letter; everything we
add is under ``daosup:``, where they never look. A name that was read from Redis becomes a host or a segment here only
if it could have been written by a well-behaved host; otherwise it is a :class:`ProtocolError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

from daosup.core.types import Source, check_host, check_name
from daosup.errors import ProtocolError, UsageError

ALL_MACHINES = b"dao:machines:*"
ALL_SIGNS_OF_LIFE = b"dao:machines:*:last_connect"
LEASE = b"daosup:master"
"""Who is master (core/lease.py)."""

EPOCH = b"daosup:epoch"
"""The number of the last lease that anybody took."""

EVENTS = b"daosup:events"
"""The stream of what happens on all hosts (core/fleet_events.py)."""

MACHINE_FIELDS = ("ip", "hostname", "role", "last_connect")
SEGMENT_FIELDS = ("dimensions", "dtype", "connections")
HEARTBEAT_TTL_S = 75.0
"""An old daemon's heartbeat key expires after this; ours keep to it."""

_MAX_KEY_BYTES = 1024
_MACHINE_KEY = re.compile(r"dao:machines:([^:]+):(?:shm:([^:]+):)?([a-z_]+)\Z")


@dataclass(frozen=True)
class MachineKey:
    """A key below ``dao:machines:``; ``name`` is None for a key of the machine itself."""

    host: str
    name: Optional[str]
    field: str


def machine_key(host: str, field: str) -> bytes:
    """``dao:machines:<host>:<field>``."""
    return _key("dao:machines", host, field)


def segment_key(source: Source, field: str) -> bytes:
    """``dao:machines:<host>:shm:<name>:<field>``."""
    return _key("dao:machines", source.host, "shm", source.name, field)


def request_key(source: Source) -> bytes:
    """``dao:connections:<host>:<name>``, where an old client asks for a stream."""
    return _key("dao:connections", source.host, source.name)


def heartbeat_key(source: Source, client: str) -> bytes:
    """``dao:heartbeats:<host>:<name>:<client>``."""
    return _key("dao:heartbeats", source.host, source.name, client)


def heartbeats_pattern(host: str) -> bytes:
    """A glob that SCAN matches with every heartbeat of a reader of ``host``, and perhaps with a few others."""
    return b"dao:heartbeats:" + _glob_literal(host) + b":*"


def parse_heartbeat_key(raw: bytes, host: str) -> tuple[str, str]:
    """Segment name and client of a heartbeat of a reader of ``host``.

    Raises:
        ProtocolError: If it is no such key.
    """
    begin = f"dao:heartbeats:{host}:"
    name, colon, client = _text(raw)[len(begin) :].partition(":")
    if not colon or not _text(raw).startswith(begin):
        raise ProtocolError(f"key {_shown(raw)} is not {begin}NAME:CLIENT")
    return _checked_name(name), _checked_host(client)


def instance_key(host: str) -> bytes:
    """``daosup:host:<host>``: which process of ours speaks for the host."""
    return _key("daosup:host", host)


def readers_key(owner: str) -> bytes:
    """``daosup:readers:<owner>``: a hash with one field for each reader of each segment of ``owner``."""
    return _key("daosup:readers", owner)


def notify_channel(host: str) -> bytes:
    """``daosup:notify:<host>``: where the host is told what changed."""
    return _key("daosup:notify", host)


def question_channel(host: str) -> bytes:
    """``daosup:ask:<host>``: where other hosts ask it something (core/questions.py)."""
    return _key("daosup:ask", host)


def answer_channel(host: str) -> bytes:
    """``daosup:answer:<host>``: where it is answered."""
    return _key("daosup:answer", host)


def host_keys_pattern(host: str) -> bytes:
    """A glob that SCAN matches with every ``dao:`` key of one host, and with some that :func:`is_of_host` sorts out."""
    return b"dao:*:" + _glob_literal(host) + b":*"


def is_of_host(raw: bytes, host: str) -> bool:
    """Whether a key speaks of ``host`` as a machine, or as the owner of a segment."""
    return raw.startswith(
        tuple(_key(table, host, "") for table in ("dao:machines", "dao:connections", "dao:heartbeats"))
    )


def reader_field(name: str, client: str) -> bytes:
    """``<name>|<client>``, a field of the readers hash."""
    return _bytes(f"{name}|{client}")


@lru_cache(maxsize=4096)  # every host reads the same fields again and again
def parse_reader_field(raw: bytes) -> tuple[str, str]:
    """Segment name and client of a field of the readers hash.

    Raises:
        ProtocolError: If it is not such a field.
    """
    name, bar, client = _text(raw).rpartition("|")
    if not bar:
        raise ProtocolError(f"{_shown(raw)} is not NAME|CLIENT")
    return _checked_name(name), _checked_host(client)


def parse_machine_key(raw: bytes) -> MachineKey:
    """Take a key below ``dao:machines:`` apart.

    Raises:
        ProtocolError: If the schema has no such key.
    """
    match = _MACHINE_KEY.match(_text(raw))
    if match:
        host, name, field = match.groups()
        if field in (MACHINE_FIELDS if name is None else SEGMENT_FIELDS):
            return MachineKey(_checked_host(host), None if name is None else _checked_name(name), field)
    raise ProtocolError(f"key {_shown(raw)} is not of the schema: dao:machines:HOST:FIELD or …:shm:NAME:FIELD")


def _key(*parts: str) -> bytes:
    return _bytes(":".join(parts))


def _bytes(text: str) -> bytes:
    # A file name that is not UTF-8 reaches us with surrogates; its key must not be an exception in the supervisor.
    return text.encode("utf-8", "surrogatepass")


def _glob_literal(host: str) -> bytes:
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]^\\-" else bytes([c]) for c in _bytes(host))


def _text(raw: bytes) -> str:
    if len(raw) > _MAX_KEY_BYTES:
        raise ProtocolError(f"a key of {len(raw)} bytes; at most {_MAX_KEY_BYTES} are allowed")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError(f"key {_shown(raw)} is not UTF-8") from None


def _checked_host(text: str) -> str:
    try:
        return check_host(text)
    except UsageError as error:
        raise ProtocolError(str(error)) from None


def _checked_name(text: str) -> str:
    try:
        return check_name(text)
    except UsageError as error:
        raise ProtocolError(str(error)) from None


def _shown(raw: bytes) -> str:
    return repr(raw[:80])[1:]
