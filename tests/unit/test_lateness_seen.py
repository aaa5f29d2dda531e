"""Whose loop is seen to be late: by its page, which goes on being written while others look."""

from __future__ import annotations

import os
import time
from pathlib import Path

from daosup.core.crew import Phase, Worker
from daosup.core.hanging import LATE_S
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.statistics import StatisticsPage
from tests.unit.hosts import publishing

ORDER = publishing()


def beaten(file: Path) -> StatisticsPage:
    """The page of a worker which beat once."""
    page = StatisticsPage(file)
    page.stamp()
    return page


def looked_at(file: Path) -> WorkersSeen:
    """That worker, as it was seen just now."""
    seen = WorkersSeen(lambda key: file)
    seen.sample({ORDER.key: Worker(ORDER, Phase.RUNNING, 0.0, pid=os.getpid())}, time.monotonic())
    return seen


def test_who_has_not_beaten_for_long_is_late(tmp_path: Path) -> None:
    beaten(tmp_path / "page")
    seen, now = looked_at(tmp_path / "page"), time.monotonic()
    assert seen.late(now, lambda pid: "S") == []
    (late,) = seen.late(now + LATE_S, lambda pid: "S")
    assert (late.key, late.pid, late.has_begun, late.state) == (ORDER.key, os.getpid(), True, "S")
    assert late.age_s > LATE_S


def test_who_beats_while_being_looked_at_is_not(tmp_path: Path) -> None:
    page = beaten(tmp_path / "page")

    def asleep_again(pid: int) -> str:
        page.stamp()
        return "S"

    assert looked_at(tmp_path / "page").late(time.monotonic() + LATE_S, asleep_again) == []
