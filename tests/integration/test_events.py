"""Events of the fleet: what happens on one host is known on the others, whatever Redis does meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Optional

import pytest

from daosup.adapters.registry_events import NO_ENTRY
from daosup.core.keys import EVENTS
from daosup.errors import UnavailableError, UsageError
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import raw
from tests.integration.streams import stream
from tests.waiting import wait_until

Told = dict[str, Any]

#: The holder of the lease looks around often, and hosts do not last for long.
QUICK_PRESENCE = """
import daosup.core.election, daosup.supervisor.registry_desk
daosup.core.election.SCAN_INTERVAL_S = 0.2
daosup.supervisor.registry_desk.MIN_LIFETIME_S = 6.0
"""


def events_of(host: Host, *names: str, **arguments: Any) -> list[Told]:
    """What a host's daemon tells of these events, or of all."""
    found: list[Told] = host.call("events", count=1000, **arguments)["events"]
    return [each for each in found if not names or each["event"] in names]


def until_told(host: Host, name: str, is_it: Callable[[Told], object] = lambda each: True) -> Told:
    """Wait until a host knows of an event; returns the last such one."""

    def found() -> Told:
        return next((each for each in reversed(events_of(host, name)) if is_it(each)), {})

    return wait_until(found, 20.0, f"{name} to be told to {host.name}")


