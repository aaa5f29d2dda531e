"""The workers of a host: wanted against running.

Invariant: for each key there is at most one process; one that is wanted and absent is started as soon as its back-off
allows; one that is not wanted, or is wanted otherwise, is stopped first. What was said about one process (by pid) never
changes what is known of another. A process that was found alive stands in for the one that would be started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from daosup.core.events import Action, FoundWorker, Report, StartWorker, StopWorker
from daosup.core.restart import Backoff
from daosup.core.types import WorkerKey

#: How long a worker may take to end when asked politely.
STOP_TIMEOUT_S = 2.0


class Phase(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"


@dataclass
class Worker:
    """One worker as its host knows it; times are the supervisor's monotonic clock in seconds."""

    order: StartWorker
    phase: Phase
    since_s: float
    pid: int = 0
    port: int = 0
    restarts: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    retry_s: float = 0.0
    last_exit: str | None = None
    is_killed: bool = False
    is_replaced: bool = False


class Crew:
    """All workers of a host."""

    def __init__(self) -> None:
        self.workers: dict[WorkerKey, Worker] = {}

    def reconcile(self, wanted: Mapping[WorkerKey, StartWorker], now: float) -> Iterator[Action]:
        """Bring what runs nearer to what is wanted."""
        for key, order in wanted.items():
            worker = self.workers.get(key)
            if worker is None:
                self.workers[key] = Worker(order, Phase.STARTING, now, port=order.port)
                yield order
            elif worker.phase is Phase.RESTARTING:
                if worker.order != order or now >= worker.retry_s:
                    worker.order, worker.phase, worker.since_s = order, Phase.STARTING, now
                    yield self._with_port(worker)
            elif worker.phase is not Phase.STOPPING and worker.order != order:
                yield from self._stop(key, worker, now)
        for key, worker in list(self.workers.items()):
            if worker.phase is Phase.STOPPING:
                yield from self._insist(key, worker, now)
            elif key not in wanted:
                if worker.phase is Phase.RESTARTING:
                    del self.workers[key]
                else:
                    yield from self._stop(key, worker, now)

    def adopt(self, found: FoundWorker, now: float) -> Iterator[Action]:
        """A process was found alive; it goes on if it was told what we would tell it, else another takes its place."""
        key, port = found.order.key, found.order.port
        worker = self.workers.get(key)
        if worker is None:
            worker = self.workers[key] = Worker(found.order, Phase.STARTING, now, port=port)
        elif worker.phase is not Phase.RESTARTING:
            return  # known, or about to find out by itself that there is another
        worker.order, worker.pid, worker.port, worker.since_s = found.order, found.pid, port, now
        worker.phase = Phase.RUNNING if found.is_ready else Phase.STARTING
        story = (("worker", str(key)), ("pid", found.pid), ("port", port or None))
        if found.is_matching:
            yield Report("info", "worker adopted", story)
        else:
            yield Report("info", "worker found that was told otherwise; it is replaced", story)
            yield from self.replace(key, now)

    def replace(self, key: WorkerKey, now: float) -> Iterator[Action]:
        """Stop a worker and, as long as it is wanted, start it again at once with the port that its readers know."""
        worker = self.workers[key]
        worker.is_replaced = True
        yield from self._stop(key, worker, now)

    def started(self, key: WorkerKey, pid: int, now: float) -> Iterator[Action]:
        """A process exists now."""
        worker = self.workers[key]
        worker.pid = pid
        if worker.phase is Phase.STOPPING:
            yield StopWorker(key, pid)
            worker.since_s = now

    def ready(self, key: WorkerKey, pid: int, port: int) -> bool:
        """A process does its work; False if that is nothing new."""
        worker = self.workers.get(key)
        if worker is None or worker.pid != pid or worker.phase not in (Phase.STARTING, Phase.RUNNING):
            return False
        is_new = worker.phase is Phase.STARTING or worker.port != port
        worker.phase, worker.port = Phase.RUNNING, port
        return is_new

    def exited(self, key: WorkerKey, pid: int, cause: str, now: float) -> Iterator[Action]:
        """A process ended."""
        worker = self.workers.get(key)
        if worker is None or worker.pid != pid:
            return
        if worker.phase is Phase.STOPPING:
            if worker.is_replaced:
                worker.phase, worker.pid, worker.retry_s, worker.since_s = Phase.RESTARTING, 0, now, now
                worker.is_replaced = worker.is_killed = False
            else:
                del self.workers[key]
            yield Report("info", "worker stopped", (("worker", str(key)), ("pid", pid), ("cause", cause)))
            return
        delay_s, worker.backoff = worker.backoff.died(now - worker.since_s)
        worker.phase, worker.retry_s, worker.since_s = Phase.RESTARTING, now + delay_s, now
        worker.pid, worker.last_exit = 0, cause
        worker.restarts += 1
        yield Report(
            "error",
            "worker died; it is started again",
            (("worker", str(key)), ("pid", pid), ("cause", cause), ("delay_s", delay_s)),
        )

    def _stop(self, key: WorkerKey, worker: Worker, now: float) -> Iterator[Action]:
        worker.phase, worker.since_s = Phase.STOPPING, now
        if worker.pid:
            yield StopWorker(key, worker.pid)

    def _insist(self, key: WorkerKey, worker: Worker, now: float) -> Iterator[Action]:
        if worker.pid and not worker.is_killed and now >= worker.since_s + STOP_TIMEOUT_S:
            worker.is_killed = True
            yield StopWorker(key, worker.pid, is_forced=True)

    @staticmethod
    def _with_port(worker: Worker) -> StartWorker:
        """A publisher comes back on the port that its readers know."""
        order = worker.order
        return StartWorker(order.key, worker.port or order.port, order.endpoint)
