"""Replacing workers by new ones of another version, one after the other.

Invariant: at most one stream at a time is interrupted on this account. If a new worker dies, those that still run stay:
a version that does not work must not take all streams along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Optional

from daosup.core.actions import Action, Report
from daosup.core.crew import Crew, Phase, Worker
from daosup.core.notices import workers
from daosup.core.types import WorkerKey

#: A mirror whose owner is away is not ready before that is back; the next one's turn comes all the same.
PATIENCE_S = 10.0


class Renewal:
    """The workers that wait for their turn, and the one whose turn it is."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._waiting: deque[WorkerKey] = deque()
        self._current: Optional[WorkerKey] = None
        self._pid = self._restarts = 0
        self._since_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether none is left to renew."""
        return self._current is None and not self._waiting

    def ask(self, keys: Iterable[WorkerKey]) -> None:
        """Renew these, after those that wait already."""
        self._waiting.extend(key for key in keys if key not in self._waiting and key != self._current)

    def step(self, now: float) -> Iterator[Action]:
        """See how the present one is doing, and let the next one's turn come."""
        if self._current is not None:
            worker = self._crew.workers.get(self._current)
            if worker is not None and worker.restarts > self._restarts:
                fields = (("cause", worker.last_exit), ("left", len(self._waiting)))
                yield Report(workers.RENEWAL_ENDED, self._current, fields=fields)
                self._waiting.clear()
            elif self._is_awaited(worker) and now < self._since_s + PATIENCE_S:
                return
            self._current = None
        while self._waiting and self._current is None:
            key = self._waiting.popleft()
            worker = self._crew.workers.get(key)
            if worker is None or worker.phase not in (Phase.STARTING, Phase.RUNNING) or not worker.pid:
                continue  # it ends or begins anew by itself
            self._current, self._since_s = key, now
            self._pid, self._restarts = worker.pid, worker.restarts
            yield from self._crew.restart(key, now)

    def _is_awaited(self, worker: Optional[Worker]) -> bool:
        return worker is not None and (worker.phase is not Phase.RUNNING or worker.pid == self._pid)
