"""Turns the order to start a worker into all that its process must know, and back again for those found alive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from daosup.adapters.segment_folder import SegmentFolder
from daosup.config import Config
from daosup.core.events import FoundWorker, StartWorker
from daosup.core.types import WorkerKind
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.workers.life import Request
from daosup.workers.orders import MirrorOrder, Order, PublisherOrder, is_same
from daosup.workers.records import Record, living
from daosup.workers.statistics import FORMAT, StatisticsReader

_MAX_ENDPOINT_LENGTH = 300


@dataclass(frozen=True)
class Found:
    """A worker that lives, and its record."""

    worker: FoundWorker
    record: Record


class WorkerOrders:
    """What the workers of one supervisor are told."""

    def __init__(self, config: Config, segments: SegmentFolder, folder: WorkersFolder) -> None:
        self._config = config
        self._segments = segments
        self._folder = folder

    def request_for(self, action: StartWorker) -> Request:
        """What the fork server is asked for."""
        workers = self._config.workers
        return Request(self.order_for(action), workers.orphan_grace_s if workers.survive_supervisor else 0.0)

    def order_for(self, action: StartWorker) -> Order:
        """What the worker's process is told."""
        key, config = action.key, self._config
        page = self._folder.page_of(key)
        network = config.network
        if key.kind is WorkerKind.PUBLISHER:
            path = self._segments.path_of(key.source.name)
            first, count = network.base_pub_port, network.port_count
            return PublisherOrder(key, path, page, network.bind, action.port, first, count, config.publish.semaphore)
        path = self._segments.path_of(key.source.mirror_name)
        return MirrorOrder(key, path, page, action.endpoint, config.mirror.mode, config.mirror.layout.value)

    def found(self) -> Iterator[Found]:
        """The workers that live, whoever started them."""
        for record in living(self._folder.path):
            statistics = StatisticsReader(self._folder.page_of(record.key)).read(record.pid)
            endpoint = record.order.get("endpoint", "")
            if not isinstance(endpoint, str) or len(endpoint) > _MAX_ENDPOINT_LENGTH:
                endpoint = ""
            action = StartWorker(record.key, statistics.port if statistics else 0, endpoint)
            is_matching = record.page_format == FORMAT and is_same(self.order_for(action), record.order)
            is_ready = bool(statistics and statistics.is_ready)
            yield Found(FoundWorker(action, record.pid, is_ready, is_matching), record)
