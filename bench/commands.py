"""What commands take where there are many workers, and how long they keep the daemon's loop.

CPU time is told beside the times, for on a machine that has no core to spare it says more. Lag is how late the loop
came round at worst within the last minute, by its own account; what it is without anybody asking is measured as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Optional

from bench import top
from bench.children import BenchError
from bench.figures import Goal, Judged, Row
from bench.fleet import Host
from bench.machine import cpu_time_s
from bench.plan import Plan
from bench.status import console_script

#: The loop is not to be later than this for anybody who asks.
LAG_GOAL = Goal(100.0, Judged.WORST)
#: The worst lag is remembered for so long.
LAG_WINDOW_S = 60.0


def measure(plan: Plan, host: Host, name: str, title: str) -> Iterator[Row]:
    """Ask one daemon in many ways; ``name`` is a segment of this host."""
    plan.say(f"commands on {host.name}")
    goal = Goal(1.0, Judged.WORST)
    for words, each_goal in ((("status",), goal), (("ls",), None), (("who", name), None)):
        yield from _asked(plan, host, words, f"{title}: ", each_goal)
        if each_goal is goal:
            yield lag(plan, host, f"{title}: lag of {host.name}'s loop while asked for its status")
    screens_s = []
    for _ in range(plan.either(5, 2)):
        with plan.meter.repeat():
            began_s = time.monotonic()
            with top.terminal(host.control_socket) as screen:
                screens_s.append(top.drawn_s(screen, host.name.encode()) - began_s)
    yield Row(f"{title}: daosupctl top, until its first screen", "s", tuple(screens_s), noise=plan.meter.take())


def _asked(plan: Plan, host: Host, words: Sequence[str], before: str, goal: Optional[Goal]) -> Iterator[Row]:
    """One command, again and again; if it fails, one row that says so."""
    supervisor, told = int(host.call("status")["pid"]), f"daosupctl {words[0]}"
    times_s, own_ms, daemon_ms = [], [], []
    try:
        for _ in range(plan.either(10, 3)):
            with plan.meter.repeat():
                used_s = cpu_time_s(supervisor)
                time_s, cpu_s = _run(host, words)
                times_s.append(time_s)
                own_ms.append(1e3 * cpu_s)
                daemon_ms.append(1e3 * (cpu_time_s(supervisor) - used_s))
    except BenchError as error:
        yield Row(f"{before}{told}", "s", (), goal, note=" / ".join(str(error).splitlines()), noise=plan.meter.take())
        return
    noise = plan.meter.take()
    yield Row(f"{before}{told}", "s", tuple(times_s), goal, noise=noise)
    yield Row(f"{before}CPU of {told}", "ms", tuple(own_ms), noise=noise)
    yield Row(f"{before}CPU of {host.name}'s supervisor for {words[0]}", "ms", tuple(daemon_ms), noise=noise)


def lag(plan: Plan, host: Host, what: str) -> Row:
    """How late the loop was at worst."""
    worst_s = host.call("status")["loop"]["worst_lag_s"]
    return Row(f"{what}, at most", "ms", (1e3 * float(worst_s),), LAG_GOAL, noise=plan.meter.take())


def _run(host: Host, words: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU time, s."""
    command = [*console_script(), "--socket", str(host.control_socket), *words]
    began_s = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.send_signal(signal.SIGKILL)
        process.wait()
        raise
    time_s = time.monotonic() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stderr is not None
    with process.stderr as stderr:
        if process.returncode:
            raise BenchError(f"it ended with {process.returncode} after {time_s:.1f} s: {stderr.read().decode()}")
    return time_s, usage.ru_utime + usage.ru_stime
