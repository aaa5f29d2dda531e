"""Who may do what over the control socket: everybody looks, and some change things."""

from __future__ import annotations

import grp
import json
import os
import socket
from contextlib import ExitStack

import pytest

from daosup.adapters import control
from tests.integration.commands import NOBODY, daosupctl
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture(autouse=True)
def reached(request: pytest.FixtureRequest) -> None:
    """Other users get as far as the sockets."""
    for name in ("hosts", "fleet"):
        if name in request.fixturenames:
            request.getfixturevalue(name).folder.chmod(0o755)


def test_everybody_may_look(hosts: Fleet) -> None:
    done = daosupctl(hosts.lab, "status", "--json", user=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["host"] == "lab"
    assert daosupctl(hosts.lab, "ls", user=NOBODY).returncode == 0


@pytest.mark.parametrize("words", ["stop cam", "mirror rts:cam", "release rts:cam", "reload", "reexec", "keep rts:cam"])
def test_who_may_only_look_changes_nothing_and_is_told_why(hosts: Fleet, words: str) -> None:
    before = hosts.lab.status()["config"]["loaded_utc"]
    done = daosupctl(hosts.lab, *words.split(), user=NOBODY)
    assert (done.returncode, done.stdout) == (77, "")
    assert "you may look, but not change anything: only root may; use sudo" in done.stderr
    assert done.stderr.count("\n") == 1
    assert hosts.lab.status()["config"]["loaded_utc"] == before
    assert hosts.lab.mirrored() == []


def test_the_group_of_the_socket_may_change_things(fleet: Fleet) -> None:
    group = _some_group()
    fleet.add("rts").configure(f'[control]\ngroup = "{group.gr_name}"\n')
    fleet.start("rts")
    assert daosupctl(fleet.rts, "reload", user=NOBODY, groups=(group.gr_gid,)).returncode == 0
    refused = daosupctl(fleet.rts, "reload", user=NOBODY, groups=(group.gr_gid + 1,))
    assert refused.returncode == 77
    assert f"join the group {group.gr_name} (usermod -aG {group.gr_name} USER" in refused.stderr


def test_what_the_mode_narrows_stays_narrow(fleet: Fleet) -> None:
    fleet.add("rts").configure('[control]\nmode = "0660"\n')
    fleet.start("rts")
    refused = daosupctl(fleet.rts, "status", user=NOBODY)
    assert refused.returncode == 77
    assert "you may not use" in refused.stderr


def test_those_who_look_leave_room_for_those_who_change_things(hosts: Fleet) -> None:
    with ExitStack() as stack:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            lookers = [stack.enter_context(_connected(str(hosts.lab.socket))) for _ in range(control.MAX_LOOKING)]
            one_more = stack.enter_context(_connected(str(hosts.lab.socket)))
        finally:
            os.seteuid(0)
            os.setegid(0)
        assert b"clients already; close some" in one_more.recv(1 << 16)
        assert hosts.lab.status()["host"] == "lab"
        assert len(lookers) == control.MAX_LOOKING
    wait_until(lambda: daosupctl(hosts.lab, "status", user=NOBODY).returncode == 0, 5.0, "room again")


def _connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10.0)
    connection.connect(path)
    return connection


def _some_group() -> grp.struct_group:
    return next(each for each in grp.getgrall() if each.gr_gid not in (0, NOBODY))
