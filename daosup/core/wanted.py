"""Which workers a host should have, and how.

Invariant: a worker that runs as it should is wanted just as it runs; only what the configuration, the registry or an
operator says otherwise makes a difference.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from daosup.core.actions import StartWorker
from daosup.core.crew import Crew
from daosup.core.host_facts import HostFacts
from daosup.core.mirrors import Mirrors
from daosup.core.ports import Ports
from daosup.core.types import Source, WorkerKey


def wanted_workers(
    facts: HostFacts, published: Collection[str], mirrors: Mirrors, crew: Crew, ports: Ports
) -> dict[WorkerKey, StartWorker]:
    """The order of each worker that there should be, if these segments are to be published."""
    orders = mirrors.orders(facts.terms_for, lambda source: given_port(source, facts, mirrors, crew, ports))
    of_mirrors = {order.key: order for order in orders}
    wanted: dict[WorkerKey, StartWorker] = {}
    new: list[WorkerKey] = []
    for name in sorted(published):
        key = facts.publisher_of(name)
        terms, worker = facts.terms_of(key), crew.workers.get(key)
        if worker is None or not facts.may_use(worker.port or worker.order.port):
            new.append(key)
        else:
            wanted[key] = worker.order if worker.order.terms == terms else replace(worker.order, terms=terms)
    if new:
        taken = {worker.port for worker in crew.workers.values()} | {order.port for order in wanted.values()}
        taken |= _written_from(mirrors)
        for key in new:
            port = ports.choose(key.source.name, facts, taken)
            taken.add(port)
            wanted[key] = StartWorker(key, port, terms=facts.terms_of(key))
    return {**wanted, **of_mirrors}


def given_port(source: Source, facts: HostFacts, mirrors: Mirrors, crew: Crew, ports: Ports) -> int:
    """The port (0: any) that a mirror is given, for its old owner to get there what is written into it."""
    mirror = mirrors[source]
    if mirror.given_port is None or not facts.may_use(mirror.given_port):
        taken = {port for worker in crew.workers.values() for port in (worker.port, worker.order.port)}
        mirror.given_port = mirror.write_port = ports.choose(str(source), facts, taken | _written_from(mirrors))
        if mirror.given_port:
            ports.note(str(source), mirror.given_port)
    return mirror.given_port


def _written_from(mirrors: Mirrors) -> set[int]:
    return {port for mirror in mirrors.values() for port in (mirror.given_port, mirror.write_port) if port}
