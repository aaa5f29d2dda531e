"""Long work lets the loop go round."""

from __future__ import annotations

import asyncio
import time

from daosup.adapters.turns import TURN_S, Turns


def test_others_have_their_turn_between_two_steps_of_long_work() -> None:
    async def work() -> None:
        turns = Turns()
        for _ in range(5):
            end_s = time.monotonic() + 2 * TURN_S
            while time.monotonic() < end_s:
                pass
            told.append("step")
            await turns.pause()

    async def other(working: asyncio.Task[None]) -> None:
        while not working.done():
            told.append("other")
            await asyncio.sleep(0)

    async def both() -> None:
        working = asyncio.get_running_loop().create_task(work())
        await other(working)

    told: list[str] = []
    asyncio.run(both())
    assert "".join(each[0] for each in told).count("so") >= 4


def test_short_work_is_not_interrupted() -> None:
    async def work() -> None:
        turns = Turns()
        turns._end_s = float("inf")  # however busy the machine is
        asyncio.get_running_loop().call_soon(told.append, "other")
        await turns.pause()
        told.append("work")

    told: list[str] = []
    asyncio.run(work())
    assert told[0] == "work"
