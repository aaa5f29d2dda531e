"""Long work in an event loop, in turns with what else there is to do.

Invariant: so long as each step is short, the loop is kept for little longer than ``TURN_S`` at a time.
"""

from __future__ import annotations

import asyncio
import time

#: So long the loop is kept at a time, in seconds.
TURN_S = 0.002


class Turns:
    """The turns of one piece of work; it begins with the first one."""

    def __init__(self) -> None:
        self._end_s = time.monotonic() + TURN_S

    async def pause(self) -> None:
        """Between two steps: let the loop go round if this turn is over."""
        if time.monotonic() > self._end_s:
            await asyncio.sleep(0)
            self._end_s = time.monotonic() + TURN_S
