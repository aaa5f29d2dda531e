"""How many events a host keeps for a Redis that is away, and what is told of the others."""

from __future__ import annotations

import asyncio
import time

from daosup.adapters.redis_server import EmbeddedRedis
from daosup.core.notices import streams
from daosup.supervisor.events_desk import MOST_RECENT, MOST_WAITING, EventsDesk
from daosup.supervisor.hooks_desk import HooksDesk
from tests.integration.registry_hosts import Host, eventually


def fail(error: BaseException) -> None:
    raise error


def test_the_oldest_are_dropped_and_that_is_told(empty_redis: EmbeddedRedis) -> None:
    async def go_on() -> None:
        host = Host(empty_redis.address, "rts")
        desk = EventsDesk("rts", "run", HooksDesk("rts", ()))
        desk.open(host.registry, lambda notice, **fields: desk.add(notice, fields), fail)
        began_ms = time.time() * 1000
        for number in range(MOST_WAITING + 300):
            # Of as many notices as there are, for a host tells only so many of one.
            desk._put(streams.LINK_UP, {"segment": f"wfs{number}"}, time.monotonic())
            desk.tick(time.monotonic())
        assert (desk.waiting, desk.dropped) == (MOST_WAITING, 300)
        assert len(desk.recent()) == MOST_RECENT
        assert desk.recent()[-1].segment == f"wfs{MOST_WAITING + 299}"
        await host.registry.connect()
        desk.tick(time.monotonic())
        await eventually(lambda: desk.waiting == 0, "all to be sent")
        events, before = [], None
        while True:
            page = await host.registry.events.older(before, 500)
            events = [event for _, event in page.events] + events
            if (before := page.before) is None:
                break
        numbers = [int(event.segment[3:]) for event in events if event.segment]
        assert numbers[0] in (300, 301)  # telling it may cost one more
        assert numbers == list(range(numbers[0], MOST_WAITING + 300))
        told = [event.fields["count"] for event in events if event.name == "events-dropped"]
        assert sum(map(int, told)) == desk.dropped  # type: ignore[arg-type]
        assert all(abs(event.time_ms - began_ms) < 60_000 for event in events)
        await desk.close()
        await host.registry.close()

    asyncio.run(go_on())


def test_what_comes_too_often_is_counted_and_told_at_the_end(empty_redis: EmbeddedRedis) -> None:
    async def go_on() -> None:
        host = Host(empty_redis.address, "rts")
        desk = EventsDesk("rts", "run", HooksDesk("rts", ()))
        await host.registry.connect()
        desk.open(host.registry, lambda notice, **fields: None, fail)
        for _ in range(12):
            desk.add(streams.LINK_DOWN, {"segment": "wfs", "reason": "silence"})
        desk.add(streams.NOT_A_SEGMENT, {"segment": "wfs"})  # no event
        await desk.close()
        events = [event for _, event in (await host.registry.events.older(None, 100)).events]
        assert [event.name for event in events] == ["link-down"] * 5 + ["log-repeated"]
        assert (events[-1].segment, events[-1].fields) == ("wfs", {"notice": "link-down", "repeated": 7})
        await host.registry.close()

    asyncio.run(go_on())
