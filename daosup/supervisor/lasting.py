"""Keeps what operators want to last, on disk first and then in force.

Invariants: what is in force is what is on disk, once a change has returned; a change that cannot be written changes
nothing. Changes come one after the other, each upon the last. Writing happens off the loop: a disk may take its time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Optional

from daosup.adapters.state_file import MAX_BYTES, StateFile
from daosup.core import events as e
from daosup.core.checked_json import parse_json
from daosup.core.desired import MAX_NAMES, Desired
from daosup.core.notices import running
from daosup.errors import ProtocolError, UnavailableError, UsageError
from daosup.supervisor.journal import Journal


class Lasting:
    """What lasts on one host; belongs to a running loop.

    Args:
        file: Where it is kept.
        post: Told of each change.
        journal: Told if it cannot be read.
    """

    def __init__(self, file: StateFile, post: Callable[[e.Event], None], journal: Journal) -> None:
        self.desired = Desired()
        self.error: Optional[str] = None
        self._file = file
        self._post = post
        self._journal = journal
        self._lock = asyncio.Lock()

    def load(self) -> None:
        """Take in what is on disk. A file that is no state is set aside; one that cannot be read is left alone."""
        try:
            raw = self._file.read()
            if raw is not None:
                self.desired = Desired.of_json(parse_json(raw, MAX_BYTES))
        except ProtocolError as error:
            self._set_aside(str(error))
        except UnavailableError as error:
            self.error = str(error)
            self._journal.tell(running.KEPT_UNKNOWN, reason=self.error)
        self._post(e.DesiredChanged(self.desired))

    async def change(self, change: Callable[[Desired], Desired]) -> None:
        """Write down what ``change`` makes of it, and put it in force.

        Raises:
            UnavailableError: If it cannot be written.
            UsageError: If it becomes too much.
        """
        # Whoever asked may go away meanwhile; what is on disk must come into force all the same.
        task = asyncio.get_running_loop().create_task(self._change(change))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(task)

    async def _change(self, change: Callable[[Desired], Desired]) -> None:
        async with self._lock:
            desired = change(self.desired)
            if desired == self.desired:
                return
            if self.error is not None:
                raise UnavailableError(f"{self.error}; so it is not overwritten: mend that, then restart daosupd")
            if desired.most_names > MAX_NAMES:
                raise UsageError(f"more than {MAX_NAMES} kept or stopped names; release or start some")
            content = json.dumps(desired.as_json(), indent=1).encode() + b"\n"
            await asyncio.get_running_loop().run_in_executor(None, self._file.write, content)
            self.desired = desired
            self._post(e.DesiredChanged(desired))

    def _set_aside(self, why: str) -> None:
        try:
            where = self._file.set_aside()
        except UnavailableError as error:
            self.error = f"{self._file.path} is not a state that this version knows ({why}), and {error}"
            self._journal.tell(running.KEPT_UNKNOWN, reason=self.error)
        else:
            self._journal.tell(running.KEPT_FORGOTTEN, reason=why, file=where)
