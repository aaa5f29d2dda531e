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


RegistryEvent = Union[Notified, Lost]


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
