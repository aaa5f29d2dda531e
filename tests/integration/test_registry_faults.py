"""The registry breaks in each way there is a name for: streams go on, supervisors stay prompt, and all comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.fleet import TELLING_ALL, Fleet, Host
from tests.integration.registry_faults import BACK_S, FAULTS, World, check, check_unbroken, pids, prompt, reach
from tests.integration.streams import filming, wait_for_frames
from tests.integration.tcp_proxy import proxy
from tests.ports import free_port
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def proxied(redis_binary: Path) -> Iterator[Fleet]:
    """Use ``world``."""
    made = Fleet()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def world(proxied: Fleet) -> Iterator[World]:
    """The hosts rts and lab, up, and their registry behind a proxy; the same for all tests of the module."""
    assert proxied.redis.port is not None
    password_file = proxied.folder / "password"
    password_file.write_text("")
    with proxy(proxied.redis.port) as made:
        for name in ("rts", "lab"):
            # One fault follows the other more quickly than the log would tell of each.
            host = proxied.add(name)
            host.before = TELLING_ALL
            reach(host, f'host = "127.0.0.1"\nport = {made.port}\npassword_file = "{password_file}"')
        proxied.start("rts", "lab")
        yield World(proxied, made, password_file)


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "gone"])
def test_a_registry_that_breaks_stops_no_stream_and_is_back_at_once(world: World, name: str) -> None:
    check(world, FAULTS[name], away_s=2.5)


def test_a_registry_that_forgets_everything_is_told_again(world: World) -> None:
    check_unbroken(world, lambda: world.say("FLUSHALL"))


def test_a_registry_that_forgets_our_readers_stops_no_stream(world: World) -> None:
    # As a server does that may evict what expires.
    check_unbroken(world, lambda: world.say("DEL", "daosup:readers:rts"))


def test_a_registry_that_goes_and_comes_back_empty_is_told_again(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    password_file = fleet.folder / "password"
    password_file.write_text("")
    with proxy(fleet.redis.port or 0) as unused:
        world = World(fleet, unused, password_file)
        check(world, FAULTS["gone"], away_s=2.5)
        check_unbroken(world, lambda: [fleet.redis.stop(), fleet.redis.start()])


def test_hosts_find_each_other_again_after_a_cut_that_was_longer_than_any_lifetime(fleet: Fleet) -> None:
    """gui is cut off from everything; lab is cut off from the registry alone, and reads cam all the time."""
    ports = {name: free_port() for name in ("rts", "gui", "cam", "lab")}
    with ExitStack() as stack:
        cuts = {name: stack.enter_context(proxy(fleet.redis.port or 0)) for name in ("gui", "lab")}
        streams = [
            stack.enter_context(proxy(ports["rts"], host="127.0.0.2")),
            stack.enter_context(proxy(ports["gui"], host="127.0.0.3")),
        ]
        for name, port in ports.items():
            host = fleet.add(name, base_port=port, port_count=1)
            redis_port = cuts[name].port if name in cuts else fleet.redis.port
            reach(host, f'host = "127.0.0.1"\nport = {redis_port}', heartbeat_s=1.0)
        advertise(fleet.hosts["rts"], "127.0.0.2")
        advertise(fleet.hosts["gui"], "127.0.0.3")
        fleet.start("rts", "gui")
        fleet.start("cam", "lab")
        hosts = fleet.hosts
        sources = {name: hosts[name].create(f"of_{name}") for name in ("rts", "gui", "cam")}
        for segment in sources.values():
            stack.callback(segment.close)
            stack.callback(segment.unlink)
            stack.enter_context(filming(segment, 0.02))
        mirrors = {
            "rts": hosts["gui"].mirror("rts:of_rts"),
            "gui": hosts["rts"].mirror("gui:of_gui"),
            "cam": hosts["lab"].mirror("cam:of_cam"),
        }
        for segment in mirrors.values():
            stack.callback(segment.close)
            wait_for_frames(segment)
        before = {host.name: pids(host) for host in (hosts["cam"], hosts["lab"])}
        with prompt(*hosts.values()):
            for each in (*cuts.values(), *streams):
                each.swallow()
            for name, peer in (("rts", "gui"), ("cam", "lab")):
                told = f"reader vanished segment=of_{name} source={name}:of_{name} peer={peer} "
                wait_until(lambda: told in hosts[name].log, 45.0, f"{name} to miss {peer}")  # noqa: B023
            wait_until(lambda: hosts["rts"].worker("rts:of_rts") is None, 10.0, "rts to publish for nobody any more")
            # Those who can still reach each other do.
            wait_for_frames(mirrors["cam"])
            assert {name: pids(hosts[name]) for name in before} == before
            for each in (*cuts.values(), *streams):
                each.heal()
            for segment in mirrors.values():
                wait_for_frames(segment, 5, BACK_S)
        assert {name: pids(hosts[name]) for name in before} == before


def advertise(host: Host, address: str) -> None:
    """Have a host give this address to others, and listen on 127.0.0.1 as before."""
    host.config.write_text(host.config.read_text().replace('advertise = "127.0.0.1"', f'advertise = "{address}"'))
