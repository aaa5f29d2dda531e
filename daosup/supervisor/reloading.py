"""Reads the configuration anew while the supervisor runs.

Invariants: what is in force was right as a whole when it was read; one that is wrong anywhere changes nothing, and is
told of in the log and in ``status`` until one that is right is read. Signals that come while it is being read are
answered by reading it once more, however many they are.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional

from daosup.config.changes import Change, adopt
from daosup.config.reader import ConfigReader
from daosup.config.telling import told_change
from daosup.core.notices import running
from daosup.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor


class Reloading:
    """The configuration's file, from the loop of a running supervisor.

    Args:
        supervisor: Whose configuration it is.
        reader: Reads it anew.
    """

    def __init__(self, supervisor: Supervisor, reader: ConfigReader) -> None:
        self._supervisor = supervisor
        self._reader = reader
        self._lock, self._checking = asyncio.Lock(), asyncio.Lock()
        self._is_asked = self._is_serving = False
        self._task: Optional[asyncio.Task[None]] = None
        self._loaded = datetime.now(timezone.utc)
        self._error: Optional[ConfigError] = None
        self._needs_restart: tuple[str, ...] = ()

    @property
    def status(self) -> dict[str, Any]:
        """Of the configuration: where from, since when, what is wrong with a newer one, what waits for a restart."""
        file = self._supervisor.config.file
        return {
            "file": str(file) if file else None,
            "loaded_utc": self._loaded.isoformat(timespec="milliseconds"),
            "mistakes": self._error.mistakes if self._error else [],
            "needs_restart": list(self._needs_restart),
        }

    def serve(self) -> None:
        """The supervisor has begun: answer signals, also those that came before."""
        self._is_serving = True
        if self._is_asked:
            self.on_signal()

    def on_signal(self) -> None:
        """SIGHUP came."""
        self._is_asked = True
        if not self._is_serving:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._answer_signals())

    async def _answer_signals(self) -> None:
        while self._is_asked:
            self._is_asked = False
            try:
                await self.reload()
            except (ConfigError, UnavailableError):
                pass  # it is in the log
            except Exception as error:
                self._supervisor.fail(error)

    async def reload(self) -> dict[str, Any]:
        """Read it anew and put it in force; returns which keys changed, and which wait for a restart.

        Raises:
            ConfigError: If it is wrong anywhere; then nothing changed.
            UnavailableError: If the supervisor is stopping.
        """
        async with self._lock:
            tell = self._supervisor.journal.tell
            self._supervisor.service.reloading()
            try:
                read = await asyncio.get_running_loop().run_in_executor(None, self._reader.read)
                if self._supervisor.state.is_stopping:
                    raise UnavailableError("this daosupd is stopping; it will read its configuration when it starts")
                change = adopt(self._supervisor.config, read)
                self._supervisor.reconfigure(change)
                self._note(change)
            except ConfigError as error:
                self._error = error
                # One entry, for a file with many mistakes is one mishap.
                tell(running.CONFIGURATION_REFUSED, mistake="; ".join(error.mistakes))
                raise
            finally:
                self._supervisor.service.reloaded()
            return {"changed": list(change.changed), "needs_restart": list(change.needs_restart)}

    async def check(self, text: Optional[str], name: str) -> dict[str, Any]:
        """What a reload would find and do, now, or if a file called ``name`` said ``text``; nothing is changed.

        One at a time, for to read it takes a while.
        """
        async with self._checking:
            running, loop = self._supervisor.config, asyncio.get_running_loop()
            try:
                if text is None:
                    read = await loop.run_in_executor(None, self._reader.read)
                else:
                    read = await loop.run_in_executor(None, self._reader.read_text, text, name)
            except ConfigError as error:
                return {"mistakes": error.mistakes, "changed": [], "needs_restart": []}
            return {"mistakes": [], **told_change(running, read, adopt(running, read))}

    def _note(self, change: Change) -> None:
        self._error, self._needs_restart = None, change.needs_restart
        self._loaded = datetime.now(timezone.utc)
        tell = self._supervisor.journal.tell
        tell(running.CONFIGURATION_READ, changed=", ".join(change.changed) or "nothing")
        if change.needs_restart:
            tell(running.CONFIGURATION_NEEDS_RESTART, keys=", ".join(change.needs_restart))
