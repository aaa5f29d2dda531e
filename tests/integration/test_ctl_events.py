"""``daosupctl events``: what it shows of real daemons, in a pipe and in a terminal, and how it goes on and ends."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daosup.core.fleet_events import FleetEvent, encode_event
from daosup.core.keys import EVENTS
from tests.integration.commands import daosupctl
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import raw
from tests.integration.streams import stream
from tests.integration.terminals import check_golden, screen_of, steady
from tests.integration.terminals import daosupctl as in_terminal
from tests.schemas import check
from tests.waiting import wait_until

HOUR_MS = 3_600_000


def put(fleet: Fleet, *events: FleetEvent) -> None:
    """Let these be the last events of the fleet."""
    raw(fleet.redis.address, *(("XADD", EVENTS, "*", "event", encode_event(each)) for each in events))


def redis_ms(fleet: Fleet) -> int:
    ((seconds, microseconds),) = raw(fleet.redis.address, ("TIME",))
    return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.fixture
def story(hosts: Fleet) -> list[FleetEvent]:
    """A night's events, and no others."""
    for host in hosts.hosts.values():
        wait_until(lambda host=host: host.status()["events"]["waiting"] == 0, 10.0, "its own to be told")  # type: ignore[misc]
    now = redis_ms(hosts)
    raw(hosts.redis.address, ("UNLINK", EVENTS))
    mirror: dict[str, Any] = {"segment": "remote_rts_wfs", "source": "rts:wfs", "worker_kind": "mirror", "peer": "rts"}
    away = {"reason": "Redis at rts:6379 cannot be reached (connection refused); start it there, or correct [redis]"}
    told = [
        FleetEvent("rts", "role-changed", "info", "role of this host", "r.1", now - 50 * HOUR_MS,
                   fields={"role": "master"}),
        FleetEvent("rts", "host-lost", "warning", "host lost: what it wrote into the registry expired", "r.2",
                   now - 3 * HOUR_MS, peer="desk"),
        FleetEvent("lab", "link-down", "warning", "link down", "l.1", now - 600_000, **mirror,
                   fields={"reason": "nothing came for 2 s"}),
        FleetEvent("rts", "worker-died", "error", "worker died; it is started again", "r.3", now - 599_000, "wfs",
                   "rts:wfs", "publisher", 4711, cause_id="r-17", fields={"cause": "killed by SIGKILL", "after_s": 7}),
        FleetEvent("lab", "link-up", "info", "link up", "l.2", now - 598_000, **mirror),
        FleetEvent("gui", "registry-away", "warning", "registry away; streams go on", "g.1", now - 400_000,
                   fields=away),
    ]  # fmt: skip
    put(hosts, *told)
    return told


