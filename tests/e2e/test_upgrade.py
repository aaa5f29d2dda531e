"""A newer package is installed while frames flow."""

from __future__ import annotations

import time

import pytest

from tests.e2e.lab import Host
from tests.e2e.readme import typed
from tests.e2e.story import NEWER, Story, measured, status, worker
from tests.e2e.telling import wait_for_notice
from tests.waiting import wait_until

#: A worker of the new version takes the place of the old one: at 200 frames a second, that many may be lost.
MOST_LOST = 400


@pytest.mark.parametrize("name", ["beta", "alpha"])
def test_the_newer_version_takes_over_while_frames_flow(streaming: Story, name: str) -> None:
    host: Host = getattr(streaming, name)
    pid, old, old_worker = streaming.main_pid(host), status(host)["version"], worker(host)["pid"]
    configured = host.read(f"/etc/daosup/{status(host)['instance']}.toml")
    since, began_ns = host.cursor(), time.time_ns()
    (install,) = (command for command in typed(starting="apt install ./") if command.host == name)
    streaming.type(install, NEWER)
    wait_until(lambda: status(host).get("version") not in (None, old), 20, "the newer version")
    wait_until(lambda: worker(host).get("pid", old_worker) != old_worker, 30, "a worker of the newer version")
    streaming.wait_for_frames()
    seen = streaming.frames.since(began_ns)
    measured(f"upgrade of {name}", seen)
    assert seen.torn == 0
    assert seen.backward == 0
    assert seen.lost <= MOST_LOST
    assert streaming.main_pid(host) == pid
    assert host.read(f"/etc/daosup/{status(host)['instance']}.toml") == configured
    running = host.systemctl("list-units", "--plain", "--no-legend", "daoserver@*").stdout.split()
    assert [word for word in running if word.startswith("daoserver@")] == [streaming.unit(host)]
    wait_for_notice(host, "supervisor-replaced", since)
