"""The scripts of the master's lease in a real server: against their model, against each other, and what they refuse."""

from __future__ import annotations

import asyncio
import json
from typing import Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daosup.adapters.redis_server import EmbeddedRedis
from daosup.adapters.registry_lease import Removal
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.lease import LEASE_TTL_S, Lease, encode_lease
from daosup.core.types import Role
from tests.integration.registry_hosts import TTL_S, Host, all_keys, connected, raw, segment
from tests.property.lease_model import LeaseModel

HOSTS = st.sampled_from(["rts", "lab"])
VALUES: list[bytes] = [
    b"",
    b"junk",
    b"{}",
    b'{"host": "rts", "instance": "rts-1", "ip": "10.0.0.1", "pid": 4321, "epoch": 3}',
]
STEPS: st.SearchStrategy[tuple[str, Union[str, bytes]]] = st.one_of(
    st.tuples(st.just("look"), HOSTS),
    st.tuples(st.just("take"), HOSTS),
    st.tuples(st.just("take blindly"), HOSTS),
    st.tuples(st.just("renew"), HOSTS),
    st.tuples(st.just("give up"), HOSTS),
    st.tuples(st.just("write"), st.sampled_from(VALUES)),
    st.tuples(st.just("count"), st.sampled_from([b"", b"-1", b"junk", b"1e300", b"nan", b"999999999999"])),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=25))
def test_the_scripts_do_what_their_model_does(
    redis_server: EmbeddedRedis, steps: list[tuple[str, Union[str, bytes]]]
) -> None:
    asyncio.run(_compare(redis_server, steps))


async def _compare(server: EmbeddedRedis, steps: list[tuple[str, Union[str, bytes]]]) -> None:
    raw(server.address, ("FLUSHALL",))
    async with connected(server.address, "rts") as rts, connected(server.address, "lab") as lab:
        hosts = {"rts": rts, "lab": lab}
        model = LeaseModel(rts.registry.clock.now_s())
        last: dict[str, Lease] = {}
        highest = 0
        for what, argument in steps:
            if what == "write":
                model.put(_raw(argument), 60.0)
                raw(server.address, ("SET", "daosup:master", argument, "PX", 60_000))
                continue
            if what == "count":
                raw(server.address, ("SET", "daosup:epoch", argument))
                continue
            host = hosts[str(argument)]
            expected = model.current() if what == "take" else b"nothing like that"
            orders: dict[str, do.Action] = {
                "look": do.LookAtLease(0),
                "take": do.TakeLease(0, expected, highest),
                "take blindly": do.TakeLease(0, expected, highest),
                "renew": do.RenewLease(0, last.get(host.name, Lease("x", "x", "", 1, 1))),
                "give up": do.GiveUpLease(0),
            }
            told = await _perform(host, orders[what])
            model.now_s = host.registry.clock.now_s()
            taken = len(model.taken)
            foretold = model.perform(orders[what], host.name, host.instance)
            if len(model.taken) > taken:  # the one thing that cannot be foretold to the letter is the epoch
                assert told.holder is not None
                assert told.holder.epoch > highest
                assert told.holder.epoch >= (model.now_s - 5) * 1000
                assert told.holder.host == host.name
                model.put(told.value, LEASE_TTL_S)
                highest, last[host.name] = told.holder.epoch, told.holder
                assert encode_lease(told.holder) == told.value
            else:
                assert (told.value, told.holder) == (foretold.value, foretold.holder)
                assert not told.value or told.left_s == pytest.approx(foretold.left_s, abs=2.0)


def _raw(argument: Union[str, bytes]) -> bytes:
    assert isinstance(argument, bytes)
    return argument


async def _perform(host: Host, order: do.Action) -> e.LeaseSeen:
    lease = host.registry.lease
    if isinstance(order, do.TakeLease):
        answer = await lease.take(order.expected, order.above)
    elif isinstance(order, do.RenewLease):
        answer = await lease.renew(order.lease)
    elif isinstance(order, do.GiveUpLease):
        answer = await lease.give_up()
    else:
        answer = await lease.look()
    return e.LeaseSeen(0, answer.value, answer.holder, answer.left_s)


def test_of_many_that_take_it_at_once_one_gets_it(empty_redis: EmbeddedRedis) -> None:
    async def race() -> None:
        async with connected(empty_redis.address, "rts") as rts, connected(empty_redis.address, "lab") as lab:
            takings = [host.registry.lease.take(b"", 0) for _ in range(20) for host in (rts, lab)]
            answers = await asyncio.gather(*takings)
            assert len({answer.value for answer in answers}) == 1
            assert all(0 < answer.left_s <= LEASE_TTL_S for answer in answers)

    asyncio.run(race())


