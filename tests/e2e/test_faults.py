"""What breaks while frames flow, what becomes of the frames, and what systemd and the journal say of it."""

from __future__ import annotations

import time

import pytest

from tests.e2e.frames import Seen
from tests.e2e.lab import Host
from tests.e2e.story import MIRROR, MOST_MISSED, USER, Story, is_active, measured, status, worker
from tests.e2e.telling import UNIT_FAILED, wait_for_notice
from tests.waiting import wait_until

OUTAGE_S = 20.0


def whole(streaming: Story, began_ns: int, what: str) -> Seen:
    """What was seen since then, while ``what`` happened; nothing of it may be torn or old."""
    seen = streaming.frames.since(began_ns)
    measured(what, seen)
    assert seen.torn == 0
    assert seen.backward == 0
    return seen


def assert_nothing_lost(seen: Seen) -> None:
    """Frames went on as if nothing had happened."""
    assert seen.longest_gap <= MOST_MISSED
    assert seen.delay_s < 0.5


@pytest.mark.parametrize(
    ("name", "signal", "result", "within_s"),
    [("alpha", "STOP", "watchdog", 25), ("alpha", "KILL", "signal", 10), ("beta", "KILL", "signal", 10)],
    ids=["hangs", "is killed", "is killed on the mirror's host"],
)
def test_a_supervisor_that(streaming: Story, name: str, signal: str, result: str, within_s: float) -> None:
    host: Host = getattr(streaming, name)
    unit, since, began_ns = streaming.unit(host), host.cursor(), time.time_ns()
    pid, worker_pid = streaming.main_pid(host), worker(host)["pid"]
    host.enter("kill", f"-{signal}", str(pid))
    wait_until(
        lambda: streaming.main_pid(host) not in (0, pid) and is_active(host, unit), within_s, "systemd to start it anew"
    )
    streaming.wait_for_frames()
    assert_nothing_lost(whole(streaming, began_ns, f"supervisor of {name}: SIG{signal}"))
    assert [entry["UNIT_RESULT"] for entry in host.journal(since=since, UNIT=unit, MESSAGE_ID=UNIT_FAILED)] == [result]
    wait_for_notice(host, "workers-left", since)
    assert wait_for_notice(host, "worker-adopted", since)["WORKER_PID"] == str(worker_pid)
    assert worker(host)["pid"] == worker_pid


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_a_worker_that_is_killed_is_replaced(streaming: Story, name: str) -> None:
    host: Host = getattr(streaming, name)
    since, began_ns, pid = host.cursor(), time.time_ns(), worker(host)["pid"]
    host.enter("kill", "-KILL", str(pid))
    wait_until(lambda: worker(host).get("pid", pid) != pid, 10, "another worker")
    streaming.wait_for_frames()
    seen = whole(streaming, began_ns, f"worker of {name}: SIGKILL")
    assert seen.delay_s < 3
    died = wait_for_notice(host, "worker-died", since, WORKER_PID=str(pid))
    assert died["SEGMENT"] == {"alpha": "cam", "beta": "remote_alpha_cam"}[name]
    assert died["WORKER_KIND"] == {"alpha": "publisher", "beta": "mirror"}[name]
    assert streaming.main_pid(host) > 0


def test_a_cable_that_is_pulled_and_plugged_in(streaming: Story) -> None:
    beta = streaming.beta
    since, began_ns = beta.cursor(), time.time_ns()
    with beta.unplugged():
        wait_until(lambda: streaming.frames.since(began_ns).silence_s > OUTAGE_S, OUTAGE_S + 10, "an outage")
        assert worker(beta)["link"] != "up"
        assert beta.has(MIRROR)
    joined_ns = time.time_ns()
    wait_until(lambda: streaming.frames.since(joined_ns).count, 20, "frames after the cable was plugged in")
    measured("first frame after the cable was plugged in", f"{streaming.frames.since(joined_ns).first_s:.2f} s")
    streaming.wait_for_frames()
    whole(streaming, began_ns, "cable of beta out for 20 s")
    assert wait_for_notice(beta, "link-down", since)["PEER"] == "alpha"
    assert wait_for_notice(beta, "link-up", since)["PEER"] == "alpha"
    wait_until(lambda: status(beta)["registry"]["state"] == "up", 20, "beta to be with Redis again")


def test_a_host_whose_power_is_cut_comes_back_with_its_mirrors(streaming: Story) -> None:
    beta = streaming.beta
    beta.run("daosupctl", "keep", "alpha:cam", user=USER)
    began_ns = time.time_ns()
    beta.power_cut()
    beta.boot()
    wait_until(lambda: beta.has(MIRROR), 20, "the mirror to come back by itself")
    streaming.check()
    whole(streaming, began_ns, "power of beta cut")
    assert is_active(beta, streaming.unit(beta))


def test_redis_may_be_away(streaming: Story) -> None:
    hosts = (streaming.alpha, streaming.beta)
    since, began_ns = [host.cursor() for host in hosts], time.time_ns()
    streaming.alpha.systemctl("stop", "redis-server")
    try:
        for host in hosts:
            wait_until(lambda host=host: _status_line(streaming, host).startswith("degraded: "), 10, "it to be told")
            assert status(host)["registry"]["state"] != "up"
        streaming.wait_for_frames(int(OUTAGE_S * 200), OUTAGE_S * 2)
    finally:
        streaming.alpha.systemctl("start", "redis-server")
    for host, cursor in zip(hosts, since):
        wait_until(lambda host=host: status(host)["registry"]["state"] == "up", 20, "Redis to be found again")
        wait_for_notice(host, "registry-away", cursor)
        wait_for_notice(host, "registry-connected", cursor)
    streaming.wait_for_frames()
    assert_nothing_lost(whole(streaming, began_ns, "Redis away for 20 s"))


def _status_line(story: Story, host: Host) -> str:
    return host.properties(story.unit(host), "StatusText")["StatusText"]
