"""Redis away, hung, refusing, or not Redis at all: one clear error in bounded time, told once, healed by connect."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daosup.adapters.redis_address import RedisAddress, of_url
from daosup.adapters.redis_server import EmbeddedRedis
from daosup.adapters.registry import Lost, Notified, Registry, ping
from daosup.core.types import Role, Source
from daosup.errors import ConfigError, UnavailableError
from tests.integration.registry_hosts import TTL_S, Host, all_keys, connected, eventually, raw, segment

TIMEOUT_S = 0.3
WFS = Source("rts", "wfs")


def quick(address: RedisAddress) -> RedisAddress:
    return replace(address, timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("is_tcp", [True, False])
def test_a_server_that_stops_is_told_once_and_connect_heals(fresh_redis: EmbeddedRedis, is_tcp: bool) -> None:
    async def stop_and_start() -> None:
        address = fresh_redis.tcp_address if is_tcp else fresh_redis.address
        async with connected(quick(address), "rts") as host:
            await host.registry.announce("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {}, TTL_S)
            before = all_keys(fresh_redis.address)
            fresh_redis.stop()
            await eventually(lambda: host.events, "the loss")
            for _ in range(3):
                with pytest.raises(UnavailableError, match="no connection to Redis at"):
                    await host.registry.readers()
            with pytest.raises(UnavailableError, match="cannot be reached"):
                await host.registry.connect()
            assert [type(event) for event in host.events] == [Lost]
            assert not host.registry.is_connected
            fresh_redis.start()
            await host.registry.connect()
            assert (await host.registry.readers()).speaker is None
            await host.registry.announce("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {}, TTL_S)
            assert all_keys(fresh_redis.address) == before
            async with connected(address, "desk") as desk:
                await desk.registry.ask([WFS], desk.reader(), TTL_S)
                await eventually(lambda: isinstance(host.events[-1], Notified), "a notice over the new connection")

    asyncio.run(stop_and_start())


def test_a_frozen_server_costs_the_timeout_and_no_more(fresh_redis: EmbeddedRedis) -> None:
    async def freeze() -> None:
        async with connected(quick(fresh_redis.address), "rts") as host:
            assert fresh_redis.pid is not None
            os.kill(fresh_redis.pid, signal.SIGSTOP)
            start_s = time.monotonic()
            many = [host.registry.readers() for _ in range(20)]
            outcomes = await asyncio.gather(*many, return_exceptions=True)
            assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
            assert "did not answer within 0.3 s" in str(outcomes[0])
            with pytest.raises(UnavailableError, match=r"did not answer within 0\.3 s"):
                await host.registry.connect()
            assert time.monotonic() - start_s < 2 * TIMEOUT_S + 1.0
            assert [type(event) for event in host.events] == [Lost]
            os.kill(fresh_redis.pid, signal.SIGCONT)
            await host.registry.connect()
            await host.registry.readers()

    asyncio.run(freeze())


def test_the_loop_runs_while_redis_hangs(fresh_redis: EmbeddedRedis) -> None:
    async def watch() -> None:
        async with connected(quick(fresh_redis.address), "rts") as host:
            assert fresh_redis.pid is not None
            os.kill(fresh_redis.pid, signal.SIGSTOP)
            call = asyncio.ensure_future(host.registry.readers())
            turns = 0
            while not call.done():
                await asyncio.sleep(0.01)
                turns += 1
            assert turns > 5
            assert isinstance(call.exception(), UnavailableError)
            os.kill(fresh_redis.pid, signal.SIGCONT)

    asyncio.run(watch())


def test_a_call_that_is_cancelled_leaves_no_reply_for_the_next(fresh_redis: EmbeddedRedis) -> None:
    async def cancel() -> None:
        async with connected(fresh_redis.address, "rts") as host:
            assert fresh_redis.pid is not None
            os.kill(fresh_redis.pid, signal.SIGSTOP)
            call = asyncio.ensure_future(host.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            os.kill(fresh_redis.pid, signal.SIGCONT)
            assert [type(event) for event in host.events] == [Lost]
            await host.registry.connect()
            assert (await host.registry.readers()).readers == {}

    asyncio.run(cancel())


def test_a_wrong_or_missing_password_is_said_so(tmp_path: Path, redis_binary: Path) -> None:
    with EmbeddedRedis(tmp_path, password='se"cret \\x', binary=redis_binary) as server:
        assert ping(server.address).flavour in ("redis", "valkey")
        assert ping(server.tcp_address).flavour in ("redis", "valkey")
        wrong = replace(server.tcp_address, password="guess")
        missing = replace(server.tcp_address, password=None)
        in_url = of_url(f"redis://:guess@127.0.0.1:{server.port}")
        for address, said in ((wrong, "refused the user or password"), (missing, "asks for a password")):
            with pytest.raises(UnavailableError, match=said):
                ping(address)
            with pytest.raises(UnavailableError, match=said):
                asyncio.run(Host(address, "rts").registry.connect())
        with pytest.raises(UnavailableError, match="refused the user or password") as caught:
            ping(in_url)
        assert "guess" not in str(caught.value) + repr(wrong) + repr(in_url) + str(in_url)


def test_urls_lead_there_too(empty_redis: EmbeddedRedis) -> None:
    async def look(url: str) -> None:
        async with connected(of_url(url), "rts") as host:
            await host.registry.readers()

    for url in (f"redis://localhost:{empty_redis.port}/3", f"unix://{empty_redis.socket_path}?db=2"):
        ping(of_url(url))
        asyncio.run(look(url))


@pytest.mark.parametrize(
    "url", ["http://x", "redis://h:1?decode_responses=1", "redis://h:1?nonsense=1", "rediss://h?ssl_x=1"]
)
def test_a_url_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[redis\] url"):
        of_url(url)


@contextmanager
def answering(answer: bytes) -> Iterator[RedisAddress]:
    """A server that answers whatever it is sent with the same bytes; with b'' it stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def serve() -> None:
        taken = []
        while True:
            connection, _ = listener.accept()
            if is_over.is_set():
                connection.close()
                break
            taken.append(connection)
            connection.settimeout(5)
            if answer:
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
        for connection in taken:
            connection.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield RedisAddress(host="127.0.0.1", port=listener.getsockname()[1], timeout_s=TIMEOUT_S)
    finally:
        is_over.set()
        socket.create_connection(listener.getsockname()).close()
        server.join()
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"$junk\r\n",
        b"*2\r\n:x\r\n",
        b"$-5\r\n",
        b"*1\r\n" * 5000,
        b"\x00\xff" * 100 + b"\r\n",
        b"+OK\r\n" * 10,
        b"-ERR max number of clients reached\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n" * 10,
    ],
)
def test_what_is_not_redis_is_unavailable_and_nothing_else(answer: bytes) -> None:
    with answering(answer) as address:
        start_s = time.monotonic()
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
            ping(address)
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
            asyncio.run(Host(address, "rts").registry.connect())
        assert time.monotonic() - start_s < 8 * TIMEOUT_S


