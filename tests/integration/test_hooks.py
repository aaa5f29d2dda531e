"""[[hook]]: programs that real daemons run for events."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from daosup.core.keys import EVENTS
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import raw
from tests.integration.streams import stream
from tests.waiting import wait_until


def hook(host: Host, script: str, **keys: Any) -> None:
    """Configure a hook that a shell runs."""
    told = {"on": ["*"], "command": ["/bin/sh", "-c", script], **keys}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
    host.configure(f"[[hook]]\n{lines}")


class Notes:
    """A file to which a hook adds the events that it is given, one a line."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        #: For ``hook``.
        self.script = f"cat >> {self.path}"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def until(self, **fields: object) -> dict[str, Any]:
        """Wait for an event with these fields."""

        def found() -> dict[str, Any]:
            return next((each for each in self.events if fields.items() <= each.items()), {})

        return wait_until(found, 15.0, f"{fields} to be given to a hook")


def test_a_host_s_hooks_are_run_for_its_own_events_and_a_fleet_s_for_all(fleet: Fleet, tmp_path: Path) -> None:
    own, all_errors, of_wfs = (Notes(tmp_path, name) for name in ("own", "errors", "wfs"))
    fleet.add("rts")
    hook(fleet.add("lab"), own.script, on=["worker-*", "supervisor-*"])
    hook(fleet.lab, all_errors.script, of="fleet", level="error")
    hook(fleet.lab, of_wfs.script, of="fleet", on=["worker-died"], match="rts:wfs")
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, stream(fleet, "dm") as dm:
        own.until(event="supervisor-started", host="lab")
        own.until(event="worker-ready", source=wfs.source)
        pids = [fleet.rts.worker_pid(wfs.source), fleet.lab.worker_pid(wfs.source), fleet.rts.worker_pid(dm.source)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            told = all_errors.until(worker_pid=pid, event="worker-died")
            assert told["fields"]["cause"] == "killed by SIGKILL"
            assert told["time_utc"].endswith("+00:00")
        for pid in pids[:2]:
            of_wfs.until(worker_pid=pid)
        own.until(worker_pid=pids[1], event="worker-died")
        assert {each["host"] for each in own.events} == {"lab"}
        assert {each["level"] for each in all_errors.events} == {"error"}
        assert {each["source"] for each in of_wfs.events} == {wfs.source}
        assert len(of_wfs.events) == 2
    assert fleet.lab.signal(signal.SIGTERM) == 0
    # Hooks run side by side, and whose note comes first is the machine's business.
    assert "supervisor-stopped" in [each["event"] for each in own.events]


def test_hooks_for_own_events_do_without_redis_and_forged_ones_are_passed_over(fleet: Fleet, tmp_path: Path) -> None:
    notes = Notes(tmp_path, "notes")
    hook(fleet.add("rts"), notes.script, of="fleet")
    fleet.start("rts")
    notes.until(event="role-changed")
    forged = {**notes.until(event="supervisor-started"), "id": "forged.1", "event": "worker-hung"}
    beside = {**forged, "host": "lab", "event": "worker-grew", "text": "$(touch /tmp/x)\n\x1b[2J"}
    raw(fleet.redis.address, *(("XADD", EVENTS, "*", "event", json.dumps(each)) for each in (forged, beside, beside)))
    assert notes.until(event="worker-grew")["text"] == "$(touch /tmp/x)??[2J"
    fleet.redis.stop()
    notes.until(event="registry-away")
    fleet.redis.start()
    notes.until(event="registry-connected", host="rts")
    names = [each["event"] for each in notes.events]
    assert "worker-hung" not in names
    assert names.count("worker-grew") == 1


def test_what_hooks_write_and_that_they_fail_is_in_the_log_and_no_event(fleet: Fleet, tmp_path: Path) -> None:
    rts = fleet.add("rts")
    notes = Notes(tmp_path, "notes")
    hook(rts, 'echo "$DAOSUP_EVENT of $DAOSUP_EVENT_HOST"; env | grep -c NOTIFY; true', on=["role-changed"])
    hook(rts, "echo gone wrong >&2; exit 3", on=["role-changed"])
    hook(rts, "sleep 60", on=["role-changed"], timeout_s=0.3)
    hook(rts, "", on=["role-changed"], command=["/no/such/program"])
    hook(rts, notes.script)
    fleet.start("rts")
    for told in ("exited with code 3", "it was ended after 0.3 s", "exited with code 127", "output of a hook"):
        wait_until(lambda told=told: told in rts.log, 15.0, told)
    assert "    gone wrong\n" in rts.log
    assert "    role-changed of rts\n    0\n" in rts.log
    assert rts.log.count("hook failed") == 3
    assert not [each for each in notes.events if each["event"].startswith("hook")]


def test_hooks_come_and_go_with_a_reload_and_hold_nothing_up(fleet: Fleet, tmp_path: Path) -> None:
    notes = Notes(tmp_path, "notes")
    rts = fleet.add("rts")
    plain = rts.config.read_text()
    fleet.start("rts")
    hook(rts, notes.script, on=["configuration-read"])
    hook(rts, f"echo $$ >> {tmp_path}/pids; exec sleep 60", on=["configuration-read"])
    for _ in range(7):
        assert rts.call("reload", timeout_s=5)["needs_restart"] == []
    wait_until(lambda: len(pids_in(tmp_path / "pids")) == 4, 10.0, "as many hooks to hang as may run")
    assert len(notes.events) == 4, "one that hangs has its turn after one that does not, and all others wait"
    assert rts.status()["registry"]["state"] == "up"
    rts.config.write_text(plain)
    rts.call("reload")
    assert rts.signal(signal.SIGTERM) == 0
    assert rts.left_behind() == []
    wait_until(lambda: not any(map(is_there, pids_in(tmp_path / "pids"))), 5.0, "what hung to be ended")


def pids_in(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
