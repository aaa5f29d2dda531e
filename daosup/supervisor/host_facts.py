"""What the configuration says, in the words of the core."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache

from daosup.config import Config
from daosup.core.host_facts import HostFacts
from daosup.core.types import WorkerKey


def host_facts(config: Config, ip: str, terms_of: Callable[[WorkerKey], Hashable]) -> HostFacts:
    """What a host at ``ip`` is told about itself.

    Args:
        config: What is in force.
        ip: Where other hosts reach it.
        terms_of: What the configuration says of a worker.
    """
    publish, network = config.publish, config.network
    return HostFacts(
        host=config.host,
        ip=ip,
        role=config.role,
        heartbeat_interval_s=config.heartbeat_interval_s,
        base_port=network.base_pub_port,
        port_count=network.port_count,
        may_publish=config.may_publish,
        terms_of=lru_cache(maxsize=None)(terms_of),  # asked for all workers whenever anything happens
        mirrors=tuple(each.source for each in config.mirror),
        written_back=frozenset(each.source for each in config.mirror if each.write_back),
        deliveries={each.source: each.delivery for each in config.mirror if not each.delivery.is_plain},
        semaphore=publish.semaphore,
        names=config.names,
        domain=config.dnet.domain if config.dnet.enable else "",
        node=config.dnet.node or config.host,
    )
