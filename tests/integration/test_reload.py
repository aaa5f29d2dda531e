"""The configuration read anew under running streams: what changes, what does not, and what is refused."""

from __future__ import annotations

import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daosup.adapters.control_client import ControlClient
from daosup.errors import ConfigError, DeniedError
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import filming, stream, undisturbed, wait_for_frames
from tests.waiting import wait_until

NOTICED_S = 10.0


@pytest.fixture(autouse=True)
def configured_as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test changed in the configuration of a host that others use is changed back."""
    if "hosts" not in request.fixturenames:
        yield
        return
    fleet = request.getfixturevalue("hosts")
    before = {host: host.config.read_text() for host in (fleet.rts, fleet.lab)}
    yield
    for host, text in before.items():
        host.config.write_text(text)
        host.call("reload")


def configure(host: Host, tables: str = "", *, top: str = "") -> None:
    """Write a host's configuration with more in it than it began with."""
    original = host.folder / "original.toml"
    if not original.exists():
        original.write_text(host.config.read_text())
    host.config.write_text(f"{top}\n{original.read_text()}\n{tables}")


def mistakes(host: Host) -> list[str]:
    found: list[str] = host.status()["config"]["mistakes"]
    return found


def row_of(host: Host, source: str) -> dict[str, object]:
    rows = [row for row in host.status()["workers"] if row["source"] == source]
    return rows[0] if rows else {}


