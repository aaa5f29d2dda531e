"""Commands about the configuration; they change nothing.

Invariant: no password is told, and whoever asks may have a text of his own checked, but no file that he cannot read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from daosup import __version__
from daosup.adapters.control import Request
from daosup.config.telling import told_keys
from daosup.errors import UsageError
from daosup.supervisor.requests import only_looks

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]

#: Some thousand mirrors.
MAX_TEXT_CHARACTERS = 1 << 18
_MAX_NAME_LENGTH = 4096


class ConfigCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.by_name = {"config": self._config, "check_config": self._check}

    @only_looks
    async def _config(self, request: Request) -> Object:
        """All keys as they are in force, where each was set, and what waits for a restart."""
        needs_restart = self._supervisor.reloading.status["needs_restart"]
        return {**self._daemon(), "keys": list(told_keys(self._supervisor.config)), "needs_restart": needs_restart}

    @only_looks
    async def _check(self, request: Request) -> Object:
        """What a reload would find and do; of ``text``, if there is one, that a file called ``name`` would have."""
        text, name = request.arguments.get("text"), request.arguments.get("name", "the text")
        if text is not None and (not isinstance(text, str) or len(text) > MAX_TEXT_CHARACTERS):
            raise UsageError(f"text is no text of at most {MAX_TEXT_CHARACTERS} characters")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _MAX_NAME_LENGTH:
            raise UsageError("name is not the name of a file")
        found = await self._supervisor.reloading.check(text, name)
        return {**self._daemon(), **({} if text is None else {"file": name}), **found}

    def _daemon(self) -> Object:
        config = self._supervisor.config
        about = {"host": config.host, "instance": config.instance, "version": __version__, "pid": os.getpid()}
        reloading = self._supervisor.reloading.status
        return {"daemon": about, "file": reloading["file"], "loaded_utc": reloading["loaded_utc"]}
