"""Which workers a host should have, and how.

Invariant: a worker that runs as it should is wanted just as it runs; only what the configuration, the registry or an
operator says otherwise makes a difference.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from daosup.core.actions import NO_PORT, StartWorker
from daosup.core.crew import Crew, Worker
from daosup.core.host_facts import HostFacts
from daosup.core.mirrors import Mirrors
from daosup.core.ports import Ports, direct_port
from daosup.core.types import Source, WorkerKey, WorkerKind


def wanted_workers(
    facts: HostFacts, published: Collection[str], segment_count: int, mirrors: Mirrors, crew: Crew, ports: Ports
) -> dict[WorkerKey, StartWorker]:
    """The order of each worker that there should be, if these of the host's segments are to be published."""
    orders = mirrors.orders(facts.terms_for, lambda source: given_port(source, facts, mirrors, crew, ports))
    of_mirrors = {order.key: order for order in orders}
    wanted: dict[WorkerKey, StartWorker] = {}
    new: list[WorkerKey] = []
    for name in sorted(published):
        key = facts.publisher_of(name)
        terms, worker = facts.terms_of(key), crew.workers.get(key)
        if worker is None or not all(map(facts.may_use, _ports_of(worker))):
            new.append(key)
        else:
            wanted[key] = worker.order if worker.order.terms == terms else replace(worker.order, terms=terms)
    if new:
        others = (worker for key, worker in crew.workers.items() if key not in new)
        taken = {port for worker in others for port in _ports_of(worker)} | _written_from(mirrors)
        for key in new:
            port = ports.choose(key.source.name, facts, taken)
            if not port and facts.base_port:
                port = _taken_back(wanted, crew)
            direct = direct_port(port, facts, segment_count)
            direct = NO_PORT if direct in taken - {0} else direct
            taken |= {port, direct}
            wanted[key] = StartWorker(key, port, terms=facts.terms_of(key), direct_port=direct)
    return {**wanted, **of_mirrors}


def given_port(source: Source, facts: HostFacts, mirrors: Mirrors, crew: Crew, ports: Ports) -> int:
    """The port (0: any) that a mirror is given, for its old owner to get there what is written into it."""
    mirror = mirrors[source]
    if mirror.given_port is None or not facts.may_use(mirror.given_port):
        taken = {port for worker in crew.workers.values() for port in _ports_of(worker)}
        mirror.given_port = mirror.write_port = ports.choose(str(source), facts, taken | _written_from(mirrors))
        if mirror.given_port:
            ports.note(str(source), mirror.given_port)
    return mirror.given_port


def _ports_of(worker: Worker) -> set[int]:
    """All that it has, or may have in a moment."""
    order = worker.order
    direct = {worker.direct_port, order.direct_port} if order.key.kind is WorkerKind.PUBLISHER else set()
    return {worker.port, order.port} | direct - {NO_PORT}


def _taken_back(wanted: dict[WorkerKey, StartWorker], crew: Crew) -> int:
    """A port at which frames were offered directly, which a segment needs more that has none at all; 0 if none is."""
    for key, order in wanted.items():
        port = crew.workers[key].direct_port if key in crew.workers else 0
        if port and order.direct_port != NO_PORT:
            wanted[key] = replace(order, direct_port=NO_PORT)
            return port
    return 0


def _written_from(mirrors: Mirrors) -> set[int]:
    return {port for mirror in mirrors.values() for port in (mirror.given_port, mirror.write_port) if port}
