"""Looks, at each turn of the supervisor's loop, at how its workers are: whether their loops go round, how big they are.

Nothing is decided here: what is seen becomes events. Invariant: a turn costs little, however many workers there are:
beats are read from memory, and of /proc only what concerns suspects, and each worker's memory once in a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from daosup.adapters.process_facts import own_memory_bytes, state_of
from daosup.core.crew import Phase, Worker
from daosup.core.events import Event, WorkerGrown, WorkerHung
from daosup.core.hanging import HangWatch
from daosup.core.types import WorkerKey
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.limits import Limits

SAMPLE_INTERVAL_S = 1.0
#: How often each worker's memory is looked at.
MEMORY_ROUND_S = 5.0
_MB = 1_000_000


class WorkerHealth:
    """The health of one supervisor's workers.

    Args:
        workers: All of them.
        seen: What is seen of them.
        limits_of: What a worker is limited to.
        post: Called with what was found.
        interval_s: How long after one turn the next one should come, in seconds.
    """

    def __init__(
        self,
        workers: Mapping[WorkerKey, Worker],
        seen: WorkersSeen,
        limits_of: Callable[[WorkerKey], Limits],
        post: Callable[[Event], None],
        interval_s: float,
    ) -> None:
        self._workers = workers
        self._seen = seen
        self._limits_of = limits_of
        self._post = post
        self._watch = HangWatch(interval_s)
        self._sampled_s = self._round_s = 0.0
        self._to_weigh: deque[tuple[WorkerKey, int]] = deque()
        self._portion = 0
        self._portions = max(1, int(MEMORY_ROUND_S / interval_s))

    def turn(self, now: float) -> None:
        """Look at them, at ``now`` on the monotonic clock."""
        self._watch.turn(now)
        if now >= self._sampled_s + SAMPLE_INTERVAL_S:
            self._sampled_s = now
            self._seen.sample(self._workers, now)
            self._post(self._seen.links())
        late = self._seen.late(now, state_of)
        for each in list(self._watch.hanging(late, len(self._workers), now)) if late else ():
            self._post(WorkerHung(each.key, each.pid, each.age_s))
        self._weigh(now)

    def _weigh(self, now: float) -> None:
        if now >= self._round_s + MEMORY_ROUND_S:
            self._round_s = now
            limits = ((key, self._limits_of(key).memory_limit_mb) for key in self._workers)
            self._to_weigh.extend((key, limit_mb * _MB) for key, limit_mb in limits if limit_mb)
            self._portion = -(-len(self._to_weigh) // self._portions)
        for _ in range(min(self._portion, len(self._to_weigh))):
            key, limit_bytes = self._to_weigh.popleft()
            worker = self._workers.get(key)
            if worker is not None and worker.pid and worker.phase in (Phase.STARTING, Phase.RUNNING):
                memory_bytes = own_memory_bytes(worker.pid)
                if memory_bytes > limit_bytes:
                    self._post(WorkerGrown(key, worker.pid, memory_bytes, limit_bytes))
