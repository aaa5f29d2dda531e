"""The .rpm: in a scratch root, and with its scriptlets on a host of its own, renewed and removed while it runs.

The host has Debian's rpm, and no database of what Debian brought; so dependencies are not looked at.
"""

from __future__ import annotations

import pytest

from tests.e2e.lab import Completed, Host
from tests.e2e.story import PACKAGES, UNITS, is_active, status

UNIT = UNITS["alpha"]
CONFIGURATION = "/etc/daosup/master.toml"


def _rpm(host: Host, *words: str, is_checked: bool = True) -> Completed:
    return host.run("bash", "-c", f"rpm --nodeps {' '.join(words)}", is_checked=is_checked)


@pytest.fixture(scope="module")
def installed(gamma: Host) -> Host:
    """Gamma with the package and its scriptlets, an instance that runs and the host's own Redis."""
    _rpm(gamma, "-i", f"{PACKAGES}/*.rpm")
    gamma.systemctl("start", "redis-server", UNIT)
    return gamma


def test_it_is_unpacked_below_any_root_and_taken_away(gamma: Host) -> None:
    at = ("--root=/scratch", "--noscripts")
    gamma.run("mkdir", "/scratch")
    _rpm(gamma, *at, "-i", f"{PACKAGES}/*.rpm")
    assert gamma.has("/scratch/usr/bin/daosupd")
    assert gamma.has("/scratch/usr/lib/systemd/system/daoserver@.service")
    assert _rpm(gamma, *at, "-V", "daosup").stdout == ""
    _rpm(gamma, *at, "-e", "daosup")
    assert gamma.run("find", "/scratch", "-name", "*daosup*", "-o", "-name", "*daoserver*").stdout == ""


def test_its_scriptlets_make_what_it_needs(installed: Host) -> None:
    assert status(installed)["registry"]["state"] == "up"
    assert _rpm(installed, "-V", "daosup").stdout == ""
    assert installed.enter("getent", "passwd", "dao").returncode == 0
    assert installed.run("find", "/usr/lib/daosup", "-name", "*.pyc").stdout


def test_a_newer_one_takes_over_what_runs(installed: Host) -> None:
    before = status(installed)
    pid = installed.properties(UNIT, "MainPID")
    _rpm(installed, "-U", "/packages/newer/*.rpm")
    assert status(installed)["version"] not in ("", before["version"])
    assert installed.properties(UNIT, "MainPID") == pid
    assert is_active(installed, UNIT)
    assert _rpm(installed, "-V", "daosup").stdout == ""


def test_removed_it_leaves_what_was_changed_and_nothing_else(installed: Host) -> None:
    installed.write(CONFIGURATION, installed.read(CONFIGURATION) + "# ours\n")
    _rpm(installed, "-e", "daosup")
    assert installed.enter("ps", "-o", "pid=,args=", "-u", "dao", is_checked=False).stdout == ""
    left = installed.run("find", "/usr", "/etc", "/run", "-path", "*daosup*", "-o", "-name", "*daoserver*").stdout
    assert left.split() == ["/etc/daosup", f"{CONFIGURATION}.rpmsave"]
    assert installed.systemctl("list-units", "--all", "--plain", "--no-legend", "dao*").stdout == ""