def test_an_epoch_grows_also_over_a_flush_and_a_counter_that_is_ahead(empty_redis: EmbeddedRedis) -> None:
    async def take_again() -> None:
        async with connected(empty_redis.address, "rts") as host:
            lease, epochs = host.registry.lease, []
            for disturbance in (("PING",), ("FLUSHALL",), ("SET", "daosup:epoch", "99999999999999"), ("PING",)):
                raw(empty_redis.address, disturbance)
                answer = await lease.take(b"", 0)
                assert answer.holder is not None
                epochs.append(answer.holder.epoch)
                await lease.give_up()
            assert epochs == sorted(set(epochs))
            assert epochs[-2:] == [100000000000000, 100000000000001]
            answer = await lease.take(b"", 123456789012345)
            assert answer.holder is not None
            assert answer.holder.epoch == 123456789012346

    asyncio.run(take_again())


def test_the_act_of_a_master_whose_lease_is_over_is_refused(empty_redis: EmbeddedRedis) -> None:
    async def act_late() -> None:
        at = empty_redis.address
        async with connected(at, "rts") as rts, connected(at, "lab") as lab, connected(at, "old") as old:
            await old.registry.announce(
                "10.0.0.1", Role.MINION, {f"s{i}": segment(f"s{i}") for i in range(200)}, {}, 60
            )
            before = all_keys(at)
            late = (await rts.registry.lease.take(b"", 0)).holder
            assert late is not None
            raw(at, ("UNLINK", "daosup:master"))
            now = (await lab.registry.lease.take(b"", 0)).holder
            assert now is not None
            assert await rts.registry.lease.remove_host(late, "old") is Removal.NOT_MASTER
            assert before <= all_keys(at)
            (sign,) = raw(at, ("GET", "dao:machines:old:last_connect"))
            assert await lab.registry.lease.remove_host(now, "old", "another sign") is Removal.HOST_IS_BACK
            assert before <= all_keys(at)
            assert await lab.registry.lease.remove_host(now, "old", sign.decode()) is Removal.DONE
            assert all_keys(at) == {b"daosup:master", b"daosup:epoch"}

    asyncio.run(act_late())


def test_the_value_is_json_that_names_the_holder_and_expires(empty_redis: EmbeddedRedis) -> None:
    async def take() -> None:
        async with connected(empty_redis.address, "rts") as host:
            await host.registry.lease.take(b"", 0)
            value, left_ms, epoch = raw(
                empty_redis.address, ("GET", "daosup:master"), ("PTTL", "daosup:master"), ("GET", "daosup:epoch")
            )
            said = {"host": "rts", "instance": "rts-1", "ip": "10.0.0.1", "pid": 4321, "epoch": int(epoch)}
            assert json.loads(value) == said
            assert 0 < left_ms <= LEASE_TTL_S * 1000
            assert raw(empty_redis.address, ("PTTL", "daosup:epoch"))[0] > 0

    asyncio.run(take())


def test_signs_of_life_are_read_with_redis_s_time(empty_redis: EmbeddedRedis) -> None:
    async def look() -> None:
        at = empty_redis.address
        raw(
            at,
            ("SET", "dao:machines:old:last_connect", "2026-01-01T00:00:00+00:00"),
            ("SET", "dao:machines:old:role", "master"),
            ("SET", "dao:machines:junk:last_connect", "yesterday"),
            ("RPUSH", "dao:machines:list:last_connect", "a"),
            ("SET", "dao:machines:a:shm:b:last_connect", "2026-01-01T00:00:00+00:00"),
        )
        async with connected(at, "rts") as host:
            await host.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
            signs, redis_s = await host.registry.hosts()
            (seconds, microseconds) = raw(at, ("TIME",))[0]
            assert redis_s == pytest.approx(int(seconds) + int(microseconds) / 1e6, abs=1.0)
            by_host = {sign.host: sign for sign in signs}
            assert by_host.keys() == {"old", "junk", "rts"}
            old, junk, rts = by_host["old"], by_host["junk"], by_host["rts"]
            assert (old.role, old.stamp_s, old.is_lasting) == ("master", 1767225600.0, True)
            assert (junk.stamp_s, junk.is_lasting) == (None, True)
            assert rts.stamp_s == pytest.approx(redis_s, abs=2.0)
            assert not rts.is_lasting

    asyncio.run(look())
