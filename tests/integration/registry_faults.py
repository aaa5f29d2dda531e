"""Hosts whose registry breaks in a named way: what is done to it, and what has to hold meanwhile and afterwards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from daosup.adapters.control_client import ControlClient
from daosup.adapters.redis_address import RedisAddress
from daosup.core.standing import HEALTHY_S
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import all_keys, raw
from tests.integration.streams import filming, stream, wait_for_frames
from tests.integration.tcp_proxy import Proxies, Proxy
from tests.waiting import wait_until

#: Two seconds are promised; this machine may be busy with other things.
BACK_S = 5.0
#: A supervisor that waits for Redis is late by the time-out of 2 s at least.
MOST_LATE_S = 1.5
_PAUSE_S = 0.02
PASSWORD = "first secret"
UP, AWAY = "registry connected", "registry away"


@dataclass
class World:
    """Two hosts that reach their registry through a proxy."""

    fleet: Fleet
    proxy: Proxy | Proxies
    password_file: Path

    @property
    def redis(self) -> RedisAddress:
        """The registry as it is reached past the proxy, whatever its password is by now."""
        return RedisAddress(unix_socket=str(self.fleet.redis.socket_path), password_file=self.password_file)

    def say(self, *command: str | int) -> Any:
        """Have the registry's server do something."""
        return raw(self.redis, command)[0]


@dataclass(frozen=True)
class Fault:
    """How to break it and how to mend it, and what ``status`` says meanwhile."""

    inject: Callable[[World], object]
    heal: Callable[[World], object]
    said: str


def _signal(number: int) -> Callable[[World], None]:
    def send(world: World) -> None:
        assert world.fleet.redis.pid is not None
        os.kill(world.fleet.redis.pid, number)

    return send


def _fill(world: World) -> None:
    world.say("SET", "ballast", "x" * 4_000_000)
    world.say("CONFIG", "SET", "maxmemory", "1mb")


def _empty(world: World) -> None:
    world.say("CONFIG", "SET", "maxmemory", 0)
    world.say("DEL", "ballast")


def _change_password(world: World) -> None:
    past = RedisAddress(unix_socket=str(world.fleet.redis.socket_path))
    kill = ("CLIENT", "KILL", "TYPE")
    raw(past, ("CONFIG", "SET", "requirepass", PASSWORD), (*kill, "pubsub"), (*kill, "normal", "SKIPME", "yes"))


FAULTS = {
    "gone": Fault(lambda w: w.fleet.redis.stop(), lambda w: w.fleet.redis.start(), "cannot be reached"),
    "frozen": Fault(_signal(signal.SIGSTOP), _signal(signal.SIGCONT), "did not answer within 2 s"),
    "slow": Fault(lambda w: w.proxy.delay_replies(5.0), lambda w: w.proxy.heal(), "did not answer within 2 s"),
    "half-open": Fault(lambda w: w.proxy.stall(), lambda w: w.proxy.heal(), "did not answer within 2 s"),
    "cut": Fault(lambda w: w.proxy.cut(), lambda w: w.proxy.heal(), "cannot be reached"),
    "swallowed": Fault(lambda w: w.proxy.swallow(), lambda w: w.proxy.heal(), "did not answer within 2 s"),
    "read-only": Fault(
        lambda w: w.say("REPLICAOF", "127.0.0.1", 1), lambda w: w.say("REPLICAOF", "NO", "ONE"), "is a replica"
    ),
    "out-of-memory": Fault(_fill, _empty, "maxmemory"),
    "password-changed": Fault(
        _change_password, lambda w: w.password_file.write_text(PASSWORD + "\n"), "check password_file"
    ),
}


def reach(host: Host, redis: str, heartbeat_s: float = 30.0) -> None:
    """Configure how a host reaches its registry: the lines of [redis]."""
    text = host.config.read_text()
    head, _, rest = text.partition("[redis]\n")
    network = rest[rest.index("[network]") :]
    host.config.write_text(f"heartbeat_interval_s = {heartbeat_s}\n{head}[redis]\n{redis}\n{network}")


