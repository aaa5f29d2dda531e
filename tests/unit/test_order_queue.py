"""The orders for the registry: in their order, and no question twice."""

from __future__ import annotations

import asyncio
from typing import Any

from daosup.core import actions as do
from daosup.core.types import Source
from daosup.supervisor.order_queue import OrderQueue

A, B, C = (Source("rts", name) for name in "abc")


def taken(queue: OrderQueue, count: int) -> list[Any]:
    async def take() -> list[Any]:
        return [(await queue.take())[1] for _ in range(count)]

    return asyncio.run(take())


def test_orders_come_out_in_their_order() -> None:
    queue = OrderQueue()
    orders = [do.ConnectRegistry(), do.DropSegment("a"), do.ReadReaders(), do.DropSegment("a"), do.Withdraw()]
    for order in orders:
        queue.put(order)
    assert taken(queue, 5) == orders


def test_a_question_that_waits_is_not_asked_twice() -> None:
    queue = OrderQueue()
    for _ in range(1000):
        queue.put(do.ReadReaders())
        queue.put(do.CheckRegistry())
    queue.put(do.Withdraw())
    assert taken(queue, 3) == [do.ReadReaders(), do.CheckRegistry(), do.Withdraw()]
    queue.put(do.ReadReaders())
    assert taken(queue, 1) == [do.ReadReaders()]


def test_a_look_at_the_lease_that_waits_counts_from_when_it_was_first_asked_for() -> None:
    queue = OrderQueue()
    for asked_s in (1.0, 2.0, 3.0):
        queue.put(do.LookAtLease(asked_s))
    queue.put(do.Withdraw())
    assert taken(queue, 2) == [do.LookAtLease(1.0), do.Withdraw()]


def test_sources_to_look_at_are_gathered() -> None:
    queue = OrderQueue()
    queue.put(do.ReadRecords((A, B)))
    queue.put(do.Withdraw())
    queue.put(do.ReadRecords((B, C)))
    queue.put(do.ReadRecords((A,)))
    assert taken(queue, 2) == [do.Withdraw(), do.ReadRecords((A, B, C))]


def test_who_waits_for_the_orders_before_him_outlives_them() -> None:
    async def wait() -> None:
        queue = OrderQueue()
        marker = asyncio.get_running_loop().create_future()
        queue.put(do.Withdraw())
        queue.put(marker)
        queue.drop_orders()
        assert (await queue.take())[1] is marker
        taking = asyncio.ensure_future(queue.take())
        await asyncio.sleep(0)
        queue.put(do.ReadReaders())
        lag_s, order = await taking
        assert order == do.ReadReaders()
        assert lag_s < 60.0

    asyncio.run(wait())
