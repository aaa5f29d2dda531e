"""Turns the order to start a worker into all that its process must know: files, ports, modes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Union

from daosup.adapters.segment_folder import SegmentFolder
from daosup.config import Config
from daosup.core.events import StartWorker
from daosup.core.types import WorkerKey, WorkerKind
from daosup.errors import ConfigError
from daosup.workers.orders import MirrorOrder, PublisherOrder

_PAGE_SUFFIX = ".statistics"


class WorkerOrders:
    """Where the workers of one supervisor have their files."""

    def __init__(self, config: Config, folder: SegmentFolder) -> None:
        self._config = config
        self._folder = folder
        self._pages = config.runtime_folder / f"{config.instance}.workers"

    def prepare_folder(self) -> None:
        """Make the folder for the statistics pages.

        Raises:
            ConfigError: If it cannot be made.
        """
        try:
            self._pages.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"runtime_folder: {self._pages} cannot be made: {error.strerror}; name one that this user may write"
            ) from error

    def remove_folder(self) -> None:
        """Remove the pages of workers that are gone."""
        for page in self._pages.glob(f"*{_PAGE_SUFFIX}"):
            page.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody keeps something of his own there
            self._pages.rmdir()

    def page_of(self, key: WorkerKey) -> Path:
        """The statistics page of a worker."""
        return self._pages / f"{key.kind.value}.{key.source.host}.{key.source.name}{_PAGE_SUFFIX}"

    def order_for(self, action: StartWorker) -> Union[PublisherOrder, MirrorOrder]:
        """What the worker's process is told."""
        key, config = action.key, self._config
        page = self.page_of(key)
        if key.kind is WorkerKind.PUBLISHER:
            path = self._folder.path_of(key.source.name)
            ports = tuple(self._ports(action.port))
            return PublisherOrder(key, path, page, config.network.bind, ports, config.publish.semaphore)
        path = self._folder.path_of(key.source.mirror_name)
        return MirrorOrder(key, path, page, action.endpoint, config.mirror.mode, config.mirror.layout.value)

    def _ports(self, preferred: int) -> Iterator[int]:
        """The preferred port first, then whatever else the configuration allows."""
        yield preferred
        network = self._config.network
        if not network.base_pub_port:
            if preferred:
                yield 0
            return
        last = network.base_pub_port + network.port_count
        yield from (port for port in range(preferred + 1, last))
        yield from (port for port in range(network.base_pub_port, min(preferred, last)))
