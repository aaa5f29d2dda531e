"""What can happen to a host (facts, past tense) and what it can be told to do (orders, imperative)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Union

from daosup.core.types import Machine, Reader, Role, SegmentFacts, Source, StreamRecord, WorkerKey

# -- events


@dataclass(frozen=True)
class RegistryConnected:
    """Redis answers."""

    server: str


@dataclass(frozen=True)
class RegistryLost:
    """Redis does not answer (any more)."""

    reason: str


@dataclass(frozen=True)
class MachinesSeen:
    """All hosts of the registry were read."""

    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class ReadersSeen:
    """Our readers were read: by segment name, then by host. ``is_announced``: our own key was still there."""

    readers: Mapping[str, Mapping[str, Reader]]
    is_announced: bool


@dataclass(frozen=True)
class RecordsSeen:
    """What the registry knows of a source."""

    source: Source
    is_host_known: bool
    is_segment_known: bool
    records: tuple[StreamRecord, ...]


@dataclass(frozen=True)
class ReadersNotified:
    """Somebody says that our readers changed."""


@dataclass(frozen=True)
class RecordNotified:
    """An owner says that the record of a source changed."""

    source: Source


@dataclass(frozen=True)
class SegmentsSeen:
    """The segment folder was looked through."""

    segments: tuple[SegmentFacts, ...]


@dataclass(frozen=True)
class MirrorAsked:
    """Somebody wants a source mirrored here."""

    source: Source
    holder: str


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
class WorkerStarted:
    """A worker's process exists."""

    key: WorkerKey
    pid: int


@dataclass(frozen=True)
class WorkerReady:
    """A worker does its work: a publisher is bound to ``port``, a mirror (port 0) has its segment."""

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
    """Workers were found alive, and what was written down as RememberMirrors says. SegmentsSeen came before."""

    workers: tuple[FoundWorker, ...]
    by_operator: tuple[Source, ...] = ()
    by_others: tuple[Source, ...] = ()


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
    RegistryConnected, RegistryLost, MachinesSeen, ReadersSeen, RecordsSeen, ReadersNotified, RecordNotified,
    SegmentsSeen, MirrorAsked, MirrorReleased, HolderGone, WorkerStarted, WorkerReady, WorkerExited,
    WorkersFound, RenewAsked, AnnounceAsked, WithdrawAsked, Ticked, StopAsked,
]  # fmt: skip

# -- actions


@dataclass(frozen=True)
class ConnectRegistry:
    """Try to reach Redis; answered by RegistryConnected or RegistryLost."""


@dataclass(frozen=True)
class ReadMachines:
    """Answered by MachinesSeen."""


@dataclass(frozen=True)
class ReadReaders:
    """Answered by ReadersSeen."""


@dataclass(frozen=True)
class ReadRecords:
    """Answered by RecordsSeen."""

    source: Source


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
    """Write down, or renew, that this host reads a source."""

    source: Source
    beat: int


@dataclass(frozen=True)
class Unask:
    """This host reads a source no longer."""

    source: Source


@dataclass(frozen=True)
class Withdraw:
    """Take this host out of the registry."""


@dataclass(frozen=True)
class StartWorker:
    """Start a process. A publisher should take ``port`` if it can (0: any); a mirror connects to ``endpoint``."""

    key: WorkerKey
    port: int = 0
    endpoint: str = ""


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
    """Write down, for a supervisor that comes after a crash, what is mirrored: as the operator asked for, or others."""

    by_operator: tuple[Source, ...]
    by_others: tuple[Source, ...]


@dataclass(frozen=True)
class Finish:
    """Nothing is left to do: the supervisor may end."""


@dataclass(frozen=True)
class Report:
    """Tell the log."""

    level: str
    message: str
    fields: tuple[tuple[str, object], ...] = ()


Action = Union[
    ConnectRegistry, ReadMachines, ReadReaders, ReadRecords, Announce, PutSegment, DropSegment, PutRecords,
    DropReaders, Ask, Unask, Withdraw, StartWorker, StopWorker, RemoveMirror,
    RememberMirrors, Finish, Report,
]  # fmt: skip