def test_a_wrong_file_is_refused_whole_and_costs_no_frame(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, undisturbed(wfs):
        configure(hosts.lab, '[log]\nlevel = "loud"\n[[mirror]]\nsource = "rts:wfs"\n[mirrors]\nmode = "0600"\n')
        os.kill(hosts.lab.pid, signal.SIGHUP)
        wait_until(lambda: mistakes(hosts.lab), NOTICED_S, "the mistake in the status")
        [mistake] = mistakes(hosts.lab)
        assert "log.level is 'loud', not one of" in mistake
        assert "configuration refused; the one before stays in force" in hosts.lab.log
        assert row_of(hosts.lab, wfs.source)["holders"] == ["operator"]
        with pytest.raises(ConfigError, match=r"log\.level is 'loud'"):
            hosts.lab.call("reload")
        hosts.lab.config.unlink()
        with pytest.raises(ConfigError, match="cannot be read: No such file"):
            hosts.lab.call("reload")
        configure(hosts.lab)
        assert hosts.lab.call("reload") == {"changed": [], "needs_restart": []}
        assert mistakes(hosts.lab) == []


def test_a_mirror_comes_and_goes_with_its_table_and_touches_no_other(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, undisturbed(wfs):
        dm = hosts.rts.create("dm", (3, 1))
        configure(hosts.lab, '[[mirror]]\nsource = "rts:dm"\n')
        assert hosts.lab.call("reload") == {"changed": ["mirror"], "needs_restart": []}
        hosts.lab.worker_pid("rts:dm")
        assert hosts.lab.path("remote_rts_dm").exists()
        with pytest.raises(
            DeniedError, match=r"rts:dm is in the configuration, .*lab\.toml; take its \[\[mirror\]\] out"
        ):
            hosts.lab.release("rts:dm")
        assert row_of(hosts.lab, "rts:dm")["holders"] == ["[[mirror]]"]
        configure(hosts.lab)
        hosts.lab.call("reload")
        wait_until(lambda: not row_of(hosts.lab, "rts:dm"), NOTICED_S, "the mirror to be gone")
        wait_until(lambda: not hosts.lab.path("remote_rts_dm").exists(), NOTICED_S, "its file to be gone")
        wait_until(lambda: not row_of(hosts.rts, "rts:dm"), NOTICED_S, "the publisher to end")
        dm.unlink()
        dm.close()


def test_a_configured_mirror_waits_patiently_for_its_host(fleet: Fleet) -> None:
    configure(fleet.add("lab"), '[[mirror]]\nsource = "rts:wfs"\nlayout = "v0"\n')
    fleet.start("lab")
    row = wait_until(lambda: row_of(fleet.lab, "rts:wfs"), NOTICED_S, "the mirror")
    assert row["state"] == "waiting"
    wait_until(lambda: row_of(fleet.lab, "rts:wfs")["reason"] == "host rts is not in the registry", NOTICED_S, "why")
    fleet.start("rts")
    segment = fleet.rts.create("wfs")
    fleet.lab.worker_pid("rts:wfs")
    assert "ERROR" not in fleet.lab.log.upper()
    fleet.rts.signal(signal.SIGTERM)
    fleet.rts.start()
    mirror = fleet.lab.mirror("rts:wfs")
    assert mirror.geometry.layout.value == "v0"
    with filming(segment):
        wait_for_frames(mirror)
    mirror.close()
    segment.unlink()
    segment.close()


def test_how_mirrors_are_made_replaces_mirrors_alone(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs:
        publisher, mirror = hosts.rts.worker_pid(wfs.source), hosts.lab.worker_pid(wfs.source)
        configure(hosts.lab, '[mirrors]\nmode = "0640"\n')
        assert hosts.lab.call("reload")["changed"] == ["mirrors.mode"]
        again = hosts.lab.worker_pid(wfs.source, other_than=mirror)
        assert again != mirror
        for file in (hosts.lab.path("remote_rts_wfs"), Path("/dev/shm/sem.remote_rts_wfs_sem00")):
            assert stat.S_IMODE(file.stat().st_mode) == 0o640
        wfs.mirror.check()  # the same file: who reads it goes on
        wfs.check_going()
        assert hosts.rts.worker_pid(wfs.source) == publisher
        configure(hosts.lab, '[mirrors]\nmode = "0640"\n[[mirror]]\nsource = "rts:wfs"\nlayout = "v0"\n')
        hosts.lab.call("reload")
        hosts.lab.worker_pid(wfs.source, other_than=again)
        wait_until(lambda: wfs.reopen().geometry.layout.value == "v0", NOTICED_S, "the other layout")
        wfs.check_going()
        configure(hosts.lab)
        hosts.lab.call("reload")


def test_a_publisher_that_waits_otherwise_keeps_its_port_and_its_reader(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs:
        publisher, mirror = hosts.rts.worker_pid(wfs.source), hosts.lab.worker_pid(wfs.source)
        port = row_of(hosts.rts, wfs.source)["port"]
        configure(hosts.rts, "[publish]\nsemaphore = 8\n")
        assert hosts.rts.call("reload")["changed"] == ["publish.semaphore"]
        hosts.rts.worker_pid(wfs.source, other_than=publisher)
        assert row_of(hosts.rts, wfs.source)["port"] == port
        wfs.check_going()
        wfs.mirror.check()
        assert hosts.lab.worker_pid(wfs.source) == mirror


def test_publishers_move_into_the_ports_that_are_allowed_now(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, stream(hosts, "dm", (3, 1)) as dm:
        before = int(str(row_of(hosts.rts, wfs.source)["port"]))
        first = 20000 if before > 30000 else 40000
        hosts.rts.config.write_text(
            re.sub(r"base_pub_port = \d+", f"base_pub_port = {first}\nport_count = 500", hosts.rts.config.read_text())
        )
        assert hosts.rts.call("reload")["changed"] == ["network.port_count", "network.base_pub_port"]

        def are_inside() -> bool:
            ports = [row["port"] for row in hosts.rts.status()["workers"] if row["state"] == "running"]
            return len(ports) == 2 and all(first <= port < first + 500 for port in ports)

        wait_until(are_inside, NOTICED_S, "publishers inside the new ports")
        wfs.check_going(10.0)
        dm.check_going(10.0)


def test_what_may_not_be_published_any_more_is_withdrawn_and_comes_back(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, stream(hosts, "dm", (3, 1)) as dm, undisturbed(dm):
        configure(hosts.rts, '[publish]\nexclude = ["w*"]\n')
        hosts.rts.call("reload")
        wait_until(lambda: not row_of(hosts.rts, wfs.source), NOTICED_S, "the publisher to end")
        assert [each["name"] for each in hosts.rts.status()["segments"]] == ["dm"]
        [rts] = [each for each in hosts.lab.call("machines") if each["hostname"] == "rts"]
        assert [each["name"] for each in rts["segments"]] == ["dm"]
        configure(hosts.rts)
        hosts.rts.call("reload")
        wfs.check_going(10.0)


def test_what_needs_a_restart_is_named_everywhere_and_the_rest_takes_effect(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, undisturbed(wfs):
        text = hosts.lab.config.read_text()
        hosts.lab.config.write_text(text.replace('host = "lab"', 'host = "desk"') + '[log]\nlevel = "debug"\n')
        outcome = hosts.lab.call("reload")
        assert outcome == {"changed": ["log.level"], "needs_restart": ["host"]}
        status = hosts.lab.status()
        assert (status["host"], status["config"]["needs_restart"]) == ("lab", ["host"])
        assert "needs a restart" in hosts.lab.log
        hosts.lab.config.write_text(text)
        hosts.lab.call("reload")
        assert hosts.lab.status()["config"]["needs_restart"] == []


def test_a_new_heartbeat_takes_effect_and_a_new_role_waits_for_a_restart(hosts: Fleet) -> None:
    before = hosts.lab.status()["role"]
    other = "minion" if before == "master" else "master"
    configure(hosts.lab, top=f'role = "{other}"\nheartbeat_interval_s = 5')
    told = hosts.lab.call("reload")
    assert (told["changed"], told["needs_restart"]) == (["heartbeat_interval_s"], ["role"])
    assert hosts.lab.status()["role"] == before
    configure(hosts.lab)
    assert hosts.lab.call("reload")["needs_restart"] == []


def test_a_storm_of_signals_to_the_whole_service_costs_nothing(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, undisturbed(wfs):
        for number in range(100):
            level = "debug" if number % 2 else "info"
            configure(hosts.lab, f'[log]\nlevel = "{level}"\n[[mirror]]\nsource = "rts:dm{number}"\n')
            os.killpg(hosts.lab.pid, signal.SIGHUP)  # fork server and workers, too
        wait_until(lambda: row_of(hosts.lab, "rts:dm99"), NOTICED_S, "the last configuration to be in force")
        configured = [row["source"] for row in hosts.lab.status()["workers"] if row["holders"] == ["[[mirror]]"]]
        assert configured == ["rts:dm99"]


def test_a_daemon_that_was_started_in_a_terminal_ends_with_it(fleet: Fleet) -> None:
    lab = fleet.add("lab")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "daosup.daosupd", "--config", str(lab.config)])
    try:
        with ControlClient(wait_until(lambda: lab.socket.exists() and lab.socket, 15.0, "its socket")) as client:
            wait_until(lambda: client.call("status"), NOTICED_S, "it to serve")
            os.kill(pid, signal.SIGHUP)  # while there is a terminal, as everywhere
            status = client.call("status")
            assert isinstance(status, dict)
    finally:
        os.close(terminal)
    wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, NOTICED_S, "it to end")
    assert not lab.socket.exists()


def test_daosupctl_reload_tells_what_changed_or_is_wrong(hosts: Fleet) -> None:
    def ctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "daosup.ctl", "--socket", str(hosts.lab.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    configure(hosts.lab, '[log]\nlevel = "debug"\n')
    done = ctl("reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the configuration is in force; changed: log.level\n"
    configure(hosts.lab, "[network]\n[log]\nlevle = 5\n")
    done = ctl("reload")
    assert (done.returncode, done.stdout) == (78, "")
    assert "is not valid TOML" in done.stderr
    configure(hosts.lab, '[log]\nlevle = 5\nlevel = "x"\n')
    done = ctl("reload")
    assert done.returncode == 78
    assert [line.startswith("daosupctl: ") for line in done.stderr.splitlines()] == [True, True]
    assert "refused, the one before is in force: " in ctl("status").stdout
