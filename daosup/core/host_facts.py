"""What a host is told about itself; another value comes with each configuration that is read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from daosup.core.delivery import Delivery
from daosup.core.mirror_names import MirrorNames
from daosup.core.types import GATE_NAME, Role, Source, WorkerKey, WorkerKind


@dataclass(frozen=True)
class HostFacts:
    """What a host is told about itself.

    ``terms_of`` is what the configuration says of one worker, only to be compared: a worker whose terms changed is
    replaced. ``mirrors`` are those of the configuration, ``written_back`` those of them that write to their sources,
    ``deliveries`` in which form the frames of some of them are to come, ``names`` what mirrors are called.
    ``port_count`` ports from ``base_port`` on (0: any) are for publishers. ``semaphore`` is the one that publishers
    wait on, and mirrors that are written back. ``domain`` is the one of DAO's network service whose nodes are listened
    to (empty: none), ``node`` what this host is called there. ``instance`` names this start of its supervisor; the role
    and these last four are those of its start.
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
    deliveries: Mapping[Source, Delivery] = field(default_factory=dict)
    semaphore: int = 9
    names: MirrorNames = field(default_factory=MirrorNames)
    instance: str = ""
    domain: str = ""
    node: str = ""
    is_takeover: bool = False

    def as_begun(self, before: HostFacts) -> HostFacts:
        """The same with what cannot change before the next start, as it was ``before``."""
        return replace(
            self,
            role=before.role,
            instance=before.instance,
            is_takeover=before.is_takeover,
            domain=before.domain,
            node=before.node,
        )

    def publisher_of(self, name: str) -> WorkerKey:
        """Who publishes a segment of this host."""
        return WorkerKey(WorkerKind.PUBLISHER, Source(self.host, name))

    @property
    def gate(self) -> Optional[WorkerKey]:
        """Where nodes of DAO's network service find this host; None: nowhere."""
        return WorkerKey(WorkerKind.GATE, Source(self.host, GATE_NAME)) if self.domain else None

    def terms_for(self, key: WorkerKey, *, is_written_back: bool) -> Hashable:
        """``terms_of`` a worker, with what only those care for that wait for writers on this host."""
        terms = self.terms_of(key)
        return (terms, self.semaphore) if is_written_back else terms

    def may_use(self, port: int) -> bool:
        """Whether a publisher may be at ``port`` (0: at any)."""
        return not self.base_port or not port or self.base_port <= port < self.base_port + self.port_count
