"""What is to be done with the registry, in its order.

Invariant: an order that only looks, and already waits to be carried out, is not put in again: it will see what is there
then. So a flood of notices, or a Redis that is slower than we ask, makes no queue of the same questions.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Optional, Union

from daosup.core import actions as do

Item = Union[do.Action, "asyncio.Future[None]"]

_LOOKS = (
    do.CheckRegistry, do.LookAtLease, do.ReadHosts, do.ReadReaders, do.TakeRequests, do.ReadHeartbeats,
    do.FindHeartbeats,
)  # fmt: skip


class OrderQueue:
    """The orders that wait, for one task that takes them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Item]] = deque()
        self._taker: Optional[asyncio.Future[None]] = None

    def put(self, item: Item) -> None:
        """Put something last, unless it waits already."""
        if isinstance(item, _LOOKS) and any(type(item) is type(other) for _, other in self._waiting):
            return
        if isinstance(item, do.ReadRecords):
            item = self._with_waiting(item)
        self._waiting.append((time.monotonic(), item))
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    async def take(self) -> tuple[float, Item]:
        """Wait for the first one; also returns how long it has waited, in seconds."""
        while not self._waiting:
            self._taker = asyncio.get_running_loop().create_future()
            await self._taker
        put_s, item = self._waiting.popleft()
        return time.monotonic() - put_s, item

    def drop_orders(self) -> None:
        """Forget what waits, but not who waits until all before him is done."""
        self._waiting = deque((put_s, item) for put_s, item in self._waiting if isinstance(item, asyncio.Future))

    def _with_waiting(self, new: do.ReadRecords) -> do.ReadRecords:
        """One order for the sources of all that wait; the others go."""
        for place, (_, item) in enumerate(self._waiting):
            if isinstance(item, do.ReadRecords):
                del self._waiting[place]
                return do.ReadRecords(tuple(dict.fromkeys(item.sources + new.sources)))
        return new
