"""What a daemon tells the service manager, through a real notification socket."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from daosup.adapters.redis_link import blocking_link
from daosup.adapters.systemd import Systemd
from tests.integration.fleet import Fleet, Host
from tests.integration.notified import NotifySocket
from tests.waiting import wait_until

DEADLINE_S = 20.0


@pytest.fixture
def host(fleet: Fleet, manager: NotifySocket) -> Host:
    return fleet.add("rts")


def wait_ready(manager: NotifySocket) -> None:
    wait_until(lambda: "READY=1" in manager.listen(), DEADLINE_S, "the daemon to be ready")


def wait_for_status(manager: NotifySocket, *words: str) -> str:
    return wait_until(
        lambda: manager.last("STATUS") if all(word in manager.last("STATUS") for word in words) else "",
        DEADLINE_S,
        f"a status with {words}",
    )


def test_ready_is_told_once_the_registry_knows_the_host(fleet: Fleet, host: Host, manager: NotifySocket) -> None:
    host.spawn()
    wait_ready(manager)
    with blocking_link(fleet.redis.address) as run:
        assert run([("GET", "dao:machines:rts:hostname")]) == [b"rts"]
    at = manager.heard.index("READY=1")
    assert manager.heard[at + 1] == f"STATUS=master; Redis {fleet.redis.tcp_address}; 0 workers up"


def test_a_manager_that_does_not_read_keeps_nobody_from_serving(host: Host, manager: NotifySocket) -> None:
    filler = Systemd()
    for _ in range(1000):
        filler.feed_watchdog()
    host.start()
    manager.forget()
    wait_ready(manager)
    filler.close()


def test_a_host_without_its_registry_is_ready_and_degraded(fleet: Fleet, host: Host, manager: NotifySocket) -> None:
    fleet.redis.stop()
    host.spawn()
    wait_ready(manager)
    wait_for_status(manager, "degraded: ", "is away since", "streams go on")
    fleet.redis.start()
    wait_until(lambda: not manager.last("STATUS").startswith("degraded"), DEADLINE_S, "the host to be well again")


def test_a_second_master_is_never_ready(fleet: Fleet, host: Host, manager: NotifySocket) -> None:
    host.start("--role", "master")
    wait_ready(manager)
    manager.forget()
    second = fleet.add("lab")
    second.spawn("--role", "master")
    # Read all the while: one that ends does not wait for ever for a manager that does not.
    wait_until(lambda: manager.values("ERRNO"), DEADLINE_S, "why it failed")
    assert second.wait() == 69
    # The first one still speaks, through the same socket.
    (failure,) = [each for each in manager.values("STATUS") if each.startswith("failed: ")]
    assert "rts" in failure
    assert "READY=1" not in manager.heard


def test_a_wrong_configuration_tells_why(host: Host, manager: NotifySocket) -> None:
    host.configure("[log]\nlevel = 'loud'\ncolour = 'red'\n")
    host.spawn()
    assert host.wait() == 78
    assert int(manager.last("ERRNO")) > 0
    assert manager.last("STATUS").startswith("failed: ")
    assert "1 more" in manager.last("STATUS")


def test_the_loop_feeds_the_watchdog(host: Host, manager: NotifySocket) -> None:
    host.spawn()
    wait_ready(manager)
    manager.forget()
    began_s = time.monotonic()
    wait_until(lambda: len(manager.values("WATCHDOG")) >= 8, DEADLINE_S, "the watchdog to be fed")
    assert time.monotonic() - began_s > 1.0, "it is fed by each turn of the loop, not in a burst"


def test_a_stopped_daemon_does_not_feed_it(host: Host, manager: NotifySocket) -> None:
    host.spawn()
    wait_ready(manager)
    os.kill(host.pid, signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{host.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", 5.0, "a stop")
    manager.forget()
    os.kill(host.pid, signal.SIGCONT)
    wait_until(lambda: manager.values("WATCHDOG"), DEADLINE_S, "the watchdog to be fed again")


def test_a_reload_is_told_from_beginning_to_end(host: Host, manager: NotifySocket) -> None:
    host.spawn()
    wait_ready(manager)
    manager.forget()
    host.call("reload")
    told = [each for each in manager.listen() if each in ("RELOADING=1", "READY=1")]
    assert told == ["RELOADING=1", "READY=1"]
    assert "refused" not in manager.last("STATUS")


def test_a_reload_that_is_refused_ends_too_and_says_so(host: Host, manager: NotifySocket) -> None:
    host.spawn()
    wait_ready(manager)
    manager.forget()
    good = host.config.read_text()
    host.configure("nonsense = 1\n")
    with pytest.raises(Exception, match="nonsense"):
        host.call("reload")
    told = [each for each in manager.listen() if each in ("RELOADING=1", "READY=1")]
    assert told == ["RELOADING=1", "READY=1"]
    assert "new configuration refused" in manager.last("STATUS")
    host.config.write_text(good)
    host.call("reload")
    assert "refused" not in manager.last("STATUS")


def test_a_stop_is_told_when_it_begins_and_asks_for_time(host: Host, manager: NotifySocket) -> None:
    host.spawn()
    wait_ready(manager)
    manager.forget()
    host.signal(signal.SIGTERM)
    told = [each.partition("=")[0] for each in manager.listen()]
    assert "STOPPING" in told
    assert "EXTEND_TIMEOUT_USEC" in told[told.index("STOPPING") :]
    assert manager.last("STATUS").startswith("stopping: ")


def test_workers_are_counted_in_the_status(fleet: Fleet, host: Host, manager: NotifySocket) -> None:
    host.configure('[[mirror]]\nsource = "lab:cam"\n')
    host.start()
    second = fleet.add("lab")
    second.start()
    with second.create("cam") as cam:
        wait_for_status(manager, "1 workers up")
        cam.unlink()
