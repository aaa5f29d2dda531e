"""What is seen of the workers from outside: their statistics pages and what they told.

Nothing here has a say in what happens to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Optional

from daosup.core.crew import Phase, Worker
from daosup.core.events import LinksSeen
from daosup.core.hanging import LATE_S, Late
from daosup.core.types import WorkerKey, WorkerKind
from daosup.workers.statistics import Statistics, StatisticsReader


class WritingBack(Enum):
    """Whether a mirror may write into its source."""

    ASKING = "asking"
    OPEN = "open"
    REFUSED = "refused"


#: The field ``writing`` of a mirror's statistics page; 0 says nothing.
_STATES = {1: WritingBack.OPEN, 2: WritingBack.REFUSED}


@dataclass
class Seen:
    """One worker as seen from outside; rates are over the last second or so."""

    reader: StatisticsReader
    reason: Optional[str] = None
    warning: Optional[str] = None
    writing_back: WritingBack = WritingBack.ASKING
    refusal: Optional[str] = None
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
        # Those of the last sample: to go through them costs no look-up.
        self._sampled: list[tuple[WorkerKey, Worker, StatisticsReader]] = []

    def of(self, key: WorkerKey) -> Seen:
        """What is known of one worker."""
        seen = self._by_key.get(key)
        if seen is None:
            seen = self._by_key[key] = Seen(StatisticsReader(self._page_of(key)))
        return seen

    def told(self, key: WorkerKey, event: str, facts: Mapping[str, object]) -> None:
        """A worker said something: a ``warning``, which stays, or what goes on, with a ``reason`` or none.

        With the event "writing" it says by its ``state`` whether it may write, and the ``reason`` is about that.
        """
        if event == "writing":
            seen = self.of(key)
            with suppress(ValueError):
                seen.writing_back = WritingBack(facts.get("state"))
                seen.refusal = _text(facts.get("reason"))
        elif "warning" in facts:
            self.of(key).warning = _text(facts["warning"])
        elif "reason" in facts:
            self.of(key).reason = _text(facts["reason"])

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
            # What a worker told may have been lost, or told to a supervisor before this one.
            state = _STATES.get(statistics.writing) if statistics else None
            if state is not None and seen.writing_back is not state:
                seen.writing_back, seen.refusal = state, None
        self._sampled = [(key, worker, self._by_key[key].reader) for key, worker in workers.items()]

    def late(self, now: float, state_of: Callable[[int], str]) -> list[Late]:
        """Workers whose loops have not beaten for longer than usual; cheap, and asks ``state_of`` for these alone."""
        late = []
        late_ns = int((now - LATE_S) * 1e9)
        for key, worker, reader in self._sampled:
            if worker.phase is not Phase.RUNNING and worker.phase is not Phase.STARTING:
                continue
            beat = reader.beat(worker.pid)
            if beat is None:  # who runs without a page cannot be judged
                age_s = now - worker.began_s if worker.phase is Phase.STARTING and worker.pid else 0.0
            elif beat[1] < late_ns:
                age_s = now - beat[1] / 1e9
            else:
                continue
            if age_s > LATE_S:
                late.append(Late(key, worker.pid, age_s, beat is not None and beat[0] != beat[1], state_of(worker.pid)))
        return late

    def links(self) -> LinksSeen:
        """Who is connected, as of the last sample."""
        seen = [(key, each.statistics) for key, each in self._by_key.items() if each.statistics is not None]
        connected = {
            key.source.name: page.reader_count
            for key, page in seen
            if key.kind is WorkerKind.PUBLISHER and page.reader_count
        }
        linked = frozenset(key.source for key, page in seen if key.kind is WorkerKind.MIRROR and page.has_link)
        return LinksSeen(linked, frozenset(connected), connected)

    def current(self, key: WorkerKey, worker: Worker) -> Optional[Statistics]:
        """A worker's page as it is now."""
        return self.of(key).reader.read(worker.pid) if worker.pid else None


def _text(fact: object) -> Optional[str]:
    return fact if isinstance(fact, str) else None
