"""``daosupctl bench HOST``: what it measures is plausible, and nothing of it stays, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.commands import DEADLINE_S, daosupctl
from tests.integration.fleet import Fleet, Host
from tests.integration.processes_seen import processes_of_session
from tests.schemas import check
from tests.waiting import wait_until

SECRET = "0123456789abcdef" * 4
#: As the command, in little time.
QUICK = """
import sys
from daosup.ctl import benching, main
benching.SIZES_BYTES, benching.ROUND_TRIPS, benching.SERIES = (1 << 10, 1 << 20), 40, 3
sys.exit(main())
"""


@pytest.fixture(scope="module", autouse=True)
def with_secret(module_hosts: Fleet) -> None:
    for host in (module_hosts.rts, module_hosts.lab):
        give_secret(host)
        host.call("reload")


def give_secret(host: Host) -> None:
    file = host.folder / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    host.configure(f'[control]\nsecret_file = "{file}"\n')


@contextmanager
def benching(host: Host, *words: str, program: str = QUICK) -> Iterator[subprocess.Popen[str]]:
    """The command at work on a host."""
    environment = {**os.environ, "DAOSUP_SOCKET": str(host.socket)}
    with subprocess.Popen(
        [sys.executable, "-c", program, "bench", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def left_of(hosts: Fleet) -> list[str]:
    """What there still is of a measurement."""
    left = [row["source"] for host in hosts.hosts.values() for row in host.status()["workers"]]
    left += [str(path) for host in hosts.hosts.values() for path in host.segments.iterdir()]
    left += [name for name in os.listdir("/dev/shm") if "daosup-bench-" in name]
    return left + [f"process {pid}" for pid in echoes_of(hosts)]


def echoes_of(hosts: Fleet) -> list[int]:
    pids = [pid for host in hosts.hosts.values() for pid in processes_of_session(host.pid)]
    return [pid for pid in pids if b"daosup.workers.echo" in _command_line(pid)]


def is_answering(hosts: Fleet) -> bool:
    return bool(echoes_of(hosts) and any(hosts.lab.worker(source) for source in hosts.lab.mirrored()))


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_the_way_between_two_hosts_is_measured_and_nothing_is_left(hosts: Fleet) -> None:
    with benching(hosts.lab, "rts", "--json") as process:
        told, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    result = json.loads(told)
    check("bench", result)
    assert (result["here"], result["there"]) == ("lab", "rts")
    for size in result["sizes"]:
        assert size["round_trips"] + size["lost"] == 40
        assert 0 < size["latency_p50_s"] <= size["latency_p99_s"] <= size["latency_worst_s"] < 1
        assert size["rate_hz"] > 0
        assert size["bytes_per_s"] == size["rate_hz"] * size["frame_bytes"]
    small, large = result["sizes"]
    assert small["latency_p50_s"] < large["latency_p50_s"]
    assert left_of(hosts) == []


def test_it_is_a_table_that_fits_80_columns(hosts: Fleet) -> None:
    with benching(hosts.lab, "rts") as process:
        told, _ = process.communicate(timeout=60)
    lines = told.splitlines()
    assert lines[0].startswith("rts to lab, daosup ")
    assert max(map(len, lines)) <= 80
    assert [line.count("|") for line in lines if "|" in line] == [7] * 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_its_midst_it_takes_all_along(hosts: Fleet, number: int) -> None:
    endless = QUICK.replace("40, 3", "10**9, 3") + "\n"
    with benching(
        hosts.lab, "rts", program=endless.replace("sys.exit", "benching.ROUND_TRIPS_S = 60\nsys.exit")
    ) as process:
        wait_until(lambda: is_answering(hosts), 20.0, "frames to be answered")
        process.send_signal(number)
        output = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, output) == (130, ("", ""))
    assert left_of(hosts) == []


def test_killed_it_leaves_one_file_which_the_next_removes(hosts: Fleet) -> None:
    with benching(hosts.lab, "rts", program=QUICK.replace("40, 3", "10**9, 3")) as process:
        wait_until(lambda: is_answering(hosts), 20.0, "frames to be answered")
        process.kill()
    own = f"daosup-bench-{process.pid}-1024"
    path = hosts.lab.path(own)

    def files() -> list[str]:
        return [each for each in left_of(hosts) if not each.startswith("sem.")]

    wait_until(lambda: files() == [str(path)], 20.0, "all else to end by itself")
    with benching(hosts.lab, "rts") as process:
        process.communicate(timeout=60)
    assert left_of(hosts) == []


def test_the_program_that_answers_dies_and_nothing_of_it_stays(hosts: Fleet) -> None:
    with hosts.lab.create("daosup-bench-test", (16, 1), "uint64") as sent:
        order = {"command": "echo", "source": "lab:daosup-bench-test", "name": "daosup-bench-test-back"}
        told = hosts.lab.call("ask", hosts=["rts"], request=order, wait_s=20)["rts"]
        assert told == {"ok": True, "result": {"source": "rts:daosup-bench-test-back"}}
        (pid,) = echoes_of(hosts)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not hosts.rts.mirrored() and not list(hosts.rts.segments.iterdir()), 10.0, "its end")
        again = hosts.lab.call("ask", hosts=["rts"], request={**order, "command": "end_echo"}, wait_s=5)["rts"]
        assert again["error"]["kind"] == "not_found"
        sent.unlink()


def test_a_daemon_that_stops_takes_the_program_that_answers_along(fleet: Fleet) -> None:
    for name in ("rts", "lab"):
        give_secret(fleet.add(name))
    fleet.start("rts", "lab")
    with fleet.lab.create("daosup-bench-test", (16, 1), "uint64") as sent:
        order = {"command": "echo", "source": "lab:daosup-bench-test", "name": "daosup-bench-test-back"}
        assert fleet.lab.call("ask", hosts=["rts"], request=order, wait_s=20)["rts"]["ok"]
        assert echoes_of(fleet)
        fleet.rts.signal(signal.SIGTERM)
        sent.unlink()
    assert fleet.rts.left_behind() == []
    assert list(fleet.rts.segments.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("lab", 64, "lab is this host; name another one"),
        ("rst", 69, "rst: the registry knows no such host; did you mean 'rts'?"),
        ("r/s", 64, "cannot be a host name"),
    ],
)
def test_a_host_that_cannot_be_measured_is_told(hosts: Fleet, words: str, code: int, told: str) -> None:
    done = daosupctl(hosts.lab, "bench", words)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_who_may_not_change_things_there_measures_nothing(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    done = daosupctl(fleet.lab, "bench", "rts")
    assert (done.returncode, done.stdout) == (77, "")
    assert "remote control is off" in done.stderr
    assert left_of(fleet) == []
