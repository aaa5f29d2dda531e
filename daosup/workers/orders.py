"""What a worker process is told when it is started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Union

from daosup.core.actions import NO_PORT
from daosup.core.delivery import Delivery
from daosup.core.layout import Geometry, Layout
from daosup.core.types import PROTOCOL, Transport, WorkerKey, Writing
from daosup.workers.limits import Limits

#: In an order, but of no account when it is asked whether a running worker is told the same: a publisher keeps the
#: port that its readers know, a mirror the one that its owner does, and what a source looked like matters until its
#: first frame only.
_HARMLESS = ("port", "direct_port", "write_port", "shape", "dtype")


#: Where other programs have ports, so many are tried for direct connections.
_NEAR = 16


@dataclass(frozen=True)
class PublisherOrder:
    """Publish the segment at ``path`` on ``port`` (0: any) of the address ``bind``, or on another one that is allowed.

    Allowed are ``port_count`` ports from ``first_port`` on (0: any port). ``writing`` is a `Writing` as text: which
    mirrors may write into the segment.

    If it ``is_direct``, frames can also be had directly, at ``direct_port`` (0: any, `NO_PORT`: not at all) or near it.
    If it ``is_handed``, the gate hands it readers of other kinds.
    """

    key: WorkerKey
    path: str
    page: Path
    bind: str
    port: int
    first_port: int
    port_count: int
    semaphore: int
    limits: Limits = field(default_factory=Limits)
    writing: str = Writing.OPEN.value
    is_direct: bool = True
    direct_port: int = 0
    is_handed: bool = False

    @property
    def direct_ports(self) -> Iterator[int]:
        """Where frames may be had directly: the preferred port first; none if nowhere."""
        if self.is_direct and self.direct_port != NO_PORT:
            yield self.direct_port
            if self.first_port:
                yield from range(self.direct_port - 1, max(self.first_port, self.direct_port - _NEAR) - 1, -1)
            elif self.direct_port:
                yield 0

    @property
    def ports(self) -> Iterator[int]:
        """The preferred port first, then whatever else is allowed."""
        yield self.port
        if not self.first_port:
            if self.port:
                yield 0
            return
        last = self.first_port + self.port_count
        yield from range(self.port + 1, last)
        yield from range(self.first_port, min(self.port, last))


@dataclass(frozen=True)
class MirrorOrder:
    """Keep the segment at ``path`` like the one streamed from ``endpoint`` in this ``protocol``.

    The old one says nothing before its first frame; until then ``shape`` and ``dtype``, if known, are as the registry
    has them.

    The source's owner, to which this ``host`` is known by that name, offers frames directly at ``offered_port`` (0: it
    does not); ``transport`` is a `Transport` as text: whether they are to come so. They come in the form of
    ``delivery``, a `Delivery` as text, or not at all; if that is empty, ``enough_hz`` frames a second are enough (0:
    all are wanted).

    The mirror is made in ``layout``, a `Layout` as text or "source" for the source's, and keeps ``depth`` frames (0: as
    many as the source, if its layout can).

    If ``is_written_back``, what programs of this host write into the mirror goes to its source; they are waited for on
    ``semaphore``. A source that speaks the old protocol follows it on ``write_port`` (0: any) of the address ``bind``;
    which it really is goes to the statistics page with `stamp_ready`.
    """

    key: WorkerKey
    path: str
    page: Path
    endpoint: str
    mode: int
    layout: str
    limits: Limits = field(default_factory=Limits)
    protocol: int = PROTOCOL
    shape: tuple[int, ...] = ()
    dtype: str = ""
    is_written_back: bool = False
    host: str = ""
    semaphore: int = 9
    write_port: int = 0
    bind: str = "*"
    transport: str = Transport.AUTO.value
    offered_port: int = 0
    delivery: str = ""
    enough_hz: float = 0.0
    depth: int = 0

    def mirrored(self, source: Geometry) -> Geometry:
        """What the mirror is like, freshness keywords aside, of a ``source`` that is like this."""
        return source.mirrored(None if self.layout == "source" else Layout(self.layout), self.depth)

    @property
    def wanted(self) -> Delivery:
        """In which form frames are to come, if that is to be had."""
        return Delivery.parse(self.delivery.split(" ")) if self.delivery else Delivery(rate_hz=self.enough_hz)


@dataclass(frozen=True)
class GateOrder:
    """Be this host as ``node`` of DAO's network service, on ``port`` of the address ``bind``.

    Beacons for ``domain`` go to the multicast ``group`` and ``beacon_port`` by ``interface`` (empty: as routes say), no
    further than ``ttl`` networks.
    """

    key: WorkerKey
    page: Path
    bind: str
    port: int
    domain: str
    node: str
    group: str
    beacon_port: int
    interface: str
    ttl: int
    limits: Limits = field(default_factory=Limits)


Order = Union[PublisherOrder, MirrorOrder, GateOrder]


@dataclass(frozen=True)
class Request:
    """What the fork server is asked for: a worker that carries out ``order``.

    ``orphan_grace_s`` is how long it goes on without a supervisor.
    """

    order: Order
    orphan_grace_s: float


def fields_of(order: Order) -> dict[str, Any]:
    """An order as JSON has it."""
    fields = {**asdict(order), "key": key_fields(order.key)}
    plain: dict[str, Any] = json.loads(json.dumps(fields, default=str))
    return plain


def key_fields(key: WorkerKey) -> list[str]:
    """A key as JSON has it."""
    return [key.kind.value, key.source.host, key.source.name]


def is_same(order: Order, fields: dict[str, Any]) -> bool:
    """Whether a worker with these fields does what ``order`` asks for."""
    mine = fields_of(order)
    return {**mine, **dict.fromkeys(_HARMLESS)} == {**fields, **dict.fromkeys(_HARMLESS)}
