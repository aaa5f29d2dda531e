"""What a doctor knows of a host on which all is well, for tests of what becomes of one thing that is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daosup.adapters.control_settings import Settings
from daosup.adapters.machine_look import FolderLook, ProcessLook
from daosup.adapters.reachability import ANSWERS
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.registry_look import RegistryLook
from daosup.adapters.semaphore_look import SemaphoreLook, Waiter
from daosup.core.registry_values import Instance
from daosup.core.types import Machine
from daosup.ctl.doctor.facts import Facts, Presence
from tests.status_samples import a_status, a_worker

PUBLISHER_PID = 77


def a_machine(host: str = "lab", ip: str = "10.0.0.2", **changes: Any) -> Machine:
    return replace(Machine(host, ip, "minion", "2026-11-20T12:00:00+00:00"), **changes)


def an_instance(offset_ms: int | None) -> Instance:
    return Instance("abc", 2, "0.1.0", 42, clock_offset_ms=offset_ms)


def settings(**changes: Any) -> Settings:
    fine = Settings(
        host="rts",
        instance="master",
        ip="10.0.0.1",
        bind="*",
        base_pub_port=5560,
        port_count=2000,
        segment_folder="/dev/shm/dao",
        runtime_folder="/run/daosup",
        state_folder="/var/lib/daosup",
        semaphore=9,
        fifo_priority=0,
        lock_memory=False,
        redis=RedisAddress("redis"),
    )
    return replace(fine, **changes)


def registry(**changes: Any) -> RegistryLook:
    fine = RegistryLook(
        server="valkey 8.1",
        round_trip_s=0.0004,
        offset_s=0.0003,
        redis_s=1.8e9,
        refused=None,
        memory={"maxmemory": "0", "used_memory": "1000000", "maxmemory_policy": "noeviction"},
        machines=(a_machine("rts", "10.0.0.1"), a_machine("lab", "10.0.0.2"), a_machine("obs", "10.0.0.3")),
        instances={"rts": an_instance(1), "lab": an_instance(-3)},
        skipped=0,
    )
    return replace(fine, **changes)


def folder(path: str = "/dev/shm/dao", **changes: Any) -> FolderLook:
    fine = FolderLook(
        path,
        file_system="tmpfs",
        size_bytes=10**10,
        free_bytes=8 * 10**9,
        inodes=10**6,
        free_inodes=10**6,
        mode=0o1777,
        may_write=True,
        is_others=False,
    )
    return replace(fine, **changes)


def process(**changes: Any) -> ProcessLook:
    fine = ProcessLook(42, 1000, frozenset({1000}), 0, 65536, 65536, 0, 20)
    return replace(fine, **changes)


def publisher(**changes: object) -> dict[str, Any]:
    fine = {"kind": "publisher", "source": "rts:wfs", "segment": "wfs", "peer": "lab, obs", "port": 5560}
    fine |= {"connected": 2, "endpoint": None, "pid": PUBLISHER_PID}
    return a_worker(**{**fine, **changes})


def mirror(**changes: object) -> dict[str, Any]:
    fine = {"source": "lab:dm", "segment": "remote_lab_dm", "peer": "lab", "endpoint": "tcp://10.0.0.2:5561"}
    return a_worker(**{**fine, **changes})


def gate(**changes: object) -> dict[str, Any]:
    fine = {"kind": "gate", "source": "rts:gate", "segment": "gate", "peer": "", "endpoint": None, "port": 7710}
    return a_worker(**{**fine, **changes})


def of_a_node(**changes: object) -> dict[str, Any]:
    """A mirror of what a node of DAO's network service has."""
    fine = {"source": "cam:wfs", "segment": "remote_cam_wfs", "peer": "cam", "endpoint": "tcp://10.0.0.8:7710"}
    return a_worker(**{**fine, "protocol": 3, **changes})


def node(**changes: object) -> dict[str, Any]:
    fine = {"node": "dcs", "address": "10.0.0.8", "port": 7710, "heard_s": 0.5, "segments": 2, "unreadable": 0}
    return {**fine, "error": None, **changes}


def dnet(**changes: object) -> dict[str, Any]:
    fine = {"domain": "dao", "node": "rts", "group": "239.255.77.10", "beacon_port": 7711, "data_port": 7710}
    return {**fine, "interface": None, "error": None, "nodes": [node()], **changes}


def semaphore(number: int, *waiters: Waiter, sleepers: int = 2, is_exact: bool = True) -> SemaphoreLook:
    return SemaphoreLook("wfs", number, sleepers, waiters, is_exact)


def facts(**changes: Any) -> Facts:
    """All is well, but for ``changes``; a status counts for both looks unless ``later`` is given."""
    status = changes.get("status") or a_status(workers=[publisher(), mirror()])
    fine = Facts(
        presence=Presence.ANSWERS,
        told="0.1.0",
        unit="daoserver@master",
        status=status,
        later=status,
        settings=settings(),
        config_file="/etc/daosup/master.toml",
        registry=registry(),
        address="10.0.0.1",
        is_own_address=True,
        endpoints={"tcp://10.0.0.1:5560": ANSWERS},
        folders={
            "segments": folder(),
            "semaphores": folder("/dev/shm"),
            "runtime": folder("/run/daosup", mode=0o750),
            "state": folder("/var/lib/daosup", mode=0o750, file_system="ext4"),
        },
        process=process(),
        segments={"wfs": "fifo", "remote_lab_dm": "fifo"},
    )
    return replace(fine, **changes)


def no_daemon(**changes: Any) -> Facts:
    """Nobody answers; what can be known without a daemon is well."""
    gone: dict[str, Any] = {"presence": Presence.ABSENT, "told": "no daosupd at /run/daosup/master.sock"}
    gone |= {"status": {}, "later": {}, "process": None, "endpoints": {}}
    return facts(**{**gone, **changes})
