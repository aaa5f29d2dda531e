"""Control commands about the events of the fleet.

Invariant: a piece of the stream is bounded, however it is asked for; while the registry is away, what this host itself
told is answered in its place, and said to be no more than that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.adapters.registry_events import MOST_AT_ONCE, EventPage, entry_id
from daosup.errors import ProtocolError, UnavailableError, UsageError
from daosup.supervisor.requests import number_of, only_looks
from daosup.supervisor.told_events import told

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]

MAX_WAIT_S = 60.0
#: While somebody follows, the stream is looked at so often.
LOOK_INTERVAL_S = 0.5


class EventCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.by_name: dict[str, Callable[[Request], Awaitable[object]]] = {"events": self._events}

    @only_looks
    async def _events(self, request: Request) -> Object:
        """A piece of the stream: of its end, or what is before or after an entry.

        Arguments: ``count``; ``before`` or ``after``, the id of an entry; ``wait_s``, how long to wait for one that is
        newer than ``after``.
        """
        count = int(number_of(request.arguments, "count", 100.0, float(MOST_AT_ONCE)))
        before, after = _entry_of(request, "before"), _entry_of(request, "after")
        wait_s = number_of(request.arguments, "wait_s", 0.0, MAX_WAIT_S)
        if count == 0:
            raise UsageError(f"count is 0, not a number from 1 to {MOST_AT_ONCE}")
        if after is not None:
            return _answer(await self._newer(after, count, wait_s))
        try:
            return _answer(await self._supervisor.desk.events.older(before, count))
        except UnavailableError as error:
            if before is not None:
                raise
            own = self._supervisor.events.recent()[-count:]
            return {
                "events": [told(event) for event in own],
                "before": None,
                "after": None,
                "skipped": 0,
                "is_whole": False,
                "reason": str(error),
            }

    async def _newer(self, after: str, count: int, wait_s: float) -> EventPage:
        deadline = time.monotonic() + wait_s
        while True:
            page = await self._supervisor.desk.events.newer(after, count)
            left_s = deadline - time.monotonic()
            if page.events or page.after != after or left_s <= 0:
                return page
            await asyncio.sleep(min(LOOK_INTERVAL_S, left_s))


def _answer(page: EventPage) -> Object:
    return {
        "events": [told(event) for _, event in page.events],
        "before": page.before,
        "after": page.after,
        "skipped": page.skipped,
        "is_whole": True,
        "reason": None,
    }


def _entry_of(request: Request, argument: str) -> Optional[str]:
    text = request.arguments.get(argument)
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise ProtocolError(f"{str(text)[:40]!r} is no id of an entry")
        entry_id(text)
    except ProtocolError as error:
        raise UsageError(f"{argument}: {error}") from None
    return text
