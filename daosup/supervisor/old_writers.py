"""Tells publishers which readers of the old protocol write to their segments; workers/old_writers.py is the other side.

Invariant: the files outlive a supervisor that crashes, as the publishers do that read them, and say to its successor
what no registry does: an old reader asks only once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from daosup.core.actions import TellOldWriters
from daosup.core.notices import streams
from daosup.core.types import OldWriter, Source, WorkerKey, WorkerKind
from daosup.errors import ProtocolError
from daosup.supervisor.journal import Journal
from daosup.workers.old_writers import SUFFIX, encode_old_writers, read_old_writers


class OldWriterFiles:
    """The files of all publishers of a host.

    Args:
        host: Its name.
        page_of: Where a worker's statistics page is.
        journal: Told of what cannot be written or read.
    """

    def __init__(self, host: str, page_of: Callable[[WorkerKey], Path], journal: Journal) -> None:
        self._host, self._page_of, self._journal = host, page_of, journal

    def tell(self, action: TellOldWriters) -> None:
        """Have a publisher know its writers."""
        path = self._path_of(action.name)
        try:
            if action.writers:
                new = path.with_suffix(f"{SUFFIX}-new")
                new.write_bytes(encode_old_writers(action.name, action.writers))
                new.replace(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            self._journal.tell(streams.OLD_WRITERS_UNTOLD, action.name, reason=str(error))

    def remembered(self) -> dict[str, tuple[OldWriter, ...]]:
        """What was told before this supervisor began, by name of segment."""
        found = {}
        for path in self._path_of("any").parent.glob(f"*{SUFFIX}"):
            try:
                name, writers = read_old_writers(path)
            except (OSError, ProtocolError) as error:
                self._journal.tell(streams.OLD_WRITERS_FORGOTTEN, file=str(path), reason=str(error))
                continue
            if path == self._path_of(name):
                found[name] = writers
        return found

    def _path_of(self, name: str) -> Path:
        return self._page_of(WorkerKey(WorkerKind.PUBLISHER, Source(self._host, name))).with_suffix(SUFFIX)
