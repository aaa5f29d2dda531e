"""daosupctl doctor beside real daemons: real causes are injected, and each is named with what to do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from daosup.adapters.machine_look import look_at_process
from tests.integration.dnet import free_udp_port, nodes
from tests.integration.fleet import Fleet, Host
from tests.integration.obstacles import WITHOUT_OVERRIDE
from tests.integration.registry_hosts import raw
from tests.integration.role_faults import WRONG_CLOCK
from tests.mounts import small
from tests.ports import free_port
from tests.segment_files import old_bytes
from tests.semaphores_seen import THIEF, sleepers
from tests.waiting import wait_until

DEADLINE_S = 30.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and see who waits in other processes")
Findings = list[dict[str, str]]


def doctor(host: Host, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(host.socket), "doctor", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, encoding="utf-8")


def examined(host: Host, *options: str) -> tuple[int, Findings]:
    """Exit code, and what is not fine."""
    done = doctor(host, "--json", *options)
    assert done.stderr == ""
    findings: Findings = json.loads(done.stdout)["findings"]
    return done.returncode, [each for each in findings if each["level"] not in ("ok", "skipped")]


def told(findings: Findings, check: str, level: str) -> str:
    """What one check says at a level, which it must."""
    said = [
        f"{each['message']}: {each['advice']}" for each in findings if (each["check"], each["level"]) == (check, level)
    ]
    assert said, f"{check} tells of no {level}: {findings}"
    return "\n".join(said)


@contextmanager
def reading(fleet: Fleet, name: str) -> Iterator[None]:
    """A segment of rts that lab mirrors, up and running."""
    segment = fleet.rts.create(name)
    try:
        with fleet.lab.mirror(f"rts:{name}"):
            fleet.rts.worker_pid(f"rts:{name}")
            yield
    finally:
        if fleet.rts.processes():
            fleet.remove(f"rts:{name}", segment)
        else:
            segment.unlink()
            segment.close()


@contextmanager
def waiting_on(semaphore: str, sleeping: int = 1) -> Iterator[int]:
    """A process of somebody else sleeps there."""
    thief = subprocess.Popen([sys.executable, "-c", THIEF, f"/{semaphore}"])
    try:
        wait_until(lambda: sleepers(semaphore) >= sleeping, what=f"{sleeping} sleepers on {semaphore}")
        yield thief.pid
    finally:
        thief.kill()
        thief.wait()


@needs_root
def test_a_host_that_is_well(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    with ExitStack() as stack:
        stack.enter_context(small(rts.segments, "64m"))
        stack.callback(rts.close)
        rts.start()
        segment = stack.enter_context(rts.create("wfs"))
        stack.callback(segment.unlink)
        done = doctor(rts)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.startswith("rts: 0 problems, 0 warnings, ")
        shown = doctor(rts, "-v").stdout
        for check in ("daemon", "registry", "clock", "address", "segments", "semaphores", "folders", "limits"):
            assert f"ok       {check}" in shown
        said = json.loads(doctor(rts, "--json").stdout)
        assert said.keys() == {"host", "instance", "version", "findings", "counts"}
        assert (said["host"], said["instance"]) == ("rts", "rts")
        assert said["counts"].keys() == {"ok", "skipped", "warning", "problem"}
        assert sum(said["counts"].values()) == len(said["findings"])
        assert all(each.keys() == {"check", "level", "message", "advice"} for each in said["findings"])


def test_two_hosts_that_share_segments_have_only_one_machine_in_common(hosts: Fleet) -> None:
    with reading(hosts, "well"):
        for host in (hosts.rts, hosts.lab):
            _, found = examined(host)
            assert {each["check"] for each in found} <= {"fleet", "folders"}
            assert "2 hosts tell one address, 127.0.0.1: lab, rts" in told(found, "fleet", "warning")
        assert "127.0.0.1 answers, tried from here, for 1 publisher" in doctor(hosts.rts, "-v").stdout
        assert "1 other host told of a clock that agrees" in doctor(hosts.rts, "-v").stdout


def test_an_address_that_is_not_ours(fleet: Fleet) -> None:
    fleet.add("rts", advertise="203.0.113.7")
    fleet.start("rts")
    code, found = examined(fleet.rts)
    assert code == 2
    assert "203.0.113.7, which others are told, is no address of this machine" in told(found, "address", "problem")
    assert "set network.advertise" in told(found, "address", "problem")


def test_loopback_told_to_hosts_elsewhere(fleet: Fleet) -> None:
    fleet.add("far", advertise="203.0.113.7")
    fleet.start("rts", "far")
    assert "where each finds itself (loopback)" in told(examined(fleet.rts)[1], "address", "problem")


def test_a_reader_that_does_not_get_through(hosts: Fleet) -> None:
    with hosts.rts.create("walled") as segment:
        value = {"host": "obs", "ip": "203.0.113.9", "beat": 1, "instance": "abc", "protocol": 2}
        raw(hosts.redis.address, ("HSET", "daosup:readers:rts", "walled|obs", json.dumps(value)))
        raw(hosts.redis.address, ("PUBLISH", "daosup:notify:rts", '{"kind": "readers", "source": "rts:walled"}'))

        def is_old() -> bool:
            row = hosts.rts.worker("rts:walled")
            return row is not None and row["uptime_s"] > 3.0

        wait_until(is_old, 15.0, "a publisher that nobody subscribes to")
        said = told(examined(hosts.rts)[1], "readers", "problem")
        assert "obs: written down as reader of walled" in said
        assert "a firewall on the way" in said
        raw(hosts.redis.address, ("HDEL", "daosup:readers:rts", "walled|obs"))
        segment.unlink()


@pytest.mark.parametrize("how", ["gone", "frozen"])
def test_redis_that_is(fleet: Fleet, how: str) -> None:
    fleet.start("rts")
    assert fleet.redis.pid is not None
    if how == "gone":
        fleet.redis.stop()
    else:
        os.kill(fleet.redis.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: fleet.rts.status()["registry"]["state"] == "down", 15.0, "the daemon to notice")
        code, found = examined(fleet.rts)
    finally:
        if how == "frozen":
            os.kill(fleet.redis.pid, signal.SIGCONT)
    assert code == 2
    said = told(found, "registry", "problem")
    assert "cannot be reached" in said if how == "gone" else "did not answer within" in said
    assert "streams go on" in said


def test_an_owner_that_was_killed_and_then_forgotten(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with reading(fleet, "wfs"):
        fleet.rts.kill_all()
        wait_until(lambda: fleet.lab.worker("rts:wfs")["link"] == "down", 10.0, "the mirror to notice")  # type: ignore[index]
        wait_until(lambda: fleet.lab.worker("rts:wfs")["uptime_s"] > 3.0, 10.0, "the mirror to be settled")  # type: ignore[index]
        code, found = examined(fleet.lab)
        assert code == 2
        assert "rts:wfs: no link; tcp://127.0.0.1:" in told(found, "mirrors", "problem")
        assert "refuses the connection" in told(found, "mirrors", "problem")
        raw(fleet.redis.address, *(("UNLINK", key) for key in raw(fleet.redis.address, ("KEYS", "dao*:rts*"))[0]))
        _, found = examined(fleet.lab)
        assert "its owner is gone, host rts is not in the registry" in told(found, "mirrors", "problem")


@needs_root
@pytest.mark.parametrize("groups", [[], [4242, 4243]], ids=["none", "some"])
def test_a_daemon_of_supplementary_groups(groups: list[int]) -> None:
    with subprocess.Popen(["sleep", "60"], extra_groups=groups) as process:
        try:
            look = look_at_process(process.pid)
        finally:
            process.kill()
    assert look is not None
    assert look.groups == {os.getegid(), *groups}


@needs_root
def test_a_segment_folder_that_is_full(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    with small(rts.segments, "1m"):
        rts.start()
        ballast = rts.segments / "ballast"
        ballast.write_bytes(bytes(900_000))
        code, found = examined(rts)
        assert code == 2
        assert "as good as full" in told(found, "folders", "problem")
        assert "remount,size=" in told(found, "folders", "problem")
        ballast.unlink()
        assert "as good as full" not in str(examined(rts)[1])
        rts.close()


@needs_root
def test_a_segment_folder_that_the_daemon_sees_otherwise(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    rts.start()
    with small(rts.segments, "1m"):
        assert "the daemon sees another" not in str(examined(rts)[1])  # a mount is the same for all
    rts.close()
    script = f'mount -t tmpfs none {rts.segments} && exec "$@"'
    rts.launcher = ["unshare", "-m", "sh", "-c", script, "sh"]
    rts.start()
    assert "it has mounts of its own" in told(examined(rts)[1], "folders", "problem")


def test_segments_of_old_layouts(hosts: Fleet) -> None:
    path = hosts.rts.path("oldwfs")
    path.write_bytes(old_bytes((8, 8), "uint16", layout="v0"))
    try:
        hosts.rts.wait_for_segment("oldwfs")
        code, found = examined(hosts.rts)
        assert code in (1, 2)
        assert "oldwfs: of the old layout v0 (before April 2026)" in told(found, "layouts", "warning")
    finally:
        path.unlink()


def test_files_that_are_no_segments(hosts: Fleet) -> None:
    path = hosts.rts.path("odd")
    path.write_bytes(b"garbage" * 1000)
    try:
        refused = lambda: hosts.rts.status()["segment_folder"]["refused"]  # noqa: E731
        wait_until(refused, what="it to be refused")
        said = told(examined(hosts.rts)[1], "segments", "problem")
        assert "odd is not served" in said
        assert "not a DAO segment" in said
    finally:
        path.unlink()


@needs_root
def test_a_segment_and_semaphores_that_the_daemon_may_not_use(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    rts.launcher = [sys.executable, "-c", WITHOUT_OVERRIDE]
    with rts.create("shown") as shown, rts.create("hidden") as hidden:
        os.chown(rts.path("hidden"), 65534, 65534)
        os.chmod(rts.path("hidden"), 0o600)
        os.chown("/dev/shm/sem.shown_sem09", 65534, 65534)
        os.chmod("/dev/shm/sem.shown_sem09", 0o600)
        rts.start()
        wait_until(lambda: rts.status()["segment_folder"]["refused"], what="it to be refused")
        found = examined(rts)[1]
        assert "hidden is not served" in told(found, "segments", "problem")
        assert "or let its user (uid 0) at it" in told(found, "segments", "problem")
        assert "shown: daosupd may not wait on its semaphore" in told(found, "semaphores", "warning")
        rts.close()
        shown.unlink()
        hidden.unlink()


def test_clocks_that_are_off(fleet: Fleet) -> None:
    off, right = fleet.add("off"), fleet.add("right")
    off.spawn(before=WRONG_CLOCK.format(ahead_s=3600.0))
    off.wait_up()
    right.start()
    assert "this host's clock is 1 h ahead of Redis's: set that clock" in told(examined(off)[1], "clock", "problem")
    assert "the clock of off is 1 h ahead of Redis's: on off" in told(examined(right)[1], "clock", "warning")


def test_a_daemon_that_does_not_run(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    code, found = examined(rts, "--config", str(rts.config))
    assert code == 2
    assert "systemctl start daoserver@rts" in told(found, "daemon", "problem")
    assert {each["check"] for each in found} <= {"daemon", "folders"}
    rts.configure("[log]\nlevel = 3\n")
    fleet.redis.stop()
    found = examined(rts, "--config", str(rts.config))[1]
    assert "log.level is 3" in told(found, "configuration", "problem")
    assert "no daemon starts" in told(found, "configuration", "problem")


def test_redis_is_looked_at_without_a_daemon(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    fleet.redis.stop()
    assert "cannot be reached" in told(examined(rts, "--config", str(rts.config))[1], "registry", "problem")


def test_a_daemon_that_hangs(fleet: Fleet) -> None:
    fleet.start("rts")
    os.kill(fleet.rts.pid, signal.SIGSTOP)
    try:
        code, found = examined(fleet.rts, "--config", str(fleet.rts.config))
    finally:
        os.kill(fleet.rts.pid, signal.SIGCONT)
    assert code == 2
    assert "systemctl kill -s KILL daoserver@rts; streams go on" in told(found, "daemon", "problem")


def test_a_configuration_that_would_be_refused(fleet: Fleet) -> None:
    fleet.start("rts")
    text = fleet.rts.config.read_text()
    fleet.rts.configure("[log]\nlevel = 3\n")
    assert "refused at the next reload, and then no daemon starts" in told(
        examined(fleet.rts)[1], "configuration", "problem"
    )
    os.kill(fleet.rts.pid, signal.SIGHUP)
    wait_until(lambda: fleet.rts.status()["config"]["mistakes"], what="it to be refused")
    fleet.rts.config.write_text(text)
    said = told(examined(fleet.rts)[1], "configuration", "warning")
    assert "the last reload was refused" in said
    assert "on disk it is right by now" in said


def test_nodes_of_daos_own_network_service(fleet: Fleet, tmp_path: Path) -> None:
    beacon_port, port = free_udp_port(), free_port()
    dnet = f"[dnet]\nenable = true\nbeacon_port = {beacon_port}\n"
    rts, lab = fleet.add("rts"), fleet.add("lab")
    rts.configure(f'{dnet}data_port = {port}\ninterface = "127.0.0.1"\n')
    lab.configure(f'{dnet}data_port = {free_port()}\ninterface = "203.0.113.7"\n')
    with socket.create_server(("127.0.0.1", port)):
        fleet.start("rts", "lab")
        assert "cannot be joined, so no node is heard" in told(examined(lab)[1], "dnet", "problem")
        unsent = "no node finds this host: no beacon can be sent to 239.255.77.10 by 203.0.113.7"
        wait_until(lambda: unsent in str(examined(lab)[1]), DEADLINE_S, "the gate to find that it is not heard")
        assert "cannot find this host" in lab.log
        why = "does that service run on this host itself?"
        wait_until(lambda: why in str(examined(rts)[1]), DEADLINE_S, "the gate to find its port taken")
    rts.call("restart", name="gate", wait_s=DEADLINE_S)
    wait_until(lambda: rts.status()["uptime_s"] > 7.0, what="beacons to have had the time to come")
    assert "no node of domain dao is heard at 239.255.77.10" in told(examined(rts)[1], "dnet", "warning")
    with nodes(tmp_path, beacon_port, "cam"):
        wait_until(lambda: rts.status()["dnet"]["nodes"], what="cam to be heard")
        assert "1 node heard, with 0 segments" in doctor(rts, "-v").stdout
        rts.call("stop", name="gate")
        assert "its gate is stopped" in doctor(rts, "-v").stdout
    rts.call("start", name="gate")


def rows_of(host: Host, kind: str) -> list[dict[str, Any]]:
    return [row for row in host.status()["workers"] if row["kind"] == kind]


def test_a_look_is_no_fault_of_whoever_looks(hosts: Fleet) -> None:
    with reading(hosts, "looked_at"):
        for _ in range(2):
            _, found = examined(hosts.rts)
            assert {each["check"] for each in found} <= {"fleet", "folders"}
        assert [row["rejected"] for row in rows_of(hosts.rts, "publisher")] == [0]


@needs_root
def test_two_that_wait_on_one_semaphore(hosts: Fleet) -> None:
    segment = hosts.rts.create("shared")
    with waiting_on("shared_sem09") as thief:
        said = told(examined(hosts.rts)[1], "semaphores", "warning")
        assert f"/shared_sem09 is waited on by python (pid {thief})".replace("python", _command(thief)) in said
        with hosts.lab.mirror("rts:shared"):
            publisher = hosts.rts.worker_pid("rts:shared")
            wait_until(lambda: sleepers("shared_sem09") >= 2, what="both to sleep")
            code, found = examined(hosts.rts)
            assert code == 2
            said = told(found, "semaphores", "problem")
            assert "/shared_sem09 is waited on by 2 processes, who steal each other's frames" in said
            assert f"publisher (pid {publisher})" in said
            assert f"(pid {thief})" in said
            with waiting_on("remote_rts_shared_sem02"), waiting_on("remote_rts_shared_sem02", 2):
                said = told(examined(hosts.lab)[1], "semaphores", "problem")
                assert "/remote_rts_shared_sem02 is waited on by 2 processes" in said
            assert "remote_rts_shared" not in str(examined(hosts.lab)[1])  # the dead still count as asleep there
    hosts.remove("rts:shared", segment)


@needs_root
def test_a_mirror_is_no_segment_of_its_host_whatever_it_is_called(fleet: Fleet) -> None:
    rts, lab = fleet.add("rts"), fleet.add("lab")
    lab.configure('[mirrors]\nname = "{name}_of_{host}"\nlayout = "v0"\n')
    fleet.start("rts", "lab")
    with rts.create("wfs") as segment:
        lab.call("mirror", source="rts:wfs", wait_s=20)
        with waiting_on("wfs_of_rts_sem09"):
            found = examined(lab)[1]
        assert "wfs_of_rts: of the old layout v0 (before April 2026)" in told(found, "layouts", "warning")
        assert {each["check"] for each in found} <= {"fleet", "folders", "layouts"}
        # One that is written back waits for who writes into it.
        lab.call("release", source="rts:wfs")
        lab.call("mirror", source="rts:wfs", wait_s=20, bidirectional=True)
        worker = lab.worker_pid("rts:wfs")
        wait_until(lambda: sleepers("wfs_of_rts_sem09") >= 1, what="the mirror's worker to sleep")
        assert "sem09" not in str(examined(lab)[1])
        with waiting_on("wfs_of_rts_sem09", 2) as thief:
            said = told(examined(lab)[1], "semaphores", "problem")
            assert "/wfs_of_rts_sem09 is waited on by 2 processes" in said
            assert f"mirror (pid {worker})" in said
            assert f"(pid {thief})" in said
        fleet.remove("rts:wfs", segment)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_an_instance_that_cannot_be_is_a_mistake_of_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daosup.ctl", "doctor", "--instance", "a/b"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (64, "")
