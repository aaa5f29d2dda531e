"""The orders for the registry: in their order, and no question twice."""

from __future__ import annotations

import asyncio
from typing import Any

from daosup.core import events as e
from daosup.core.types import Source
from daosup.supervisor.order_queue import OrderQueue

A, B, C = (Source("rts", name) for name in "abc")


def taken(queue: OrderQueue, count: int) -> list[Any]:
    async def take() -> list[Any]:
        return [(await queue.take())[1] for _ in range(count)]

    return asyncio.run(take())


def test_orders_come_out_in_their_order() -> None:
    queue = OrderQueue()
    orders = [e.ConnectRegistry(), e.DropSegment("a"), e.ReadReaders(), e.DropSegment("a"), e.Withdraw()]
    for order in orders:
        queue.put(order)
    assert taken(queue, 5) == orders


def test_a_question_that_waits_is_not_asked_twice() -> None:
    queue = OrderQueue()
    for _ in range(1000):
        queue.put(e.ReadReaders())
        queue.put(e.CheckRegistry())
    queue.put(e.Withdraw())
    assert taken(queue, 3) == [e.ReadReaders(), e.CheckRegistry(), e.Withdraw()]
    queue.put(e.ReadReaders())
    assert taken(queue, 1) == [e.ReadReaders()]


def test_a_look_at_the_lease_that_waits_counts_from_when_it_was_first_asked_for() -> None:
    queue = OrderQueue()
    for asked_s in (1.0, 2.0, 3.0):
        queue.put(e.LookAtLease(asked_s))
    queue.put(e.Withdraw())
    assert taken(queue, 2) == [e.LookAtLease(1.0), e.Withdraw()]


def test_sources_to_look_at_are_gathered() -> None:
    queue = OrderQueue()
    queue.put(e.ReadRecords((A, B)))
    queue.put(e.Withdraw())
    queue.put(e.ReadRecords((B, C)))
    queue.put(e.ReadRecords((A,)))
    assert taken(queue, 2) == [e.Withdraw(), e.ReadRecords((A, B, C))]


def test_who_waits_for_the_orders_before_him_outlives_them() -> None:
    async def wait() -> None:
        queue = OrderQueue()
        marker = asyncio.get_running_loop().create_future()
        queue.put(e.Withdraw())
        queue.put(marker)
        queue.drop_orders()
        assert (await queue.take())[1] is marker
        taking = asyncio.ensure_future(queue.take())
        await asyncio.sleep(0)
        queue.put(e.ReadReaders())
        lag_s, order = await taking
        assert order == e.ReadReaders()
        assert lag_s < 60.0

    asyncio.run(wait())
