"""What each command prints with --json is as its schema has it: real commands, real daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from daosup.shm import Keyword
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import Stream, filming, stream
from tests.schemas import check
from tests.waiting import wait_until

COMMAND_S = 60.0


def printed(host: Host, *arguments: str) -> Any:
    """What daosupctl prints about a host with --json."""
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(host.socket), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def made(hosts: Fleet) -> Iterator[Stream]:
    with stream(hosts, "wfs") as made:
        yield made


def test_status_of_hosts_that_work(hosts: Fleet, made: Stream) -> None:
    with filming(made.segment):
        for host in (hosts.rts, hosts.lab):
            wait_until(lambda: (host.worker("rts:wfs") or {}).get("latency"), 10.0, "latencies")  # noqa: B023
            status = printed(host, "status")
            check("status", status)
            assert [worker["source"] for worker in status["workers"]] == ["rts:wfs"]
            assert status["workers"][0]["latency"]["frames"] > 0
            assert status["degraded"] is None


def test_status_of_one_that_waits_one_that_is_stopped_and_one_that_died(hosts: Fleet, made: Stream) -> None:
    lab = hosts.lab
    printed(lab, "keep", "nowhere:cam")
    os.kill(lab.worker_pid("rts:wfs"), signal.SIGKILL)
    wait_until(lambda: (lab.worker("rts:wfs") or {}).get("restarts"), 10.0, "the restart")
    status = printed(lab, "status")
    check("status", status)
    by_source = {worker["source"]: worker for worker in status["workers"]}
    assert by_source["nowhere:cam"]["state"] == "waiting"
    assert by_source["rts:wfs"]["last_exit"] == "killed by SIGKILL"
    assert status["degraded"]["reasons"] == ["1 worker waiting: mirror nowhere:cam"]
    check("status-name", printed(lab, "status", "nowhere:cam"))
    check("work", printed(lab, "stop", "nowhere:cam"))
    check("status", printed(lab, "status"))
    check("status-name", printed(lab, "status", "nowhere:cam"))
    check("release", printed(lab, "release", "nowhere:cam"))


def test_the_story_of_a_worker(hosts: Fleet, made: Stream) -> None:
    for host, name in (
        (hosts.rts, "wfs"),
        (hosts.rts, "rts:wfs"),
        (hosts.lab, "rts:wfs"),
        (hosts.lab, "remote_rts_wfs"),
    ):
        story = printed(host, "status", name)
        check("status-name", story)
        assert story["worker"]["source"] == "rts:wfs"
        assert story["process"]["own_bytes"] > 1_000_000
        assert story["process"]["shared_out_bytes"] <= story["process"]["memory_bytes"]
        assert story["history"][-1]["notice"] == "worker-ready"
    assert [each["host"] for each in printed(hosts.rts, "status", "wfs")["readers"]] == ["lab"]
    assert printed(hosts.lab, "status", "rts:wfs")["owner"]["host"] == "rts"


def test_the_story_of_a_segment_that_nobody_reads(hosts: Fleet) -> None:
    given = [Keyword("GAIN", 0.5, "of the loop"), Keyword("MODE", "closed"), Keyword("BAD", float("nan"))]
    source = hosts.rts.create("lonely", (4, 5), "float32", keywords=given)
    story = printed(hosts.rts, "status", "lonely")
    check("status-name", story)
    assert (story["worker"]["state"], story["process"]) == ("idle", None)
    assert story["segment"]["keywords"] == [
        {"name": "GAIN", "value": 0.5, "comment": "of the loop"},
        {"name": "MODE", "value": "closed", "comment": ""},
        {"name": "BAD", "value": "nan", "comment": ""},
    ]
    source.unlink()
    source.close()


def test_what_all_hosts_answer_and_what_is_known_of_one_that_does_not(fleet: Fleet) -> None:
    fleet.start("rts", "lab", "desk")
    fleet.desk.kill_all()
    answers = printed(fleet.rts, "status", "--all")
    check("all", answers)
    assert {host: answer["ok"] for host, answer in answers.items()} == {"rts": True, "lab": True, "desk": False}
    for host in ("rts", "lab"):
        check("status", answers[host]["result"])
    assert answers["desk"]["known"]["version"]
    answers = printed(fleet.rts, "status", "wfs", "--all")
    check("all", answers)
    assert {answer["error"]["kind"] for answer in answers.values()} <= {"not_found", "no_answer", "unavailable"}


def test_all_other_commands(hosts: Fleet, made: Stream) -> None:
    lab, rts = hosts.lab, hosts.rts
    machines = printed(lab, "ls")
    check("ls", machines)
    assert {machine["hostname"] for machine in machines} >= {"rts", "lab"}
    check("doctor", printed(lab, "doctor"))
    check("mirror", printed(lab, "mirror", "rts:wfs"))
    check("mirror", printed(rts, "mirror", "rts:wfs"))
    check("keep", printed(lab, "keep", "rts:wfs"))
    for command in ("stop", "start", "restart"):
        check("work", printed(lab, command, "rts:wfs"))
    check("work", printed(rts, "restart", "wfs"))
    check("reload", printed(lab, "reload"))
    check("release", printed(lab, "release", "rts:wfs"))


def test_who_takes_over(fleet: Fleet) -> None:
    fleet.start("rts")
    check("reexec", printed(fleet.rts, "reexec"))
    fleet.rts.wait_up()
    check("status", printed(fleet.rts, "status"))
