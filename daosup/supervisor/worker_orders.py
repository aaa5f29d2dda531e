"""Turns the order to start a worker into all that its process must know: files, ports, modes."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Union

from daosup.adapters.segment_folder import SegmentFolder
from daosup.config import Config
from daosup.core.events import StartWorker
from daosup.core.types import WorkerKey, WorkerKind
from daosup.errors import ConfigError
from daosup.workers.limits import Limits
from daosup.workers.orders import MirrorOrder, PublisherOrder

_PAGE_SUFFIX = ".statistics"


class WorkerOrders:
    """Where the workers of one supervisor have their files.

    Attributes:
        folder: Holds their statistics pages, and the fork server's socket; belongs to this supervisor alone.
        config: What new processes are told.
    """

    def __init__(self, config: Config, segments: SegmentFolder) -> None:
        self.folder = config.runtime_folder / f"{config.instance}.workers"
        self.config = config
        self._segments = segments

    def make_folder(self) -> None:
        """Make the folder anew, without what a supervisor that was killed left there.

        Raises:
            ConfigError: If it cannot be made.
        """
        self.remove_folder()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"runtime_folder: {self.folder} cannot be made: {error.strerror}; name one that this user may write"
            ) from error

    def remove_folder(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def page_of(self, key: WorkerKey) -> Path:
        """The statistics page of a worker."""
        return self.folder / f"{key.kind.value}.{key.source.host}.{key.source.name}{_PAGE_SUFFIX}"

    def order_for(self, action: StartWorker) -> Union[PublisherOrder, MirrorOrder]:
        """What the worker's process is told."""
        key, config = action.key, self.config
        page, limits = self.page_of(key), self.limits_of(key)
        if key.kind is WorkerKind.PUBLISHER:
            path = self._segments.path_of(key.source.name)
            ports = tuple(self._ports(action.port))
            return PublisherOrder(key, path, page, config.network.bind, ports, config.publish.semaphore, limits)
        path = self._segments.path_of(key.source.mirror_name)
        mode, layout = config.making_of(key.source)
        return MirrorOrder(key, path, page, action.endpoint, mode, layout.value, limits)

    def terms_of(self, key: WorkerKey) -> Hashable:
        """All that the configuration says of a worker's process, only to be compared: what differs is another process.

        Its memory limit does not count, for the supervisor looks after that; nor do ports, for the core gives them.
        """
        order = self.order_for(StartWorker(key))
        limits = replace(order.limits, memory_limit_mb=None)
        if isinstance(order, PublisherOrder):
            return replace(order, ports=(), limits=limits)
        return replace(order, limits=limits)

    def limits_of(self, key: WorkerKey) -> Limits:
        """What a worker may use of this machine: as the first ``[[worker]]`` that matches says, else as for all."""
        source, config = key.source, self.config
        limits = asdict(config.workers)
        exception = next((each for each in config.worker if each.matches(source.host, source.name)), None)
        if exception is not None:
            own = asdict(exception)
            limits |= {name: own[name] for name in limits if own[name] is not None}
        return Limits(**limits)

    def _ports(self, preferred: int) -> Iterator[int]:
        """The preferred port first, then whatever else the configuration allows."""
        if preferred:
            yield preferred
        network = self.config.network
        first = network.base_pub_port
        if not first:
            yield 0
            return
        yield from range(max(first, preferred + 1), first + network.port_count)
        yield from range(first, min(preferred, first + network.port_count))
