"""What can happen to a host: facts, in the past tense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

from daosup.core.actions import StartWorker
from daosup.core.desired import Desired
from daosup.core.dnet_catalogue import Beacon, Catalogue
from daosup.core.host_facts import HostFacts
from daosup.core.lease import Lease
from daosup.core.registry_values import Instance, StreamRequest
from daosup.core.types import (
    HostSign,
    Looks,
    OldWriter,
    Reader,
    SegmentFacts,
    Source,
    StreamRecord,
    WorkerKey,
)


@dataclass(frozen=True)
class RegistryConnected:
    """Redis answers. ``started_ms``: when this process started, in Redis's time."""

    server: str
    started_ms: int = 0


@dataclass(frozen=True)
class RegistryLost:
    """Redis does not answer (any more)."""

    reason: str


@dataclass(frozen=True)
class LeaseSeen:
    """The master's lease as Redis had it after what we asked for at ``asked_s`` was carried out, or was not.

    ``value`` is what stands there (``b""``: nothing), ``holder`` what it says if it is a lease. It expires in
    ``left_s`` seconds; below 0 it does not.
    """

    asked_s: float
    value: bytes
    holder: Optional[Lease]
    left_s: float


@dataclass(frozen=True)
class ClockCompared:
    """This host's clock is ``offset_s`` ahead of Redis's, give or take half of ``round_trip_s``."""

    offset_s: float
    round_trip_s: float


@dataclass(frozen=True)
class HostsSeen:
    """The last signs of life of all hosts were read, at ``redis_s`` by Redis's clock (seconds since 1970)."""

    signs: tuple[HostSign, ...]
    redis_s: float


@dataclass(frozen=True)
class HostEvicted:
    """A host that gave no sign of life was taken out of the registry."""

    host: str


@dataclass(frozen=True)
class ActRefused:
    """Redis refused what we wanted to do as master: the lease of this epoch is ours no longer."""

    act: str
    epoch: int


@dataclass(frozen=True)
class ReplacedInstance:
    """Our announcement was written over that of another process under our host name, alive or not."""

    other: Instance


@dataclass(frozen=True)
class ReadersSeen:
    """Our readers were read: by segment name, then by host. ``is_announced``: our own key was still there.

    ``other`` is the process under our host name that wrote its own instead. ``entry_count``: how many readers the
    registry has, those included that mean nothing.
    """

    readers: Mapping[str, Mapping[str, Reader]]
    is_announced: bool
    other: Optional[Instance] = None
    entry_count: int = 0


@dataclass(frozen=True)
class RegistryChecked:
    """The registry still takes writes; whether our own key is there, and how many readers it has for us."""

    is_announced: bool
    entry_count: int


@dataclass(frozen=True)
class RecordsSeen:
    """What the registry knows of some sources."""

    sources: tuple[SourceSeen, ...]


@dataclass(frozen=True)
class SourceSeen:
    """What the registry knows of a source; not an event of its own.

    ``is_old``: its host runs the existing daemon, and the segment ``looks`` like that.
    """

    source: Source
    is_host_known: bool
    is_segment_known: bool
    records: tuple[StreamRecord, ...]
    is_old: bool = False
    looks: Optional[Looks] = None


@dataclass(frozen=True)
class RequestsTaken:
    """Readers of the old protocol asked for segments of ours, by name, and their requests were taken away."""

    requests: Mapping[str, StreamRequest]


@dataclass(frozen=True)
class HeartbeatsSeen:
    """Heartbeats of readers of the old protocol: by segment name and host, and what each says."""

    stamps: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class ReadersNotified:
    """Somebody says that our readers changed."""


@dataclass(frozen=True)
class RecordNotified:
    """An owner says that the record of a source changed."""

    source: Source


