"""The command that tells what the journal has of this daemon, for other hosts.

Invariant: journalctl runs off the loop's way, at most `MOST_READING` times at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.adapters.journal_reading import MOST_ENTRIES, read_entries
from daosup.errors import DeniedError, UnavailableError, UsageError
from daosup.log import is_stderr_the_journal
from daosup.supervisor.requests import number_of, only_looks

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]

MOST_READING = 2
#: How long to wait for a place, seconds.
PLACE_S = 3.0
_MOST_LENGTH = 300


class LogCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._reading: set[asyncio.Future[Any]] = set()
        self.by_name = {"logs": self._logs}

    @only_looks
    async def _logs(self, request: Request) -> Object:
        """Entries of this instance: of ``name``, of ``level`` and worse, ``since`` then, ``after`` a cursor, ``count``.

        Returns ``entries``, oldest first, with the journal's fields; and ``clock_offset_s``, how far this host's clock,
        by which they are stamped, is ahead of Redis's.
        """
        supervisor = self._supervisor
        if not is_stderr_the_journal():
            raise UnavailableError(
                "this daosupd was not started by systemd; it logs to the standard error it was given"
            )
        arguments = {name: _text(request, name) for name in ("name", "level", "since", "after")}
        count = int(number_of(request.arguments, "count", 1000, MOST_ENTRIES))
        reading = partial(read_entries, supervisor.config.instance, count=count, **arguments)
        try:
            entries = await self._read(reading)
        except DeniedError:
            raise DeniedError(
                "its daosupd may not read the journal: systemctl edit daoserver@, "
                "SupplementaryGroups=systemd-journal in [Service]"
            ) from None
        return {"entries": entries, "clock_offset_s": supervisor.state.clock.offset_s}

    async def _read(self, reading: Callable[[], Any]) -> Any:
        """Read when there is room; who asked may go away meanwhile, journalctl then still has its place."""
        while len(self._reading) >= MOST_READING:
            done, _ = await asyncio.wait(self._reading, timeout=PLACE_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise UnavailableError("others have its journal read just now; ask again")
        begun = asyncio.get_running_loop().run_in_executor(None, reading)
        self._reading.add(begun)
        begun.add_done_callback(self._ended)
        return await asyncio.shield(begun)

    def _ended(self, reading: asyncio.Future[Any]) -> None:
        self._reading.discard(reading)
        if not reading.cancelled():
            reading.exception()  # told to who still waits


def _text(request: Request, name: str) -> Optional[str]:
    text = request.arguments.get(name)
    if text is not None and (not isinstance(text, str) or len(text) > _MOST_LENGTH or not text.isprintable()):
        raise UsageError(f"{name} is {str(text)[:80]!r}, which it cannot be")
    return text
