"""``daosupctl logs`` on the hosts: who may read, what is shown, how it ends; by the real journalctl and ssh."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pexpect
import pytest

from daosup.core.notices import BY_NAME
from tests.e2e.lab import Completed, Host
from tests.e2e.story import MIRROR, UNITS, USER, Story
from tests.e2e.telling import notice, wait_for_notice
from tests.waiting import wait_until

MEMBER = "watcher"
NAME = MIRROR.rpartition("/")[2].partition(".")[0]


def _logs(host: Host, *words: str, user: str = "") -> Completed:
    return host.run("daosupctl", "logs", *words, user=user, is_checked=False)


@pytest.fixture(scope="module")
def beta(streaming: Story) -> Host:
    """Beta, with a user who is in group systemd-journal, and a story to read: its worker was restarted."""
    beta = streaming.beta
    if beta.enter("id", MEMBER, is_checked=False).returncode:
        beta.run("useradd", "--create-home", "--groups", "systemd-journal", MEMBER)
    since = beta.cursor()
    beta.run("daosupctl", "restart", "alpha:cam")
    wait_for_notice(beta, "worker-ready", since, SOURCE="alpha:cam")
    return beta


@pytest.mark.parametrize("user", ["", MEMBER])
@pytest.mark.parametrize("name", ["alpha:cam", NAME])
def test_a_mirrors_story_is_read_by_root_and_the_journals_group(beta: Host, user: str, name: str) -> None:
    read = _logs(beta, name, "--json", "--since", "10min", user=user)
    assert (read.returncode, read.stderr) == (0, "")
    entries = [json.loads(line) for line in read.stdout.splitlines()]
    assert {entry["SOURCE"] for entry in entries} == {"alpha:cam"}
    assert notice("worker-ready") in {entry["MESSAGE_ID"] for entry in entries}


def test_who_may_not_read_is_told_how_to(beta: Host) -> None:
    read = _logs(beta, user=USER)
    assert "usermod -aG systemd-journal" in read.stderr
    assert (read.returncode, read.stdout) == (77, "")


def test_what_to_do_is_told_beside(beta: Host) -> None:
    read = _logs(beta, "alpha:cam", "-x", user=MEMBER)
    assert read.returncode == 0
    assert BY_NAME["worker-ready"].explanation in read.stdout


def test_one_instance_is_read_alone(beta: Host) -> None:
    none = _logs(beta, "--instance", "master")
    assert none.returncode == 69
    assert "nothing of daoserver@master" in none.stderr
    assert _logs(beta, "--instance", "minion", "-n", "1").stdout


def test_what_happens_is_followed_until_ctrl_c(beta: Host) -> None:
    terminal = beta.terminal("daosupctl", "logs", "-f", "-n", "0")
    try:
        since = beta.cursor()
        wait_until(lambda: "journalctl" in beta.enter("ps", "-eo", "args").stdout, 10, "journalctl to begin")
        beta.systemctl("reload", UNITS["beta"])
        told = wait_for_notice(beta, "configuration-read", since)["MESSAGE"]
        terminal.expect_exact(told)
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        assert "Traceback" not in terminal.before
    finally:
        terminal.close(force=True)


@pytest.fixture
def reached(streaming: Story, beta: Host) -> Iterator[Host]:
    """Alpha with an ssh server that lets the watcher of beta in, who is in its group systemd-journal."""
    alpha = streaming.alpha
    if alpha.enter("id", MEMBER, is_checked=False).returncode:
        alpha.run("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "systemd-journal", MEMBER)
    folder = f"/home/{MEMBER}/.ssh"
    for host in (alpha, beta):
        host.run("mkdir", "-pm700", folder, user=MEMBER)
    beta.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/id_ed25519", user=MEMBER)
    beta.run("sh", "-c", f"echo StrictHostKeyChecking accept-new >{folder}/config", user=MEMBER)
    alpha.run("tee", f"{folder}/authorized_keys", user=MEMBER, text=beta.read(f"{folder}/id_ed25519.pub"))
    alpha.run("dropbearkey", "-t", "ed25519", "-f", "/run/ssh_key")
    alpha.start("ssh-server", "dropbear", "-r", "/run/ssh_key", "-F", "-E", "-s")
    wait_until(
        lambda: beta.run("ssh", "alpha", "true", user=MEMBER, is_checked=False).returncode == 0, 20, "ssh to answer"
    )
    yield alpha
    alpha.systemctl("stop", "ssh-server")
    alpha.run("rm", "/run/ssh_key")
    for host in (alpha, beta):
        host.run("rm", "-r", folder)


def test_another_hosts_journal_is_read_by_ssh(reached: Host, beta: Host) -> None:
    read = _logs(beta, "--host", f"{MEMBER}@alpha", "--json", "-n", "5", "cam", user=MEMBER)
    assert (read.returncode, read.stderr) == (0, "")
    assert {json.loads(line)["_HOSTNAME"] for line in read.stdout.splitlines()} == {"alpha"}


def test_a_host_that_ssh_does_not_reach_is_told(beta: Host) -> None:
    read = _logs(beta, "--host", f"{MEMBER}@alpha", user=MEMBER)
    assert (read.returncode, read.stdout) == (69, "")
    assert "alpha cannot be reached by ssh" in read.stderr


@pytest.mark.parametrize("user", ["", USER])
def test_the_daemons_tell_everybody_what_they_wrote(beta: Host, user: str) -> None:
    read = _logs(beta, "--all", "--json", "-n", "5", user=user)
    assert (read.returncode, read.stderr) == (0, "")
    assert {json.loads(line)["HOST"] for line in read.stdout.splitlines()} >= {"alpha", "beta"}
