"""Stopped, removed, purged: in the end nothing is left but what belongs to others."""

from __future__ import annotations

from tests.e2e.lab import Host
from tests.e2e.story import BEFORE, MIRROR, Story, files_of, is_active
from tests.e2e.telling import wait_for_notice

#: Where a package may leave traces that are no part of it: logs, what is kept of packages, what others write.
OTHERS = tuple(
    f"/var/{folder}/"
    for folder in ("log", "cache", "tmp", "lib/apt", "lib/dpkg", "lib/systemd", "lib/redis", "lib/PackageKit")
)
BACKUPS = {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"}


def _processes(host: Host) -> str:
    return host.enter("ps", "-o", "pid=,args=", "-u", "dao", is_checked=False).stdout


def test_a_stop_leaves_no_worker_and_no_mirror(streaming: Story) -> None:
    for host in (streaming.beta, streaming.alpha):
        since = host.cursor()
        host.systemctl("stop", streaming.unit(host))
        assert _processes(host) == ""
        wait_for_notice(host, "supervisor-stopped", since)
    assert not streaming.beta.has(MIRROR)
    assert streaming.beta.enter("ls", "/dev/shm").stdout.split() == []


def test_a_stop_leaves_the_segments_of_others(streaming: Story) -> None:
    alpha = streaming.alpha
    assert alpha.has("/tmp/cam.im.shm")
    assert is_active(alpha, "camera")
    assert any("cam" in name for name in alpha.enter("ls", "/dev/shm").stdout.split())


def test_what_is_removed_while_it_runs_is_stopped(streaming: Story) -> None:
    for host in (streaming.alpha, streaming.beta):
        host.systemctl("start", streaming.unit(host))
    streaming.stream()
    for host in (streaming.beta, streaming.alpha):
        host.run("apt", "remove", "--yes", "daosup")
        assert _processes(host) == ""
        assert not host.has("/usr/bin/daosupd")
        assert not host.has("/usr/lib/daosup")
        assert host.systemctl("is-enabled", streaming.unit(host), is_checked=False).returncode != 0
        assert host.systemctl("list-units", "--all", "--plain", "--no-legend", "dao*").stdout == ""
    assert not streaming.beta.has(MIRROR)
    assert 'host = "alpha"' in streaming.beta.read("/etc/daosup/minion.toml")
    assert streaming.alpha.has("/tmp/cam.im.shm")


def test_after_a_purge_nothing_is_left(streaming: Story) -> None:
    for host in (streaming.beta, streaming.alpha):
        host.run("apt", "purge", "--yes", "daosup")
        left = {
            path
            for path in files_of(host) - set(host.read(BEFORE).splitlines()) - BACKUPS
            if not path.startswith(OTHERS) or "daosup" in path
        }
        assert left == set(), f"left on {host.name}"
        for database in ("passwd", "group"):
            assert host.enter("getent", database, "dao", is_checked=False).returncode == 2
        assert not host.has("/run/daosup")
    assert streaming.alpha.has("/tmp/cam.im.shm")
