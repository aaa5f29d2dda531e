"""Whole hosts and their roles: who is master, what becomes of it when that one ends, and who may not be it."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import closing
from datetime import datetime, timezone

import pytest

from daosup.core.lease import LEASE_TTL_S, LOOK_INTERVAL_S
from daosup.errors import DeniedError
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import all_keys, raw
from tests.integration.role_faults import QUICK_EVICTION, WRONG_CLOCK, old_daemon, role
from tests.integration.streams import stream, undisturbed
from tests.waiting import wait_until

#: The lease time, one look, and the slowness of a busy machine.
FAILOVER_S = LEASE_TTL_S + LOOK_INTERVAL_S + 5.0


def pair(fleet: Fleet) -> tuple[Host, Host]:
    """The master and the minion of two hosts that are up."""
    wait_until(lambda: sorted(str(role(h)) for h in (fleet.rts, fleet.lab)) == ["master", "minion"], 15.0, "roles")
    return (fleet.rts, fleet.lab) if role(fleet.rts) == "master" else (fleet.lab, fleet.rts)


def written_role(fleet: Fleet, host: Host) -> object:
    return raw(fleet.redis.address, ("GET", f"dao:machines:{host.name}:role"))[0]


# -- among hosts of ours


def test_hosts_without_a_role_agree_on_one_master_and_all_say_who_it_is(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    master, minion = pair(fleet)
    wait_until(lambda: minion.status()["lease"]["holder"] == master.name, 5.0, "the minion to know the master")
    held, seen = master.status()["lease"], minion.status()["lease"]
    assert (held["state"], seen["state"]) == ("held", "other")
    assert held["epoch"] == seen["epoch"]
    assert seen["pid"] == master.pid
    assert 0 < held["left_s"] < LEASE_TTL_S
    wait_until(lambda: written_role(fleet, master) == b"master", 5.0, "its role in the registry")
    assert written_role(fleet, minion) == b"minion"
    with pytest.raises(DeniedError, match=f"the master is {master.name}"):
        minion.call("cleanup", ttl_s=120)


@pytest.mark.parametrize("how", ["stopped", "killed", "frozen"])
def test_a_master_that_goes_is_replaced_and_no_stream_notices(fleet: Fleet, how: str) -> None:
    fleet.start("rts", "lab")
    third = fleet.add("third")
    third.start()
    masters = [host for host in fleet.hosts.values() if role(host) == "master"]
    wait_until(lambda: [h for h in fleet.hosts.values() if role(h) == "master"], 15.0, "a master")
    (master,) = [host for host in fleet.hosts.values() if role(host) == "master"] or masters
    epoch = master.status()["lease"]["epoch"]
    rest = [host for host in fleet.hosts.values() if host is not master]
    began_s = time.monotonic()
    if how == "stopped":
        master.signal(signal.SIGTERM)
    else:
        os.kill(master.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    within_s = LOOK_INTERVAL_S + 5.0 if how == "stopped" else FAILOVER_S
    wait_until(lambda: "master" in [role(host) for host in rest], within_s, "another master")
    print(f"{how}: another master after {time.monotonic() - began_s:.2f} s")
    (successor,) = [host for host in rest if role(host) == "master"]
    assert successor.status()["lease"]["epoch"] > epoch
    if how == "frozen":
        os.kill(master.pid, signal.SIGCONT)
        wait_until(lambda: role(master) == "minion", 5.0, "the old one to notice")
        wait_until(lambda: "lease lost: another took it" in master.log, 5.0, "it to be told")
        wait_until(lambda: written_role(fleet, master) == b"minion", 5.0, "its role in the registry")
        assert role(successor) == "master"


def test_a_master_that_crashed_and_comes_back_at_once_is_master_again(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    fleet.add("lab")
    rts.start("--role", "master")
    fleet.lab.start()
    wait_until(lambda: role(rts) == "master", 5.0, "rts to be master")
    rts.signal(signal.SIGKILL)
    began_s = time.monotonic()
    rts.start("--role", "master")
    wait_until(lambda: role(rts) == "master", 5.0, "rts to be master again")
    assert time.monotonic() - began_s < LEASE_TTL_S
    assert role(fleet.lab) == "minion"


def test_a_minion_by_configuration_never_becomes_master(fleet: Fleet) -> None:
    lab = fleet.add("lab")
    lab.start("--role", "minion")
    looks = len(lab.status()["segments"])
    with closing(lab.create("a")) as segment:
        wait_until(lambda: len(lab.status()["segments"]) > looks, 5.0, "it to serve")
        segment.unlink()
    began_s = time.monotonic()
    wait_until(lambda: time.monotonic() > began_s + 2 * LOOK_INTERVAL_S, 10.0, "two looks at the lease")
    assert role(lab) == "minion"
    assert lab.status()["lease"]["state"] == "none"
    assert b"daosup:master" not in all_keys(fleet.redis.address)


def test_role_master_against_a_live_master_says_which_and_ends_and_takeover_takes_it(fleet: Fleet) -> None:
    rts, lab = fleet.add("rts"), fleet.add("lab")
    rts.start("--role", "master")
    wait_until(lambda: role(rts) == "master", 5.0, "rts to be master")
    lab.spawn("--role", "master")
    assert lab.wait() == 69
    assert re.search(rf"daosupd: rts \(ip 127\.0\.0\.1, pid {rts.pid}\) is master.*--takeover", lab.log)
    assert "Traceback" not in lab.log
    assert b"dao:machines:lab:ip" not in all_keys(fleet.redis.address)
    lab.start("--role", "master", "--takeover")
    wait_until(lambda: role(lab) == "master", 5.0, "lab to be master")
    wait_until(lambda: role(rts) == "minion", 5.0, "rts to notice")
    assert "lease lost: another took it" in rts.log
    assert rts.status()["lease"]["holder"] == "lab"
    lab.signal(signal.SIGTERM)
    wait_until(lambda: role(rts) == "master", 10.0, "rts to be master again")


def test_takeover_is_for_masters(fleet: Fleet) -> None:
    host = fleet.add("rts")
    host.spawn("--takeover")
    assert host.wait() == 64
    assert "--takeover is for a host with role master" in host.log


def test_a_flushed_redis_has_one_master_again(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, undisturbed(wfs):
        master, _ = pair(fleet)
        epoch = master.status()["lease"]["epoch"]
        raw(fleet.redis.address, ("FLUSHALL",))
        wait_until(lambda: b"daosup:master" in all_keys(fleet.redis.address), FAILOVER_S, "a lease")
        winner, _ = pair(fleet)
        wait_until(lambda: winner.status()["lease"]["epoch"] > epoch, 10.0, "a greater epoch")


# -- beside daemons of the old kind


def test_a_host_without_a_role_leaves_the_office_to_a_living_old_master(fleet: Fleet) -> None:
    old_daemon(fleet.redis.address)
    rts = fleet.add("rts")
    rts.start()
    status = rts.status()
    assert (status["role"], status["lease"]["state"], status["lease"]["yields_to"]) == ("minion", "held", "old")
    assert written_role(fleet, rts) == b"minion"
    with pytest.raises(DeniedError, match="the master is old"):
        rts.call("cleanup", ttl_s=120)


def test_role_master_beside_a_living_old_master_says_so_and_ends(fleet: Fleet) -> None:
    old_daemon(fleet.redis.address)
    rts = fleet.add("rts")
    rts.spawn("--role", "master")
    assert rts.wait() == 69
    assert "daosupd: old, a daemon of the old kind, is master" in rts.log
    assert b"daosup:master" not in all_keys(fleet.redis.address)
    rts.start("--role", "master", "--takeover")
    wait_until(lambda: role(rts) == "master", 5.0, "rts to be master")


def test_what_an_old_master_left_behind_counts_for_nothing(fleet: Fleet) -> None:
    old_daemon(fleet.redis.address, ahead_s=-600)
    old_daemon(fleet.redis.address, "rts")
    rts = fleet.add("rts")
    rts.start("--role", "master")
    wait_until(lambda: role(rts) == "master", 5.0, "rts to be master")


def test_the_master_removes_stale_hosts_but_none_that_is_alive(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    master, minion = pair(fleet)
    old_daemon(fleet.redis.address, "dead", "minion", ahead_s=-600)
    old_daemon(fleet.redis.address, "alive", "minion")
    assert master.call("cleanup", ttl_s=120) == ["dead"]
    names = [machine["hostname"] for machine in master.call("machines")]
    assert names == ["alive", "lab", "rts"]
    master.call("deregister", host="alive")
    assert [machine["hostname"] for machine in master.call("machines")] == ["lab", "rts"]
    with pytest.raises(DeniedError, match=f"the master is {master.name}"):
        minion.call("deregister", host="alive")


def test_an_old_host_that_fell_silent_is_evicted_and_those_that_live_are_not(fleet: Fleet) -> None:
    rts, lab = fleet.add("rts"), fleet.add("lab")
    rts.spawn("--role", "master", before=QUICK_EVICTION)
    rts.wait_up()
    lab.start("--role", "minion")
    old_daemon(fleet.redis.address, "dead", "minion")
    old_daemon(fleet.redis.address, "ahead", "minion", ahead_s=3600.0)
    raw(fleet.redis.address, ("SET", "dao:machines:dead:shm:cam:dtype", "uint16"))
    beats = [0.0]

    def is_evicted() -> bool:
        beats[0] += 0.001
        old_daemon(fleet.redis.address, "ahead", "minion", ahead_s=3600.0 + beats[0])
        return not any(key.startswith(b"dao:machines:dead:") for key in all_keys(fleet.redis.address))

    wait_until(is_evicted, 40.0, "the dead one to be evicted")
    wait_until(lambda: "host evicted" in rts.log, 5.0, "it to be told")
    assert rts.log.count("host evicted") == 1
    assert rts.log.count("a host's clock is off; it is judged by Redis's peer=ahead") == 1
    assert [machine["hostname"] for machine in rts.call("machines")] == ["ahead", "lab", "rts"]


def test_role_master_that_finds_another_master_when_redis_comes_ends(fleet: Fleet) -> None:
    rts, lab = fleet.add("rts"), fleet.add("lab")
    rts.start("--role", "master")
    fleet.redis.stop()
    lab.spawn("--role", "master")
    wait_until(lambda: "registry away; streams go on" in lab.log, 40.0, "lab to start degraded")
    wait_until(lab.socket.exists, 10.0, "lab to serve")
    assert lab.status()["registry"]["state"] != "up"
    os.kill(lab.pid, signal.SIGSTOP)
    fleet.redis.start()
    wait_until(lambda: b"daosup:master" in all_keys(fleet.redis.address), FAILOVER_S, "rts to have the lease again")
    os.kill(lab.pid, signal.SIGCONT)
    assert lab.wait() == 69
    assert "is master, epoch" in lab.log


# -- lifetimes and clocks


def test_every_key_of_a_running_fleet_expires(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        wfs.check_going()
        keys = all_keys(fleet.redis.address)
        kinds = {key.split(b":")[0] + b":" + key.split(b":")[1] for key in keys}
        assert kinds == {
            b"dao:machines",
            b"dao:heartbeats",
            b"daosup:host",
            b"daosup:readers",
            b"daosup:master",
            b"daosup:epoch",
            b"daosup:events",
        }
        lasting = [key for key in keys if raw(fleet.redis.address, ("PTTL", key))[0] == -1]
        assert lasting == []


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_a_host_whose_clock_is_an_hour_off_harms_nobody_and_is_reported(fleet: Fleet, ahead_s: float) -> None:
    off, right = fleet.add("off"), fleet.add("right")
    clock_off = WRONG_CLOCK.format(ahead_s=ahead_s)
    off.spawn("--role", "master", before=clock_off)
    off.wait_up()
    right.start()
    old_daemon(fleet.redis.address, "old", "minion")
    wait_until(lambda: role(off) == "master", 5.0, "it to be master")
    clock = off.status()["clock"]
    assert clock["is_off"]
    assert clock["offset_s"] == pytest.approx(ahead_s, abs=60)
    assert off.log.count("this host's clock is off") == 1
    assert not right.status()["clock"]["is_off"]
    assert off.call("cleanup", ttl_s=120) == []
    stamp = raw(fleet.redis.address, ("GET", "dao:machines:off:last_connect"))[0].decode()
    assert abs((datetime.now(timezone.utc) - datetime.fromisoformat(stamp)).total_seconds()) < 60
    off.signal(signal.SIGTERM)
    wait_until(lambda: role(right) == "master", FAILOVER_S, "the other one to be master")
    off.spawn("--role", "minion", before=clock_off)
    off.wait_up()
    assert right.call("cleanup", ttl_s=120) == []


# -- two daemons under one name


def test_of_two_daemons_with_one_name_the_one_that_started_later_ends(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, undisturbed(wfs):
        twin = Host("rts", fleet.folder / "elsewhere", fleet.redis.tcp_address)
        began_s = time.monotonic()
        twin.spawn()
        assert twin.wait() == 69
        print(f"ended after {time.monotonic() - began_s:.2f} s")
        assert f"daosupd: another daosupd, pid {fleet.rts.pid} at 127.0.0.1, has served host rts for longer" in twin.log
        assert not twin.socket.exists()
        assert twin.processes() == []
        wfs.check_going()
        wait_until(lambda: fleet.rts.status()["registry"]["state"] == "up", 5.0, "rts to serve")
        speaker = raw(fleet.redis.address, ("GET", "daosup:host:rts"))[0]
        assert b'"pid": %d' % fleet.rts.pid in speaker
    assert "uses this host's name" in fleet.rts.log


def test_a_daemon_that_comes_back_after_a_crash_waits_for_nothing(fleet: Fleet) -> None:
    fleet.start("rts")
    for _ in range(3):
        fleet.rts.signal(signal.SIGKILL)
        assert b"daosup:host:rts" in all_keys(fleet.redis.address)
        fleet.rts.start()
        wait_until(lambda: role(fleet.rts) == "master", 5.0, "rts to be master")
    assert "uses this host's name" not in fleet.rts.log
