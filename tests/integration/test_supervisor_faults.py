"""A supervisor that cannot start, ends, is killed or comes back: what is left, and what heals by itself."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daosup.errors import NoAnswerError
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import all_keys
from tests.integration.streams import (
    stream,
)
from tests.ports import free_port
from tests.waiting import wait_until

# -- ports


def test_a_port_that_another_program_has_is_passed_over(fleet: Fleet) -> None:
    with occupied_port() as port:
        fleet.add("rts", base_port=port, port_count=50)
        fleet.start("rts", "lab")
        with stream(fleet, "wfs") as wfs:
            row = fleet.rts.worker(wfs.source)
            assert row is not None
            assert port < row["port"] < port + 50
            wfs.check_going()


def test_without_a_free_port_it_is_said_why_and_heals_when_there_is_one(fleet: Fleet) -> None:
    with occupied_port() as port:
        fleet.add("rts", base_port=port, port_count=1)
        fleet.start("rts", "lab")
        segment = fleet.rts.create("wfs")
        # Long enough for the publisher to begin on a busy machine: nobody asks for it any more when this has given up.
        with pytest.raises(NoAnswerError, match="waiting for rts to publish wfs"):
            fleet.lab.call("mirror", source="rts:wfs", wait_s=5.0)
        wait_until(lambda: f"no free port to publish on: tried {port}" in fleet.rts.log, 5.0, "the reason")
    mirror = fleet.lab.mirror("rts:wfs")
    mirror.close()
    fleet.remove("rts:wfs", segment)


@contextmanager
def occupied_port() -> Iterator[int]:
    """A port that another program listens on; those after it are mostly free."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        yield other.getsockname()[1]


# -- the supervisor


def test_a_supervisor_that_is_stopped_leaves_nothing(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    segment = fleet.rts.create("wfs")
    fleet.lab.mirror("rts:wfs").close()
    fleet.rts.worker_pid("rts:wfs")
    assert fleet.lab.signal(signal.SIGTERM) == 0
    assert fleet.lab.left_behind() == []
    assert fleet.rts.signal(signal.SIGTERM) == 0
    assert fleet.rts.left_behind() == []
    # The number that no later master may have again, and what happened.
    assert all_keys(fleet.redis.address) == {b"daosup:epoch", b"daosup:events"}
    assert fleet.rts.path("wfs").exists()
    segment.unlink()
    segment.close()


def test_workers_may_be_told_to_end_with_their_supervisor_and_the_next_one_starts_over_the_leftovers(
    fleet: Fleet,
) -> None:
    fleet.add("lab").configure("[workers]\nsurvive_supervisor = false\n")
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        fleet.lab.signal(signal.SIGKILL)
        wait_until(lambda: not fleet.lab.processes(), 5.0, "its processes to end")
        assert fleet.lab.socket.exists()
        assert wfs.mirror.keywords["NET_LINK"] == 0
        fleet.lab.start()
        fleet.lab.worker_pid(wfs.source)  # the operator's mirrors are remembered
        wfs.mirror.check()
        wfs.check_going()
        wfs.mirror.close()
        fleet.lab.release(wfs.source)
        assert fleet.lab.signal(signal.SIGTERM) == 0
        assert fleet.lab.left_behind() == []
        fleet.lab.start()


def test_a_killed_owner_that_comes_back_is_mirrored_as_before(fleet: Fleet) -> None:
    with occupied_port() as port:
        fleet.add("rts", base_port=port + 1, port_count=20)
        fleet.start("rts", "lab")
        # Asked for against the order of their names: when the owner comes back, each gets the other's port.
        with stream(fleet, "wfs") as wfs, stream(fleet, "dm", (3, 1)) as dm:
            fleet.rts.kill_all()
            wait_until(lambda: wfs.mirror.keywords["NET_LINK"] == 0, 5.0, "the mirror to be marked stale")
            fleet.rts.start()
            for each in (wfs, dm):
                each.check_going(10.0)
                each.mirror.check()
                assert each.mirror.shape == each.segment.shape
                fleet.lab.worker_pid(each.source)


def test_a_second_supervisor_with_the_same_socket_says_so_and_ends(fleet: Fleet) -> None:
    fleet.start("rts")
    first = fleet.rts.pid
    second = fleet.rts.spawn_another()
    assert second.wait(15) == 69
    assert f"daosupd: another daosupd is running: it serves {fleet.rts.socket}; stop it" in fleet.rts.log
    assert fleet.rts.status()["pid"] == first


def test_a_wrong_configuration_is_told_in_full(fleet: Fleet) -> None:
    host = fleet.add("rts")
    host.config.write_text('host = "r t s"\nsegment_folder = 5\nhartbeat = 1\n[network]\nbase_pub_port = 80\n')
    host.spawn()
    assert host.wait() == 78
    for mistake in ("host", "segment_folder", "hartbeat", "network.base_pub_port"):
        assert mistake in host.log
    assert "Traceback" not in host.log
    assert host.left_behind() == []


#: Of an interpreter that is interrupted before it comes to our program, which then ends with 1.
PYTHON_HAD_NOT_BEGUN = ("Fatal Python error: init_", "Could not import runpy module")


@pytest.mark.parametrize("after_ms", [0, 50, 100, 200, 400, 800])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_a_start_that_is_interrupted_leaves_nothing(hosts: Fleet, number: signal.Signals, after_ms: int) -> None:
    host = Host("brief", hosts.folder / f"brief{after_ms}{number}", hosts.redis.tcp_address)
    host.spawn()
    due_s = time.monotonic() + after_ms / 1000
    wait_until(lambda: time.monotonic() >= due_s, 2.0, "the moment to interrupt")
    os.killpg(host.pid, number)
    assert host.wait() in (0, -number) or any(each in host.log for each in PYTHON_HAD_NOT_BEGUN)
    wait_until(lambda: not host.processes(), 1.0, "its processes to end")
    assert host.left_behind() == []
    assert not {key for key in all_keys(hosts.redis.address) if b"brief" in key}
