"""What a worker process is told when it is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from daosup.core.types import WorkerKey
from daosup.workers.limits import Limits


@dataclass(frozen=True)
class PublisherOrder:
    """Publish the segment at ``path`` on the first free one of ``ports`` (0: any) of the address ``bind``."""

    key: WorkerKey
    path: str
    page: Path
    bind: str
    ports: tuple[int, ...]
    semaphore: int
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class MirrorOrder:
    """Keep the segment at ``path`` like the one streamed from ``endpoint``."""

    key: WorkerKey
    path: str
    page: Path
    endpoint: str
    mode: int
    layout: str
    limits: Limits = field(default_factory=Limits)
