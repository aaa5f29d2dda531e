"""Which workers a host should have, and how.

Invariant: a worker that runs as it should is wanted just as it runs; only what the configuration, the registry or an
operator says otherwise makes a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from daosup.core.crew import Crew
from daosup.core.events import StartWorker
from daosup.core.host_facts import HostFacts
from daosup.core.mirrors import Mirrors
from daosup.core.types import Source, WorkerKey, WorkerKind


def wanted_workers(
    facts: HostFacts, published: Collection[str], mirrors: Mirrors, crew: Crew
) -> dict[WorkerKey, StartWorker]:
    """The order of each worker that there should be, if these segments are to be published."""
    wanted: dict[WorkerKey, StartWorker] = {}
    for name in sorted(published):
        key = WorkerKey(WorkerKind.PUBLISHER, Source(facts.host, name))
        wanted[key] = _publisher_order(key, facts, crew, wanted.values())
    wanted.update((order.key, order) for order in mirrors.orders(facts.terms_of))
    return wanted


def _publisher_order(key: WorkerKey, facts: HostFacts, crew: Crew, others: Iterable[StartWorker]) -> StartWorker:
    terms, worker = facts.terms_of(key), crew.workers.get(key)
    if worker is None or not facts.may_use(worker.port or worker.order.port):
        return StartWorker(key, _free_port(facts, crew, others), terms=terms)
    return worker.order if worker.order.terms == terms else replace(worker.order, terms=terms)


def _free_port(facts: HostFacts, crew: Crew, others: Iterable[StartWorker]) -> int:
    """The first port that no publisher of ours has or is given; another program may still have it."""
    if not facts.base_port:
        return 0
    taken = {worker.port for worker in crew.workers.values()} | {order.port for order in others}
    last = facts.base_port + facts.port_count
    return next((port for port in range(facts.base_port, last) if port not in taken), 0)
