"""Tells the fleet what happens on this host: from its notices, by way of the registry's stream.

Invariants: nothing waits for Redis. An event that Redis did not take waits, with the time at which it happened, and
goes when Redis is back; at most `MOST_WAITING` do, the oldest are dropped, and their count is told. The order is kept.
After a reply that was lost an event may be in the stream twice, under one id.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Optional

from daosup.adapters.registry import Registry
from daosup.core.event_flow import EventFlow
from daosup.core.fleet_events import FleetEvent, encode_event, event_of
from daosup.core.notices import running, telling
from daosup.core.notices.notice import Notice
from daosup.errors import UnavailableError
from daosup.supervisor.hooks_desk import HooksDesk

MOST_WAITING = 1000
MOST_RECENT = 500
CLOSE_TIMEOUT_S = 2.0
_STEP = 100
#: After a refusal, which will mostly be repeated.
_REFUSED_PAUSE_S = 10.0

#: When it happened, on the monotonic clock, and what.
_Moment = tuple[float, FleetEvent]


class EventsDesk:
    """The events of one host.

    Args:
        host: Its name.
        run: Names this run of the supervisor.
        hooks: Are run for events.
    """

    def __init__(self, host: str, run: str, hooks: HooksDesk) -> None:
        self.error: Optional[str] = None
        self.dropped = 0
        self._host, self._run, self._hooks = host, run, hooks
        self._count = 0
        self._flow = EventFlow()
        self._waiting: deque[_Moment] = deque()
        self._recent: deque[_Moment] = deque(maxlen=MOST_RECENT)
        self._registry: Optional[Registry] = None
        self._tell: Callable[..., None] = lambda notice, **fields: None
        self._fail: Callable[[BaseException], None] = lambda error: None
        self._task: Optional[asyncio.Task[None]] = None
        self._retry_s = 0.0
        self._is_closed = False
        self._untold = 0

    def open(self, registry: Registry, tell: Callable[..., None], fail: Callable[[BaseException], None]) -> None:
        """From now on events go to this registry; ``tell`` is the journal's, ``fail`` takes what nobody foresaw."""
        self._registry, self._tell, self._fail = registry, tell, fail
        self._hooks.open(registry, tell, fail)

    @property
    def waiting(self) -> int:
        """How many events Redis has not taken yet."""
        return len(self._waiting)

    def recent(self) -> list[FleetEvent]:
        """The last events of this host, the oldest first, whether Redis has them or not."""
        return [self._timed(moment) for moment in self._recent]

    def add(self, notice: Notice, fields: Mapping[str, object]) -> None:
        """A notice is told; nothing happens if it is no event."""
        if not notice.is_event or self._is_closed:
            return
        now = time.monotonic()
        self._tell_counted(now)
        if self._flow.is_told(notice.name, fields, now):
            self._put(notice, fields, now)

    def tick(self, now: float) -> None:
        """A turn of the loop, at ``now`` on the monotonic clock."""
        self._tell_counted(now)
        self._hooks.tick(now)
        self._send_waiting(now)

    def _send_waiting(self, now: float) -> None:
        registry = self._registry
        is_idle = self._task is None or self._task.done()
        if self._waiting and is_idle and registry is not None and registry.is_connected and now >= self._retry_s:
            self._task = asyncio.get_running_loop().create_task(self._send(registry))

    async def close(self, last: Optional[Notice] = None) -> None:
        """Tell the last, have Redis take what waits, and hooks run, if that takes no longer than a stop may."""
        if last is not None:
            self.add(last, {})
        self._tell_counted(float("inf"))
        self._is_closed = True
        self._retry_s = 0.0
        hooks = asyncio.ensure_future(self._hooks.close())
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settle(), CLOSE_TIMEOUT_S)
        await hooks
        # What is under way ends with the link; breaking it off would take the link from who takes this host out of it.

    async def _settle(self) -> None:
        """Wait until Redis has taken all, or takes nothing."""
        if self._task is not None:
            await asyncio.wait({self._task})
        self._send_waiting(time.monotonic())
        if self._task is not None:
            await asyncio.wait({self._task})

    def _tell_counted(self, now: float) -> None:
        for each in self._flow.due(now):
            fields = {"notice": each.subject.kind, "repeated": each.count, **dict(each.subject.identity or ())}
            self._put(running.LOG_REPEATED, fields, min(now, time.monotonic()))

    def _put(self, notice: Notice, fields: Mapping[str, object], now: float) -> None:
        self._count += 1
        moment = now, event_of(notice, fields, self._host, f"{self._run}.{self._count}")
        self._recent.append(moment)
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
            self._untold += 1
        self._waiting.append(moment)
        self._hooks.take(self._timed(moment))

    def _timed(self, moment: _Moment) -> FleetEvent:
        """The event with its time by Redis's clock, as far as that is known by now."""
        happened_s, event = moment
        clock_s = self._registry.clock.now_s() if self._registry is not None else time.time()
        return replace(event, time_ms=max(0, round((clock_s - (time.monotonic() - happened_s)) * 1000)))

    async def _send(self, registry: Registry) -> None:
        try:
            while self._waiting:
                self._tell_dropped()
                step = list(islice(self._waiting, _STEP))
                added, refusal = await registry.events.add([encode_event(self._timed(each)) for each in step])
                self._forget(step[:added])
                if refusal is not None:
                    self._retry_s = time.monotonic() + _REFUSED_PAUSE_S
                    if self.error is None:
                        self._tell(telling.EVENTS_REFUSED, reason=refusal)
                    self.error = refusal
                    return
                self.error = None
        except UnavailableError:
            pass  # whoever looks after the link knows of it; what waits goes when it is back
        except Exception as error:
            self._fail(error)

    def _forget(self, sent: Iterable[_Moment]) -> None:
        """Take out what was sent; some of it may have been dropped meanwhile."""
        for each in sent:
            if self._waiting and self._waiting[0] is each:
                self._waiting.popleft()

    def _tell_dropped(self) -> None:
        if self._untold:
            count, self._untold = self._untold, 0
            self._tell(telling.EVENTS_DROPPED, count=count)
