"""A worker's statistics page, read while another process writes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from daosup.workers.statistics import StatisticsReader
from tests.waiting import wait_until

WRITER = """
import sys
from pathlib import Path
from daosup.workers.statistics import StatisticsPage
page = StatisticsPage(Path(sys.argv[1]))
page.stamp_ready(5000)
while True:
    page.frames += 1
    page.stamp()
"""


def test_no_number_is_ever_seen_missing(tmp_path: Path) -> None:
    path = tmp_path / "page"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env={**os.environ}) as writer:
        try:
            reader = StatisticsReader(path)
            wait_until(lambda: (page := reader.read(writer.pid)) and page.is_ready, 20.0, "the page")
            frames = beat_ns = 0
            for _ in range(200_000):
                beat = reader.beat(writer.pid)
                page = reader.read(writer.pid)
                assert beat is not None
                assert page is not None
                assert (page.pid, page.port, page.is_ready) == (writer.pid, 5000, 1)
                assert beat_ns <= beat[1] <= page.beat_ns
                assert page.frames >= frames
                frames, beat_ns = page.frames, page.beat_ns
        finally:
            writer.kill()
