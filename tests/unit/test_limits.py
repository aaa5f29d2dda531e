"""Limits of a worker process, set on real processes; what cannot be set is told, and no more than that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from daosup.workers.limits import telling_once

#: A user without rights, and without the limits that would give some.
_POWERLESS = """
import os, resource
for limit in (resource.RLIMIT_MEMLOCK, resource.RLIMIT_RTPRIO, resource.RLIMIT_NICE):
    resource.setrlimit(limit, (0, 0))
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
"""


def told(limits: str, then: str = "None", before: str = "") -> tuple[list[str], Any]:
    """What a process tells while it limits itself, and what it finds afterwards."""
    code = f"""
import json, mmap, os, re
from daosup.workers.limits import Limits, apply_limits
{before}
told = []
apply_limits(Limits({limits}), lambda event, warning: told.append((event, warning)))
print(json.dumps([told, {then}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    events, found = json.loads(done.stdout)
    assert len(events) <= 1
    assert all(event == "limited" for event, _ in events)
    return [warning for _, warning in events], found


def test_without_limits_everything_stays_as_it_is() -> None:
    then = "[sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)]"
    before = [sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)]
    assert told("", then) == ([], before)


def test_cpus_and_niceness() -> None:
    cpu = min(os.sched_getaffinity(0))
    then = "[list(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0)]"
    assert told(f"cpu_affinity=({cpu},), nice=11", then) == ([], [[cpu], 11])


def test_a_cpu_that_is_not_there_is_told_and_the_others_are_used() -> None:
    cpu = min(os.sched_getaffinity(0))
    warnings, found = told(f"cpu_affinity=({cpu}, 4000)", "list(os.sched_getaffinity(0))")
    assert (warnings, found) == (["cpu_affinity: this process may not use CPU 4000"], [cpu])


def test_all_that_a_user_without_rights_may_not_is_told_in_one() -> None:
    limits = "nice=-5, fifo_priority=10, lock_memory=True, cpu_affinity=(4000,)"
    warnings, found = told(limits, "[os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)]", _POWERLESS)
    assert found == [os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0)]
    for said in (
        "cpu_affinity [4000] cannot be set: Invalid argument",
        "nice -5 cannot be set: ",
        "fifo_priority 10 cannot be set: Operation not permitted; the service needs LimitRTPRIO and Restrict",
        "lock_memory: only 0 bytes may be locked; the service needs LimitMEMLOCK=infinity",
    ):
        assert said in warnings[0]


def test_real_time_priority_is_set_or_told() -> None:
    warnings, found = told("fifo_priority=1", "[os.sched_getscheduler(0), os.sched_getparam(0).sched_priority]")
    assert found == ([os.SCHED_OTHER, 0] if warnings else [os.SCHED_FIFO, 1])


def test_memory_is_locked_now_and_later_or_told() -> None:
    before = """
def locked_kb():
    later = mmap.mmap(-1, 1 << 20)
    return int(re.search(r"VmLck:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    warnings, locked_kb = told("lock_memory=True", "locked_kb()", before)
    assert locked_kb == 0 if warnings else locked_kb >= 1024


def test_busy_polling_is_told_where_it_may_not_be_set() -> None:
    code = f"""
import json, socket
from daosup.workers.limits import Limits, apply_to_connection
{_POWERLESS}
told = []
with socket.socket() as connection:
    for busy_poll_us in (0, 10_000):
        apply_to_connection(Limits(busy_poll_us=busy_poll_us), connection, lambda _, warning: told.append(warning))
    print(json.dumps([told, connection.getsockopt(socket.SOL_SOCKET, 46)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    warnings, us = json.loads(done.stdout)
    if us != 10_000:
        assert warnings[0].startswith("busy_poll_us 10000 cannot be set: ")
        assert "net.core.busy_read" in warnings[0]
    assert len(warnings) == (us != 10_000)


def test_what_is_refused_is_told_once_however_often_it_is_tried() -> None:
    told = []
    tell = telling_once(lambda event, **facts: told.append((event, facts)))
    for warning in ("one", "two", "one", "two"):
        tell("limited", warning=warning)
        tell("link", is_up=True)
    assert [event for event, _ in told].count("link") == 4
    assert [facts["warning"] for event, facts in told if event == "limited"] == ["one", "two"]


def test_huge_pages_that_the_kernel_does_not_give_are_told() -> None:
    before = """
import pathlib, tempfile
from daosup.workers import limits
limits._HUGE_PAGES = pathlib.Path(tempfile.mkdtemp())
"""
    assert told("huge_pages=True", before=before)[0] == ["huge_pages: this kernel has none to give"]
    before += """
(limits._HUGE_PAGES / "enabled").write_text("always madvise [never]\\n")
(limits._HUGE_PAGES / "hpage_pmd_size").write_text("2097152\\n")
"""
    ((warning,), _) = told("huge_pages=True", before=before)
    assert warning.startswith("huge_pages: the kernel gives none; write madvise into /")
