"""What is seen of the workers from outside: their statistics pages and what they told.

Nothing here has a say in what happens to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from daosup.core.crew import Worker
from daosup.core.types import WorkerKey
from daosup.workers.statistics import Statistics, StatisticsReader


@dataclass
class Seen:
    """One worker as seen from outside; rates are over the last second or so."""

    reader: StatisticsReader
    reason: Optional[str] = None
    statistics: Optional[Statistics] = None
    sampled_s: float = 0.0
    rate_hz: float = 0.0
    bytes_per_s: float = 0.0


class WorkersSeen:
    """All workers as seen from outside.

    Args:
        page_of: Where a worker's statistics page is.
    """

    def __init__(self, page_of: Callable[[WorkerKey], Path]) -> None:
        self._page_of = page_of
        self._by_key: dict[WorkerKey, Seen] = {}

    def of(self, key: WorkerKey) -> Seen:
        """What is known of one worker."""
        seen = self._by_key.get(key)
        if seen is None:
            seen = self._by_key[key] = Seen(StatisticsReader(self._page_of(key)))
        return seen

    def told(self, key: WorkerKey, facts: Mapping[str, object]) -> None:
        """A worker said something."""
        reason = facts.get("reason")
        self.of(key).reason = reason if isinstance(reason, str) else None

    def forget(self, key: WorkerKey) -> None:
        """A new process begins with nothing."""
        self._by_key.pop(key, None)

    def sample(self, workers: Mapping[WorkerKey, Worker], now: float) -> None:
        """Read all pages and work out rates."""
        for key in self._by_key.keys() - workers.keys():
            self.forget(key)
        for key, worker in workers.items():
            seen, statistics = self.of(key), self.current(key, worker)
            before = seen.statistics
            elapsed_s = now - seen.sampled_s
            if statistics and before and before.pid == statistics.pid and elapsed_s > 0:
                seen.rate_hz = (statistics.frames - before.frames) / elapsed_s
                seen.bytes_per_s = (statistics.payload_bytes - before.payload_bytes) / elapsed_s
            else:
                seen.rate_hz = seen.bytes_per_s = 0.0
            seen.statistics, seen.sampled_s = statistics, now

    def current(self, key: WorkerKey, worker: Worker) -> Optional[Statistics]:
        """A worker's page as it is now."""
        return self.of(key).reader.read(worker.pid) if worker.pid else None
