"""The registry against a real server: the schema to the letter, readers, requests, notices, and healing."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from typing import Optional

import pytest

from daosup.adapters.redis_server import EmbeddedRedis
from daosup.adapters.registry import Notified
from daosup.adapters.registry_lease import Removal
from daosup.core.registry_values import NoticeKind, StreamRequest, encode_request
from daosup.core.types import Looks, Machine, Reader, Role, SegmentEntry, Source
from tests.integration.registry_hosts import TTL_S, Host, all_keys, connected, eventually, raw, record, segment

WFS = Source("rts", "wfs")


async def speaker(host: Host) -> Optional[str]:
    said = (await host.registry.readers()).speaker
    return None if said is None else said.instance


def test_the_schema_is_kept_to_the_letter(empty_redis: EmbeddedRedis) -> None:
    async def announce() -> None:
        async with connected(empty_redis.address, "rts") as host:
            await host.registry.announce(
                "10.0.0.1",
                Role.MASTER,
                {"wfs": segment("wfs", (512, 256)), "dm": segment("dm", (97,), "float64")},
                {"wfs": [record("desk")]},
                TTL_S,
            )

    asyncio.run(announce())
    address = empty_redis.tcp_address
    values = {key: raw(address, ("GET", key))[0] for key in all_keys(address)}

    stamp = datetime.datetime.fromisoformat(values.pop(b"dao:machines:rts:last_connect").decode())
    assert stamp.utcoffset() == datetime.timedelta(0)
    assert abs((datetime.datetime.now(datetime.timezone.utc) - stamp).total_seconds()) < 60
    assert json.loads(values.pop(b"daosup:host:rts")) == {
        "instance": "rts-1",
        "protocol": 2,
        "version": "0.1.0",
        "pid": 4321,
        "ip": "10.0.0.1",
        "started_ms": pytest.approx(time.time() * 1000, abs=60_000),
        "beat": 1,
        "clock_offset_ms": pytest.approx(0, abs=1000),  # one machine, one clock
        "questions": 0,
    }
    assert json.loads(values.pop(b"dao:machines:rts:shm:wfs:connections")) == [
        {
            "server_ip": "10.0.0.1",
            "port": 5560,
            "transport": "zmq",
            "client_hostname": "desk",
            "client_ip": "10.0.0.2",
            "bidirectional": False,
            "client_pub_port": None,
            "protocol": 2,
            "direct_port": None,
        }
    ]
    assert values == {
        b"dao:machines:rts:ip": b"10.0.0.1",
        b"dao:machines:rts:hostname": b"rts",
        b"dao:machines:rts:role": b"master",
        b"dao:machines:rts:shm:wfs:dimensions": b"[512, 256]",
        b"dao:machines:rts:shm:wfs:dtype": b"float32",
        b"dao:machines:rts:shm:dm:dimensions": b"[97]",
        b"dao:machines:rts:shm:dm:dtype": b"float64",
        b"dao:machines:rts:shm:dm:connections": b"[]",
    }
    for key in all_keys(address):
        (left_ms,) = raw(address, ("PTTL", key))
        assert 0 < left_ms <= TTL_S * 1000, key


def test_a_heartbeat_renews_the_lifetime(empty_redis: EmbeddedRedis) -> None:
    async def beat() -> None:
        async with connected(empty_redis.address, "rts") as host:
            assert await host.registry.announce("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {}, 10) is None
            for key in all_keys(empty_redis.address):
                assert raw(empty_redis.address, ("PTTL", key))[0] <= 10_000
            assert await host.registry.announce("10.0.0.1", Role.MINION, {"wfs": segment("wfs")}, {}, 60) is None
            for key in all_keys(empty_redis.address):
                assert raw(empty_redis.address, ("PTTL", key))[0] > 10_000

    asyncio.run(beat())


def test_a_flush_is_seen_and_one_announcement_heals_it(fresh_redis: EmbeddedRedis) -> None:
    async def flush() -> None:
        async with connected(fresh_redis.address, "rts") as host:
            segments = {"wfs": segment("wfs")}
            await host.registry.announce("10.0.0.1", Role.MINION, segments, {}, TTL_S)
            before = all_keys(fresh_redis.address)
            assert await speaker(host) == "rts-1"
            raw(fresh_redis.address, ("FLUSHALL",))
            assert await speaker(host) is None
            assert await host.registry.announce("10.0.0.1", Role.MINION, segments, {}, TTL_S) is None
            assert all_keys(fresh_redis.address) == before
            assert host.events == []

    asyncio.run(flush())


def test_segments_come_and_go(empty_redis: EmbeddedRedis) -> None:
    async def come_and_go() -> None:
        async with connected(empty_redis.address, "rts") as host:
            registry = host.registry
            await registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            bare = all_keys(empty_redis.address)
            await registry.put_segment(segment("wfs"), [record("desk")], TTL_S)
            view = (await registry.records([WFS]))[WFS]
            assert view.is_segment_known
            assert view.records == (record("desk"),)
            await registry.drop_segment("wfs")
            assert all_keys(empty_redis.address) == bare
            # What was dropped while Redis was away goes with the next announcement.
            await registry.announce("10.0.0.1", Role.MINION, {"dm": segment("dm")}, {}, TTL_S)
            await registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            assert all_keys(empty_redis.address) == bare
            await registry.put_segment(segment("wfs"), (), TTL_S)
            await registry.withdraw()
            assert all_keys(empty_redis.address) == set()

    asyncio.run(come_and_go())


def test_a_second_daemon_of_the_same_name_is_noticed_told_and_not_withdrawn(empty_redis: EmbeddedRedis) -> None:
    async def duel() -> None:
        async with connected(empty_redis.address, "rts") as first, connected(empty_redis.address, "rts", 2) as second:
            assert await first.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S) is None
            replaced = await second.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            assert replaced is not None
            assert (replaced.instance, replaced.beat) == ("rts-1", 1)
            await eventually(lambda: first.events, "the first one to be told")
            assert await speaker(first) == "rts-2"
            await first.registry.withdraw()
            assert await speaker(second) == "rts-2"

    asyncio.run(duel())


def test_readers_that_ask_at_once_do_not_overwrite_each_other(empty_redis: EmbeddedRedis) -> None:
    async def ask() -> None:
        at = empty_redis.address
        async with connected(at, "rts") as owner, connected(at, "a") as a, connected(at, "b") as b:
            both = [WFS, Source("rts", "dm|x")]
            await asyncio.gather(*(h.registry.ask(both, h.reader(), TTL_S) for h in (a, b) for _ in range(20)))
            readers = {"a": a.reader(), "b": b.reader()}
            assert (await owner.registry.readers()).readers == {"wfs": readers, "dm|x": readers}
            beats = {k for k in all_keys(at) if k.startswith(b"dao:heartbeats:")}
            assert beats == {f"dao:heartbeats:rts:{n}:{c}".encode() for n in ("wfs", "dm|x") for c in "ab"}
            assert all(70_000 < raw(at, ("PTTL", key))[0] <= 75_000 for key in beats)
            await a.registry.ask([WFS], a.reader(beat=2), TTL_S, is_news=False)
            assert (await owner.registry.readers()).readers["wfs"]["a"].beat == 2
            await a.registry.unask(both, "a")
            assert (await owner.registry.readers()).readers == {"wfs": {"b": b.reader()}, "dm|x": {"b": b.reader()}}
            assert b"dao:heartbeats:rts:wfs:a" not in all_keys(at)
            await owner.registry.drop_readers([("wfs", "b"), ("dm|x", "b")])
            assert (await owner.registry.readers()).readers == {}

    asyncio.run(ask())


def test_both_sides_are_told_at_once(empty_redis: EmbeddedRedis) -> None:
    async def tell() -> None:
        async with connected(empty_redis.address, "rts") as owner, connected(empty_redis.tcp_address, "desk") as desk:
            await desk.registry.ask([WFS], desk.reader(), TTL_S)
            await eventually(lambda: owner.events == [Notified(NoticeKind.READERS, WFS)], "the owner's notice")
            await desk.registry.ask([WFS], desk.reader(2), TTL_S, is_news=False)
            await owner.registry.put_records("wfs", [record("desk")], TTL_S, notify=["desk"])
            await eventually(lambda: desk.events == [Notified(NoticeKind.RECORD, WFS)], "the reader's notice")
            await desk.registry.unask([WFS], "desk")
            await eventually(lambda: len(owner.events) == 2, "the notice of leaving")
            assert owner.events == [Notified(NoticeKind.READERS, WFS)] * 2

    asyncio.run(tell())


def test_what_is_known_of_a_source(empty_redis: EmbeddedRedis) -> None:
    async def look() -> None:
        async with connected(empty_redis.address, "rts") as owner, connected(empty_redis.address, "desk") as desk:
            view = (await desk.registry.records([WFS]))[WFS]
            assert (view.is_host_known, view.is_segment_known, view.records, view.owner) == (False, False, (), None)
            await owner.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            view = (await desk.registry.records([WFS]))[WFS]
            assert (view.is_host_known, view.is_segment_known) == (True, False)
            assert view.owner is not None
            assert view.owner.instance == owner.instance.instance
            await owner.registry.put_segment(segment("wfs"), [record("desk")], TTL_S)
            view = (await desk.registry.records([WFS]))[WFS]
            assert (view.is_segment_known, view.records) == (True, (record("desk"),))
            assert owner.registry.skipped == desk.registry.skipped == 0

    asyncio.run(look())


def test_requests_of_old_clients_are_taken_once_and_ours_wait_their_turn(empty_redis: EmbeddedRedis) -> None:
    old = {"client_ip": "10.0.0.7", "client_hostname": "old", "transport": "zmq", "bidirectional": True}
    old["client_pub_port"] = 6000

    async def take() -> None:
        async with connected(empty_redis.address, "rts") as owner, connected(empty_redis.address, "desk") as desk:
            raw(empty_redis.address, ("SET", "dao:connections:rts:wfs", json.dumps(old)))
            ours = StreamRequest("10.0.0.9", "desk")
            assert not await desk.registry.request(WFS, ours, TTL_S)
            taken = await owner.registry.take_requests(["wfs", "dm"])
            assert taken == {"wfs": StreamRequest("10.0.0.7", "old", "zmq", True, 6000, protocol=1)}
            assert await owner.registry.take_requests(["wfs", "dm"]) == {}
            assert await desk.registry.request(WFS, ours, TTL_S)
            assert raw(empty_redis.address, ("GET", "dao:connections:rts:wfs")) == [encode_request(ours)]
            assert await owner.registry.take_requests(["wfs"]) == {"wfs": ours}

    asyncio.run(take())


def test_heartbeats_of_old_readers_are_read_and_found(empty_redis: EmbeddedRedis) -> None:
    then, later = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:10+00:00"

    async def look() -> None:
        async with connected(empty_redis.address, "rts") as owner:
            raw(
                empty_redis.address,
                ("SET", "dao:heartbeats:rts:wfs:old", then),
                ("SET", "dao:heartbeats:rts:dm:old", later),
                ("SET", "dao:heartbeats:rts2:wfs:old", then),
                ("SET", "dao:heartbeats:rts:wfs", then),
                ("SET", "dao:heartbeats:rts:wfs:a:b", then),
                ("SET", "dao:heartbeats:rts:wfs:long", b"x" * 1000),
                ("SADD", "dao:heartbeats:rts:wfs:set", "a"),
            )
            registry = owner.registry
            assert await registry.heartbeats([("wfs", "old"), ("wfs", "new")]) == {("wfs", "old"): then}
            assert await registry.heartbeats([]) == {}
            assert registry.skipped == 0
            assert await registry.find_heartbeats() == {("wfs", "old"): then, ("dm", "old"): later}
            assert registry.skipped == 4

    asyncio.run(look())


OLD_HOST = {
    "dao:machines:bench.lab:ip": "10.0.0.7",
    "dao:machines:bench.lab:hostname": "bench.lab",
    "dao:machines:bench.lab:role": "minion",
    "dao:machines:bench.lab:last_connect": "2026-01-01T00:00:00.000000+00:00",
    "dao:machines:bench.lab:shm:psf:dimensions": "[32, 32]",
    "dao:machines:bench.lab:shm:psf:dtype": "uint16",
    "dao:machines:bench.lab:shm:psf:connections": json.dumps([{"server_ip": "10.0.0.7", "port": 5600}]),
    "dao:connections:bench.lab:psf": "{}",
    "dao:heartbeats:bench.lab:psf:desk": "2026-01-01T00:00:00.000000+00:00",
}


def test_what_an_old_host_has_is_seen_with_what_its_frames_look_like(empty_redis: EmbeddedRedis) -> None:
    async def look() -> None:
        async with connected(empty_redis.address, "desk") as desk:
            raw(empty_redis.address, *(("SET", key, value) for key, value in OLD_HOST.items()))
            known, unknown = Source("bench.lab", "psf"), Source("bench.lab", "other")
            views = await desk.registry.records([known, unknown, Source("nowhere", "psf")])
            assert (views[known].owner, views[known].looks) == (None, Looks((32, 32), "uint16"))
            assert [record.protocol for record in views[known].records] == [1]
            assert (views[unknown].is_host_known, views[unknown].looks) == (True, None)
            assert desk.registry.skipped == 0
            raw(empty_redis.address, ("SET", "dao:machines:bench.lab:shm:psf:dimensions", "[32, -1]"))
            assert (await desk.registry.records([known]))[known].looks is None
            assert desk.registry.skipped == 1

    asyncio.run(look())


def test_machines_lists_old_hosts_too_and_removes_one_only(empty_redis: EmbeddedRedis) -> None:
    async def fleet() -> None:
        async with connected(empty_redis.address, "rts") as host:
            raw(empty_redis.address, *(("SET", key, value) for key, value in OLD_HOST.items()))
            raw(empty_redis.address, ("SET", "dao:heartbeats:rts:bench.lab:desk", "2026-01-01T00:00:00+00:00"))
            await host.registry.announce("10.0.0.1", Role.MASTER, {}, {}, TTL_S)
            old, ours = await host.registry.machines()
            assert old == Machine(
                "bench.lab",
                "10.0.0.7",
                "minion",
                "2026-01-01T00:00:00.000000+00:00",
                (SegmentEntry("psf", (32, 32), "uint16", 1),),
            )
            assert (ours.hostname, ours.role, ours.segments) == ("rts", "master", ())
            before = all_keys(empty_redis.address)
            lease = (await host.registry.lease.take(b"", 0)).holder
            assert lease is not None
            assert await host.registry.lease.remove_host(lease, "bench.lab") is Removal.DONE
            await host.registry.lease.give_up()
            raw(empty_redis.address, ("UNLINK", "daosup:epoch"))
            assert all_keys(empty_redis.address) == before - {key.encode() for key in OLD_HOST}

    asyncio.run(fleet())


def test_many_machines_are_listed_whole(empty_redis: EmbeddedRedis) -> None:
    async def fleet() -> None:
        async with connected(empty_redis.address, "h000") as host:
            segments = {f"s{i}": segment(f"s{i}") for i in range(300)}
            await host.registry.announce("10.0.0.1", Role.MASTER, segments, {}, TTL_S)
            raw(empty_redis.address, *(("SET", f"dao:machines:h{i:03}:ip", "10.0.1.1") for i in range(1, 400)))
            machines = await host.registry.machines()
            assert [m.hostname for m in machines] == [f"h{i:03}" for i in range(400)]
            assert {s.name for s in machines[0].segments} == segments.keys()

    asyncio.run(fleet())


def test_leftovers_of_an_old_daemon_go(empty_redis: EmbeddedRedis) -> None:
    async def move_in() -> None:
        async with connected(empty_redis.address, "bench.lab") as host:
            raw(empty_redis.address, *(("SET", key, value) for key, value in OLD_HOST.items()))
            raw(empty_redis.address, ("SET", "dao:machines:bench.lab:shm:dm:dtype", "float32"))
            assert await host.registry.remove_leftovers(["dm"]) == 3
            left = all_keys(empty_redis.address)
            assert {key for key in left if b":shm:" in key} == {b"dao:machines:bench.lab:shm:dm:dtype"}
            assert b"dao:machines:bench.lab:ip" in left

    asyncio.run(move_in())


def test_a_second_daemon_of_the_same_name_takes_nothing_for_left_over(empty_redis: EmbeddedRedis) -> None:
    async def meet() -> None:
        at = empty_redis.address
        async with connected(at, "rts", 1) as first, connected(at, "rts", 2) as second:
            segments = {f"s{i}": segment(f"s{i}") for i in range(150)}
            await first.registry.announce("10.0.0.1", Role.MINION, segments, {}, TTL_S)
            await second.registry.announce("10.0.0.2", Role.MINION, {}, {}, TTL_S)
            await first.registry.announce("10.0.0.1", Role.MINION, segments, {}, TTL_S)
            before = all_keys(at)
            assert await second.registry.remove_leftovers([]) == 0
            assert all_keys(at) == before
            assert await first.registry.remove_leftovers(["s0"]) == 3 * 149

    asyncio.run(meet())


@pytest.mark.parametrize("name", ["é", "a*[b]?", "a|b", 'x"y', "\udcff"])
def test_any_name_a_file_can_have_is_no_exception(empty_redis: EmbeddedRedis, name: str) -> None:
    async def odd() -> None:
        async with connected(empty_redis.address, "rts") as host:
            await host.registry.announce("10.0.0.1", Role.MINION, {name: segment(name)}, {}, TTL_S)
            reader = Reader("rts", "10.0.0.1", 1, "i")
            await host.registry.ask([Source("rts", name)], reader, TTL_S)
            view = await host.registry.readers()
            (machine,) = await host.registry.machines()
            if name.isprintable():
                assert view.readers == {name: {"rts": reader}}
                assert [s.name for s in machine.segments] == [name]
            else:
                assert host.registry.skipped > 0

    asyncio.run(odd())
