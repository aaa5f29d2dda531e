"""Finds out what happens in the segment folder, and tells the host's state what changed.

Invariants: what the kernel tells is followed at once; what it does not tell (a full queue, a network file system, a
header written through memory much later) is found by a slow scan; the folder itself may go, come, be mounted over or be
led elsewhere at any time. However much happens in the folder, events are read at most every ``EVENTS_PAUSE_S``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Optional

from daosup.adapters.folder_watch import FolderWatch
from daosup.adapters.segment_folder import SegmentFolder
from daosup.core import events as e
from daosup.core.discovery import Discovery
from daosup.core.notices import streams
from daosup.core.types import SEGMENT_SUFFIX
from daosup.supervisor.journal import Journal

#: The safety net's mesh; without the kernel's word it is all there is.
SCAN_INTERVAL_S = 10.0
SCAN_INTERVAL_UNTOLD_S = 1.0
EVENTS_PAUSE_S = 0.02
#: How many files that are no segments the status names.
_MOST_REFUSED = 50


class DiscoveryDesk:
    """Watches one folder; belongs to one asyncio loop.

    Args:
        folder: Which.
        post: Takes SegmentsChanged.
        fail: Takes an exception that nobody foresaw.
        journal: Is told what is wrong with the folder or with files in it.
    """

    def __init__(
        self,
        folder: SegmentFolder,
        post: Callable[[e.Event], None],
        fail: Callable[[BaseException], None],
        journal: Journal,
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._post = post
        self._fail = fail
        self._discovery = Discovery()
        self._watch = FolderWatch(folder.folder)
        self._scanned_s = 0.0
        self._timer: Optional[asyncio.TimerHandle] = None
        self._pause: Optional[asyncio.TimerHandle] = None
        self._error: Optional[str] = None
        self._refused: set[str] = set()

    def start(self) -> None:
        """Begin to watch, and find what is there."""
        if self._watch.fd >= 0:
            asyncio.get_running_loop().add_reader(self._watch.fd, self._on_events)
        self.look()

    def tick(self, now: float) -> None:
        """See to the folder itself, and scan it if that is due."""
        is_other = self._watch.renew()
        interval_s = SCAN_INTERVAL_S if self._watch.is_watching else SCAN_INTERVAL_UNTOLD_S
        if is_other or now >= self._scanned_s + interval_s:
            self._scan(now)
            self._work()

    def look(self) -> None:
        """Look through the folder now, and tell everything that is known."""
        self._watch.renew()
        self._scan(time.monotonic())
        self._work()
        self._post(e.SegmentsChanged(tuple(self._discovery.segments.values())))

    def status(self) -> dict[str, Any]:
        """How the folder is watched, and what in it is no segment though its name says so."""
        refused = sorted(self._discovery.refused.items())
        return {
            "path": str(self._folder.folder),
            "is_watched": self._watch.is_watching,
            "error": self._watch.error,
            "refused": [{"name": name, "reason": reason} for name, reason in refused[:_MOST_REFUSED]],
        }

    def close(self) -> None:
        """Watch no longer."""
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        if self._watch.fd >= 0:
            asyncio.get_running_loop().remove_reader(self._watch.fd)
        self._watch.close()

    def _scan(self, now: float) -> None:
        self._scanned_s = now
        changed = self._folder.scan()
        for name in changed:
            self._discovery.touch(name, now)
        for name in self._discovery.refused.keys() - set(changed):  # memory may have made segments of them
            self._discovery.touch(name, now, patience_s=0.0)
        if self._watch.error != self._error:
            self._error = self._watch.error
            if self._error:
                self._journal.tell(streams.FOLDER_NOT_WATCHED, reason=self._error)
            else:
                self._journal.tell(streams.FOLDER_WATCHED, folder=str(self._folder.folder))

    def _on_events(self) -> None:
        try:
            now = time.monotonic()
            names = self._watch.read()
            if names is None or not self._watch.is_watching:
                self._watch.renew()
                self._scan(now)
            for file in names or ():
                name = self._folder.name_of(file)
                if name is not None:
                    self._discovery.touch(name, now)
            self._work()
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._watch.fd)
            self._pause = loop.call_later(EVENTS_PAUSE_S, loop.add_reader, self._watch.fd, self._on_events)
        except Exception as error:
            self._fail(error)

    def _work(self) -> None:
        """Look at what is due, tell what came of it, and see that the next look comes."""
        try:
            for name in self._discovery.due(time.monotonic()):
                facts, reason = self._folder.look(name)
                self._discovery.saw(name, facts, reason, time.monotonic())
            found, gone = self._discovery.take_changes()
            if found or gone:
                self._post(e.SegmentsChanged(found, gone))
            for name in self._discovery.refused.keys() - self._refused:
                reason = self._discovery.refused[name]
                self._journal.tell(streams.NOT_A_SEGMENT, name, file=f"{name}{SEGMENT_SUFFIX}", reason=reason)
            self._refused = set(self._discovery.refused)
        except Exception as error:
            self._fail(error)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._discovery.next_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._discovery.next_s - time.monotonic()), self._work)
