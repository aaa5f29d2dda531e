"""Which workers a host should have, and how.

Invariant: a worker that runs as it should is wanted just as it runs; only what the configuration, the registry or an
operator says otherwise makes a difference.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from daosup.core.crew import Crew
from daosup.core.events import StartWorker
from daosup.core.host_facts import HostFacts
from daosup.core.mirrors import Mirrors
from daosup.core.ports import Ports
from daosup.core.types import Source, WorkerKey, WorkerKind


def wanted_workers(
    facts: HostFacts, published: Collection[str], mirrors: Mirrors, crew: Crew, ports: Ports
) -> dict[WorkerKey, StartWorker]:
    """The order of each worker that there should be, if these segments are to be published."""
    wanted: dict[WorkerKey, StartWorker] = {}
    new: list[WorkerKey] = []
    for name in sorted(published):
        key = WorkerKey(WorkerKind.PUBLISHER, Source(facts.host, name))
        terms, worker = facts.terms_of(key), crew.workers.get(key)
        if worker is None or not facts.may_use(worker.port or worker.order.port):
            new.append(key)
        else:
            wanted[key] = worker.order if worker.order.terms == terms else replace(worker.order, terms=terms)
    if new:
        taken = {worker.port for worker in crew.workers.values()} | {order.port for order in wanted.values()}
        for key in new:
            port = ports.choose(key.source.name, facts, taken)
            taken.add(port)
            wanted[key] = StartWorker(key, port, terms=facts.terms_of(key))
    wanted.update((order.key, order) for order in mirrors.orders(facts.terms_for))
    return wanted