def test_a_full_redis_refuses_without_being_lost(fresh_redis: EmbeddedRedis) -> None:
    async def fill() -> None:
        async with connected(fresh_redis.address, "rts") as host:
            announcement = host.registry.announce
            await announcement("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            raw(fresh_redis.address, ("CONFIG", "SET", "maxmemory", "1"))
            with pytest.raises(UnavailableError, match=r"refused a command.*maxmemory"):
                await announcement("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {}, TTL_S)
            assert (await host.registry.readers()).speaker is not None
            assert host.events == []
            raw(fresh_redis.address, ("CONFIG", "SET", "maxmemory", "0"))
            await announcement("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {}, TTL_S)

    asyncio.run(fill())


def test_a_replica_is_lost_so_that_the_master_is_looked_for_anew(fresh_redis: EmbeddedRedis) -> None:
    async def fail_over() -> None:
        async with connected(fresh_redis.address, "rts") as host:
            raw(fresh_redis.address, ("REPLICAOF", "127.0.0.1", "1"))
            with pytest.raises(UnavailableError, match="is a replica that takes no writes"):
                await host.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            assert [type(event) for event in host.events] == [Lost]
            assert ping(fresh_redis.address).is_replica
            raw(fresh_redis.address, ("REPLICAOF", "NO", "ONE"))
            assert not (await host.registry.connect()).is_replica
            await host.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)

    asyncio.run(fail_over())


def test_a_cut_of_either_connection_is_noticed_without_a_command(fresh_redis: EmbeddedRedis) -> None:
    async def cut(kind: str) -> None:
        async with connected(fresh_redis.address, "rts") as host:
            raw(fresh_redis.address, ("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"))
            if kind == "normal":
                with pytest.raises(UnavailableError):
                    await host.registry.readers()
            await eventually(lambda: host.events, "the loss")
            assert not host.registry.is_connected

    asyncio.run(cut("pubsub"))
    asyncio.run(cut("normal"))


def test_a_flood_of_messages_does_not_stop_the_loop(empty_redis: EmbeddedRedis) -> None:
    async def flood() -> None:
        async with connected(empty_redis.address, "rts") as host:
            message = b'{"kind": "readers", "source": "rts:wfs"}'
            raw(empty_redis.address, *[("PUBLISH", "daosup:notify:rts", message)] * 5000)
            turns = 0
            while len(host.events) < 5000:
                turns += 1
                await asyncio.sleep(0)
            assert turns > 1000

    asyncio.run(flood())


def test_calls_before_connect_say_so() -> None:
    async def early() -> None:
        registry: Registry = Host(RedisAddress(), "rts").registry
        with pytest.raises(UnavailableError, match="it was not opened yet"):
            await registry.readers()
        await registry.close()

    asyncio.run(early())