def test_what_happens_to_a_worker_is_known_everywhere_as_one_story(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs:
        for host in (hosts.lab, hosts.rts):
            pid = host.worker_pid(wfs.source)
            os.kill(pid, signal.SIGKILL)
            for other in (hosts.rts, hosts.lab):
                died = until_told(other, "worker-died", lambda each, pid=pid: each.get("worker_pid") == pid)
                assert (died["host"], died["level"], died["source"]) == (host.name, "error", wfs.source)
                assert died["fields"]["cause"] == "killed by SIGKILL"
                assert died["text"] == "worker died; it is started again"
            story = died["cause_id"]
            ready = until_told(hosts.lab, "worker-ready", lambda each, story=story: each["cause_id"] == story)
            assert (ready["host"], ready["source"]) == (host.name, wfs.source)
            assert ready["time_ms"] >= died["time_ms"]


def test_what_people_do_is_known_everywhere(hosts: Fleet) -> None:
    with stream(hosts, "wfs") as wfs:
        name = wfs.source.partition(":")[2]
        assert until_told(hosts.rts, "mirror-asked", lambda e: e["source"] == wfs.source)["host"] == "lab"
        assert until_told(hosts.lab, "segment-found", lambda e: e["source"] == wfs.source)["segment"] == name
    released = until_told(hosts.rts, "mirror-released", lambda e: e["source"] == wfs.source)
    assert released["segment"] == f"remote_rts_{name}"
    hosts.rts.call("reload")
    assert until_told(hosts.lab, "configuration-read")["fields"] == {"changed": "nothing"}


def test_a_host_that_stops_and_one_that_is_replaced_say_so(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    fleet.lab.reexec()
    until_told(fleet.rts, "supervisor-replaced", lambda each: each["host"] == "lab")
    assert fleet.lab.signal(signal.SIGTERM) == 0
    until_told(fleet.rts, "supervisor-stopped", lambda each: each["host"] == "lab")
    named = [each["event"] for each in events_of(fleet.rts) if each["host"] == "lab"]
    assert [name for name in named if name.startswith("supervisor")] == [
        "supervisor-started", "supervisor-replaced", "supervisor-started", "supervisor-stopped"
    ]  # fmt: skip


def test_the_holder_of_the_lease_tells_of_hosts_that_come_and_are_lost(fleet: Fleet) -> None:
    for name in ("rts", "lab", "desk"):
        host = fleet.add(name)
        host.before = QUICK_PRESENCE
        host.config.write_text(f"heartbeat_interval_s = 0.5\n{host.config.read_text()}")
    fleet.start("rts")
    fleet.start("lab")
    assert until_told(fleet.rts, "host-seen", lambda each: each["peer"] == "lab")["host"] == "rts"
    fleet.start("desk")
    until_told(fleet.lab, "host-seen", lambda each: each["peer"] == "desk")
    assert fleet.lab.signal(signal.SIGTERM) == 0
    fleet.desk.kill_all()
    lost = until_told(fleet.rts, "host-lost")
    assert (lost["peer"], lost["level"]) == ("desk", "warning")
    assert len(events_of(fleet.rts, "host-lost")) == 1


def test_what_happens_while_redis_is_away_comes_late_with_its_own_time(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        until_told(fleet.rts, "worker-ready", lambda each: each["source"] == wfs.source and each["host"] == "lab")
        fleet.redis.stop()
        wait_until(lambda: fleet.lab.status()["registry"]["state"] == "down", 10.0, "Redis to be missed")
        pid = fleet.lab.worker_pid(wfs.source)
        os.kill(pid, signal.SIGKILL)
        own = wait_until(lambda: _of_worker(fleet.lab.call("events"), pid), 10.0, "its own event")
        answer = fleet.lab.call("events")
        assert not answer["is_whole"]
        assert "cannot be reached" in answer["reason"] or "no connection" in answer["reason"]
        assert {each["host"] for each in answer["events"]} == {"lab"}
        with pytest.raises(UnavailableError):
            fleet.lab.call("events", after=NO_ENTRY)
        assert fleet.lab.status()["events"]["waiting"] >= 2
        fleet.redis.start()
        late = until_told(fleet.rts, "worker-died", lambda each: each["worker_pid"] == pid)
        assert (late["id"], late["fields"]) == (own["id"], own["fields"])
        assert abs(late["time_ms"] - own["time_ms"]) < 1000  # Redis's clock was compared anew
        back = until_told(fleet.rts, "registry-connected", lambda each: each["host"] == "lab")
        until_told(fleet.rts, "registry-away", lambda each: each["host"] == "lab")
        # It may be told again, once a new connection is refused, too.
        away = next(each for each in events_of(fleet.rts, "registry-away") if each["host"] == "lab")
        assert _number(away) < _number(late) < _number(back)
        wait_until(lambda: fleet.lab.status()["events"]["waiting"] == 0, 5.0, "all to be told")
        of_lab = [_number(each) for each in events_of(fleet.rts) if each["host"] == "lab"]
        assert of_lab == sorted(set(of_lab))


def _number(event: Told) -> int:
    """Which one of its host it is: times are corrected when Redis's clock is compared anew."""
    return int(event["id"].partition(".")[2])


def _of_worker(answer: Told, pid: int) -> Told:
    return next((each for each in answer["events"] if each.get("worker_pid") == pid and each["level"] == "error"), {})


def happen(host: Host, name: str) -> None:
    """Let a segment come and go, which is told."""
    with closing(host.create(name)) as segment:
        segment.unlink()


def test_garbage_in_the_stream_harms_nobody(hosts: Fleet) -> None:
    raw(hosts.redis.address, ("XADD", EVENTS, "*", "event", b"\xff{"), ("XADD", EVENTS, "*", "a", "b" * 100_000))
    happen(hosts.rts, "after")
    until_told(hosts.lab, "segment-found", lambda each: each["segment"] == "after")
    answer = hosts.lab.call("events", count=1000)
    assert answer["skipped"] == 2
    raw(hosts.redis.address, ("UNLINK", EVENTS), ("SET", EVENTS, "mine"))
    with pytest.raises(UnavailableError, match="no stream"):
        hosts.lab.call("events", after=NO_ENTRY)
    happen(hosts.rts, "anew")
    wait_until(lambda: hosts.lab.call("events")["is_whole"], 10.0, "the stream to be made anew")
    until_told(hosts.lab, "segment-found", lambda each: each["segment"] == "anew")
    assert {each["id"] for each in events_of(hosts.lab)}.isdisjoint(each["id"] for each in answer["events"])
    assert all(host.status()["registry"]["state"] == "up" for host in hosts.hosts.values())


def test_who_waits_for_an_event_is_told_it_when_it_comes(hosts: Fleet) -> None:
    def end() -> Optional[str]:
        """After the newest event, once nothing has come for a moment."""
        after: str = hosts.lab.call("events", count=1)["after"]
        return after if hosts.lab.call("events", after=after, wait_s=0.1)["events"] == [] else None

    after = wait_until(end, 10.0, "nothing to happen")
    happen(hosts.rts, "awaited")
    deadline = time.monotonic() + 20.0
    while True:
        answer = hosts.lab.call("events", after=after, wait_s=deadline - time.monotonic())
        assert hosts.lab.call("events", after=after)["events"][: len(answer["events"])] == answer["events"] != []
        if "awaited" in {each["segment"] for each in answer["events"]}:
            break
        after = answer["after"]  # what the holder of the lease sees when it looks for hosts


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"count": 0}, "count is 0"),
        ({"count": 5000}, "not a number from 0 to 1000"),
        ({"after": "now"}, "after: 'now' is no id of an entry"),
        ({"before": 3}, "before: '3' is no id of an entry"),
        ({"wait_s": 1e9}, "wait_s"),
    ],
)
def test_what_cannot_be_asked(hosts: Fleet, arguments: Told, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        hosts.lab.call("events", **arguments)


def test_a_user_of_redis_who_may_not_tell_events_is_told_once_and_serves(fleet: Fleet) -> None:
    fleet.start("rts")
    raw(fleet.redis.address, ("ACL", "SETUSER", "default", "-xadd"))
    fleet.rts.call("reload")
    wait_until(lambda: "xadd" in (fleet.rts.status()["events"]["error"] or ""), 10.0, "the refusal")
    assert fleet.rts.status()["registry"]["state"] == "up"
    assert fleet.rts.log.count("events cannot be told to other hosts") == 1
