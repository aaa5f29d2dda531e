"""Names that are not resolved, or only after a long time, hold nobody up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from daosup.adapters.name_lookup import NameLookup
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_server import EmbeddedRedis
from daosup.errors import UnavailableError
from tests.integration.registry_hosts import Host


class Resolver:
    """The resolver of this machine, which can be made to hang; the system's own cannot without being root."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self.answers.set()
        self._real = socket.getaddrinfo

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return self._real(*arguments, **options)
        self.asked += 1
        assert self.answers.wait(30.0)
        return self._real(*arguments, **options)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answers.set()


async def longest_hold(work: asyncio.Future[Any]) -> float:
    """The longest time for which the loop did nothing else until ``work`` was done."""
    longest_s = 0.0
    while not work.done():
        turn_s = time.monotonic()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.monotonic() - turn_s)
        await asyncio.sleep(0.001)
    return longest_s


def test_a_name_has_addresses_and_an_address_needs_no_look_up(resolver: Resolver) -> None:
    async def look() -> None:
        names = NameLookup()
        assert "127.0.0.1" in await names.addresses("localhost")
        assert resolver.asked == 1
        for address in ("10.0.0.1", "::1", "fe80::1%eth0"):
            assert await names.addresses(address) == [address]
        assert resolver.asked == 1

    asyncio.run(look())


def test_a_name_that_does_not_exist_is_said_so() -> None:
    with pytest.raises(UnavailableError, match=r"the name nowhere\.invalid cannot be resolved"):
        asyncio.run(Host(RedisAddress("nowhere.invalid"), "rts").registry.connect())
    with pytest.raises(UnavailableError, match="cannot be resolved"):
        asyncio.run(Host(RedisAddress("a" * 70), "rts").registry.connect())


def test_a_resolver_that_hangs_is_asked_once_and_holds_nobody_up(
    resolver: Resolver, empty_redis: EmbeddedRedis
) -> None:
    async def look() -> None:
        host = Host(replace(empty_redis.tcp_address, host="localhost", timeout_s=0.3), "rts")
        resolver.answers.clear()
        for _ in range(5):
            attempt = asyncio.ensure_future(host.registry.connect())
            assert await longest_hold(attempt) < 0.25
            with pytest.raises(UnavailableError, match=r"did not answer within 0\.3 s"):
                attempt.result()
        assert resolver.asked == 1
        resolver.answers.set()
        await host.registry.connect()
        asked = resolver.asked
        # From now on an old answer will do.
        resolver.answers.clear()
        await host.registry.close()
        patient = Host(replace(empty_redis.tcp_address, host="localhost"), "rts")
        patient.registry._link._names = host.registry._link._names
        await patient.registry.connect()
        await patient.registry.close()
        assert resolver.asked == asked + 1

    asyncio.run(look())
    resolver.answers.set()


def test_the_end_of_a_program_waits_for_no_resolver(resolver: Resolver) -> None:
    resolver.answers.clear()
    host = Host(RedisAddress("localhost", timeout_s=0.1), "rts")
    start_s = time.monotonic()
    with pytest.raises(UnavailableError):
        asyncio.run(host.registry.connect())
    assert time.monotonic() - start_s < 5.0
    resolver.answers.set()
