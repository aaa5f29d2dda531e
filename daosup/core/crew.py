"""The workers of a host: wanted against running.

Invariant: for each key there is at most one process; one that is wanted and absent is started as soon as its back-off
allows; one that is not wanted, or is wanted otherwise, is stopped first. What was said about one process (by pid) never
changes what is known of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from daosup.core.events import Action, Report, StartWorker, StopWorker
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
        return replace(order, port=worker.port or order.port)
