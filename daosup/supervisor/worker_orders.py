"""Turns the order to start a worker into all that its process must know, and back again for those found alive."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Optional

from daosup.adapters.segment_folder import SegmentFolder
from daosup.config import Config
from daosup.core.actions import NO_PORT, StartWorker
from daosup.core.delivery import MOST_RATE_HZ, PLAIN, Delivery
from daosup.core.desired import Desired
from daosup.core.events import FoundWorker
from daosup.core.types import (
    DNET_PROTOCOL,
    OLD_PROTOCOL,
    PROTOCOL,
    Looks,
    Source,
    Transport,
    WorkerKey,
    WorkerKind,
)
from daosup.errors import ProtocolError
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.workers.limits import Limits
from daosup.workers.orders import GateOrder, MirrorOrder, Order, PublisherOrder, Request, is_same
from daosup.workers.records import Record, living
from daosup.workers.statistics import FORMAT, Statistics, StatisticsReader

_MAX_ENDPOINT_LENGTH = 300
LAST_PORT = 65535


@dataclass(frozen=True)
class Found:
    """A worker that lives, and its record."""

    worker: FoundWorker
    record: Record


class WorkerOrders:
    """What the workers of one supervisor are told.

    Attributes:
        config: What new processes are told.

    Args:
        config: At first.
        segments: Where segments are.
        folder: Where the workers' files are.
        name_of: What the mirror of a source is called.
        desired: What operators say of mirrors.
    """

    def __init__(
        self,
        config: Config,
        segments: SegmentFolder,
        folder: WorkersFolder,
        name_of: Callable[[Source], str],
        desired: Callable[[], Desired] = Desired,
    ) -> None:
        self.config = config
        self._dnet = config.dnet  # it takes another start to have another one in force
        self._name_of = name_of
        self._desired = desired
        self._segments = segments
        self._folder = folder

    def request_for(self, action: StartWorker) -> Request:
        """What the fork server is asked for."""
        workers = self.config.workers
        return Request(self.order_for(action), workers.orphan_grace_s if workers.survive_supervisor else 0.0)

    def order_for(self, action: StartWorker) -> Order:
        """What the worker's process is told."""
        key, config = action.key, self.config
        page, limits, network = self._folder.page_of(key), self.limits_of(key), config.network
        if key.kind is WorkerKind.GATE:
            dnet = self._dnet
            return GateOrder(
                key, page, network.bind, dnet.data_port, dnet.domain, dnet.node or config.host, dnet.group,
                dnet.beacon_port, dnet.interface or "", dnet.ttl, limits,
            )  # fmt: skip
        if key.kind is WorkerKind.PUBLISHER:
            path = self._segments.path_of(key.source.name)
            first, count, semaphore = network.base_pub_port, network.port_count, config.publish.semaphore
            writing = config.writing_of(key.source.name).value
            return PublisherOrder(
                key, path, page, network.bind, action.port, first, count, semaphore, limits, writing,
                config.publish.direct, action.direct_port, self._dnet.enable,
            )  # fmt: skip
        path = self._segments.path_of(self._name_of(key.source))
        mode, layout, depth = config.making_of(key.source)
        depth = self._desired().depths.get(key.source) or depth or 0
        looks = action.looks or Looks((), "")
        order = MirrorOrder(
            key, path, page, action.endpoint, mode, layout.value, limits, action.protocol, looks.shape, looks.dtype,
            host=self._called(action), transport=self._transport_of(key.source).value,
            offered_port=max(0, action.direct_port), delivery=action.delivery.text, enough_hz=action.enough_hz,
            depth=depth,
        )  # fmt: skip
        if not action.is_written_back:
            return order
        semaphore = config.publish.semaphore
        written_back = replace(order, is_written_back=True, semaphore=semaphore)
        return replace(written_back, write_port=action.port, bind=network.bind)

    def _transport_of(self, source: Source) -> Transport:
        return self._desired().transports.get(source) or self.config.transport_of(source)

    def _called(self, action: StartWorker) -> str:
        """What this host is called by the owner of a mirror's source."""
        host, node = self.config.host, self._dnet.node
        return node if node and action.protocol == DNET_PROTOCOL else host

    def terms_of(self, key: WorkerKey) -> Hashable:
        """All that the configuration says of a worker's process, only to be compared: what differs is another process.

        Its memory limit does not count, for the supervisor looks after that; nor do ports, the names of mirrors and
        what an operator says of them, for the core has that.
        """
        order = self.order_for(StartWorker(key))
        limits = replace(order.limits, memory_limit_mb=None)
        if isinstance(order, PublisherOrder):
            return replace(order, port=0, first_port=0, port_count=0, direct_port=0, limits=limits)
        if isinstance(order, MirrorOrder):
            transport, depth = self.config.transport_of(key.source).value, self.config.making_of(key.source).depth or 0
            return replace(order, path="", limits=limits, transport=transport, depth=depth)
        return replace(order, limits=limits)

    def limits_of(self, key: WorkerKey) -> Limits:
        """What a worker may use of this machine: as the first ``[[worker]]`` that matches says, else as for all."""
        source, config = key.source, self.config
        limits = {each.name: getattr(config.workers, each.name) for each in fields(Limits)}
        exception = next((each for each in config.worker if each.matches(source.host, source.name)), None)
        if exception is not None:
            own = {name: getattr(exception, name) for name in limits}
            limits |= {name: value for name, value in own.items() if value is not None}
        return Limits(**limits)

    def found(self) -> Iterator[Found]:
        """The workers that live, whoever started them."""
        for record in living(self._folder.path):
            statistics = StatisticsReader(self._folder.page_of(record.key)).read(record.pid)
            endpoint = record.order.get("endpoint", "")
            if not isinstance(endpoint, str) or len(endpoint) > _MAX_ENDPOINT_LENGTH:
                endpoint = ""
            said = record.order.get("protocol")
            protocol = said if said in (OLD_PROTOCOL, DNET_PROTOCOL) else PROTOCOL
            action = StartWorker(
                record.key,
                (statistics.port if statistics else 0) or _write_port(record),
                endpoint,
                protocol=protocol,
                is_written_back=record.order.get("is_written_back") is True,
                direct_port=_direct_port(record, statistics),
                delivery=_delivery(record),
                enough_hz=_enough_hz(record),
            )
            is_matching = record.page_format == FORMAT and is_same(self.order_for(action), record.order)
            is_ready = bool(statistics and statistics.is_ready)
            yield Found(FoundWorker(action, record.pid, is_ready, is_matching), record)


def _direct_port(record: Record, statistics: Optional[Statistics]) -> int:
    """Where a publisher offers frames directly, or a mirror was told that they are."""
    if record.key.kind is WorkerKind.MIRROR:
        return _port(record, "offered_port")
    return (statistics.direct_port if statistics else 0) or NO_PORT


def _delivery(record: Record) -> Delivery:
    """In which form a mirror was told to have its frames."""
    text = record.order.get("delivery")
    try:
        return Delivery.parse(text.split(" ")) if isinstance(text, str) and text else PLAIN
    except ProtocolError:
        return PLAIN


def _enough_hz(record: Record) -> float:
    enough_hz = record.order.get("enough_hz")
    return enough_hz if isinstance(enough_hz, float) and 0 < enough_hz <= MOST_RATE_HZ else 0.0


def _write_port(record: Record) -> int:
    """Where an old owner expects what a mirror is to write back; 0 for all others."""
    return _port(record, "write_port")


def _port(record: Record, name: str) -> int:
    port = record.order.get(name)
    return port if type(port) is int and 0 < port <= LAST_PORT else 0
