"""Workers that hang, grow, fail ever again or may not do what they should: what happens to them, and to no other."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daosup.core.restart import RESTARTS_IN_A_ROW
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.processes_seen import is_alive
from tests.integration.streams import Stream, filming, stream, wait_for_frames
from tests.integration.unruly import order_of, tell
from tests.waiting import wait_until

#: The goal is 2 s on a machine that has time for its workers; when it has not, loops may be late for 10 s.
REPLACED_S = 20.0

LIMITS = """
[workers]
nice = 3

[[worker]]
match = "growing_*"
memory_limit_mb = 100

[[worker]]
match = "rts:limited"
cpu_affinity = [0]
nice = 7

[[worker]]
match = "refused"
cpu_affinity = [4095]
"""


@pytest.fixture(scope="module")
def module_hosts(redis_binary: Path) -> Iterator[Fleet]:
    """As everywhere, but with workers that can be told to misbehave."""
    made = Fleet()
    try:
        for name in ("rts", "lab"):
            host = made.add(name)
            host.program = "tests.integration.unruly"
            host.config.write_text(host.config.read_text() + LIMITS)
        made.start("rts", "lab")
        yield made
    finally:
        made.close()


def host_of(hosts: Fleet, kind: str) -> Host:
    return hosts.rts if kind == "publisher" else hosts.lab


def row_of(host: Host, source: str) -> dict[str, Any]:
    """The one worker of a host for a source, whatever its state."""
    (row,) = [row for row in host.status()["workers"] if row["source"] == source]
    return dict(row)


@contextmanager
def unharmed(other: Stream) -> Iterator[None]:
    """Nothing that happens meanwhile harms this stream: same processes, and frames come.

    That none is skipped cannot be asked for here: whoever spins takes a CPU, and there may be one alone.
    """
    pids = [host.worker_pid(other.source) for host in other.hosts.hosts.values()]
    with filming(other.segment, 0.04):
        yield
        wait_for_frames(other.mirror, 3)
    assert [host.worker_pid(other.source) for host in other.hosts.hosts.values()] == pids


def wait_replaced(host: Host, source: str, pid: int) -> dict[str, Any]:
    """Wait until another process than ``pid`` works for a source; its row."""
    wait_until(lambda: not is_alive(pid), REPLACED_S, "the worker to be killed")
    host.worker_pid(source, other_than=pid)
    return row_of(host, source)


def about(host: Host, source: str) -> str:
    """How the log of a host names its worker for a source."""
    owner, name = source.split(":")
    if owner == host.name:
        return f"segment={name} source={source} worker_kind=publisher"
    return f"segment=remote_{owner}_{name} source={source} worker_kind=mirror"


KINDS = pytest.mark.parametrize("kind", ["publisher", "mirror"])


@KINDS
@pytest.mark.parametrize("how", ["stopped", "spinning", "sleeping"])
def test_one_whose_loop_stands_still_is_killed_and_replaced(hosts: Fleet, kind: str, how: str) -> None:
    host = host_of(hosts, kind)
    with stream(hosts, f"{how}_{kind}") as hit, stream(hosts, f"other_{how}_{kind}") as other:
        pid = host.worker_pid(hit.source)
        with unharmed(other), filming(hit.segment):
            wait_for_frames(hit.mirror, 20)
            if how == "stopped":
                os.kill(pid, signal.SIGSTOP)
            else:
                tell(host.runtime, kind, hit.source, "spin" if how == "spinning" else "sleep")
            row = wait_replaced(host, hit.source, pid)
            wait_for_frames(hit.mirror, 20)
        assert (row["restarts"], row["hangs"]) == (1, 1)
        assert row["last_exit"].startswith("hung: its loop stood still for ")
        assert f"worker hung; it is killed {about(host, hit.source)} " in host.log
        assert not [line for line in host.log.splitlines() if hit.source in line and "died" in line]


def test_one_that_rests_with_its_stream_does_not_hang(hosts: Fleet) -> None:
    with stream(hosts, "resting") as resting:
        pids = [host.worker_pid(resting.source) for host in (hosts.rts, hosts.lab)]
        until_s = time.monotonic() + 4.0
        wait_until(lambda: time.monotonic() > until_s, 10.0, "more time than a loop may stand still")
        assert [host.worker_pid(resting.source) for host in (hosts.rts, hosts.lab)] == pids


def test_one_that_waits_for_its_segment_does_not_hang(hosts: Fleet) -> None:
    with stream(hosts, "absent") as absent:
        pid = hosts.lab.worker_pid(absent.source)
        absent.segment.unlink()
        until_s = time.monotonic() + 4.0
        wait_until(lambda: time.monotonic() > until_s, 10.0, "more time than a loop may stand still")
        assert hosts.lab.worker_pid(absent.source) == pid


@KINDS
def test_one_that_grows_too_big_is_replaced(hosts: Fleet, kind: str) -> None:
    host = host_of(hosts, kind)
    with stream(hosts, f"growing_{kind}") as growing, stream(hosts, f"other_{kind}") as other:
        pid = host.worker_pid(growing.source)
        with unharmed(other), filming(growing.segment):
            tell(host.runtime, kind, growing.source, "leak")
            row = wait_replaced(host, growing.source, pid)
            wait_for_frames(growing.mirror, 20)
        assert (row["restarts"], row["hangs"]) == (1, 0)
        assert re.fullmatch(r"stopped: 1\d\d MB of own memory, and memory_limit_mb is 100", row["last_exit"])


def test_one_that_fails_ever_again_is_quarantined_and_tried_when_its_segment_is_made_anew(hosts: Fleet) -> None:
    with stream(hosts, "failing") as failing, stream(hosts, "sound") as sound:
        with unharmed(sound):
            tell(hosts.rts.runtime, "publisher", failing.source, "die")
            wait_until(
                lambda: row_of(hosts.rts, failing.source)["state"] == "failed", 60.0, "the publisher to be failed"
            )
            row = row_of(hosts.rts, failing.source)
            assert row["restarts"] == RESTARTS_IN_A_ROW + 1
            assert row["reason"] == row["last_exit"]
            assert row["pid"] is None
            assert 30.0 < row["next_try_s"] <= 60.0
            order_of(hosts.rts.runtime, "publisher", failing.source).unlink()
            failing.segment.unlink()
            failing.segment = Segment.create(hosts.rts.path("failing"), (16, 16), "uint16")
            wait_until(lambda: row_of(hosts.rts, failing.source)["state"] == "running", 10.0, "it to be tried again")
        failing.check_going()


def test_one_that_is_failed_and_nobody_wants_any_more_is_forgotten(hosts: Fleet) -> None:
    with stream(hosts, "unwanted") as unwanted:
        tell(hosts.lab.runtime, "mirror", unwanted.source, "die")
        wait_until(lambda: row_of(hosts.lab, unwanted.source)["state"] == "failed", 60.0, "the mirror to be failed")
        hosts.lab.release(unwanted.source)
        assert hosts.lab.mirrored() == []
        order_of(hosts.lab.runtime, "mirror", unwanted.source).unlink()
        unwanted.mirror.close()
        unwanted.mirror = hosts.lab.mirror(unwanted.source)
        unwanted.check_going()


def test_limits_are_those_of_the_first_table_that_matches(hosts: Fleet) -> None:
    with stream(hosts, "limited") as limited, stream(hosts, "ordinary") as ordinary:
        for host in (hosts.rts, hosts.lab):
            pid = host.worker_pid(limited.source)
            assert os.sched_getaffinity(pid) == {0}
            assert os.getpriority(os.PRIO_PROCESS, pid) == 7
            assert host.worker(limited.source)["warning"] is None
            assert os.getpriority(os.PRIO_PROCESS, host.worker_pid(ordinary.source)) == 3


def test_a_limit_that_cannot_be_set_is_told_and_the_stream_is_live_without_it(hosts: Fleet) -> None:
    with stream(hosts, "refused") as refused:
        for host in (hosts.rts, hosts.lab):
            assert row_of(host, refused.source)["warning"] == "cpu_affinity [4095] cannot be set: Invalid argument"
            assert host.log.count(f"a limit of a worker cannot be set {about(host, refused.source)} ") == 1
        refused.check_going()