def names(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Of the events that are shown."""
    assert done.returncode == 0, done.stderr
    return [line.split()[line.split().index("ago") + 2] for line in done.stdout.splitlines()]


# -- what is shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("events", "role-changed host-lost link-down worker-died link-up registry-away"),
        ("events -n 2", "link-up registry-away"),
        ("events -n 0", ""),
        ("events wfs", "link-down worker-died link-up"),
        ("events rts:w*", "link-down worker-died link-up"),
        ("events lab:remote_*", "link-down link-up"),
        ("events gui:*", "registry-away"),
        ("events desk:", "host-lost"),
        ("events -p warning --since 1h", "link-down worker-died registry-away"),
        ("events -p error", "worker-died"),
        ("events wfs -n 1 -p warning", "worker-died"),
        ("events --since 1day", "host-lost link-down worker-died link-up registry-away"),
    ],
)
def test_which_events_are_shown(hosts: Fleet, story: list[FleetEvent], line: str, shown: str) -> None:
    assert names(daosupctl(hosts.lab, *line.split())) == shown.split()


@pytest.mark.parametrize(("columns", "verbose"), [(80, ""), (160, ""), (80, "-v")])
def test_how_they_look(hosts: Fleet, story: list[FleetEvent], columns: int, verbose: str) -> None:
    lines = screen_of(hosts.lab.socket, *f"events {verbose}".split(), columns=columns)
    words = {r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}": "2026-11-20 12:00:00 +0000"}
    check_golden(f"events{verbose}-{columns}", steady(lines, words))


def test_colours_say_how_bad_it_is(hosts: Fleet, story: list[FleetEvent]) -> None:
    with in_terminal(hosts.lab.socket, "events") as terminal:
        terminal.wait_end()
        at = {line.split()[4]: (row, line.index(line.split()[4])) for row, line in enumerate(terminal.lines)}
        colours = {name: terminal.colours_at(*at[name])[0] for name in ("worker-died", "link-down", "link-up")}
        assert colours == {"worker-died": "red", "link-down": "brown", "link-up": "default"}
    plain = screen_of(hosts.lab.socket, "events", NO_COLOR="1")
    assert [line.split()[4] for line in plain] == [each.name for each in story]


def test_for_programs_there_is_one_object_a_line(hosts: Fleet, story: list[FleetEvent]) -> None:
    done = daosupctl(hosts.rts, "events", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["id"] for each in told] == [each.ident for each in story]
    for each in told:
        check("events", each)
    assert told[3]["worker_pid"] == 4711
    assert told[0]["segment"] is None


def test_those_that_came_late_are_shown_in_their_order(hosts: Fleet, story: list[FleetEvent]) -> None:
    put(hosts, FleetEvent("gui", "clock-off", "warning", "late", "g.0", story[2].time_ms - 1), story[3])
    assert names(daosupctl(hosts.lab, "events", "--since", "1h")) == [
        "clock-off", "link-down", "worker-died", "link-up", "registry-away"
    ]  # fmt: skip


def test_more_than_a_page_is_looked_through(hosts: Fleet, story: list[FleetEvent]) -> None:
    now = redis_ms(hosts)
    put(
        hosts, *(FleetEvent("lab", "mirror-asked", "info", "", f"l.{n}", now, source="rts:dm") for n in range(10, 1300))
    )
    assert names(daosupctl(hosts.lab, "events", "wfs")) == ["link-down", "worker-died", "link-up"]
    assert len(names(daosupctl(hosts.lab, "events"))) == 50
    assert len(names(daosupctl(hosts.lab, "events", "-n", "1200", "dm"))) == 1200


def test_what_is_no_event_is_passed_over_and_hostile_text_is_harmless(hosts: Fleet, story: list[FleetEvent]) -> None:
    raw(hosts.redis.address, ("XADD", EVENTS, "*", "event", b"junk"))
    told = {**story[3].as_json(), "text": "\x1b[2Jx", "id": "r.9", "fields": {"cause": "\x1b]0;title\x07\n$(id)"}}
    raw(hosts.redis.address, ("XADD", EVENTS, "*", "event", json.dumps(told)))
    done = daosupctl(hosts.lab, "events", "-v")
    assert "\x1b" not in done.stdout
    assert "?]0;title??$(id)" in done.stdout
    assert done.stderr == "daosupctl: passed over what is no event in the stream: 1 entries\n"


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("events wsf", 0, "no event concerns wsf; did you mean 'wfs'?"),
        ("events rts:wsf", 0, "no event concerns rts:wsf; did you mean 'rts:wfs'?"),
        ("events -p eror", 64, "there is no level 'eror'; did you mean 'error'?"),
        ("events --since soon", 64, "--since 'soon' is not a time; write 10min"),
        ("events --exec 'a", 64, "is no command: No closing quotation"),
        ("events -n 1 --exec /no/such", 64, "--exec '/no/such' cannot be run: No such file or directory"),
    ],
)
def test_what_is_told_beside(hosts: Fleet, story: list[FleetEvent], line: str, code: int, told: str) -> None:
    done = daosupctl(hosts.lab, *line.split())
    assert done.returncode == code
    assert done.stderr.startswith("daosupctl: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


# -- as it happens


class Follower:
    """A daosupctl that follows, and its lines."""

    def __init__(self, host: Host, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daosup.ctl", "--socket", str(host.socket), "events", "-f", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.out, self.err = b"", b""
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def read(self) -> str:
        """All that it said so far."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out += self.process.stdout.read() or b""
        self.err += self.process.stderr.read() or b""
        return (self.out + self.err).decode()

    def until(self, text: str) -> None:
        wait_until(lambda: text in self.read(), 30.0, f"{text!r} after {self.read()!r}")

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(10.0)


@contextmanager
def following(host: Host, *arguments: str) -> Iterator[Follower]:
    follower = Follower(host, *arguments)
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.process.wait()
        for pipe in (follower.process.stdout, follower.process.stderr):
            if pipe is not None:
                pipe.close()


def test_events_are_shown_as_they_happen_until_ctrl_c(hosts: Fleet, story: list[FleetEvent]) -> None:
    with following(hosts.lab, "-p", "error") as follower:
        follower.until("worker-died")
        with stream(hosts, "dm") as dm:
            os.kill(hosts.rts.worker_pid(dm.source), signal.SIGKILL)
            follower.until("rts:dm: killed by SIGKILL")
        assert follower.end() == 130
        assert follower.err == b""
        assert follower.out.count(b"\n") == 2
        assert b"ago" not in follower.out  # what is new gets old while it is looked at


def test_ctrl_c_in_a_terminal_leaves_it_as_it_was(hosts: Fleet, story: list[FleetEvent]) -> None:
    with in_terminal(hosts.lab.socket, "events", "-f") as terminal:
        terminal.wait_for("registry-away")
        terminal.type("\x03")
        assert terminal.wait_end() == 130
        assert terminal.is_restored
        assert "Traceback" not in terminal.text


def test_a_closed_pipe_ends_it_quietly_also_when_nothing_happens(hosts: Fleet, story: list[FleetEvent]) -> None:
    with following(hosts.lab) as follower:
        follower.until("registry-away")
        assert follower.process.stdout is not None
        follower.process.stdout.close()
        assert follower.process.wait(20.0) == 141
        assert follower.process.stderr is not None
        assert follower.process.stderr.read() in (b"", None)
        follower.process.stdout = None


def test_it_goes_on_over_a_restart_of_the_daemon_and_an_outage_of_redis(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    fleet.rts.call("reload")
    with following(fleet.lab, "-n", "5", "--json") as follower:
        follower.until("configuration-read")
        assert fleet.lab.signal(signal.SIGTERM) == 0
        follower.until("; it goes on when that is back")
        fleet.rts.call("reload")
        fleet.lab.start()
        follower.until("supervisor-started")
        wait_until(lambda: follower.read().count("configuration-read") == 2, 5.0, "what happened meanwhile")
        follower.err = b""
        fleet.redis.stop()
        follower.until("; it goes on when that is back")
        wait_until(lambda: fleet.rts.status()["registry"]["state"] == "down", 10.0, "rts to miss Redis")
        fleet.rts.call("reload")
        fleet.redis.start()
        wait_until(lambda: follower.read().count("configuration-read") == 3, 20.0, "what happened meanwhile")
        follower.until("registry-connected")
        assert follower.end() == 130
        events = [json.loads(line) for line in follower.out.decode().splitlines()]
        told = Counter((event["host"], event["id"]) for event in events)
        assert set(told.values()) == {1}


def test_while_redis_is_away_this_host_s_own_events_are_shown_and_then_all(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    fleet.redis.stop()
    wait_until(lambda: fleet.lab.status()["registry"]["state"] == "down", 10.0, "Redis to be missed")
    done = daosupctl(fleet.lab, "events")
    assert done.returncode == 69
    assert "registry-away" in done.stdout
    assert done.stderr.startswith("daosupctl: these are this host's own events alone: ")
    assert " rts  " not in done.stdout
    with following(fleet.lab) as follower:
        follower.until("there are this host's own events alone")
        follower.until("registry-away")
        fleet.lab.call("reload")
        follower.until("configuration-read")
        fleet.redis.start()
        follower.until(" rts ")
        assert follower.end() == 130
        assert follower.out.count(b"configuration-read") == 1


def test_no_daemon(tmp_path: Path) -> None:
    for more in ((), ("-f",)):
        command = [sys.executable, "-m", "daosup.ctl", "--socket", str(tmp_path / "no.sock"), "events", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (69, "")
        assert done.stderr.count("\n") == 1


# -- programs


def test_a_program_is_run_for_each_with_the_event_and_no_shell(
    hosts: Fleet, story: list[FleetEvent], tmp_path: Path
) -> None:
    program = tmp_path / "note"
    program.write_text(f'#!/bin/sh\ncat >> {tmp_path}/given\necho "$# $DAOSUP_EVENT $1"\nexit ${{2:-0}}\n')
    program.chmod(0o755)
    done = daosupctl(hosts.lab, "events", "-n", "2", "--exec", f"{program} '$(id); *' 3")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1::2] == ["2 link-up $(id); *", "2 registry-away $(id); *"]
    assert done.stderr.splitlines() == [
        "daosupctl: --exec for link-up of lab ended with 3",
        "daosupctl: --exec for registry-away of gui ended with 3",
    ]
    given = [json.loads(line) for line in (tmp_path / "given").read_text().splitlines()]
    assert [each["id"] for each in given] == ["l.2", "g.1"]
    check("events", given[0])


def test_with_follow_a_program_is_run_for_what_is_new_alone(hosts: Fleet, story: list[FleetEvent]) -> None:
    with following(hosts.lab, "--exec", "/bin/cat") as follower:
        numbers = itertools.count()

        def is_shown() -> bool:
            put(hosts, replace(story[4], name="mirror-made", ident=f"new.{next(numbers)}"))
            return '"event": "mirror-made"' in follower.read()

        wait_until(is_shown, 30.0, "the program's output")
        assert follower.end() == 130
        assert b"worker-died" not in follower.out
