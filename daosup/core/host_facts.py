"""What a host is told about itself; another value comes with each configuration that is read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Optional

from daosup.core.mirror_names import MirrorNames
from daosup.core.types import Role, Source, WorkerKey, WorkerKind


@dataclass(frozen=True)
class HostFacts:
    """What a host is told about itself.

    ``terms_of`` is what the configuration says of one worker, only to be compared: a worker whose terms changed is
    replaced. ``mirrors`` are those of the configuration, ``written_back`` those of them that write to their sources,
    ``names`` what mirrors are called. ``port_count`` ports from ``base_port`` on (0: any) are for publishers.
    ``semaphore`` is the one that publishers wait on, and mirrors that are written back. ``instance`` names this start
    of its supervisor; the role and these last two are those of its start.
    """

    host: str
    ip: str
    role: Optional[Role] = None
    heartbeat_interval_s: float = 30.0
    base_port: int = 0
    port_count: int = 2000
    may_publish: Callable[[str], bool] = lambda name: True
    terms_of: Callable[[WorkerKey], Hashable] = lambda key: None
    mirrors: tuple[Source, ...] = ()
    written_back: frozenset[Source] = frozenset()
    semaphore: int = 9
    names: MirrorNames = field(default_factory=MirrorNames)
    instance: str = ""
    is_takeover: bool = False

    def publisher_of(self, name: str) -> WorkerKey:
        """Who publishes a segment of this host."""
        return WorkerKey(WorkerKind.PUBLISHER, Source(self.host, name))

    def terms_for(self, key: WorkerKey, *, is_written_back: bool) -> Hashable:
        """``terms_of`` a worker, with what only those care for that wait for writers on this host."""
        terms = self.terms_of(key)
        return (terms, self.semaphore) if is_written_back else terms

    def may_use(self, port: int) -> bool:
        """Whether a publisher may be at ``port`` (0: at any)."""
        return not self.base_port or not port or self.base_port <= port < self.base_port + self.port_count
