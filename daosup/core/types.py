"""Names and small facts that every part of daosup speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from daosup.errors import UsageError

SEGMENT_SUFFIX = ".im.shm"
MIRROR_PREFIX = "remote_"
PROTOCOL = 2
#: What hosts speak that run the existing daemon.
OLD_PROTOCOL = 1

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62})\Z")
# The last range: what Python makes of file names that are not UTF-8, which nothing else understands.
_NAME = re.compile(r"[^\s/:\x00-\x1f\x7f\ud800-\udfff]{1,120}\Z")


class Role(Enum):
    """What a host is in the fleet; the master evicts hosts that vanished."""

    MASTER = "master"
    MINION = "minion"


class WorkerKind(Enum):
    """What a worker process does."""

    PUBLISHER = "publisher"
    MIRROR = "mirror"


class Writing(Enum):
    """Which mirrors on other hosts may write into a segment; its owner decides."""

    OPEN = "open"
    READ_ONLY = "read_only"
    #: One host at a time, until it lets go or is gone.
    SINGLE_WRITER = "single_writer"


@dataclass(frozen=True, order=True)
class Source:
    """A segment and the host that owns it, written ``HOST:NAME``."""

    host: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``HOST:NAME``.

        Raises:
            UsageError: If it has another form.
        """
        host, colon, name = text.partition(":")
        if not colon:
            raise UsageError(f"{text!r} is not HOST:NAME; write for example rts:wfs")
        return cls(check_host(host), check_name(clean_name(name)))

    @property
    def mirror_name(self) -> str:
        """What the segment that mirrors this source on another host is called, unless that is configured otherwise."""
        return f"{MIRROR_PREFIX}{self.host}_{self.name}"

    def __str__(self) -> str:
        return f"{self.host}:{self.name}"


@dataclass(frozen=True)
class WorkerKey:
    """Names one worker of a host: there is never more than one process for a key."""

    kind: WorkerKind
    source: Source

    def __str__(self) -> str:
        return f"{self.kind.value} {self.source}"

    def __lt__(self, other: WorkerKey) -> bool:
        return (self.kind.value, self.source) < (other.kind.value, other.source)


@dataclass(frozen=True)
class SegmentFacts:
    """What is known of a local segment without opening its data.

    ``identity`` changes when the segment is made anew (inode, size, creation time); ``nbytes`` is one frame's size.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    depth: int
    nbytes: int
    identity: str


@dataclass(frozen=True)
class StreamRecord:
    """One connection record of ``dao:machines:<host>:shm:<name>:connections``.

    ``protocol`` is 2 for our streams; records of the old daemon have no such field and read as 1.
    """

    server_ip: str
    port: int
    client_hostname: str
    client_ip: str
    transport: str = "zmq"
    bidirectional: bool = False
    client_pub_port: Optional[int] = None
    protocol: int = PROTOCOL

    @property
    def endpoint(self) -> str:
        """The ZeroMQ endpoint to connect to."""
        return f"tcp://{self.server_ip}:{self.port}"


@dataclass(frozen=True)
class Reader:
    """A host that wants a segment of ours. ``beat`` grows while the reader is alive.

    One that speaks the old protocol has neither beat nor instance, and no ``ip`` if only its heartbeat is known. One
    that also writes to the segment is ``bidirectional``; by the old protocol it streams that from ``client_pub_port``.
    """

    host: str
    ip: str
    beat: int
    instance: str
    protocol: int = PROTOCOL
    bidirectional: bool = False
    client_pub_port: Optional[int] = None


@dataclass(frozen=True, order=True)
class OldWriter:
    """A host that streams, in the old protocol, what is written into its mirror of a segment of ours."""

    host: str
    ip: str
    port: int

    @property
    def endpoint(self) -> str:
        """The ZeroMQ endpoint to connect to."""
        return f"tcp://{self.ip}:{self.port}"


@dataclass(frozen=True)
class Machine:
    """A host as the registry knows it."""

    hostname: str
    ip: str
    role: str
    last_connect: str
    segments: tuple[SegmentEntry, ...] = ()


@dataclass(frozen=True)
class HostSign:
    """A host's last sign of life in the registry.

    ``last_connect`` is the text as it stands there, ``stamp_s`` the same as seconds since 1970, None if it is no time.
    ``is_lasting``: it does not expire, so an old daemon wrote it.
    """

    host: str
    role: str
    last_connect: str
    stamp_s: Optional[float]
    is_lasting: bool


@dataclass(frozen=True)
class SegmentEntry:
    """A segment as the registry knows it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    readers: int


@dataclass(frozen=True)
class Looks:
    """What the registry says that frames of a segment look like: their shape, and their NumPy dtype string."""

    shape: tuple[int, ...]
    dtype: str


def clean_name(name: str) -> str:
    """A segment name as the registry's keys have it: no leading slashes, blanks as ``_``."""
    return name.lstrip("/").replace(" ", "_")


def check_host(host: str) -> str:
    """Return ``host`` if it can be a host's name in the registry.

    Raises:
        UsageError: If it cannot.
    """
    if not _HOST.match(host):
        raise UsageError(
            f"{host!r} cannot be a host name: 1 to 63 letters, digits, '-', '_', '.', and the first a letter or digit"
        )
    return host


def check_name(name: str) -> str:
    """Return ``name`` if it can be a segment's name (without folder and suffix).

    Raises:
        UsageError: If it cannot.
    """
    if not _NAME.match(name) or name in (".", ".."):
        raise UsageError(
            f"{name!r} cannot be a segment name: 1 to 120 characters without '/', ':', blanks and control characters"
        )
    return name
