"""Packages installed, units started, as README says: what systemd shows of it."""

from __future__ import annotations

import re

import pytest

from tests.e2e.story import Story, measured, status
from tests.waiting import wait_until


def test_readme_brings_both_hosts_up(serving: Story) -> None:
    for host in (serving.alpha, serving.beta):
        facts = host.properties(serving.unit(host), "ActiveState", "SubState", "NRestarts", "Result")
        assert facts == {"ActiveState": "active", "SubState": "running", "NRestarts": "0", "Result": "success"}
        assert status(host)["registry"]["state"] == "up"


def test_a_start_returns_when_the_host_serves(serving: Story) -> None:
    beta = serving.beta
    beta.systemctl("restart", serving.unit(beta))
    assert status(beta)["registry"]["state"] == "up"
    listed = serving.alpha.enter("daosupctl", "ls", "--json").stdout
    assert '"beta"' in listed


def test_status_tells_role_and_redis(serving: Story) -> None:
    for host, role, redis in ((serving.alpha, "master", "localhost"), (serving.beta, "minion", "alpha")):
        shown = host.systemctl("status", serving.unit(host)).stdout
        line = re.search(r'Status: "(.*)"', shown)
        assert line, shown
        assert role in line[1]
        assert redis in line[1]


def test_one_command_shows_all_of_it(serving: Story) -> None:
    shown = serving.alpha.systemctl("status", "daosup.slice").stdout
    assert "daoserver@master.service" in shown
    assert str(serving.main_pid(serving.alpha)) in shown


@pytest.mark.parametrize("unit", ["daoserver@master.service", "daosup-access@master.service"])
def test_it_can_do_little_harm(serving: Story, unit: str) -> None:
    told = serving.alpha.enter("systemd-analyze", "security", "--no-pager", unit).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert level, told
    measured(f"systemd-analyze security {unit}", level[1])
    assert float(level[1]) <= 3.0


def test_it_runs_as_its_own_user(serving: Story) -> None:
    for host in (serving.alpha, serving.beta):
        unit = serving.unit(host)
        running = host.enter(
            "ps", "-o", "user=", "--pid", str(serving.main_pid(host)), "--ppid", str(serving.main_pid(host))
        )
        assert set(running.stdout.split()) == {"dao"}, unit


def test_a_host_starts_without_redis_and_says_so(serving: Story) -> None:
    alpha = serving.alpha
    alpha.systemctl("stop", "redis-server")
    try:
        alpha.systemctl("restart", serving.unit(alpha))
        shown = alpha.properties(serving.unit(alpha), "ActiveState", "StatusText")
        assert shown["ActiveState"] == "active"
        assert shown["StatusText"].startswith("degraded: "), shown
    finally:
        alpha.systemctl("start", "redis-server")
    wait_until(lambda: status(alpha)["registry"]["state"] == "up", 20, "Redis to be found")
