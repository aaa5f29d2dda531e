"""What a supervisor knows of mirrors that are written back: from the one before it, and from their processes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daosup.config import Config
from daosup.core.actions import RememberMirrors, StartWorker
from daosup.core.crew import Phase, Worker
from daosup.core.types import Source
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.supervisor.workers_seen import WorkersSeen, WritingBack
from tests.unit.hosts import mirror

WFS, DM = Source("rts", "wfs"), Source("rts", "dm")


@pytest.fixture
def folder(tmp_path: Path) -> WorkersFolder:
    paths = {"host": "lab", "runtime_folder": str(tmp_path), "state_folder": str(tmp_path)}
    folder = WorkersFolder(Config.from_mapping(paths))
    folder.path.mkdir()
    return folder


@pytest.mark.parametrize("written_back", [(), (WFS,), (WFS, DM)])
def test_what_is_remembered_is_what_was(folder: WorkersFolder, written_back: tuple[Source, ...]) -> None:
    mirrors = RememberMirrors((WFS,), (DM,), written_back)
    folder.remember(mirrors)
    assert folder.remembered() == mirrors


def test_what_was_remembered_before_there_was_writing_back_is_read(folder: WorkersFolder) -> None:
    (folder.path / "mirrors").write_text(json.dumps([["rts:wfs"], ["rts:dm"]]))
    assert folder.remembered() == RememberMirrors((WFS,), (DM,))
    (folder.path / "mirrors").write_text(json.dumps([["rts:wfs"]]))
    assert folder.remembered() == RememberMirrors((), ())


def seen_of(told: dict[str, Any]) -> tuple[WritingBack, str | None]:
    seen = WorkersSeen(lambda key: Path("/nonexistent"))
    seen.told(mirror(), "writing", told)
    return seen.of(mirror()).writing_back, seen.of(mirror()).refusal


def test_what_a_worker_says_of_writing_is_taken_with_distrust() -> None:
    assert seen_of({"state": "open", "reason": None}) == (WritingBack.OPEN, None)
    assert seen_of({"state": "refused", "reason": "because"}) == (WritingBack.REFUSED, "because")
    assert seen_of({"state": "refused", "reason": 7}) == (WritingBack.REFUSED, None)
    for state in ("ajar", None, 1, True):
        assert seen_of({"state": state, "reason": "because"}) == (WritingBack.ASKING, None)


def test_a_refusal_is_no_trouble_of_the_worker() -> None:
    seen = WorkersSeen(lambda key: Path("/nonexistent"))
    seen.told(mirror(), "away", {"reason": "its segment is gone"})
    seen.told(mirror(), "writing", {"state": "refused", "reason": "because"})
    assert seen.of(mirror()).reason == "its segment is gone"


def test_a_page_tells_what_was_said_to_another_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, page = (
        WorkersSeen(lambda key: Path("/nonexistent")),
        SimpleNamespace(pid=7, frames=0, payload_bytes=0, writing=0),
    )
    monkeypatch.setattr(seen, "current", lambda key, worker: page)
    workers = {mirror(): Worker(StartWorker(mirror()), Phase.RUNNING, 0.0, pid=7)}
    for writing, state in (
        (0, WritingBack.ASKING),
        (1, WritingBack.OPEN),
        (2, WritingBack.REFUSED),
        (9, WritingBack.REFUSED),
    ):
        page.writing = writing
        seen.sample(workers, 1.0)
        assert seen.of(mirror()).writing_back is state
