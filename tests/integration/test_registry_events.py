"""The stream of events in a real Redis: bounded, read in pieces, and proof against whatever somebody puts there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from daosup.adapters.redis_server import EmbeddedRedis
from daosup.adapters.registry_events import MOST_ENTRIES, NO_ENTRY, EventPage, RegistryEvents, entry_id
from daosup.core.fleet_events import FleetEvent, encode_event
from daosup.core.keys import EVENTS
from daosup.errors import ProtocolError, UnavailableError
from tests.integration.registry_hosts import connected, raw

LAST_POSSIBLE = "18446744073709551615-18446744073709551615"


def event(number: int, host: str = "rts") -> FleetEvent:
    return FleetEvent(host, "worker-died", "error", "worker died", f"run.{number}", 1000 + number, source="rts:wfs")


def encoded(*numbers: int) -> list[bytes]:
    return [encode_event(event(number)) for number in numbers]


def numbers_of(page: EventPage) -> list[int]:
    return [int(each.ident.partition(".")[2]) for _, each in page.events]


def use(server: EmbeddedRedis, test: Callable[[RegistryEvents], Awaitable[None]]) -> None:
    async def go_on() -> None:
        async with connected(server.address, "rts") as host:
            await test(host.registry.events)

    asyncio.run(go_on())


def test_what_is_added_is_read_in_pieces_from_either_end(empty_redis: EmbeddedRedis) -> None:
    async def test(events: RegistryEvents) -> None:
        page = await events.older(None, 10)
        assert page == EventPage((), None, NO_ENTRY, 0)
        assert await events.add(encoded(*range(10))) == (10, None)
        page = await events.older(None, 4)
        assert numbers_of(page) == [6, 7, 8, 9]
        assert page.events[0][1] == event(6)
        older = await events.older(page.before, 100)
        assert (numbers_of(older), older.before) == ([0, 1, 2, 3, 4, 5], None)
        newer = await events.newer(older.after, 3)
        assert numbers_of(newer) == [6, 7, 8]
        assert numbers_of(await events.newer(newer.after, 3)) == [9]
        nothing = await events.newer(page.after, 3)
        assert (nothing.events, nothing.after) == ((), page.after)
        assert numbers_of(await events.newer(NO_ENTRY, 100)) == list(range(10))

    use(empty_redis, test)
    (left_ms,) = raw(empty_redis.address, ("PTTL", EVENTS))
    assert 0 < left_ms <= 90 * 86400 * 1000


def test_the_stream_is_bounded_by_who_adds_to_it(empty_redis: EmbeddedRedis) -> None:
    async def test(events: RegistryEvents) -> None:
        for start in range(0, MOST_ENTRIES + 3000, 1000):
            assert await events.add(encoded(*range(start, start + 1000))) == (1000, None)
        page = await events.older(None, 1)
        assert numbers_of(page) == [MOST_ENTRIES + 2999]

    use(empty_redis, test)
    (length,) = raw(empty_redis.address, ("XLEN", EVENTS))
    assert MOST_ENTRIES <= length < MOST_ENTRIES + 200


HOSTILE: list[tuple[str | bytes, ...]] = [
    ("event", b"\x00\xff junk"),
    ("event", b"{" * 4000),
    ("event", b"[]"),
    ("event", b"x" * 5_000_000),
    ("other", encoded(1)[0]),
    ("event", encoded(1)[0], "event", encoded(2)[0]),
    (b"\xff", b"\xff"),
    ("event", b""),
    ("event", b'{"host": "\\ud800", "event": "worker-died"}'),
]


def test_what_is_no_event_is_passed_over_counted_and_not_moved(empty_redis: EmbeddedRedis) -> None:
    address = empty_redis.address
    raw(address, *(("XADD", EVENTS, "*", *words) for words in HOSTILE))

    async def test(events: RegistryEvents) -> None:
        assert await events.add(encoded(7)) == (1, None)
        for page in (await events.older(None, 100), await events.newer(NO_ENTRY, 100)):
            assert (numbers_of(page), page.skipped) == ([7], len(HOSTILE))

    before = sent_bytes(empty_redis)
    use(empty_redis, test)
    assert sent_bytes(empty_redis) - before < 100_000


def sent_bytes(server: EmbeddedRedis) -> int:
    """What the server has sent to all clients."""
    (stats,) = raw(server.address, ("INFO", "stats"))
    return next(int(line.partition(b":")[2]) for line in stats.splitlines() if line.startswith(b"total_net_output"))


@pytest.mark.parametrize(
    "command", [("SET", EVENTS, "x"), ("HSET", EVENTS, "a", "b"), ("XADD", EVENTS, LAST_POSSIBLE, "a", "b")]
)
def test_what_keeps_events_from_being_added_makes_room(
    empty_redis: EmbeddedRedis, command: tuple[str | bytes, ...]
) -> None:
    raw(empty_redis.address, command)

    async def test(events: RegistryEvents) -> None:
        if command[0] == "XADD":
            page = await events.newer(LAST_POSSIBLE, 10)
            assert (page.events, page.after) == ((), LAST_POSSIBLE)
        else:
            with pytest.raises(UnavailableError, match="is no stream; remove it there"):
                await events.older(None, 10)
        assert await events.add(encoded(1, 2, 3)) == (3, None)
        assert numbers_of(await events.older(None, 10)) == [1, 2, 3]
        # Who followed what was there goes on with what is there now.
        assert numbers_of(await events.newer(LAST_POSSIBLE, 10)) == [1, 2, 3]

    use(empty_redis, test)


def test_who_may_not_add_is_told_why_and_keeps_the_link(fresh_redis: EmbeddedRedis) -> None:
    async def go_on() -> None:
        async with connected(fresh_redis.address, "rts") as host:
            raw(fresh_redis.address, ("ACL", "SETUSER", "default", "-xadd"))
            added, refusal = await host.registry.events.add(encoded(1))
            assert added == 0
            assert refusal is not None
            assert "xadd" in refusal
            assert host.registry.is_connected
            raw(fresh_redis.address, ("ACL", "SETUSER", "default", "+xadd"))
            assert await host.registry.events.add(encoded(1)) == (1, None)

    asyncio.run(go_on())


def test_ids_of_entries() -> None:
    assert entry_id("1763733600000-12") < entry_id("1763733600001-0") < entry_id(LAST_POSSIBLE)
    for text in ("", "1", "1-", "-1-2", "1-2-3", "+", "18446744073709551616-0", "1-1\n", "٣-1"):
        with pytest.raises(ProtocolError):
            entry_id(text)
