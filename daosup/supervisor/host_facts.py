"""What the configuration says, in the words of the core."""

from __future__ import annotations

from fnmatch import fnmatchcase

from daosup.config import Config
from daosup.core.host_facts import HostFacts
from daosup.core.types import MirrorTerms, PublisherTerms, Source, WorkerKey, WorkerKind, WorkerTerms


def host_facts(config: Config, ip: str) -> HostFacts:
    """What a host at ``ip`` is told about itself."""
    publish, network = config.publish, config.network

    def may_publish(name: str) -> bool:
        return any(fnmatchcase(name, each) for each in publish.include) and not any(
            fnmatchcase(name, each) for each in publish.exclude
        )

    publisher = PublisherTerms(network.bind, publish.semaphore)
    making_of = {each.source: _mirror_terms(config, each.source) for each in config.mirror}
    of_others = MirrorTerms(config.mirrors.mode, config.mirrors.layout.value)

    def terms_of(key: WorkerKey) -> WorkerTerms:
        return publisher if key.kind is WorkerKind.PUBLISHER else making_of.get(key.source, of_others)

    return HostFacts(
        host=config.host,
        ip=ip,
        role=config.role,
        heartbeat_interval_s=config.heartbeat_interval_s,
        base_port=network.base_pub_port,
        port_count=network.port_count,
        may_publish=may_publish,
        terms_of=terms_of,
        mirrors=tuple(making_of),
    )


def _mirror_terms(config: Config, source: Source) -> MirrorTerms:
    mode, layout = config.making_of(source)
    return MirrorTerms(mode, layout.value)
