"""What a host is told about itself; another value comes with each configuration that is read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Optional

from daosup.core.types import Role, Source, WorkerKey


@dataclass(frozen=True)
class HostFacts:
    """What a host is told about itself.

    ``terms_of`` is what the configuration says of one worker, only to be compared: a worker whose terms changed is
    replaced. ``mirrors`` are those of the configuration. ``port_count`` ports from ``base_port`` on (0: any) are for
    publishers. ``instance`` names this start of its supervisor; the role and these last two are those of its start.
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
    instance: str = ""
    is_takeover: bool = False

    def may_use(self, port: int) -> bool:
        """Whether a publisher may be at ``port`` (0: at any)."""
        return not self.base_port or not port or self.base_port <= port < self.base_port + self.port_count
