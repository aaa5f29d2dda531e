"""What Prometheus is told of a host: all metrics, as they are when they are asked for.

Invariant: only who asks costs anything. The workers' pages and processes are looked at when the page is made, a few at
a time, and between these the loop does what else there is to do.
"""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from daosup import __version__
from daosup.adapters.process_facts import cpu_ns, open_file_count, own_memory_bytes, resident_bytes
from daosup.adapters.turns import Turns
from daosup.core import metrics as m
from daosup.core.crew import Phase, Worker
from daosup.core.delays import Delays
from daosup.core.exposition import Metric, Number, Samples, labels
from daosup.core.host import HostState
from daosup.core.latency import read_latencies
from daosup.core.notices import ALL as NOTICES
from daosup.core.transport import Via
from daosup.core.types import Role, Source, WorkerKey, WorkerKind
from daosup.supervisor.status import LEASE_STATES, lease_state

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

#: As many lines as are packed in about a millisecond.
BLOCK_LINES = 500

#: Of the bounds of latencies, four for each doubling from 1 us on: each from 16 us to 17 ms, each fourth up to 4.3 s.
_LATENCY_BOUNDS = tuple(4 * doubling for doubling in (*range(4, 15), 16, 18, 20, 22))
_STATES = (*(phase.value for phase in Phase), "waiting", "stopped")
#: What is read from a worker's page: the metric, the page's field.
_OF_BOTH = (
    (m.WORKER_FRAMES, "frames"),
    (m.WORKER_BYTES, "payload_bytes"),
    (m.WORKER_SKIPPED, "skipped"),
    (m.WORKER_GAPS, "gaps"),
    (m.WORKER_REJECTED, "rejected"),
    (m.WORKER_WRITTEN, "written"),
    (m.WORKER_REFUSED, "refused"),
)
_ON_PAGE = {
    WorkerKind.PUBLISHER: (
        *_OF_BOTH,
        (m.WORKER_RETRIES, "retries"),
        (m.WORKER_READERS, "reader_count"),
        (m.WORKER_DIRECT_READERS, "direct_count"),
    ),
    WorkerKind.MIRROR: (*_OF_BOTH, (m.WORKER_PASSED_OVER, "passed_over"), (m.WORKER_LINK_UP, "has_link")),
    WorkerKind.GATE: (),
}


async def metrics_page(supervisor: Supervisor) -> AsyncIterator[bytes]:
    """All of it, block by block."""
    yield _of_daemon(supervisor).encode()
    of_workers = _Workers(supervisor)
    turns = Turns()
    for key in list(supervisor.state.crew.workers):
        of_workers.add(key)
        await turns.pause()
    for block in of_workers.blocks():
        yield block.encode()


