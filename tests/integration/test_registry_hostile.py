"""Whatever sits under our keys, the registry goes on: it skips, counts, and heals what is its own."""

from __future__ import annotations

import asyncio
import json

import pytest

from daosup.adapters.redis_link import Command
from daosup.adapters.redis_server import EmbeddedRedis
from daosup.core.types import Role, Source
from tests.integration.registry_hosts import TTL_S, Host, all_keys, connected, eventually, raw, record, segment

WFS = Source("rts", "wfs")
STRINGS = [
    b"\x00\xff\xfe junk",
    b"{" * 100_000,
    b'"' + b"x" * 1_000_000 + b'"',
    b"[" + b"9" * 10_000 + b"]",
    b"[1e999, NaN, -1]",
    b"null",
    b'{"server_ip": 1}',
    b'[{"server_ip": "tcp://*", "port": 99999}, 3, null, {"server_ip": "1.2.3.4", "port": true}]',
    b'{"host": "\\ud800", "ip": "x y", "beat": -1, "instance": ""}',
]
KEYS = [
    b"dao:machines:rts:ip",
    b"dao:machines:rts:hostname",
    b"dao:machines:rts:role",
    b"dao:machines:rts:last_connect",
    b"dao:machines:rts:shm:wfs:dimensions",
    b"dao:machines:rts:shm:wfs:dtype",
    b"dao:machines:rts:shm:wfs:connections",
    b"dao:connections:rts:wfs",
    b"dao:heartbeats:rts:wfs:desk",
    b"daosup:host:rts",
    b"daosup:readers:rts",
    b"daosup:master",
    b"daosup:epoch",
]
SPOILS: dict[str, list[Command]] = {f"string {i}": [("SET", b"", value)] for i, value in enumerate(STRINGS)}
SPOILS["list"] = [("RPUSH", b"", "a", "b")]
SPOILS["hash"] = [("HSET", b"", "wfs|desk", "{}", b"\xff", b"\xff", "|", "", "wfs|", "[]", "wfs|" + "y" * 5000, "1")]
SPOILS["set"] = [("SADD", b"", "a")]
SPOILS["stream"] = [("XADD", b"", "*", "a", "b")]


async def use_everything(host: Host) -> None:
    registry = host.registry
    await registry.readers()
    await registry.records([WFS])
    await registry.machines()
    await registry.hosts()
    await registry.take_requests(["wfs"])
    await registry.heartbeats([("wfs", "desk")])
    await registry.find_heartbeats()
    await registry.ask([WFS], host.reader(), TTL_S)
    assert (await registry.readers()).readers["wfs"][host.name] == host.reader()
    await registry.unask([WFS], host.name)
    await registry.announce("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {"wfs": [record("desk")]}, TTL_S)
    view = (await registry.records([WFS]))[WFS]
    assert view.owner is not None
    assert (view.records, view.owner.instance) == ((record("desk"),), host.instance.instance)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_bad_value_in_every_key_is_skipped_and_healed(empty_redis: EmbeddedRedis, spoil: str) -> None:
    async def go_on() -> None:
        async with connected(empty_redis.address, "rts") as host:
            for key in KEYS:
                raw(empty_redis.address, *((c[0], key, *c[2:]) for c in SPOILS[spoil]))
            await use_everything(host)
            assert host.registry.skipped > 0
            # What is left is ours or no longer spoilt.
            skipped = host.registry.skipped
            await host.registry.records([WFS])
            await host.registry.machines()
            await host.registry.take_requests(["wfs"])
            assert host.registry.skipped == skipped
            lease = (await host.registry.lease.take((await host.registry.lease.look()).value, 0)).holder
            assert lease is not None
            await host.registry.lease.remove_host(lease, "rts")
            assert all_keys(empty_redis.address) == {b"daosup:master", b"daosup:epoch"}
            assert [e for e in host.events if type(e).__name__ == "Lost"] == []

    asyncio.run(go_on())


def test_a_huge_value_is_not_even_transferred(empty_redis: EmbeddedRedis) -> None:
    async def look() -> None:
        async with connected(empty_redis.address, "rts") as host:
            raw(empty_redis.address, ("SET", "dao:machines:rts:shm:wfs:connections", b"[" + b" " * 100_000_000 + b"]"))
            before = raw(empty_redis.address, ("INFO", "stats"))[0]
            assert (await host.registry.records([WFS]))[WFS].records == ()
            after = raw(empty_redis.address, ("INFO", "stats"))[0]
            sent = [
                int(dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)[b"total_net_output_bytes"])
                for info in (before, after)
            ]
            assert sent[1] - sent[0] < 1_000_000
            assert host.registry.skipped == 1

    asyncio.run(look())


def test_good_records_survive_beside_bad_ones(empty_redis: EmbeddedRedis) -> None:
    async def look() -> None:
        async with connected(empty_redis.address, "desk") as host:
            good = {"server_ip": "10.0.0.1", "port": 5560, "client_hostname": "old", "client_ip": "10.0.0.7"}
            value = json.dumps([{}, good, "x", {**good, "port": "5560; rm"}])
            raw(empty_redis.address, ("SET", "dao:machines:rts:shm:wfs:connections", value))
            (kept,) = (await host.registry.records([WFS]))[WFS].records
            assert (kept.endpoint, kept.client_hostname, kept.protocol) == ("tcp://10.0.0.1:5560", "old", 1)
            assert host.registry.skipped == 3

    asyncio.run(look())


def test_keys_outside_the_schema_are_no_machines(empty_redis: EmbeddedRedis) -> None:
    async def look() -> None:
        async with connected(empty_redis.address, "rts") as host:
            odd = [
                "x",
                ":",
                "a b:ip",
                "a:nonsense",
                "a:shm:wfs",
                "a:shm:w/s:dtype",
                "a:shm:wfs:shape",
                "a" * 2000,
                "../x:ip",
            ]
            raw(empty_redis.address, *(("SET", f"dao:machines:{key}", "1") for key in odd))
            raw(empty_redis.address, ("SET", b"dao:machines:\xff\xfe:ip", "1"))
            assert await host.registry.machines() == []
            assert host.registry.skipped == len(odd) + 1

    asyncio.run(look())


def test_messages_that_are_no_notices_are_skipped(empty_redis: EmbeddedRedis) -> None:
    async def listen() -> None:
        async with connected(empty_redis.address, "rts") as host:
            odd = [*STRINGS, b'{"kind": "rm", "source": "rts:wfs"}', b'{"kind": "readers", "source": "rts:\\ud800"}']
            raw(empty_redis.address, *(("PUBLISH", "daosup:notify:rts", message) for message in odd))
            raw(empty_redis.address, ("PUBLISH", "daosup:notify:rts", b'{"kind": "readers", "source": "rts:wfs"}'))
            await eventually(lambda: host.events, "the one good notice")
            assert len(host.events) == 1
            assert host.registry.skipped == len(odd)

    asyncio.run(listen())
