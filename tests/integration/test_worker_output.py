"""What workers write is handed on when the kernel says so, and costs nothing while nobody writes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from daosup.adapters.output_file import Output, OutputFile
from daosup.supervisor.worker_output import WorkerOutput

DEADLINE_S = 20.0


class Told:
    """Stands for the journal: keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def tell(self, notice: object, key: object, pid: int, text: str, **fields: object) -> None:
        self.texts.append(text)


async def _until_told(told: Told, text: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while text not in told.texts:
        assert time.monotonic() < deadline_s, f"waited in vain for {text!r}; told is {told.texts}"
        await asyncio.sleep(0.005)


def test_a_file_that_nobody_writes_to_any_more_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: Counter[Path] = Counter()
    take = OutputFile.take

    def counted(file: OutputFile, *, is_final: bool) -> Output:
        looked_at[file._path] += 1
        return take(file, is_final=is_final)

    monkeypatch.setattr(OutputFile, "take", counted)
    quiet, told, failed = tmp_path / "quiet.output", Told(), []

    async def run() -> None:
        journal: Any = told
        output = WorkerOutput(tmp_path, journal, failed.append)
        output.open()
        quiet.write_text("once\n")
        await _until_told(told, "once")
        for number in range(6):  # each takes longer than until what is told of a file is taken
            other = tmp_path / f"other{number}.output"
            other.write_text(f"{number}\n")
            await _until_told(told, f"{number}")
        looks = looked_at[quiet]
        output.close()
        assert looks <= 3, "by making it, by writing to it, and by giving its room back"

    asyncio.run(run())
    assert failed == []
    assert told.texts == ["once", *map(str, range(6))]
