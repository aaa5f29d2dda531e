"""Turns the order to start a worker into all that its process must know: files, ports, modes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from daosup.adapters.segment_folder import SegmentFolder
from daosup.config import Config
from daosup.core.events import StartWorker
from daosup.core.types import MirrorTerms, PublisherTerms, WorkerKey
from daosup.errors import ConfigError
from daosup.workers.orders import MirrorOrder, PublisherOrder

_PAGE_SUFFIX = ".statistics"


class WorkerOrders:
    """Where the workers of one supervisor have their files.

    Attributes:
        folder: Holds their statistics pages, and the fork server's socket; belongs to this supervisor alone.
        network: Which ports publishers may take.
    """

    def __init__(self, config: Config, segments: SegmentFolder) -> None:
        self.folder = config.runtime_folder / f"{config.instance}.workers"
        self.network = config.network
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
        key, terms = action.key, action.terms
        page = self.page_of(key)
        if isinstance(terms, PublisherTerms):
            path = self._segments.path_of(key.source.name)
            ports = tuple(self._ports(action.port))
            return PublisherOrder(key, path, page, terms.bind, ports, terms.semaphore)
        path = self._segments.path_of(key.source.mirror_name)
        assert isinstance(terms, MirrorTerms)
        return MirrorOrder(key, path, page, action.endpoint, terms.mode, terms.layout)

    def _ports(self, preferred: int) -> Iterator[int]:
        """The preferred port first, then whatever else the configuration allows."""
        yield preferred
        network = self.network
        if not network.base_pub_port:
            if preferred:
                yield 0
            return
        last = network.base_pub_port + network.port_count
        yield from (port for port in range(preferred + 1, last))
        yield from (port for port in range(network.base_pub_port, min(preferred, last)))
