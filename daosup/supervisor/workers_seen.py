"""What is seen of the workers from outside: their statistics pages and what they told.

Nothing here has a say in what happens to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Optional

from daosup.adapters.process_facts import cpu_ns
from daosup.core.crew import Phase, Worker
from daosup.core.events import LinksSeen
from daosup.core.hanging import LATE_S, Late
from daosup.core.transport import Via, via_of
from daosup.core.types import WorkerKey, WorkerKind
from daosup.shm import _native
from daosup.workers.statistics import Statistics, StatisticsReader

#: Latencies are told of the frames of so long; what they are compared with is kept so often.
LATENCY_WINDOW_S = 10.0
_LATENCY_STEP_S = 2.0
#: The shortest time of which a share of a CPU tells something.
_SHARE_S = 0.1


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
    #: Why a mirror's frames do not come directly, as it said last.
    not_direct: Optional[str] = None
    statistics: Optional[Statistics] = None
    sampled_s: float = 0.0
    rate_hz: float = 0.0
    bytes_per_s: float = 0.0
    #: CPU time so far, and the part of one CPU that was used since the sample before; None if that is not known.
    cpu_ns: Optional[int] = None
    cpu: Optional[float] = None
    #: The counts of the page as they were at each step of the window, while no frame comes all one object.
    counts: deque[bytes] = field(default_factory=lambda: deque(maxlen=int(LATENCY_WINDOW_S / _LATENCY_STEP_S)))

    def waits_for(self, statistics: Optional[Statistics]) -> Optional[str]:
        """Why a mirror with that page has no frames, if there is no other way than the direct one."""
        via = Via.UNKNOWN if statistics is None else via_of(statistics.via)
        return (self.not_direct or via.reason) if via in (Via.WAITING, Via.DENIED) else None

    @property
    def is_denied(self) -> bool:
        """Whether that is so because its owner said so, as of the last sample."""
        return self.statistics is not None and self.statistics.via == Via.DENIED

    def cpu_share(self, used_ns: Optional[int], now: float, least_s: float = 0.0) -> Optional[float]:
        """How much of a CPU it has had since the last sample; None if unknown, or not longer ago than ``least_s``."""
        elapsed_s = now - self.sampled_s
        if used_ns is None or self.cpu_ns is None or elapsed_s <= least_s:
            return None
        return max(0, used_ns - self.cpu_ns) / 1e9 / elapsed_s

    def take(self, statistics: Optional[Statistics], used_ns: Optional[int], now: float) -> None:
        """Its page and its CPU time as they are now."""
        before, elapsed_s = self.statistics, now - self.sampled_s
        if statistics and before and before.pid == statistics.pid and elapsed_s > 0:
            # Between two of its stamps, a few in each second: our looks are not as far apart as those.
            stamped_s = (statistics.beat_ns - before.beat_ns) / 1e9
            span_s = stamped_s if stamped_s > 0 else elapsed_s
            self.rate_hz = (statistics.frames - before.frames) / span_s
            self.bytes_per_s = (statistics.payload_bytes - before.payload_bytes) / span_s
        else:
            self.rate_hz = self.bytes_per_s = 0.0
        self.cpu = self.cpu_share(used_ns, now)
        self.statistics, self.cpu_ns, self.sampled_s = statistics, used_ns, now
        # What a worker told may have been lost, or told to a supervisor before this one.
        state = _STATES.get(statistics.writing) if statistics else None
        if state is not None and self.writing_back is not state:
            self.writing_back, self.refusal = state, None

    def note_counts(self) -> None:
        """A step of the window is over."""
        now = self.reader.latency()
        if now is not None:
            self.counts.append(self.counts[-1] if self.counts and self.counts[-1] == now else now)

    def latencies(self, shares: Sequence[float]) -> Optional[tuple[int, int, list[float]]]:
        """Of the window's frames, how late they are; None if there were none.

        Returns:
            How many they are, how many of them seem to come before they were written, and the latencies, s, that these
            ``shares`` of them do not exceed.
        """
        now = self.reader.latency()
        if now is None or not self.counts or self.counts[0] == now:
            return None
        frames, ahead, quantiles_s = _native.latencies_since(self.counts[0], now, shares)
        return (frames, ahead, quantiles_s) if frames else None


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
        self._counted_s = float("-inf")

    def of(self, key: WorkerKey) -> Seen:
        """What is known of one worker."""
        seen = self._by_key.get(key)
        if seen is None:
            seen = self._by_key[key] = Seen(StatisticsReader(self._page_of(key)))
        return seen

    def told(self, key: WorkerKey, event: str, facts: Mapping[str, object]) -> None:
        """A worker said something: a ``warning``, which stays, or what goes on, with a ``reason`` or none.

        With the event "writing" it says by its ``state`` whether it may write, and the ``reason`` is about that; with
        "transport" the ``reason`` is why its frames do not come directly.
        """
        if event == "writing":
            seen = self.of(key)
            with suppress(ValueError):
                seen.writing_back = WritingBack(facts.get("state"))
                seen.refusal = _text(facts.get("reason"))
        elif event == "transport":
            self.of(key).not_direct = _text(facts.get("reason"))
        elif "warning" in facts:
            self.of(key).warning = _text(facts["warning"])
        elif "reason" in facts:
            self.of(key).reason = _text(facts["reason"])

    def forget(self, key: WorkerKey) -> None:
        """A new process begins with nothing."""
        self._by_key.pop(key, None)

    def sample(self, workers: Mapping[WorkerKey, Worker], now: float) -> None:
        """Read all pages and work out rates."""
        is_step = now >= self._counted_s + _LATENCY_STEP_S
        if is_step:
            self._counted_s = now
        for key in self._by_key.keys() - workers.keys():
            self.forget(key)
        for key, worker in workers.items():
            seen = self.of(key)
            seen.take(self.current(key, worker), cpu_ns(worker.pid) if worker.pid else None, now)
            if is_step:
                seen.note_counts()
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
                each = Late(
                    key,
                    worker.pid,
                    age_s,
                    beat is not None and beat[0] != beat[1],
                    state_of(worker.pid),
                    self.of(key).cpu_share(cpu_ns(worker.pid), now, _SHARE_S),
                )
                if reader.beat(worker.pid) == beat:  # else it had its turn while we looked, and sleeps
                    late.append(each)
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
