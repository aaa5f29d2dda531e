"""Keeps the ports of published segments on disk, so that after a restart each has the one that its readers know.

Invariant: writing happens off the loop, one after the other, the newest last; what cannot be read or written costs no
more than ports that are other ones after the next start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Optional

from daosup.adapters.state_file import MAX_BYTES, StateFile
from daosup.core.checked_json import as_object, integer_field, parse_json
from daosup.core.notices import running
from daosup.core.ports import MOST_REMEMBERED
from daosup.core.types import Source, check_name
from daosup.errors import ProtocolError, UnavailableError, UsageError
from daosup.supervisor.journal import Journal


class PortMemory:
    """The ports in one file; belongs to a running loop."""

    def __init__(self, file: StateFile, journal: Journal) -> None:
        self._file, self._journal = file, journal
        self._waiting: Optional[Mapping[str, int]] = None
        self._writing: Optional[asyncio.Task[None]] = None

    def load(self) -> dict[str, int]:
        """What was written down; nothing of it if that is not what we write."""
        try:
            raw = self._file.read()
            return {} if raw is None else _decoded(raw)
        except (ProtocolError, UnavailableError) as error:
            self._journal.tell(running.PORTS_UNKNOWN, reason=str(error))
            return {}

    def remember(self, ports: Mapping[str, int]) -> None:
        """Write these down soon."""
        self._waiting = ports
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def settle(self) -> None:
        """Wait until all is written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._waiting is not None:
            ports, self._waiting = self._waiting, None
            content = json.dumps(dict(ports), indent=1).encode() + b"\n"
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._file.write, content)
            except UnavailableError as error:
                self._journal.tell(running.PORTS_NOT_KEPT, reason=str(error))


def _decoded(raw: bytes) -> dict[str, int]:
    ports = as_object(parse_json(raw, MAX_BYTES), "list of ports")
    if len(ports) > MOST_REMEMBERED:
        raise ProtocolError(f"{len(ports)} ports, more than {MOST_REMEMBERED}")
    try:
        return {_checked(name): integer_field(ports, name, 1, 65535) for name in ports}
    except UsageError as error:
        raise ProtocolError(str(error)) from None


def _checked(name: str) -> str:
    """The name of a segment of this host, or HOST:NAME of a mirror.

    Raises:
        UsageError: If it is neither.
    """
    return str(Source.parse(name)) if ":" in name else check_name(name)
