"""What operators want to last: over restarts and reboots, whatever becomes of the file it is kept in."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daosup.errors import NotFoundError, UnavailableError, UsageError
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import stream, undisturbed
from tests.waiting import wait_until

NOTICED_S = 10.0


def state_file(host: Host) -> Path:
    return host.state / f"{host.name}.json"


def written(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(state_file(host).read_text())
    return found


def row_of(host: Host, source: str) -> dict[str, Any]:
    rows = [row for row in host.status()["workers"] if row["source"] == source]
    return rows[0] if rows else {}


def restart(host: Host, number: signal.Signals = signal.SIGTERM) -> None:
    host.signal(number)
    if number == signal.SIGTERM:
        wait_until(lambda: not host.processes(), NOTICED_S, "its processes to end")
    host.start()


def ctl(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(host.socket), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# -- over restarts


def test_keep_waits_for_its_host_if_it_is_to_and_keeps_it_if_that_does_not_come(fleet: Fleet) -> None:
    fleet.start("lab")
    done = ctl(fleet.lab, "keep", "rts:wfs", "--wait", "0.3")
    assert (done.returncode, done.stdout) == (69, "")
    assert "rts:wfs is kept, but does not run yet: " in done.stderr
    assert "(waited 0.3 s)" in done.stderr
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(fleet.lab.socket), "keep", "rts:wfs", "--wait", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        fleet.start("rts")
        segment = fleet.rts.create("wfs")
        told, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, told) == (0, "rts:wfs is kept as remote_rts_wfs from now on: running\n")
    assert row_of(fleet.lab, "rts:wfs")["state"] == "running"
    fleet.remove("rts:wfs", segment)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_kept_mirror_is_back_after_a_restart_and_a_released_one_is_not(fleet: Fleet, number: signal.Signals) -> None:
    fleet.start("rts", "lab")
    segment = fleet.rts.create("wfs")
    done = ctl(fleet.lab, "mirror", "rts:wfs", "--keep")
    assert done.returncode == 0, done.stderr
    assert "will be after every restart" in done.stdout
    restart(fleet.lab, number)
    fleet.lab.worker_pid("rts:wfs")
    assert "--keep" in row_of(fleet.lab, "rts:wfs")["holders"]
    fleet.lab.release("rts:wfs")
    assert written(fleet.lab)["kept_mirrors"] == []
    restart(fleet.lab, number)
    assert fleet.lab.mirrored() == []
    segment.unlink()
    segment.close()


def test_what_is_kept_waits_for_its_host(fleet: Fleet) -> None:
    fleet.start("lab")
    done = ctl(fleet.lab, "keep", "rts:wfs")
    assert done.stdout.startswith("rts:wfs is kept as remote_rts_wfs from now on: waiting")
    with pytest.raises(NotFoundError):
        fleet.lab.call("mirror", source="rts:dm", keep=True, wait_s=5)
    assert written(fleet.lab)["kept_mirrors"] == ["rts:wfs"]
    restart(fleet.lab)
    fleet.start("rts")
    segment = fleet.rts.create("wfs")
    fleet.lab.worker_pid("rts:wfs")
    segment.unlink()
    segment.close()


def test_a_stopped_segment_is_not_published_until_it_is_started(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm", (3, 1)) as dm:
        with undisturbed(dm):
            done = ctl(fleet.rts, "stop", "wfs")
            assert (done.returncode, done.stdout) == (0, "publisher rts:wfs: stopped\n"), done.stderr
            assert row_of(fleet.rts, wfs.source)["pid"] is None
            assert ctl(fleet.rts, "status").returncode == 0  # nothing is wrong
            fleet.rts.call("stop", name="rts:wfs")  # the same, and so already
        restart(fleet.rts)
        dm.check_going(10.0)
        assert row_of(fleet.rts, wfs.source)["state"] == "stopped"
        wait_until(lambda: wfs.mirror.keywords["NET_LINK"] == 0, NOTICED_S, "the mirror to be marked stale")
        with pytest.raises(UnavailableError, match="wfs is stopped; `daosupctl start wfs` starts it"):
            fleet.rts.call("restart", name="wfs")
        done = ctl(fleet.rts, "start", "wfs", "--json")
        assert json.loads(done.stdout) == {
            "worker": "publisher",
            "source": "rts:wfs",
            "state": "running",
            "reason": None,
        }
        wfs.check_going(10.0)
        assert written(fleet.rts)["stopped_segments"] == []


def test_a_stopped_mirror_keeps_its_file_and_costs_its_owner_nothing(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        fleet.lab.call("keep", source=wfs.source)
        done = ctl(fleet.lab, "stop", wfs.source)
        assert (done.returncode, done.stdout) == (0, "mirror rts:wfs: stopped\n")
        wfs.mirror.check()
        assert wfs.mirror.keywords["NET_LINK"] == 0
        wait_until(lambda: not row_of(fleet.rts, wfs.source), NOTICED_S, "the publisher to end")
        with pytest.raises(UnavailableError, match="rts:wfs is stopped on this host; `daosupctl start rts:wfs`"):
            fleet.lab.mirror(wfs.source)
        restart(fleet.lab)
        assert row_of(fleet.lab, wfs.source)["state"] == "stopped"
        assert fleet.lab.call("start", name=wfs.source)["state"] == "running"
        wfs.reopen()
        wfs.check_going(10.0)


def test_names_that_nobody_knows_are_told(hosts: Fleet) -> None:
    for command in ("stop", "start", "restart"):
        with pytest.raises(NotFoundError, match="this host has no segment nothing"):
            hosts.lab.call(command, name="nothing")
        with pytest.raises(NotFoundError, match="rts:nothing is not mirrored here"):
            hosts.lab.call(command, name="rts:nothing")
        with pytest.raises(UsageError):
            hosts.lab.call(command, name="a/b")
        with pytest.raises(UsageError):
            hosts.lab.call(command)
    with pytest.raises(UsageError, match="lab:wfs is a segment of this host itself"):
        hosts.lab.call("keep", source="lab:wfs")
    for holder in ("[[mirror]]", "--keep"):
        with pytest.raises(UsageError, match="which no program can be called"):
            hosts.lab.call("mirror", source="rts:wfs", holder=holder)
    assert not state_file(hosts.lab).exists()


def test_a_restart_replaces_one_process_and_nothing_else(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs, stream(hosts, "dm", (3, 1)) as dm, undisturbed(dm):
        publisher, mirror = hosts.rts.worker_pid(wfs.source), hosts.lab.worker_pid(wfs.source)
        done = ctl(hosts.lab, "restart", wfs.source)
        assert (done.returncode, done.stdout) == (0, "mirror rts:wfs: running\n"), done.stderr
        assert row_of(hosts.lab, wfs.source)["pid"] not in (None, mirror)
        wfs.check_going()
        assert hosts.rts.worker_pid(wfs.source) == publisher
        port = row_of(hosts.rts, wfs.source)["port"]
        assert hosts.rts.call("restart", name="wfs")["state"] == "running"
        assert row_of(hosts.rts, wfs.source)["port"] == port
        wfs.check_going()
    idle = hosts.rts.create("idle")
    assert hosts.rts.call("restart", name="idle") == {
        "worker": "publisher",
        "source": "rts:idle",
        "state": "idle",
        "reason": "nobody reads it",
    }
    idle.unlink()
    idle.close()


# -- the file


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00garbage",
        b"[" * 100_000,
        b'{"format": 2, "kept": ["rts:wfs"]}',
        b'{"format": 1, "kept_mirrors": ["/etc/passwd"], "stopped_mirrors": [], "stopped_segments": []}',
        b'{"format": 1, "kept_mirrors": [], "stopped_mirrors": [], "stopped_segments": ["../x"]}',
        b'{"format":1,"kept_mirrors":[],"stopped_mirrors":[],"stopped_segments":[],"mirror_names":{"rts:a":"/"}}',
        b" " * (5 << 20),
    ],
    ids=["empty", "garbage", "too deep", "another version", "no source", "no name", "no mirror's name", "too long"],
)
def test_a_file_that_is_no_state_is_set_aside(fleet: Fleet, content: bytes) -> None:
    lab = fleet.add("lab")
    lab.state.mkdir()
    state_file(lab).write_bytes(content)
    fleet.start("lab")
    broken = state_file(lab).with_name("lab.json.broken")
    assert broken.read_bytes() == content
    assert "kept mirrors and stopped segments are forgotten" in lab.log
    assert str(broken) in lab.log
    assert "Traceback" not in lab.log
    lab.call("keep", source="rts:wfs")
    restart(lab)
    assert lab.mirrored() == ["rts:wfs"]


def test_something_else_than_a_file_is_set_aside(fleet: Fleet) -> None:
    lab = fleet.add("lab")
    lab.state.mkdir()
    os.mkfifo(state_file(lab))
    fleet.start("lab")
    assert "it is no regular file" in lab.log
    lab.call("keep", source="rts:wfs")
    assert written(lab)["kept_mirrors"] == ["rts:wfs"]


def test_a_folder_that_cannot_be_written_is_told_and_changes_nothing(fleet: Fleet) -> None:
    lab = fleet.add("lab")
    lab.state.write_text("in the way")
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, undisturbed(wfs):
        done = ctl(lab, "stop", wfs.source)
        assert done.returncode == 69
        assert f"{state_file(lab)} cannot be written: File exists; check that {lab.state} has room" in done.stderr
        done = ctl(lab, "mirror", wfs.source, "--keep")
        assert done.returncode == 69
        assert row_of(lab, wfs.source)["holders"] == ["operator"]  # it was mirrored before
        with pytest.raises(UnavailableError):
            lab.call("mirror", source="rts:dm", keep=True, wait_s=5)
        assert lab.mirrored() == [wfs.source]  # and not rts:dm, which was not
    lab.state.unlink()
    lab.call("keep", source="rts:wfs")
    assert written(lab)["kept_mirrors"] == ["rts:wfs"]


def test_a_file_that_cannot_be_read_is_left_alone(fleet: Fleet) -> None:
    lab = fleet.add("lab")
    lab.state.mkdir()
    state_file(lab).symlink_to(state_file(lab))
    fleet.start("lab")
    why = f"{state_file(lab)} cannot be read: Too many levels of symbolic links"
    assert lab.status()["state_error"] == why
    assert why in lab.log
    assert why in ctl(lab, "status").stdout
    with pytest.raises(UnavailableError, match="so it is not overwritten: mend that, then restart daosupd"):
        lab.call("keep", source="rts:wfs")
    assert state_file(lab).is_symlink()


def test_a_full_disk_is_told_and_loses_nothing(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    lab = fleet.lab
    with stream(fleet, "wfs") as wfs:
        lab.call("keep", source=wfs.source)
        before = state_file(lab).read_bytes()
        with undisturbed(wfs):
            # As on a disk without room, each write to a file fails from here on.
            limits = resource.prlimit(lab.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            try:
                with pytest.raises(UnavailableError, match=r"lab\.json cannot be written: File too large"):
                    lab.call("keep", source="rts:dm")
                with pytest.raises(UnavailableError, match="cannot be written"):
                    lab.call("stop", name=wfs.source)
            finally:
                resource.prlimit(lab.pid, resource.RLIMIT_FSIZE, limits)
            assert state_file(lab).read_bytes() == before
            assert list(lab.state.iterdir()) == [state_file(lab)]
            assert lab.mirrored() == [wfs.source]
        lab.call("keep", source="rts:dm")
        assert written(lab)["kept_mirrors"] == ["rts:dm", "rts:wfs"]
        restart(lab)
        assert set(lab.mirrored()) == {"rts:dm", "rts:wfs"}
        lab.release("rts:dm")


_SAVE_FOR_EVER = """
import sys
from pathlib import Path
from daosup.adapters.state_file import StateFile
file = StateFile(Path(sys.argv[1]))
print("ready", flush=True)
number = 0
while True:
    number += 1
    file.write(bytes(str(number % 10), "ascii") * 100_000)
"""


def _wait_for_another(path: Path) -> None:
    def inode() -> int:
        return path.stat().st_ino if path.exists() else 0

    before = inode()
    wait_until(lambda: inode() not in (0, before), NOTICED_S, "another state to be written")


def test_a_process_killed_while_it_saves_leaves_one_whole_state(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lab.json"
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOR_EVER, str(path)], stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            _wait_for_another(path)
            process.kill()
        content = path.read_bytes()
        assert len(content) == 100_000
        assert len(set(content)) == 1
        assert len(list(path.parent.iterdir())) <= 2  # and what was half written, which the next one takes
