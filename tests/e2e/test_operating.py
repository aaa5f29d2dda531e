"""From one host at all others: who may look, who may change things, what is told; by the packages' own daemons."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.lab import Completed, Host
from tests.e2e.story import UNITS, USER, Story, worker
from tests.e2e.telling import notice, wait_for_notice
from tests.waiting import wait_until

#: In no group of ours, and with no home: may look.
ANYBODY = "nobody"
SECRET = "/etc/daosup/secret"
CONFIGURATIONS = {"alpha": "/etc/daosup/master.toml", "beta": "/etc/daosup/minion.toml"}


def _ctl(host: Host, *words: str, user: str) -> Completed:
    return host.run("daosupctl", *words, user=user, is_checked=False)


def test_anybody_looks_at_any_host(streaming: Story) -> None:
    looked = _ctl(streaming.beta, "status", "-H", "alpha", "--json", user=ANYBODY)
    assert (looked.returncode, looked.stderr) == (0, "")
    assert json.loads(looked.stdout)["host"] == "alpha"
    every = _ctl(streaming.beta, "status", "--all", "--json", user=ANYBODY)
    assert every.returncode == 0
    assert sorted(json.loads(every.stdout)) == ["alpha", "beta"]


def test_who_may_only_look_is_told_which_group_to_join(streaming: Story) -> None:
    for words in (["restart", "alpha:cam"], ["restart", "cam", "-H", "alpha"]):
        refused = _ctl(streaming.beta, *words, user=ANYBODY)
        assert (refused.returncode, refused.stdout) == (77, "")
        assert "group dao" in refused.stderr


def test_without_a_secret_no_host_changes_things_on_another(streaming: Story) -> None:
    refused = _ctl(streaming.beta, "restart", "cam", "-H", "alpha", user=USER)
    assert (refused.returncode, refused.stdout) == (77, "")
    assert "secret_file" in refused.stderr


@pytest.fixture
def trusting(streaming: Story) -> Iterator[Story]:
    """Both hosts with one secret, and as before in the end."""
    hosts = {CONFIGURATIONS[host.name]: host for host in (streaming.alpha, streaming.beta)}
    before = {file: host.read(file) for file, host in hosts.items()}
    for file, host in hosts.items():
        host.run("install", "-m", "640", "-g", "dao", "/dev/null", SECRET)
        host.write(SECRET, "the e2e tests' own secret, which is long enough\n")
        host.write(file, before[file].replace("#secret_file", "secret_file"))
        host.systemctl("reload", UNITS[host.name])
    yield streaming
    for file, host in hosts.items():
        host.write(file, before[file])
        host.systemctl("reload", UNITS[host.name])
        host.run("rm", SECRET)


def test_with_a_secret_members_of_the_group_change_things_on_other_hosts(trusting: Story) -> None:
    since = trusting.alpha.cursor()
    done = _ctl(trusting.beta, "restart", "cam", "-H", "alpha", user=USER)
    assert (done.returncode, done.stderr) == (0, "")
    told = wait_for_notice(trusting.alpha, "order-taken", since)
    assert told["PEER"] == "beta"
    wait_for_notice(trusting.alpha, "worker-ready", since, SEGMENT="cam")
    trusting.wait_for_frames()


def test_anybody_reads_what_happened_on_all_hosts_in_one_order(streaming: Story) -> None:
    since = streaming.beta.cursor()
    streaming.beta.run("daosupctl", "restart", "alpha:cam")
    wait_for_notice(streaming.beta, "worker-ready", since, SOURCE="alpha:cam")
    wait_until(lambda: worker(streaming.beta), 10, "beta's mirror")
    read = _ctl(streaming.beta, "logs", "--all", "--since", "10min", "--json", user=ANYBODY)
    assert (read.returncode, read.stderr) == (0, "")
    entries = [json.loads(line) for line in read.stdout.splitlines()]
    assert {entry["_HOSTNAME"] for entry in entries} == {"alpha", "beta"}
    assert notice("worker-ready") in {entry.get("MESSAGE_ID") for entry in entries}


def test_anybody_sees_the_events_of_all_hosts(streaming: Story) -> None:
    streaming.alpha.run("daosupctl", "restart", "cam")

    def seen() -> bool:
        told = _ctl(streaming.beta, "events", "alpha:cam", "--since", "10min", "--json", user=ANYBODY)
        events = [json.loads(line) for line in told.stdout.splitlines()]
        return told.returncode == 0 and ("alpha", "worker-ready") in {(each["host"], each["event"]) for each in events}

    wait_until(seen, 10, "beta to tell of alpha's worker")


def test_a_hook_runs_within_what_the_service_may_do(streaming: Story) -> None:
    beta, file, told = streaming.beta, CONFIGURATIONS["beta"], "/var/lib/daosup/told"
    before = beta.read(file)
    beta.write(file, before + f'\n[[hook]]\non = ["worker-ready"]\ncommand = ["/usr/bin/tee", "-a", "{told}"]\n')
    try:
        beta.systemctl("reload", UNITS["beta"])
        beta.run("daosupctl", "restart", "alpha:cam")
        wait_until(lambda: beta.has(told) and "alpha:cam" in beta.read(told), 10, "the hook to be told of it")
        assert beta.enter("stat", "-c", "%U", told).stdout.strip() == "dao"
    finally:
        beta.write(file, before)
        beta.systemctl("reload", UNITS["beta"])
        beta.enter("rm", "-f", told)
