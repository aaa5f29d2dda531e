"""What can happen to a host (facts, past tense) and what it can be told to do (orders, imperative)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

from daosup.core.desired import Desired
from daosup.core.host_facts import HostFacts
from daosup.core.lease import Lease
from daosup.core.notices.notice import Notice
from daosup.core.registry_values import Instance, StreamRequest
from daosup.core.types import (
    PROTOCOL,
    HostSign,
    Looks,
    OldWriter,
    Reader,
    Role,
    SegmentFacts,
    Source,
    StreamRecord,
    WorkerKey,
)

# -- events


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

    ``is_written_back``: what is written into the mirror is to go to the source.
    """

    source: Source
    holder: str
    is_written_back: bool = False


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

    A mirror has no port (0) but the one at which an old owner finds what is written back.
    """

    key: WorkerKey
    pid: int
    port: int


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
    WithdrawAsked, ConfigChanged, DesiredChanged, Ticked, StopAsked,
]  # fmt: skip

# -- actions


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

    ``terms`` are what the configuration says of it, only to be compared. ``protocol`` is that of a mirror's source, and
    ``looks`` what is known of that before its first frame, which makes no other order of it. ``is_written_back``: a
    mirror sends what is written into it to its source; if that speaks the old protocol, from ``port``, as a publisher.
    """

    key: WorkerKey
    port: int = 0
    endpoint: str = ""
    terms: Hashable = None
    protocol: int = PROTOCOL
    looks: Optional[Looks] = field(default=None, compare=False)
    is_written_back: bool = False


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
    RememberMirrors, RememberPorts, TellOldWriters, Finish, Report,
]  # fmt: skip
