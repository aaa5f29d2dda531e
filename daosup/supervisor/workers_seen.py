"""What is seen of the workers from outside: their statistics pages and what they told.

Nothing here has a say in what happens to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from daosup.core.crew import Worker
from daosup.core.types import WorkerKey
from daosup.workers.statistics import Statistics, StatisticsReader


@dataclass
class Seen:
    """One worker as seen from outside; rates are over the last second or so."""

    reader: StatisticsReader
    shape: Optional[list[int]] = None
    dtype: Optional[str] = None
    reason: Optional[str] = None
    statistics: Optional[Statistics] = None
    sampled_s: float = 0.0
    rate_hz: float = 0.0
    bytes_per_s: float = 0.0


@dataclass
class WorkersSeen:
    """All workers as seen from outside."""

    by_key: dict[WorkerKey, Seen] = field(default_factory=dict)
    _ready: dict[WorkerKey, dict[str, Any]] = field(default_factory=dict)

    def ready(self, key: WorkerKey, facts: dict[str, Any]) -> None:
        """A worker said that it works, and on what."""
        self._ready[key] = facts
        if key in self.by_key:
            self._describe(key)

    def told(self, key: WorkerKey, event: str, facts: dict[str, Any]) -> None:
        """A worker said something else."""
        if key in self.by_key:
            self.by_key[key].reason = facts.get("reason")

    def forget(self, key: WorkerKey) -> None:
        """A new process begins with nothing."""
        self.by_key.pop(key, None)
        self._ready.pop(key, None)

    def facts_of(self, key: WorkerKey) -> dict[str, Any]:
        """What a worker said when it was ready."""
        return self._ready.get(key, {})

    def sample(self, workers: Mapping[WorkerKey, Worker], page_of: Callable[[WorkerKey], Path], now: float) -> None:
        """Read all pages and work out rates."""
        for key in [key for key in self.by_key if key not in workers]:
            self.forget(key)
        for key, worker in workers.items():
            seen = self.by_key.get(key)
            if seen is None:
                seen = self.by_key[key] = Seen(StatisticsReader(page_of(key)))
                self._describe(key)
            statistics = seen.reader.read(worker.pid) if worker.pid else None
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
        seen = self.by_key.get(key)
        return seen.reader.read(worker.pid) if seen and worker.pid else None

    def _describe(self, key: WorkerKey) -> None:
        facts = self._ready.get(key, {})
        self.by_key[key].shape, self.by_key[key].dtype = facts.get("shape"), facts.get("dtype")
