"""What a host can be told to do: orders, in the imperative."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

from daosup.core.delivery import PLAIN, Delivery
from daosup.core.lease import Lease
from daosup.core.notices.notice import Notice
from daosup.core.types import (
    PROTOCOL,
    Looks,
    OldWriter,
    Role,
    SegmentFacts,
    Source,
    StreamRecord,
    WorkerKey,
)

#: In place of a port: none at all.
NO_PORT = -1


@dataclass(frozen=True)
class ConnectRegistry:
    """Try to reach Redis; answered by RegistryConnected or RegistryLost."""


@dataclass(frozen=True)
class CheckRegistry:
    """Find out cheaply whether anything needs to be done; answered by RegistryChecked."""


@dataclass(frozen=True)
class LookAtLease:
    """Answered by LeaseSeen, as the next three are."""

    asked_s: float


@dataclass(frozen=True)
class TakeLease:
    """Become master, if ``expected`` still stands where the lease belongs, with an epoch above ``above``."""

    asked_s: float
    expected: bytes
    above: int


@dataclass(frozen=True)
class RenewLease:
    """Stay master, if we still are."""

    asked_s: float
    lease: Lease


@dataclass(frozen=True)
class GiveUpLease:
    """Let another be master, if we are: whatever the epoch."""

    asked_s: float


@dataclass(frozen=True)
class ReadHosts:
    """Answered by HostsSeen."""


@dataclass(frozen=True)
class Evict:
    """Take a host out of the registry, if the lease is still ours and the host gave no other sign of life.

    Answered by HostEvicted or ActRefused, or not at all.
    """

    lease: Lease
    host: str
    last_connect: str


@dataclass(frozen=True)
class ReadReaders:
    """Answered by ReadersSeen."""


@dataclass(frozen=True)
class TakeRequests:
    """Take what readers of the old protocol asked for of these segments; answered by RequestsTaken if they did."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class ReadHeartbeats:
    """Look at heartbeats of the old protocol: of pairs of segment name and host. Answered by HeartbeatsSeen."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FindHeartbeats:
    """Look for all heartbeats of the old protocol that are about our segments; answered by HeartbeatsSeen."""


@dataclass(frozen=True)
class RequestStream:
    """Ask a host that runs the existing daemon for a stream, as its own clients do.

    If it is to be ``bidirectional``, that host follows what is streamed from ``client_pub_port`` of this one.
    """

    source: Source
    bidirectional: bool = False
    client_pub_port: Optional[int] = None


@dataclass(frozen=True)
class ReadRecords:
    """Answered by RecordsSeen."""

    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Announce:
    """Write everything this host has, with fresh lifetimes: its first words, and its heartbeat."""

    role: Role
    segments: Mapping[str, SegmentFacts]
    records: Mapping[str, tuple[StreamRecord, ...]]


@dataclass(frozen=True)
class PutSegment:
    """Write one segment."""

    facts: SegmentFacts
    records: tuple[StreamRecord, ...]


@dataclass(frozen=True)
class DropSegment:
    """Take one segment out of the registry."""

    name: str


@dataclass(frozen=True)
class DropLeftovers:
    """Take what a daemon that was killed left out of the registry: segments of this host other than these."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class PutRecords:
    """Write the connection records of a segment and tell these hosts."""

    name: str
    records: tuple[StreamRecord, ...]
    notify: tuple[str, ...]


@dataclass(frozen=True)
class DropReaders:
    """Take readers that vanished out of the registry: pairs of segment name and host."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ask:
    """Write down, or renew, that this host reads these sources; their owners are told if that ``is_news``.

    ``written_back``: to which of them it also writes.
    """

    sources: tuple[Source, ...]
    beat: int
    is_news: bool
    written_back: frozenset[Source] = frozenset()


@dataclass(frozen=True)
class Unask:
    """This host reads these sources no longer."""

    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Withdraw:
    """Take this host out of the registry."""


@dataclass(frozen=True)
class StartWorker:
    """Start a process. A publisher should take ``port`` if it can (0: any); a mirror connects to ``endpoint``.

    ``direct_port`` is likewise where a publisher should also offer its frames directly (`NO_PORT`: nowhere), and where
    a mirror's owner does (0: nowhere).

    ``terms`` are what the configuration says of it, only to be compared. ``protocol`` is that of a mirror's source, and
    ``looks`` what is known of that before its first frame, which makes no other order of it. ``is_written_back``: a
    mirror sends what is written into it to its source; if that speaks the old protocol, from ``port``, as a publisher.

    A mirror's frames come in the form of its ``delivery`` or not at all; if that is plain, ``enough_hz`` frames a
    second are enough (0: all are wanted).
    """

    key: WorkerKey
    port: int = 0
    endpoint: str = ""
    terms: Hashable = None
    protocol: int = PROTOCOL
    looks: Optional[Looks] = field(default=None, compare=False)
    is_written_back: bool = False
    direct_port: int = 0
    delivery: Delivery = PLAIN
    enough_hz: float = 0.0


@dataclass(frozen=True)
class StopWorker:
    """End a process: politely, or with ``is_forced`` at once."""

    key: WorkerKey
    pid: int
    is_forced: bool = False


@dataclass(frozen=True)
class RemoveMirror:
    """Remove the mirror segment of a source."""

    source: Source


@dataclass(frozen=True)
class RememberMirrors:
    """Write down, for a supervisor that comes after a crash, what is mirrored: as the operator asked for, or others.

    ``written_back`` are those that are written back: of the operator's, the ones that the operator wants so.
    """

    by_operator: tuple[Source, ...]
    by_others: tuple[Source, ...]
    written_back: tuple[Source, ...] = ()


@dataclass(frozen=True)
class RememberPorts:
    """Write down, for all supervisors to come, where segments were published last: ports by name."""

    ports: Mapping[str, int]


@dataclass(frozen=True)
class TellOldWriters:
    """Have the publisher of a segment follow these readers of the old protocol, which write to it, and no others."""

    name: str
    writers: tuple[OldWriter, ...]


@dataclass(frozen=True)
class FetchCatalogue:
    """Fetch what a node of DAO's network service has; answered by CatalogueRead or CatalogueFailed."""

    node: str
    address: str
    port: int


@dataclass(frozen=True)
class Finish:
    """The supervisor may end: nothing is left to do, or with an ``error`` it cannot serve here now (exit 69)."""

    error: Optional[str] = None


@dataclass(frozen=True)
class Report:
    """Tell the log. ``about``: the worker that is concerned, or the name of a segment of this host."""

    notice: Notice
    about: Union[WorkerKey, str, None] = None
    pid: int = 0
    fields: tuple[tuple[str, object], ...] = ()


Action = Union[
    ConnectRegistry, CheckRegistry, LookAtLease, TakeLease, RenewLease, GiveUpLease, ReadHosts, Evict, ReadReaders,
    TakeRequests, ReadHeartbeats, FindHeartbeats, RequestStream, ReadRecords, Announce, PutSegment, DropSegment,
    DropLeftovers, PutRecords, DropReaders, Ask, Unask, Withdraw, StartWorker, StopWorker, RemoveMirror,
    RememberMirrors, RememberPorts, TellOldWriters, FetchCatalogue, Finish, Report,
]  # fmt: skip
