"""Ports on disk: what was written is read again, and what is none is left out with a word."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daosup.adapters.state_file import StateFile
from daosup.supervisor.port_memory import PortMemory
from tests.journals import Told


def test_the_last_that_was_remembered_is_read_again(tmp_path: Path) -> None:
    async def remember() -> None:
        memory = PortMemory(StateFile(tmp_path / "state" / "rts.ports.json"), Told())
        assert memory.load() == {}
        for number in range(100):
            memory.remember({"wfs": 5000 + number, "dm": 1})
        await memory.settle()
        memory.remember({"wfs": 7000})
        await memory.settle()
        assert memory.load() == {"wfs": 7000}

    asyncio.run(remember())


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"wfs": 0}', b'{"wfs": 70000}', b'{"wfs": "5000"}', b'{"w/s": 5000}', b"[" * 100_000],
)
def test_what_is_no_list_of_ports_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rts.ports.json"
    path.write_bytes(content)
    assert PortMemory(StateFile(path), Told()).load() == {}


def test_a_folder_that_cannot_be_written_costs_the_memory_alone(tmp_path: Path) -> None:
    async def remember() -> None:
        (tmp_path / "state").write_text("no folder")
        memory = PortMemory(StateFile(tmp_path / "state" / "rts.ports.json"), Told())
        memory.remember({"wfs": 5000})
        await memory.settle()
        assert memory.load() == {}

    asyncio.run(remember())