@contextmanager
def prompt(*hosts: Host) -> Iterator[None]:
    """Each of the hosts answers promptly all the time: its loop is not held up.

    Whoever asks sleeps in between, and as long as the machine lets it sleep too long, a host may be late as well.
    """
    ending = threading.Event()
    lateness: dict[str, float] = {}
    overslept_s = [0.0]

    def ask(host: Host) -> None:
        with ControlClient(host.socket, timeout_s=30.0) as client:
            slept_s = time.monotonic()
            while not ending.wait(_PAUSE_S):
                asked_s = time.monotonic()
                overslept_s.append(asked_s - slept_s - _PAUSE_S)
                client.call("status")
                slept_s = time.monotonic()
                lateness[host.name] = max(lateness.get(host.name, 0.0), slept_s - asked_s)

    threads = [threading.Thread(target=ask, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert lateness.keys() == {host.name for host in hosts}
    assert max(lateness.values()) < MOST_LATE_S + max(overslept_s), (lateness, max(overslept_s))


def pids(*hosts: Host) -> list[int]:
    """The worker processes of hosts."""
    return [row["pid"] for host in hosts for row in host.status()["workers"]]


def wait_down(host: Host, said: str) -> dict[str, Any]:
    """Wait until a host says why its registry is away."""

    def registry() -> dict[str, Any] | None:
        found: dict[str, Any] = host.status()["registry"]
        return found if found["state"] == "down" and said in (found["error"] or "") else None

    return wait_until(registry, 10.0, f"{host.name} to say that its registry {said}")


def is_whole(fleet: Fleet, past: RedisAddress, keys: set[bytes], names: list[str]) -> bool:
    """Whether everything is as it should be: hosts up, keys there, readers known."""
    for host in fleet.hosts.values():
        if host.status()["registry"]["state"] != "up":
            return False
    read = {each["name"]: each["readers"] for each in fleet.rts.status()["segments"]}
    return all(read.get(name) == ["lab"] for name in names) and all_keys(past) >= keys


def check_unbroken(world: World, disturb: Callable[[], object]) -> float:
    """Do something to what the registry holds; returns the seconds until all was as before."""
    fleet = world.fleet
    with stream(fleet, "wfs") as wfs, filming(wfs.segment, 0.02), prompt(*fleet.hosts.values()):
        keys = all_keys(world.redis)
        before = pids(*fleet.hosts.values())
        # Until it was seen who is connected to whom.
        wait_for_frames(wfs.mirror, 100, 30.0)
        disturb()
        disturbed_s = time.monotonic()
        wait_until(lambda: is_whole(fleet, world.redis, keys, [wfs.name]), BACK_S, "everything to be back")
        took_s = time.monotonic() - disturbed_s
        # Long enough for all that is looked at now and then to be looked at.
        wait_for_frames(wfs.mirror, 300, 30.0)
        assert pids(*fleet.hosts.values()) == before
    return took_s


def check(world: World, fault: Fault, away_s: float) -> float:
    """Break it, look, mend it, look; returns the seconds until all was back."""
    fleet = world.fleet
    with stream(fleet, "wfs") as wfs, filming(wfs.segment, 0.02), prompt(*fleet.hosts.values()):
        for host in fleet.hosts.values():
            # Sooner it would be the outage of the test before, that goes on.
            wait_until(lambda: host.status()["registry"]["since_s"] > HEALTHY_S, 10.0, "a healthy registry")  # noqa: B023
        keys = all_keys(world.redis)
        before = pids(*fleet.hosts.values())
        told_before = {host.name: (host.log.count(UP), host.log.count(AWAY)) for host in fleet.hosts.values()}
        fault.inject(world)
        injected_s = time.monotonic()
        for host in fleet.hosts.values():
            told = wait_down(host, fault.said)
            assert told["effect"].startswith("streams go on")
        while time.monotonic() < injected_s + away_s:
            wait_for_frames(wfs.mirror, 5)
            for host in fleet.hosts.values():
                now = host.status()["registry"]
                assert now["state"] == "down"
                # One outage, from its beginning, however often it was tried to reach Redis since.
                assert now["since_s"] > time.monotonic() - injected_s - 5.0
        fault.heal(world)
        healed_s = time.monotonic()
        wait_until(lambda: is_whole(fleet, world.redis, keys, [wfs.name]), BACK_S, "everything to be back")
        took_s = time.monotonic() - healed_s
        assert pids(*fleet.hosts.values()) == before
        wait_for_frames(wfs.mirror, 5)
    for host in fleet.hosts.values():
        was_up, was_away = told_before[host.name]
        assert host.log.count(UP) == was_up + 1
        assert 1 <= host.log.count(AWAY) - was_away <= 4
    with stream(fleet, "after") as after:
        after.check_going()
    # A segment counts as gone a moment after its file; what comes next must not find its keys.
    wait_until(lambda: not any(b":after" in key for key in all_keys(world.redis)), 5.0, "its keys to be gone")
    return took_s
