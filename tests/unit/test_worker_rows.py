"""Rows of many workers are made in turns with what else happens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daosup.adapters import turns
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.types import Source
from daosup.shm import _native
from daosup.supervisor.worker_rows import worker_row, worker_rows
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.statistics import StatisticsPage
from tests.unit.hosts import HOST, Story, mirror, only, record

SOURCES = [Source("desk", f"cam{number:02}") for number in range(20)]


@pytest.fixture
def story() -> Story:
    """A host that mirrors ``SOURCES``, of which the first few have workers."""
    story = Story(mirrors=tuple(SOURCES))
    story.connect()
    story.say(e.ConfigChanged(story.state.facts))
    orders = story.say(e.RecordsSeen(tuple(e.SourceSeen(each, True, True, (record(),)) for each in SOURCES[:3])))
    for each in only(orders, do.StartWorker):
        story.run(each.key, os.getpid())
    return story


@pytest.fixture
def supervisor(story: Story, tmp_path: Path) -> Iterator[Any]:
    seen = WorkersSeen(lambda key: tmp_path / str(key.source))
    yield SimpleNamespace(state=story.state, config=SimpleNamespace(host=HOST), seen=seen)
    seen.sample({}, 0.0)


def test_others_have_their_turn_and_what_is_gone_by_then_has_no_row(
    story: Story, supervisor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_S", -1.0)  # each step is one too many

    async def rows_and_end() -> Any:
        making = asyncio.get_running_loop().create_task(worker_rows(supervisor, story.now))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        story.say(e.ConfigChanged(Story(mirrors=tuple(SOURCES[:-1])).state.facts))
        assert not making.done()
        return await making

    rows = asyncio.run(rows_and_end())
    assert [row["source"] for row in rows] == [str(each) for each in SOURCES[:-1]]
    assert [row["state"] for row in rows[:4]] == ["running"] * 3 + ["waiting"]


def test_latencies_are_those_of_the_last_seconds(story: Story, supervisor: Any) -> None:
    seen = supervisor.seen.of(mirror(SOURCES[0]))
    page = StatisticsPage(seen.reader._path)
    page.stamp()

    def told() -> Any:
        return worker_row(supervisor, mirror(SOURCES[0]), story.now)["latency"]

    def count(latency_ns: int, times: int) -> None:
        for _ in range(times):
            _native.note_latency(page.latency, 10**18, 10**18 + latency_ns)

    count(2**33, 5)
    supervisor.seen.sample(story.state.crew.workers, 0.0)
    assert told() is None
    count(4096, 99)
    count(2**20, 1)
    latency = told()
    assert (latency["frames"], latency["ahead"]) == (100, 0)
    assert 4096e-9 < latency["p50_s"] < latency["p99_s"] <= 5120e-9
    _native.note_latency(page.latency, 10**18 + 1, 10**18)
    assert told()["ahead"] == 1