@dataclass(frozen=True)
class LinksSeen:
    """The workers' connections now: sources whose mirrors have a link, and our segments that are subscribed to.

    ``connected`` says how often each is.
    """

    linked: frozenset[Source]
    subscribed: frozenset[str]
    connected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentsChanged:
    """Segments of this host came, are otherwise than before (or as before, which is no news), or are gone."""

    found: tuple[SegmentFacts, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class MirrorAsked:
    """Somebody wants a source mirrored here, or, if it does already, wants it otherwise than before.

    ``is_written_back``: what is written into the mirror is to go to the source. ``enough_hz``: so many frames a second
    are enough for this one (0: all are wanted).
    """

    source: Source
    holder: str
    is_written_back: bool = False
    enough_hz: float = 0.0


@dataclass(frozen=True)
class MirrorReleased:
    """A holder, or with None everybody, does not want it any more."""

    source: Source
    holder: Optional[str]


@dataclass(frozen=True)
class HolderGone:
    """A holder ended without releasing what it held."""

    holder: str


@dataclass(frozen=True)
class ConfigChanged:
    """The configuration says something else of this host, or was read for the first time."""

    facts: HostFacts


@dataclass(frozen=True)
class DesiredChanged:
    """What operators want to last was read, or is something else now."""

    desired: Desired


@dataclass(frozen=True)
class WorkerStarted:
    """A worker's process exists."""

    key: WorkerKey
    pid: int


@dataclass(frozen=True)
class WorkerBegan:
    """A worker's loop goes round; it may still wait for what it needs to do its work."""

    key: WorkerKey
    pid: int


@dataclass(frozen=True)
class WorkerReady:
    """A worker does its work: a publisher is bound to ``port``, a mirror has its segment.

    A mirror has no port (0) but the one at which an old owner finds what is written back. At ``direct_port`` a
    publisher offers its frames directly (0: it does not).
    """

    key: WorkerKey
    pid: int
    port: int
    direct_port: int = 0


@dataclass(frozen=True)
class WorkerExited:
    """A worker's process ended, or could not be started (pid 0). ``details``: its last lines, if it left any."""

    key: WorkerKey
    pid: int
    cause: str
    details: str = ""


@dataclass(frozen=True)
class WorkerHung:
    """A worker's process is there, but its loop stands still, and did so for ``beat_age_s`` now."""

    key: WorkerKey
    pid: int
    beat_age_s: float


@dataclass(frozen=True)
class WorkerGrown:
    """A worker's process has more memory of its own than the configuration allows."""

    key: WorkerKey
    pid: int
    memory_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class RestartAsked:
    """Somebody wants a worker ended and started anew, or, if it waits for its next try, tried now."""

    key: WorkerKey


@dataclass(frozen=True)
class FoundWorker:
    """A process that a supervisor before us started: what it was told, and the port that it is bound to.

    ``is_matching``: it is told exactly what we would tell it.
    """

    order: StartWorker
    pid: int
    is_ready: bool
    is_matching: bool = True


@dataclass(frozen=True)
class WorkersFound:
    """Workers were found alive, and what was written down as RememberMirrors says. SegmentsChanged came before."""

    workers: tuple[FoundWorker, ...]
    by_operator: tuple[Source, ...] = ()
    by_others: tuple[Source, ...] = ()
    written_back: tuple[Source, ...] = ()


@dataclass(frozen=True)
class PortsRemembered:
    """Where segments of this host were published before, as RememberPorts says."""

    ports: Mapping[str, int]


@dataclass(frozen=True)
class OldWritersRemembered:
    """What publishers of this host were told by the supervisor before us, as TellOldWriters says, by segment name."""

    writers: Mapping[str, tuple[OldWriter, ...]]


@dataclass(frozen=True)
class RenewAsked:
    """These workers are to be replaced by new ones, one after the other."""

    keys: tuple[WorkerKey, ...]


@dataclass(frozen=True)
class AnnounceAsked:
    """This host is to be in the registry, as it is now."""


@dataclass(frozen=True)
class WithdrawAsked:
    """This host is to be out of the registry until it is announced again."""


@dataclass(frozen=True)
class BeaconHeard:
    """A node of DAO's network service said from ``address`` that it is there."""

    beacon: Beacon
    address: str


@dataclass(frozen=True)
class CatalogueRead:
    """What FetchCatalogue asked for came."""

    node: str
    address: str
    port: int
    catalogue: Catalogue


@dataclass(frozen=True)
class NodeAsked:
    """A node of DAO's network service came for a segment of this host, which nobody publishes yet."""

    name: str


@dataclass(frozen=True)
class CatalogueFailed:
    """What FetchCatalogue asked for did not come."""

    node: str
    address: str
    port: int
    reason: str


@dataclass(frozen=True)
class Ticked:
    """Time went by."""


@dataclass(frozen=True)
class StopAsked:
    """This host's supervisor is to end."""


Event = Union[
    RegistryConnected, RegistryLost, RegistryChecked, LeaseSeen, ClockCompared, HostsSeen, HostEvicted, ActRefused,
    ReplacedInstance, ReadersSeen, RequestsTaken, HeartbeatsSeen, RecordsSeen, ReadersNotified, RecordNotified,
    LinksSeen, SegmentsChanged, MirrorAsked, MirrorReleased, HolderGone, WorkerStarted, WorkerBegan, WorkerReady,
    WorkerExited, WorkerHung, WorkerGrown, WorkersFound, PortsRemembered,
    OldWritersRemembered, RestartAsked, RenewAsked, AnnounceAsked,
    WithdrawAsked, ConfigChanged, DesiredChanged, BeaconHeard, CatalogueRead, CatalogueFailed, NodeAsked, Ticked,
    StopAsked,
]  # fmt: skip