def _of_daemon(supervisor: Supervisor) -> str:
    state, now = supervisor.state, time.monotonic()
    election, reloaded = state.election, supervisor.reloading.status
    named = labels(
        host=supervisor.config.host,
        daemon_instance=supervisor.config.instance,
        version=__version__,
        registry=str(supervisor.address),
    )
    texts = [
        _one(m.INFO, 1, named),
        _one(m.UPTIME, now - supervisor.began_s),
        _each(m.ROLE, "role", {role.value: int(state.role is role) for role in Role}),
        _each(m.LEASE, "state", {each: int(lease_state(election, now) == each) for each in LEASE_STATES}),
        _one(m.LEASE_EPOCH, election.holder.epoch if election.holder else 0),
        _one(m.LEASE_LEFT, election.left_s(now) if election.lease(now) else 0),
        _one(m.REGISTRY_UP, int(state.standing.is_up)),
        _histogram(m.REGISTRY_ROUND_TRIP, supervisor.desk.round_trip),
        _one(m.REGISTRY_UNREADABLE, supervisor.desk.unreadable),
        "" if state.clock.offset_s is None else _one(m.CLOCK_OFFSET, state.clock.offset_s),
        _histogram(m.LOOP_LAG, supervisor.lag),
        _one(m.SEGMENTS, len(state.segments)),
        _counts(supervisor),
        _notices(supervisor),
        _one(m.CONFIG_REFUSED, len(reloaded["mistakes"])),
        _one(m.CONFIG_WAITING, len(reloaded["needs_restart"])),
        _one(m.CPU, time.process_time()),
        _one(m.MEMORY, resident_bytes(os.getpid()) or 0),
        _one(m.OPEN_FDS, open_file_count(os.getpid())),
        _one(m.MAX_FDS, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    ]
    return "".join(texts)


def _one(metric: Metric, value: Number, labelled: str = "") -> str:
    samples = Samples(metric)
    samples.add(value, labelled)
    return samples.text()


def _each(metric: Metric, label: str, values: dict[str, int]) -> str:
    samples = Samples(metric)
    for name, value in values.items():
        samples.add(value, labels(**{label: name}))
    return samples.text()


def _histogram(metric: Metric, delays: Delays) -> str:
    samples = Samples(metric)
    samples.add_histogram(delays.cumulative(), delays.count, delays.total_s)
    return samples.text()


def _counts(supervisor: Supervisor) -> str:
    state = supervisor.state
    found = Counter((key.kind, worker.phase.value) for key, worker in state.crew.workers.items())
    found[WorkerKind.MIRROR, "waiting"] = len(_waiting(state))
    stopped = [WorkerKey(WorkerKind.MIRROR, source) for source in state.mirrors.stopped]
    stopped += [state.facts.publisher_of(name) for name in state.stopped_segments]
    stopped += [state.facts.gate] if state.facts.gate is not None and state.is_gate_stopped else []
    found.update((key.kind, "stopped") for key in stopped if key not in state.crew.workers)
    samples = Samples(m.WORKERS)
    for kind in WorkerKind:
        for each in _STATES:
            samples.add(found[kind, each], labels(kind=kind.value, state=each))
    return samples.text()


def _notices(supervisor: Supervisor) -> str:
    samples = Samples(m.NOTICES)
    for notice in NOTICES:
        samples.add(supervisor.journal.told[notice.name], labels(notice=notice.name, level=notice.level))
    return samples.text()


class _Workers:
    """The metrics of the workers, one worker after the other."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        # By name, which is quicker to look up than a metric.
        self._samples = {each.name: Samples(each) for each in m.ALL if each.labels == m.OF_WORKER}
        for source in _waiting(supervisor.state):
            self._samples[m.WORKER_UP.name].add(0, _labels(WorkerKey(WorkerKind.MIRROR, source)))

    def add(self, key: WorkerKey) -> None:
        """Look at one; it may be gone by now."""
        worker = self._supervisor.state.crew.workers.get(key)
        if worker is None:
            return
        labelled, samples = _labels(key), self._samples
        samples[m.WORKER_UP.name].add(int(worker.phase is Phase.RUNNING), labelled)
        samples[m.WORKER_RESTARTS.name].add(worker.restarts, labelled)
        samples[m.WORKER_HANGS.name].add(worker.hangs, labelled)
        if worker.pid:
            samples[m.WORKER_CPU.name].add((cpu_ns(worker.pid) or 0) / 1e9, labelled)
            samples[m.WORKER_MEMORY.name].add(own_memory_bytes(worker.pid), labelled)
            self._add_page(key, worker, labelled)

    def _add_page(self, key: WorkerKey, worker: Worker, labelled: str) -> None:
        page = self._supervisor.seen.current(key, worker)
        if page is None:
            return
        for metric, field in _ON_PAGE[key.kind]:
            self._samples[metric.name].add(getattr(page, field), labelled)
        if key.kind is WorkerKind.MIRROR:
            self._samples[m.WORKER_DIRECT.name].add(int(page.via == Via.DIRECT), labelled)
        raw = self._supervisor.seen.of(key).reader.latency()
        if raw is not None:
            latencies = read_latencies(raw)
            self._samples[m.WORKER_LATENCY.name].add_histogram(
                latencies.cumulative(_LATENCY_BOUNDS), latencies.total, latencies.total_ns / 1e9, labelled
            )
        if page.write_time_utc_ns:
            self._samples[m.WORKER_AGE.name].add((time.time_ns() - page.write_time_utc_ns) / 1e9, labelled)

    def blocks(self) -> Iterator[str]:
        """What was seen."""
        for samples in self._samples.values():
            yield from samples.blocks(BLOCK_LINES)


def _waiting(state: HostState) -> set[Source]:
    """What is to be mirrored and has no worker yet, for its owner is not there."""
    started = {key.source for key in state.crew.workers if key.kind is WorkerKind.MIRROR}
    return (state.mirrors.keys() - started) - state.mirrors.stopped


@lru_cache(maxsize=4096)
def _labels(key: WorkerKey) -> str:
    return labels(kind=key.kind.value, source=str(key.source))
