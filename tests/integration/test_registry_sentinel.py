"""A registry behind sentinels: found by them, and found again when the master is another."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daosup.adapters.redis_address import RedisAddress
from daosup.core.types import Role
from daosup.errors import UnavailableError
from tests.integration.fleet import Fleet
from tests.integration.registry_faults import is_whole, pids, prompt, reach, wait_down
from tests.integration.registry_hosts import TTL_S, Host, all_keys, connected
from tests.integration.sentinels import SERVICE, Sentinels, sentinels
from tests.integration.streams import filming, stream, wait_for_frames
from tests.integration.tcp_proxy import proxy
from tests.ports import free_port
from tests.waiting import wait_until

BACK_S = 10.0


@pytest.fixture(scope="module")
def standing(redis_binary: Path) -> Iterator[Sentinels]:
    """A Redis with sentinels that nobody breaks."""
    with sentinels(redis_binary) as made:
        yield made


def address_by(made: Sentinels, *ports: int, service: str = SERVICE) -> RedisAddress:
    return RedisAddress(
        password_file=made.password_file,
        sentinels=tuple(("127.0.0.1", port) for port in ports),
        sentinel_service=service,
        sentinel_password_file=made.sentinel_password_file,
    )


async def use(address: RedisAddress) -> str:
    host = Host(address, "rts")
    facts = await host.registry.connect()
    try:
        await host.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
    finally:
        await host.registry.close()
    return facts.at


def test_the_master_is_found_by_any_sentinel_that_answers(standing: Sentinels) -> None:
    found = f"127.0.0.1:{standing.master}"
    assert asyncio.run(use(address_by(standing, *standing.sentinels))) == found
    assert asyncio.run(use(address_by(standing, free_port(), standing.sentinels[2], free_port()))) == found
    with proxy(standing.sentinels[0]) as silent:
        silent.stall()
        assert asyncio.run(use(address_by(standing, silent.port, standing.sentinels[1]))) == found


def test_what_does_not_lead_to_a_master_is_said(standing: Sentinels) -> None:
    nobody = free_port()
    wrong = [
        (address_by(standing, standing.sentinels[0], service="other"), "knows no service other"),
        (address_by(standing, nobody), f"127.0.0.1:{nobody} cannot be reached"),
        (replace(address_by(standing, standing.sentinels[0]), sentinel_password_file=None), "asks for a password"),
        (replace(address_by(standing, standing.sentinels[0]), password_file=None), "asks for a password"),
        (address_by(standing, standing.master), "names a master"),
        (
            RedisAddress("127.0.0.1", standing.sentinels[0], password_file=standing.sentinel_password_file),
            "is a Sentinel; name it in sentinels",
        ),
    ]
    for address, said in wrong:
        with pytest.raises(UnavailableError, match=said):
            asyncio.run(use(address))
    with proxy(standing.sentinels[0]) as silent:
        silent.stall()
        with pytest.raises(UnavailableError, match="1 did not answer"):
            asyncio.run(use(address_by(standing, silent.port)))


def test_a_master_that_becomes_a_replica_is_left(redis_binary: Path) -> None:
    with sentinels(redis_binary) as made:

        async def switch() -> None:
            async with connected(address_by(made, *made.sentinels), "rts") as host:
                before = made.master
                made.ask(made.sentinels[0], "SENTINEL", "FAILOVER", SERVICE)
                deadline_s = time.monotonic() + 30.0
                while host.registry.is_connected:
                    assert time.monotonic() < deadline_s
                    try:
                        await host.registry.announce("10.0.0.1", Role.MINION, {}, {}, TTL_S)
                    except UnavailableError:
                        break
                    await asyncio.sleep(0.01)
                while True:
                    assert time.monotonic() < deadline_s
                    try:
                        facts = await host.registry.connect()
                        break
                    except UnavailableError:
                        await asyncio.sleep(0.05)
                assert facts.at != f"127.0.0.1:{before}"

        asyncio.run(switch())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_failover_stops_no_stream_and_all_is_back_when_there_is_a_master(
    fleet: Fleet, redis_binary: Path, number: signal.Signals
) -> None:
    with sentinels(redis_binary) as made:
        for name in ("rts", "lab"):
            reach(fleet.add(name), made.keys)
        fleet.start("rts", "lab")
        with stream(fleet, "wfs") as wfs, filming(wfs.segment, 0.02), prompt(fleet.rts, fleet.lab):
            before, old = pids(fleet.rts, fleet.lab), made.master
            keys = all_keys(made.address(old))
            assert keys
            made.signal(old, number)
            wait_down(fleet.rts, "")
            new = wait_until(lambda: made.master if made.master not in (0, old) else 0, 60.0, "another master")
            wait_until(
                lambda: is_whole(fleet, made.address(new), keys, [wfs.name]), BACK_S, "all to be at the new master"
            )
            assert pids(fleet.rts, fleet.lab) == before
            wait_for_frames(wfs.mirror)
        assert f"at 127.0.0.1:{new}" in fleet.rts.status()["registry"]["server"]
