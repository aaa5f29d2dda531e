"""The workers of a host: wanted against running.

Invariants: for each key there is at most one process; one that is wanted and absent is started as soon as its back-off
allows, also out of quarantine, so none is ever given up; one that is not wanted, or is wanted otherwise, is stopped
first. Those that never ran wait for their turn, so that each begins quickly; those that did do not. What was said about
one process (by pid) never changes what is known of another, and nothing that happens to one worker changes what happens
to another, or when. A worker that was ended because it hung is never said to have crashed. A process that was found
alive stands in for the one that would be started.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Optional

from daosup.core.actions import Action, Report, StartWorker, StopWorker
from daosup.core.events import FoundWorker
from daosup.core.notices import workers as notices
from daosup.core.notices.notice import Notice
from daosup.core.restart import HEALTHY_S, Backoff
from daosup.core.types import WorkerKey, WorkerKind

#: How long a worker may take to end when asked politely.
STOP_TIMEOUT_S = 2.0
#: So many begin at once at most, so that each begins quickly however many there are; then it is the next one's turn,
#: as it is when one takes longer than it should.
STARTS_AT_ONCE = 16
START_PATIENCE_S = 2.0
#: Whoever reaches its memory limit sooner than this reaches it again, so it counts as having died young.
HEALTHY_GROWTH_S = 60.0
_MB = 1_000_000


class Phase(Enum):
    """Where a worker is in its life."""

    #: Its first process comes when those that are starting have begun.
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    #: It died young too often; it is tried again slowly, or when its cause changes.
    FAILED = "failed"


#: No process, and another is to come.
WAITING = (Phase.QUEUED, Phase.RESTARTING, Phase.FAILED)
#: Something is to be done with them as time goes by.
IN_MOTION = (*WAITING, Phase.STOPPING)


@dataclass(frozen=True)
class Replacement:
    """Why a process is ended only to be followed by another.

    ``cause`` is what is said of its end; it is empty if somebody asked for it, and so the process is not to blame.
    """

    cause: str = ""
    lived_s: float = 0.0
    healthy_s: float = HEALTHY_S
    notice: Notice = notices.WORKER_REPLACED


@dataclass
class Worker:
    """One worker as its host knows it; times are the supervisor's monotonic clock in seconds.

    ``has_begun``: its process's loop goes round, though it may still wait for what it needs to do its work.
    ``since_s`` is when its phase began, ``began_s`` when its process was ordered, ``retry_s`` when its next one comes,
    ``last_exit_s`` when one ended that was not asked to.
    """

    order: StartWorker
    phase: Phase
    since_s: float
    pid: int = 0
    port: int = 0
    direct_port: int = 0
    restarts: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    retry_s: float = 0.0
    last_exit: Optional[str] = None
    last_details: str = ""
    last_exit_s: Optional[float] = None
    is_killed: bool = False
    has_begun: bool = False
    began_s: float = 0.0
    hangs: int = 0
    replacement: Optional[Replacement] = None


class Crew:
    """All workers of a host, of which at most ``starts_at_once`` begin at once."""

    def __init__(self) -> None:
        self.workers: dict[WorkerKey, Worker] = {}
        self.starts_at_once = STARTS_AT_ONCE
        self._room = 0

    def reconcile(self, wanted: Mapping[WorkerKey, StartWorker], now: float) -> Iterator[Action]:
        """Bring what runs nearer to what is wanted."""
        keys = [*wanted, *(key for key in self.workers if key not in wanted)]
        is_there = [key in self.workers and self.workers[key].phase not in WAITING for key in keys]
        # One that ends before it has begun leaves room for one that waits for its turn.
        for key in itertools.compress(keys, is_there):
            yield from self._bring(key, wanted.get(key), now)
        self._look_for_room(now)
        for key in itertools.compress(keys, (not each for each in is_there)):
            yield from self._bring(key, wanted.get(key), now)

    def go_on(self, wanted: Mapping[WorkerKey, StartWorker], now: float) -> Iterator[Action]:
        """The same where nothing is wanted otherwise than at the last ``reconcile``: for those in motion."""
        self._look_for_room(now)
        for key in [key for key, worker in self.workers.items() if worker.phase in IN_MOTION]:
            yield from self._bring(key, wanted.get(key), now)

    def _bring(self, key: WorkerKey, order: Optional[StartWorker], now: float) -> Iterator[Action]:
        worker = self.workers.get(key)
        if worker is None:
            if order is not None:
                worker = self.workers[key] = Worker(order, Phase.QUEUED, now, port=order.port)
                yield from self._start(worker, order, now)
        elif worker.phase is Phase.STOPPING:
            yield from self._insist(key, worker, now)
        elif worker.phase in WAITING:
            if order is None:
                del self.workers[key]
            else:
                yield from self._start(worker, order, now)
        elif order != worker.order:
            worker.replacement = None if order is None else Replacement()
            yield from self._stop(key, worker, now)

    def _look_for_room(self, now: float) -> None:
        patient_s = now - START_PATIENCE_S
        beginning = (
            worker.phase is Phase.STARTING and not worker.has_begun and worker.began_s > patient_s
            for worker in self.workers.values()
        )
        self._room = self.starts_at_once - sum(beginning)

    def _start(self, worker: Worker, order: StartWorker, now: float) -> Iterator[Action]:
        """Start one that waits, if it is its time."""
        is_otherwise = worker.order != order
        if is_otherwise and worker.phase is Phase.FAILED:
            worker.backoff = Backoff()  # what made it fail may be gone
        is_turn = self._room > 0 if worker.phase is Phase.QUEUED else is_otherwise or now >= worker.retry_s
        if is_turn:
            self._room -= 1
            if worker.order.port != order.port:
                worker.port = order.port  # it may not have the one it had any more
            if worker.order.direct_port != order.direct_port:
                worker.direct_port = 0
            worker.order, worker.phase, worker.since_s, worker.began_s = order, Phase.STARTING, now, now
            worker.is_killed, worker.has_begun, worker.replacement = False, False, None
            yield self._with_port(worker)

    def adopt(self, found: FoundWorker, now: float) -> Iterator[Action]:
        """A process was found alive; it goes on if it was told what we would tell it, else another takes its place."""
        key, port = found.order.key, found.order.port
        worker = self.workers.get(key)
        if worker is None:
            worker = self.workers[key] = Worker(found.order, Phase.STARTING, now, port=port)
        elif worker.phase not in WAITING:
            return  # known, or about to find out by itself that there is another
        worker.order, worker.pid, worker.port = found.order, found.pid, port
        worker.direct_port = max(0, found.order.direct_port) if key.kind is WorkerKind.PUBLISHER else 0
        worker.since_s = worker.began_s = now
        worker.is_killed, worker.replacement = False, None
        worker.phase = Phase.RUNNING if found.is_ready else Phase.STARTING
        if found.is_matching:
            yield Report(notices.WORKER_ADOPTED, key, found.pid)
        else:
            yield Report(notices.WORKER_OUTDATED, key, found.pid)
            yield from self.restart(key, now)

    def started(self, key: WorkerKey, pid: int, now: float) -> Iterator[Action]:
        """A process exists now."""
        worker = self.workers[key]
        worker.pid = pid
        if worker.phase is Phase.STOPPING:
            yield StopWorker(key, pid)
            worker.since_s = now

    def began(self, key: WorkerKey, pid: int) -> None:
        """A process's loop goes round."""
        worker = self.workers.get(key)
        if worker is not None and worker.pid == pid:
            worker.has_begun = True

    def ready(self, key: WorkerKey, pid: int, port: int, direct_port: int = 0) -> bool:
        """A process does its work; False if that is nothing new."""
        worker = self.workers.get(key)
        if worker is None or worker.pid != pid or worker.phase not in (Phase.STARTING, Phase.RUNNING):
            return False
        is_new = worker.phase is Phase.STARTING or (worker.port, worker.direct_port) != (port, direct_port)
        worker.phase, worker.port, worker.direct_port = Phase.RUNNING, port, direct_port
        return is_new

    def exited(self, key: WorkerKey, pid: int, cause: str, now: float, details: str = "") -> Iterator[Action]:
        """A process ended; ``details`` are its last words."""
        worker = self.workers.get(key)
        if worker is None or worker.pid != pid or worker.phase in WAITING:
            return
        if worker.phase is Phase.STOPPING and worker.replacement is None:
            del self.workers[key]
            yield Report(notices.WORKER_STOPPED, key, pid, (("cause", cause),))
            return
        replacement = worker.replacement or Replacement(cause, now - worker.began_s, notice=notices.WORKER_DIED)
        worker.pid, worker.since_s = 0, now
        if not replacement.cause:
            worker.phase, worker.retry_s, worker.backoff = Phase.RESTARTING, now, Backoff()
            yield Report(notices.WORKER_RESTARTED, key, pid, (("cause", cause),))
            return
        # That the system has no room for a process is no reason to put this worker in quarantine.
        backoff = worker.backoff if pid else worker.backoff.spared()
        delay_s, worker.backoff = backoff.died(replacement.lived_s, str(key), replacement.healthy_s)
        worker.phase = Phase.FAILED if worker.backoff.is_quarantined else Phase.RESTARTING
        worker.retry_s = now + delay_s
        worker.last_exit, worker.last_details, worker.last_exit_s = replacement.cause, details, now
        worker.restarts += 1
        notice = notices.WORKER_GAVE_UP if worker.phase is Phase.FAILED else replacement.notice
        notice = notice if pid or notice is not notices.WORKER_DIED else notices.WORKER_UNSTARTABLE
        yield Report(notice, key, pid, (("cause", replacement.cause), ("delay_s", round(delay_s, 3))))

    def hung(self, key: WorkerKey, pid: int, beat_age_s: float, now: float) -> Iterator[Action]:
        """A process is there, but its loop has stood still for ``beat_age_s``: end it; it cannot be asked to."""
        worker = self._working(key, pid)
        if worker is None:
            return
        cause = f"hung: its loop stood still for {beat_age_s:.1f} s"
        worker.replacement = Replacement(cause, max(0.0, now - beat_age_s - worker.began_s))
        worker.phase, worker.since_s, worker.is_killed = Phase.STOPPING, now, True
        worker.hangs += 1
        yield Report(notices.WORKER_HUNG, key, pid, (("cause", cause),))
        yield StopWorker(key, pid, is_forced=True)

    def grown(self, key: WorkerKey, pid: int, memory_bytes: int, limit_bytes: int, now: float) -> Iterator[Action]:
        """A process has more memory of its own than it may: replace it."""
        worker = self._working(key, pid)
        if worker is None:
            return
        cause = f"stopped: {memory_bytes / _MB:.0f} MB of own memory, and memory_limit_mb is {limit_bytes / _MB:.0f}"
        worker.replacement = Replacement(cause, now - worker.began_s, HEALTHY_GROWTH_S)
        yield Report(notices.WORKER_GREW, key, pid, (("cause", cause),))
        yield from self._stop(key, worker, now)

    def nudge(self, key: WorkerKey, now: float, why: str) -> Iterator[Action]:
        """What made a worker fail may be gone: if it is in quarantine, its next start comes now and is a first one."""
        worker = self.workers.get(key)
        if worker is not None and worker.phase is Phase.FAILED:
            worker.backoff, worker.retry_s = Backoff(), now
            yield Report(notices.WORKER_TRIED_AGAIN, key, fields=(("why", why),))

    def restart(self, key: WorkerKey, now: float) -> Iterator[Action]:
        """A worker is to be started anew, with the port that its readers know, and its deaths forgotten."""
        worker = self.workers.get(key)
        if worker is None:
            return
        if worker.phase in WAITING:
            worker.backoff, worker.retry_s = Backoff(), now
        elif worker.phase is not Phase.STOPPING:
            worker.replacement = Replacement()
            yield from self._stop(key, worker, now)
        elif worker.replacement is not None:
            worker.backoff = Backoff()

    def _working(self, key: WorkerKey, pid: int) -> Optional[Worker]:
        worker = self.workers.get(key)
        is_working = worker is not None and pid != 0 and worker.pid == pid and worker.phase is not Phase.STOPPING
        return worker if is_working else None

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
        """A publisher comes back on the ports that its readers know."""
        order = worker.order
        ports = worker.port or order.port, worker.direct_port or order.direct_port
        return replace(order, port=ports[0], direct_port=ports[1])
