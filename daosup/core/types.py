"""Names and small facts that every part of daosup speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Optional

from daosup.errors import UsageError

#: What the gate is called where workers have a segment's name.
GATE_NAME = "gate"
SEGMENT_SUFFIX = ".im.shm"
MIRROR_PREFIX = "remote_"
PROTOCOL = 2
#: What hosts speak that run the existing daemon.
OLD_PROTOCOL = 1
#: What nodes of DAO's own network service speak, which has a version of its own.
DNET_PROTOCOL = 3
#: How each is carried, as connection records say it.
DNET_TRANSPORT = "dnet"

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62})\Z")
# The last range: what Python makes of file names that are not UTF-8, which nothing else understands.
_NAME = re.compile(r"[^\s/:\x00-\x1f\x7f\ud800-\udfff]{1,120}\Z")
#: Of what cannot be a name, so many characters are told.
_MOST_SHOWN = 80


class Role(Enum):
    """What a host is in the fleet; the master evicts hosts that vanished."""

    MASTER = "master"
    MINION = "minion"


class WorkerKind(Enum):
    """What a worker process does; ordered by its name."""

    PUBLISHER = "publisher"
    MIRROR = "mirror"
    #: Where nodes of DAO's network service find this host.
    GATE = "gate"

    # It is a part of each worker's key, and Enum's own is a function of Python.
    __hash__ = object.__hash__

    def __lt__(self, other: WorkerKind) -> bool:
        return self.value < other.value


class Transport(Enum):
    """How a mirror's frames come from their owner."""

    #: Directly where the owner offers that and can be reached so, else by ZeroMQ.
    AUTO = "auto"
    #: One TCP connection for each reader.
    DIRECT = "direct"
    ZMQ = "zmq"


class Writing(Enum):
    """Which mirrors on other hosts may write into a segment; its owner decides."""

    OPEN = "open"
    READ_ONLY = "read_only"
    #: One host at a time, until it lets go or is gone.
    SINGLE_WRITER = "single_writer"


class Source(NamedTuple):
    """A segment and the host that owns it, written ``HOST:NAME``.

    A tuple, as ``WorkerKey`` is, for what is known of workers is looked up by these very often.
    """

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


class WorkerKey(NamedTuple):
    """Names one worker of a host: there is never more than one process for a key."""

    kind: WorkerKind
    source: Source

    def __str__(self) -> str:
        return f"{self.kind.value} {self.source}"


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

    ``protocol`` is 2 for our streams; records of the old daemon have no such field and read as 1. For a node of DAO's
    network service, which has no record in the registry, one is made up with 3. ``direct_port`` is where the same
    frames can be had without ZeroMQ; None: nowhere.
    """

    server_ip: str
    port: int
    client_hostname: str
    client_ip: str
    transport: str = "zmq"
    bidirectional: bool = False
    client_pub_port: Optional[int] = None
    protocol: int = PROTOCOL
    direct_port: Optional[int] = None

    @property
    def endpoint(self) -> str:
        """Where to connect to, as ZeroMQ writes it."""
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
    ``is_lasting``: it does not expire, so an old daemon wrote it; else it does in ``left_s``.
    """

    host: str
    role: str
    last_connect: str
    stamp_s: Optional[float]
    is_lasting: bool
    left_s: float = 0.0


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
            f"{_shown(host)} cannot be a host name: "
            "1 to 63 letters, digits, '-', '_', '.', and the first a letter or digit"
        )
    return host


def check_name(name: str) -> str:
    """Return ``name`` if it can be a segment's name (without folder and suffix).

    Raises:
        UsageError: If it cannot.
    """
    if not _NAME.match(name) or name in (".", ".."):
        raise UsageError(
            f"{_shown(name)} cannot be a segment name: "
            "1 to 120 characters without '/', ':', blanks and control characters"
        )
    return name


def _shown(text: str) -> str:
    # What cannot be a name may come from Redis, and is as long as it pleases there.
    return repr(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!r}... ({len(text)} characters)"
