"""The master goes, another one wants its place, and clocks are wrong; it happens to a third host, ``chief``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from daosup.core.lease import LEASE_TTL_S, LOOK_INTERVAL_S
from tests.faults.fault import fault
from tests.faults.scene import HEAL_S, Scene
from tests.integration.fleet import Host
from tests.integration.registry_hosts import all_keys, raw
from tests.integration.role_faults import QUICK_EVICTION, WRONG_CLOCK, old_daemon, role
from tests.waiting import wait_until

_THEME = "The master's office"
_BUSY_S = 1.0
_EVICTED_S = 6.0
_MASTER = ("--role", "master", "--takeover")
_numbers = count(1)


@contextmanager
def _host(scene: Scene, name: str) -> Iterator[Host]:
    """A host beside those of the scene, not started."""
    host = Host(name, scene.hosts.folder / f"{name}{next(_numbers)}", scene.hosts.redis.tcp_address)
    try:
        yield host
    finally:
        host.close()


@contextmanager
def _chief(scene: Scene, before: str = "") -> Iterator[Host]:
    """A third host that is master and does nothing else."""
    with _host(scene, "chief") as host:
        host.spawn(*_MASTER, before=before)
        host.wait_up()
        _wait_master(scene, host)
        yield host


def _wait_master(scene: Scene, chief: Host) -> None:
    wait_until(lambda: role(chief) == "master", HEAL_S, "chief to be master")
    wait_until(lambda: _master_of(scene) is None, HEAL_S, "the others to know of it")


def _master_of(scene: Scene) -> Host | None:
    return next((host for host in (scene.rts, scene.lab) if role(host) == "master"), None)


def _succeeded(scene: Scene, chief: Host, number: signal.Signals) -> float:
    """The seconds until another host is master, with a greater epoch."""
    epoch = chief.status()["lease"]["epoch"]
    with scene.undisturbed():
        began_s = time.monotonic()
        os.kill(chief.pid, number)
        successor = wait_until(lambda: _master_of(scene), HEAL_S, "another master")
        assert successor is not None
        took_s = time.monotonic() - began_s
        assert successor.status()["lease"]["epoch"] > epoch
    return took_s


@fault(
    "master stopped",
    theme=_THEME,
    how="SIGTERM to the supervisor of a third host that is master",
    what="it gives the lease up; another host is master with the next look, with a greater epoch; no stream notices",
    limit_s=LOOK_INTERVAL_S + _BUSY_S,
)
def master_stopped(scene: Scene) -> float:
    with _chief(scene) as chief:
        return _succeeded(scene, chief, signal.SIGTERM)


@fault(
    "master killed",
    theme=_THEME,
    how="SIGKILL to the supervisor of a third host that is master",
    what="its lease runs out; another host is master at that moment, with a greater epoch; no stream notices",
    limit_s=LEASE_TTL_S + LOOK_INTERVAL_S,
)
def master_killed(scene: Scene) -> float:
    with _chief(scene) as chief:
        return _succeeded(scene, chief, signal.SIGKILL)


@fault(
    "master frozen",
    theme=_THEME,
    how="SIGSTOP to the supervisor of a third host that is master; SIGCONT when there is another",
    what="as killed; when it goes on it is minion at once, and its log says that it lost the lease",
    limit_s=LEASE_TTL_S + LOOK_INTERVAL_S,
)
def master_frozen(scene: Scene) -> float:
    with _chief(scene) as chief:
        took_s = _succeeded(scene, chief, signal.SIGSTOP)
        os.kill(chief.pid, signal.SIGCONT)
        wait_until(lambda: role(chief) == "minion", 5.0, "the old one to notice")
        wait_until(lambda: "lease lost: another took it" in chief.log, 5.0, "it to be told")
        assert _master_of(scene) is not None
    return took_s


@fault(
    "two masters configured",
    theme=_THEME,
    how="`--role master` against a live other master",
    what="it says which host is master and how to take over, and ends with exit code 69; the master stays",
    since="its start",
    limit_s=5.0,
)
def two_masters(scene: Scene) -> float:
    with _chief(scene) as chief, _host(scene, "rival") as rival, scene.undisturbed():
        began_s = time.monotonic()
        rival.spawn("--role", "master")
        assert rival.wait() == 69, rival.log
        took_s = time.monotonic() - began_s
        assert f"daosupd: chief (ip 127.0.0.1, pid {chief.pid}) is master" in rival.log, rival.log
        assert "--takeover" in rival.log
        assert role(chief) == "master"
    return took_s


@fault(
    "clock an hour off",
    theme=_THEME,
    how="a third host whose clock is an hour ahead, or behind, becomes master",
    what="its log and `status` say so; it evicts nobody, also when told to clean up, and nobody evicts it",
    since="its start until it says so",
    limit_s=5.0,
)
def clock_off(scene: Scene) -> float:
    ahead_s = 3600.0 if next(_numbers) % 2 else -3600.0
    registry = scene.hosts.redis.address
    old_daemon(registry, "old", "minion")
    wrong = WRONG_CLOCK.format(ahead_s=ahead_s)
    with scene.undisturbed(), _host(scene, "chief") as chief:
        began_s = time.monotonic()
        chief.spawn(*_MASTER, before=wrong)
        chief.wait_up()
        clock = wait_until(lambda: (now := chief.status()["clock"])["is_off"] and now, HEAL_S, "it to be reported")
        took_s = time.monotonic() - began_s
        assert abs(clock["offset_s"] - ahead_s) < 60
        assert chief.log.count("this host's clock is off") == 1
        _wait_master(scene, chief)
        assert chief.call("cleanup", ttl_s=120) == []
        names = {machine["hostname"] for machine in chief.call("machines")}
        assert {"chief", "rts", "lab", "old"} <= names, names
        assert chief.signal(signal.SIGTERM) == 0
        successor = wait_until(lambda: _master_of(scene), HEAL_S, "another master")
        assert successor is not None
        chief.spawn("--role", "minion", before=wrong)
        chief.wait_up()

        def is_known() -> bool:
            return "chief" in {machine["hostname"] for machine in successor.call("machines")}

        wait_until(is_known, 2.0, "it to be announced")
        assert successor.call("cleanup", ttl_s=120) == []
        assert is_known()
    _forget(scene, "old")
    return took_s


@fault(
    "host of the old kind dies",
    theme=_THEME,
    how=f"a daemon whose keys never expire falls silent (120 s of silence are shortened to {_EVICTED_S:g} s here)",
    what="the master removes its keys and says so once; hosts that live stay, also one whose clock is an hour ahead",
    limit_s=_EVICTED_S + 2.0,
)
def old_host_evicted(scene: Scene) -> float:
    registry = scene.hosts.redis.address
    with scene.undisturbed(), _chief(scene, QUICK_EVICTION) as chief:
        old_daemon(registry, "ahead", "minion", ahead_s=3600.0)
        old_daemon(registry, "dead", "minion")
        began_s = time.monotonic()

        def is_evicted() -> bool:
            old_daemon(registry, "ahead", "minion", ahead_s=3600.0 + time.monotonic() - began_s)
            return not any(key.startswith(b"dao:machines:dead:") for key in all_keys(registry))

        wait_until(is_evicted, HEAL_S, "the dead one to be evicted")
        took_s = time.monotonic() - began_s
        assert took_s > _EVICTED_S - 1.0, f"evicted after {took_s:.1f} s"
        wait_until(lambda: "peer=dead" in chief.log, 5.0, "it to be told")
        assert chief.log.count("host evicted") == 1, chief.log
        names = {machine["hostname"] for machine in chief.call("machines")}
        assert names == {"ahead", "chief", "rts", "lab"}, names
    _forget(scene, "ahead")
    return took_s


def _forget(scene: Scene, name: str) -> None:
    keys = [key for key in all_keys(scene.hosts.redis.address) if key.startswith(f"dao:machines:{name}:".encode())]
    raw(scene.hosts.redis.address, *(("DEL", key.decode()) for key in keys))
