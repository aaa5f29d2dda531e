"""A supervisor that is killed costs no frame: workers go on, and the next supervisor takes them over."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daosup.adapters.process_handle import start_time_of
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.processes_seen import is_alive, processes_of_session, stat_of
from tests.integration.steps import stepping
from tests.integration.streams import filming, stream, wait_for_frames, wait_for_value
from tests.waiting import wait_until


def workers_folder(host: Host) -> Path:
    return host.runtime / f"{host.name}.workers"


# -- a supervisor that is killed


@pytest.mark.parametrize("killed", [("rts",), ("lab",), ("rts", "lab")], ids=["owner", "reader", "both"])
def test_no_frame_is_lost_when_supervisors_are_killed(fleet: Fleet, killed: tuple[str, ...]) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        with stepping(wfs) as steps:
            for name in killed:
                fleet.hosts[name].signal(signal.SIGKILL)
            steps.more(300)
            for name in killed:
                fleet.hosts[name].start()
        row = fleet.lab.worker(wfs.source)
        assert row is not None
        assert row["link"] == "up"
    # What was adopted is stopped like any other worker.
    for host in (fleet.rts, fleet.lab):
        assert host.signal(signal.SIGTERM) == 0
        assert host.left_behind() == []


def test_a_supervisor_that_is_killed_again_and_again_costs_no_frame(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stepping(wfs):
        for _ in range(4):
            fleet.rts.signal(signal.SIGKILL)
            fleet.rts.start()
            fleet.rts.worker_pid(wfs.source)


def test_a_supervisor_that_stands_still_for_a_while_costs_no_frame(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stepping(wfs) as steps:
        os.kill(fleet.lab.pid, signal.SIGSTOP)
        steps.more(1000)
        os.kill(fleet.lab.pid, signal.SIGCONT)


def test_what_was_mirrored_but_does_not_run_is_remembered(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        pid = fleet.lab.worker_pid(wfs.source)
        fleet.lab.signal(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        fleet.lab.start()
        assert fleet.lab.worker_pid(wfs.source) != pid
        wfs.check_going()
        assert fleet.lab.mirrored() == [wfs.source]


def test_a_mirror_that_a_program_held_goes_on_until_that_has_found_the_new_supervisor(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    segment = fleet.rts.create("wfs")
    segment.write(np.full((16, 16), 1, "uint16"))
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, "rts:wfs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DAOSUP_SOCKET": str(fleet.lab.socket)},
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:
        assert reader.stdout.readline() == "1\n"
        pid = fleet.lab.worker_pid("rts:wfs")
        fleet.lab.signal(signal.SIGKILL)
        fleet.lab.start()
        # Held again by the program: the operator's release is not needed, and nobody else holds it in the end.
        segment.write(np.full((16, 16), 2, "uint16"))
        assert reader.stdout.readline() == "2\n"
        assert fleet.lab.worker_pid("rts:wfs") == pid
    finally:
        reader.communicate(timeout=20)
    segment.unlink()
    segment.close()


READER = """
import sys, daosup
segment = daosup.open(sys.argv[1])
counter = segment.counter
print(int(segment.read().flat[0]), flush=True)
counter = segment.wait(counter, timeout_s=60)
print(int(segment.read().flat[0]), flush=True)
sys.stdin.read()
"""


def test_workers_without_a_successor_end_by_themselves(fleet: Fleet) -> None:
    fleet.add("lab").configure("[workers]\norphan_grace_s = 2.0\n")
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stream(fleet, "hung") as hung:
        pid = fleet.lab.worker_pid(hung.source)
        fleet.lab.signal(signal.SIGKILL)
        assert is_alive(pid)
        wait_until(lambda: not fleet.lab.processes(), 15.0, "its workers to end")
        assert wfs.mirror.keywords["NET_LINK"] == 0
        wfs.mirror.check()
        fleet.lab.start()
        for each in (wfs, hung):
            fleet.lab.worker_pid(each.source)
            each.check_going()


# -- what is found


def test_only_records_of_living_workers_are_believed(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        pids = [host.worker_pid(wfs.source) for host in (fleet.rts, fleet.lab)]
        fleet.lab.signal(signal.SIGKILL)
        folder = workers_folder(fleet.lab)
        record = json.loads((folder / "mirror.rts.wfs.worker").read_text())

        def forge(name: str, **changed: object) -> Path:
            made = dict(record, **changed)
            made["order"] = {**record["order"], "key": ["mirror", "rts", name]}
            path = folder / f"mirror.rts.{name}.worker"
            path.write_text(json.dumps(made))
            return path

        dead = subprocess.Popen(["true"])
        dead.wait()
        forge("dead", pid=dead.pid)
        forge("unlocked", pid=os.getpid(), start_time=start_time_of(os.getpid()))
        forged = (forge("reused", pid=os.getpid()), forge("strange", pid="1"), forge("init", pid=1))
        held = [lock(path) for path in forged]
        (folder / "garbage.worker").write_bytes(os.urandom(5000))
        held.append(lock(folder / "garbage.worker"))
        (folder / "deep.worker").write_text("[" * 50_000)
        held.append(lock(folder / "deep.worker"))
        (folder / "folder.worker").mkdir()
        (folder / "loop.worker").symlink_to(folder / "loop.worker")
        os.mkfifo(folder / "fifo.worker")
        (folder / "mirrors").write_text('[[1, {}, "rts:wfs", "nothing", "rts:../../etc/passwd", null], 5]')
        (folder / "supervisor").write_bytes(b"\0" * 500)
        fleet.lab.start()
        try:
            assert [host.worker_pid(wfs.source) for host in (fleet.rts, fleet.lab)] == pids
            assert fleet.lab.mirrored() == [wfs.source]
            assert not (folder / "mirror.rts.dead.worker").exists()
            assert not (folder / "mirror.rts.unlocked.worker").exists()
            wfs.check_going()
        finally:
            for fd in held:
                os.close(fd)
    assert fleet.lab.signal(signal.SIGTERM) == 0
    assert fleet.lab.left_behind() == []


def lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def test_a_worker_that_cannot_be_adopted_runs_alone_and_is_adopted_once_it_can(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        pid = fleet.lab.worker_pid(wfs.source)
        fleet.lab.signal(signal.SIGKILL)
        record = workers_folder(fleet.lab) / "mirror.rts.wfs.worker"
        text = record.read_text()
        record.write_text("{")
        fleet.lab.start()
        wait_until(lambda: fleet.lab.log.count("another process does its work already") > 1, 15.0, "others to give up")
        wfs.check_going()
        record.write_text(text)
        assert wait_until(lambda: (fleet.lab.worker(wfs.source) or {}).get("pid"), 30.0, "it to be adopted") == pid
        wfs.check_going()


def test_workers_that_are_told_otherwise_now_are_replaced(fleet: Fleet) -> None:
    fleet.add("rts", base_port=0)
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm") as dm:
        before = {each.name: fleet.rts.worker(each.source) for each in (wfs, dm)}
        fleet.rts.signal(signal.SIGKILL)
        fleet.rts.configure("[publish]\nsemaphore = 8\n")
        fleet.rts.start()
        for each in (wfs, dm):
            old = before[each.name]
            assert old is not None
            fleet.rts.worker_pid(each.source, other_than=old["pid"])
            row = fleet.rts.worker(each.source)
            assert row is not None
            assert row["port"] == old["port"]
            each.check_going()


def test_a_second_supervisor_that_finds_no_socket_is_kept_off_the_workers(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        pid = fleet.rts.worker_pid(wfs.source)
        fleet.rts.socket.unlink()
        fleet.rts._client.close()
        second = fleet.rts.spawn_another()
        assert second.wait(15) == 69
        assert "another daosupd is running: it supervises the workers in" in fleet.rts.log
        assert is_alive(pid)
        wfs.check_going()
        fleet.rts.signal(signal.SIGKILL)
        fleet.rts.start()
        assert fleet.rts.worker_pid(wfs.source) == pid
        # Not before would it know that lab reads no more, for whom it goes on publishing for a while.
        wait_until(lambda: fleet.rts.status()["workers"][0]["peer"] == "lab", 10.0, "the new one to know who reads")


def test_of_supervisors_that_race_for_an_instance_one_wins(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stepping(wfs):
        fleet.rts.signal(signal.SIGKILL)
        racing = [fleet.rts.spawn_another() for _ in range(3)]
        wait_until(lambda: sum(each.poll() is not None for each in racing) == 2, 20.0, "two to give up")
        (winner,) = [each for each in racing if each.poll() is None]
        assert sorted(each.wait(1) for each in racing if each is not winner) == [69, 69]
        fleet.rts.take_over(winner)
        fleet.rts.wait_up()


# -- what workers say


def test_a_worker_that_dies_of_a_fault_leaves_its_last_words_also_to_a_new_supervisor(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        fleet.rts.signal(signal.SIGKILL)
        fleet.rts.start()
        pid = fleet.rts.worker_pid(wfs.source)
        os.kill(pid, signal.SIGSEGV)
        fleet.rts.worker_pid(wfs.source, other_than=pid)
        row = fleet.rts.worker(wfs.source)
        assert row is not None
        assert row["last_exit"] == "Segmentation fault"
        line = next(line for line in fleet.rts.log.splitlines() if "traceback of a worker" in line)
        assert f"segment=wfs source=rts:wfs worker_kind=publisher worker_pid={pid} " in line
        story = fleet.rts.log.partition(line)[2]
        assert re.match(r"\n    Fatal Python error: Segmentation fault\n(    .*\n)*    .*publisher.py", story)
        wfs.check_going()


def test_what_strangers_send_to_the_workers_socket_is_dropped(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        path = str(workers_folder(fleet.lab) / "told")
        assert os.stat(path).st_mode & 0o777 == 0o600
        pid = fleet.lab.worker_pid(wfs.source)
        key = ["mirror", "rts", "wfs"]
        hostile = [
            b"",
            b"\xff" * 4096,
            b"[" * 4000,
            b'{"key": 5}',
            json.dumps({"key": key, "pid": 1, "event": "away", "facts": {"reason": "stranger"}}).encode(),
            json.dumps({"key": key, "pid": pid, "event": "end", "facts": {}}).encode(),
            json.dumps({"key": key, "pid": pid, "event": "away", "facts": []}).encode(),
            json.dumps(
                {"key": key, "pid": pid, "event": "away", "facts": {"worker": 1, "pid": 2, "reason": {}}}
            ).encode(),
            json.dumps({"key": ["mirror", "../..", "x"], "pid": pid, "event": "away", "facts": {}}).encode(),
        ]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            for _ in range(20):
                for each in hostile:
                    stranger.sendto(each, path)
        assert fleet.lab.worker_pid(wfs.source) == pid
        assert "stranger" not in json.dumps(fleet.lab.status())
        wfs.check_going()


# -- the installed version takes over


@pytest.mark.parametrize("is_thorough", [False, True], ids=["workers-stay", "workers-renewed"])
def test_reexec_keeps_the_process_and_the_streams(fleet: Fleet, is_thorough: bool) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm") as dm, filming(wfs.segment):
        wait_for_frames(wfs.mirror, 20)
        for host in (fleet.rts, fleet.lab):
            pids = {each.name: host.worker_pid(each.source) for each in (wfs, dm)}
            files = open_files(host.pid)
            host.reexec(is_thorough=is_thorough)
            for each in (wfs, dm):
                assert (host.worker_pid(each.source, other_than=pids[each.name] * is_thorough) != pids[each.name]) == (
                    is_thorough
                )
            wait_for_frames(wfs.mirror, 50)
            dm.check_going()
            wait_until(lambda: open_files(host.pid) <= files, 5.0, "no more files to be open than before")  # noqa: B023
            assert processes_of_session(host.pid).count(host.pid) == 1
    for host in (fleet.rts, fleet.lab):
        assert host.signal(signal.SIGTERM) == 0
        assert host.left_behind() == []


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_reexec_takes_the_embedded_redis_along(fleet: Fleet) -> None:
    host = fleet.add("alone")
    text = host.config.read_text()
    head, tail = text.split("[redis]")
    host.config.write_text(head + '[redis]\nembedded = "always"\n[network]' + tail.split("[network]")[1])
    fleet.start("alone")
    (server,) = [pid for pid in children_of(host.pid) if "valkey" in name_of(pid) or "redis" in name_of(pid)]
    for _ in range(2):
        host.reexec()
        assert server in children_of(host.pid)
    assert host.signal(signal.SIGTERM) == 0
    assert not is_alive(server)


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()


# -- after a stop


@pytest.mark.parametrize("result", ["success", "timeout", "watchdog"])
def test_after_a_stop_nothing_is_left_and_after_a_crash_all_is(fleet: Fleet, result: str) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        pid = fleet.lab.worker_pid(wfs.source)
        # Neither does it hear a TERM, nor does its supervisor find that it stands still.
        os.kill(fleet.lab.pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGSTOP)
        assert fleet.lab.after_stop(result) == (69 if result in ("success", "timeout") else 0)
        assert is_alive(pid), "a supervisor was there"
        fleet.lab.signal(signal.SIGKILL)
        assert fleet.lab.after_stop(result) == 0
        if result in ("success", "timeout"):
            assert fleet.lab.left_behind() == []
        else:
            assert is_alive(pid)
        if stat_of(pid):
            os.kill(pid, signal.SIGCONT)
        fleet.lab.start()
        fleet.lab.mirror(wfs.source).close()
        assert Segment.open(fleet.lab.path("remote_rts_wfs"), writable=False).close() is None
        if is_alive(pid):
            wfs.segment.write(np.full((16, 16), 7, "uint16"))
            wait_for_value(wfs.mirror, 7)
