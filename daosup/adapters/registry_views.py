"""What the registry tells: events that come by themselves, and views of what it holds.

Invariant: plain checked facts; nothing in them refers to the connection they came over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Union

from daosup.core.registry_values import Instance, NoticeKind
from daosup.core.types import Looks, Reader, Source, StreamRecord


@dataclass(frozen=True)
class Notified:
    """Another host says that something changed; what exactly is to be read."""

    kind: NoticeKind
    source: Source


@dataclass(frozen=True)
class Lost:
    """The link to Redis broke; every call raises until :meth:`Registry.connect` succeeds again."""

    reason: str


@dataclass(frozen=True)
class Asked:
    """A question of another host came, or what pretends to be one (core/questions.py)."""

    raw: bytes


@dataclass(frozen=True)
class Answered:
    """An answer of another host came, or what pretends to be one."""

    raw: bytes


RegistryEvent = Union[Notified, Lost, Asked, Answered]


@dataclass(frozen=True)
class HostView:
    """What the registry holds of a host; ``instance`` is None for one that runs the existing daemon.

    ``age_s``: how long ago it gave its last sign of life, in seconds by Redis's clock; None if that is no time.
    """

    host: str
    ip: str
    role: str
    last_connect: str
    age_s: Optional[float]
    instance: Optional[Instance]


@dataclass(frozen=True)
class OwnView:
    """What the registry holds for this host: its readers by segment and reading host, and who speaks for it.

    ``speaker`` is None if our key is gone (flushed, expired), and another's if a second daemon uses our host name.
    ``entry_count``: how many readers are written down, those included that do not decode.
    """

    readers: Mapping[str, Mapping[str, Reader]]
    speaker: Optional[Instance]
    entry_count: int = 0


@dataclass(frozen=True)
class SourceView:
    """What the registry holds of another host's segment; ``owner`` is None for an old daemon's host.

    ``looks`` is read of old daemons' segments alone: a stream of ours says it itself.
    """

    is_host_known: bool
    is_segment_known: bool
    records: tuple[StreamRecord, ...]
    owner: Optional[Instance]
    looks: Optional[Looks] = None
