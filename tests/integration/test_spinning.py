"""Workers that may spin do so while frames come fast; and all of them sleep when there is nothing to do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Optional

import pytest

from daosup.core.spinning import cpus_to_spin_on
from daosup.workers.limits import Limits
from daosup.workers.spinning import Spinner
from tests.integration.fleet import Fleet
from tests.integration.streams import Stream, filming, stream, wait_for_frames
from tests.waiting import wait_until

CONFIG = """
[[worker]]
match = "spun"
spin_ms = 100

[[worker]]
match = "pinned"
spin_ms = 100
cpu_affinity = [0]
"""
#: Frames that are spun for at 100 ms each, with room for a machine that is busy.
PERIOD_S = 0.005
#: What is counted is counted for so long; it is judged by the best time of several.
COUNT_S = 2.0

pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="nothing spins on a machine with one CPU")


@pytest.fixture(scope="module")
def hosts_config() -> str:
    """As everywhere, but with workers that may spin."""
    return CONFIG


class Usage:
    """What a process has used: how often it slept, and for how long it ran."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.began_s, self.sleeps, self.cpu_s = time.monotonic(), self._sleeps(), self._cpu_s()

    def _sleeps(self) -> int:
        statuses = [task / "status" for task in Path(f"/proc/{self._pid}/task").iterdir()]
        lines = (line for status in statuses for line in status.read_text().splitlines())
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Rates:
    """How often a process sleeps, and which share of a CPU it takes; over the last time that was long enough."""

    def __init__(self, pid: int) -> None:
        self._pid, self._before = pid, Usage(pid)

    def next(self) -> Optional[tuple[float, float]]:
        """Sleeps a second and the share, once a time is over; then a new one begins."""
        now, before = Usage(self._pid), self._before
        elapsed_s = now.began_s - before.began_s
        if elapsed_s < COUNT_S:
            return None
        self._before = now
        return (now.sleeps - before.sleeps) / elapsed_s, (now.cpu_s - before.cpu_s) / elapsed_s


def pids_of(one: Stream) -> list[int]:
    return [host.worker_pid(one.source) for host in (one.hosts.rts, one.hosts.lab)]


def wait_until_directly(one: Stream) -> None:
    def is_direct() -> bool:
        row = one.hosts.lab.worker(one.source)
        return row is not None and row["transport"] == "direct"

    wait_until(is_direct, 10.0, f"{one.source} to come directly")


def wait_until_idle(pid: int, sleeps_hz: float) -> None:
    """Until it sleeps less often than that a second, and takes next to no time."""
    rates = Rates(pid)

    def is_idle() -> bool:
        found = rates.next()
        if found is not None:
            print(f"process {pid} sleeps {found[0]:.1f} times a second, and takes {found[1]:.2f} of a CPU")
        return found is not None and found[0] < sleeps_hz and found[1] < 0.05

    wait_until(is_idle, 10.0, f"process {pid} to be idle")


@pytest.mark.parametrize("kind", ["publisher", "mirror"])
def test_a_worker_of_a_stream_that_rests_wakes_up_less_than_five_times_a_second(hosts: Fleet, kind: str) -> None:
    with stream(hosts, "spun") as one:
        wait_until_directly(one)
        wait_until_idle(pids_of(one)[kind == "mirror"], 5.0)


def test_while_frames_come_fast_workers_spin_and_then_they_sleep(hosts: Fleet) -> None:
    with stream(hosts, "spun") as one:
        wait_until_directly(one)
        pids = pids_of(one)
        with filming(one.segment, PERIOD_S):
            for pid in pids:
                rates = Rates(pid)
                # One that sleeps does so for each of 200 frames a second.
                wait_until(lambda r=rates: (found := r.next()) and found[0] < 60.0, 30.0, f"process {pid} to spin")
        for pid in pids:
            wait_until_idle(pid, 20.0)  # it slept for each of 200 frames before it began to spin
        with filming(one.segment, PERIOD_S):
            wait_for_frames(one.mirror, 20)


def test_where_frames_come_slowly_workers_sleep(hosts: Fleet) -> None:
    with stream(hosts, "spun") as one:
        pids = pids_of(one)
        with filming(one.segment, 0.15):
            wait_for_frames(one.mirror, 5)
            for pid in pids:
                rates = Rates(pid)
                wait_until(lambda r=rates: (found := r.next()) and found[1] < 0.1, 10.0, f"process {pid} to sleep")


def test_of_two_workers_with_one_cpu_one_does_not_spin_and_says_so_once(hosts: Fleet) -> None:
    with stream(hosts, "pinned") as one, filming(one.segment, PERIOD_S):
        wait_until_directly(one)

        def warnings() -> list[str]:
            rows = [host.worker(one.source) for host in (hosts.rts, hosts.lab)]
            return [row["warning"] for row in rows if row is not None and row["warning"]]

        wait_until(warnings, 20.0, "one of them to tell that it does not")
        assert (
            warnings()[0] == "spin_ms: on CPU 0 others spin already; this worker sleeps between frames, and tries again"
        )
        wait_for_frames(one.mirror, 500, 20.0)
        log = hosts.rts.log + hosts.lab.log
        assert 1 <= log.count("a limit of a worker cannot be set") <= 2


def test_there_are_never_more_that_spin_than_cpus_they_may_use() -> None:
    told: list[str] = []
    name = f"daosup-test-{os.getpid()}-"
    cpus = cpus_to_spin_on(os.sched_getaffinity(0), os.cpu_count() or 1)
    made = [Spinner(Limits(spin_ms=10), lambda _, warning: told.append(warning), name) for _ in range(len(cpus) + 1)]

    def spun_s(now: float) -> list[float]:
        return [each.spin_s(now, int(now * 1000)) for each in made]

    try:
        assert not any(spun_s(5.0))
        for step in range(1, 51):
            spun = spun_s(5.0 + 0.005 * step)
        assert spun == [0.01] * len(cpus) + [0.0]
        assert len(told) == 1
        made[0].close()
        for step in range(51, 300):
            spun = spun_s(5.0 + 0.005 * step)
        assert sum(each > 0 for each in spun) == len(cpus)
        assert not any(each.spin_s(6.5, 6500, is_wanted=False) for each in made)
        assert not any(Spinner(Limits(), told.append, name).spin_s(now / 100, now) for now in range(1000))
    finally:
        for each in made:
            each.close()
