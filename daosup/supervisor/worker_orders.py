"""Turns the order to start a worker into all that its process must know, and back again for those found alive."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, replace

from daosup.adapters.segment_folder import SegmentFolder
from daosup.config import Config
from daosup.core.actions import StartWorker
from daosup.core.events import FoundWorker
from daosup.core.types import OLD_PROTOCOL, PROTOCOL, Looks, Source, WorkerKey, WorkerKind
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.workers.life import Request
from daosup.workers.limits import Limits
from daosup.workers.orders import MirrorOrder, Order, PublisherOrder, is_same
from daosup.workers.records import Record, living
from daosup.workers.statistics import FORMAT, StatisticsReader

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
    """

    def __init__(
        self, config: Config, segments: SegmentFolder, folder: WorkersFolder, name_of: Callable[[Source], str]
    ) -> None:
        self.config = config
        self._name_of = name_of
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
        if key.kind is WorkerKind.PUBLISHER:
            path = self._segments.path_of(key.source.name)
            first, count, semaphore = network.base_pub_port, network.port_count, config.publish.semaphore
            writing = config.writing_of(key.source.name).value
            return PublisherOrder(key, path, page, network.bind, action.port, first, count, semaphore, limits, writing)
        path = self._segments.path_of(self._name_of(key.source))
        mode, layout = config.making_of(key.source)
        looks = action.looks or Looks((), "")
        order = MirrorOrder(
            key, path, page, action.endpoint, mode, layout.value, limits, action.protocol, looks.shape, looks.dtype
        )
        if not action.is_written_back:
            return order
        semaphore = config.publish.semaphore
        written_back = replace(order, is_written_back=True, host=config.host, semaphore=semaphore)
        return replace(written_back, write_port=action.port, bind=network.bind)

    def terms_of(self, key: WorkerKey) -> Hashable:
        """All that the configuration says of a worker's process, only to be compared: what differs is another process.

        Its memory limit does not count, for the supervisor looks after that; nor do ports and the names of mirrors, for
        the core gives them.
        """
        order = self.order_for(StartWorker(key))
        limits = replace(order.limits, memory_limit_mb=None)
        if isinstance(order, PublisherOrder):
            return replace(order, port=0, first_port=0, port_count=0, limits=limits)
        return replace(order, path="", limits=limits)

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
            protocol = OLD_PROTOCOL if record.order.get("protocol") == OLD_PROTOCOL else PROTOCOL
            action = StartWorker(
                record.key,
                (statistics.port if statistics else 0) or _write_port(record),
                endpoint,
                protocol=protocol,
                is_written_back=record.order.get("is_written_back") is True,
            )
            is_matching = record.page_format == FORMAT and is_same(self.order_for(action), record.order)
            is_ready = bool(statistics and statistics.is_ready)
            yield Found(FoundWorker(action, record.pid, is_ready, is_matching), record)


def _write_port(record: Record) -> int:
    """Where an old owner expects what a mirror is to write back; 0 for all others."""
    port = record.order.get("write_port")
    return port if type(port) is int and 0 < port <= LAST_PORT else 0
