"""Hands what workers write to their standard output and error on to the log, with the name of whom it comes from.

Invariants: nothing is lost but what is said to be cut; the files outlive a crash of their writer and of us, and whoever
comes next goes on reading. Nothing here costs anything while nobody writes: the kernel tells when somebody does. Who
writes ever more is read ever more seldom, so that a worker in a rage fills no journal: at most `MAX_TAKEN_BYTES` in
`LONGEST_PAUSE_S`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Optional

from daosup.adapters.folder_watch import FolderWatch
from daosup.adapters.output_file import OutputFile
from daosup.core.notices.notice import Notice
from daosup.core.notices.workers import FORK_SERVER_OUTPUT, WORKER_OUTPUT, WORKER_TRACEBACK
from daosup.core.types import WorkerKey
from daosup.supervisor.journal import Journal
from daosup.workers.records import OUTPUT_SUFFIX, RECORD_SUFFIX, WORDS_SUFFIX, is_dead, page_name, written_by
from daosup.workers.words import read_words

FORK_SERVER_FILE = f"fork-server{OUTPUT_SUFFIX}"
#: However much is written, the kernel's word is listened to so often.
EVENTS_PAUSE_S = 0.05
#: A traceback is written line by line; after so long it mostly is whole.
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 15.0
#: Who wrote nothing for so long begins anew.
QUIET_S = 30.0


class _Tail:
    """The output of one process."""

    def __init__(self, path: Path) -> None:
        self.file = OutputFile(path)
        self.pause_s = FIRST_PAUSE_S
        self.taken_s = float("-inf")
        self.timer: Optional[asyncio.TimerHandle] = None

    def next_s(self, now: float) -> float:
        """When to read it, given that there is something now."""
        if now >= self.taken_s + QUIET_S:
            self.pause_s = FIRST_PAUSE_S
        return max(now + FIRST_PAUSE_S, self.taken_s + self.pause_s)


class WorkerOutput:
    """The output files of one supervisor's workers; belongs to one asyncio loop.

    Args:
        folder: Where the workers' files are.
        journal: Is told what they write.
        fail: Takes an exception that nobody foresaw.
    """

    def __init__(self, folder: Path, journal: Journal, fail: Callable[[BaseException], None]) -> None:
        self._folder, self._journal, self._fail = folder, journal, fail
        self._tails: dict[str, _Tail] = {}
        self._watch: Optional[FolderWatch] = None
        self._resting: Optional[asyncio.TimerHandle] = None

    @property
    def fork_server_file(self) -> Path:
        """Where the fork server writes, and each worker until it knows who it is."""
        return self._folder / FORK_SERVER_FILE

    def open(self) -> None:
        """Tell what was written while nobody listened, and listen from now on; the folder is there."""
        self._watch = FolderWatch(self._folder)
        self._watch.renew()
        if self._watch.fd >= 0:
            asyncio.get_running_loop().add_reader(self._watch.fd, self._on_events)
        self._take_all()
        for path in sorted(self._folder.glob(f"*{WORDS_SUFFIX}")):
            record, words = path.with_suffix(RECORD_SUFFIX), read_words(path)
            if words.traceback and is_dead(record):  # it died while nobody was there
                self._journal.tell(WORKER_TRACEBACK, *written_by(record), words.traceback, cause=words.reason)

    def ended(self, key: WorkerKey, pid: int) -> None:
        """A worker ended: tell what is left."""
        name = Path(page_name(key)).with_suffix(OUTPUT_SUFFIX).name
        self._take(name, lambda: (key, pid), is_final=True)

    def close(self) -> None:
        """Tell what is left of all, and listen no more."""
        for timer in (self._resting, *(tail.timer for tail in self._tails.values())):
            if timer is not None:
                timer.cancel()
        if self._watch is not None:
            if self._watch.fd >= 0:
                asyncio.get_running_loop().remove_reader(self._watch.fd)
            self._watch.close()
            self._take_all()

    def _take_all(self) -> None:
        for path in sorted(self._folder.glob(f"*{OUTPUT_SUFFIX}")):
            self._take(path.name, partial(written_by, path.with_suffix(RECORD_SUFFIX)), is_final=True)

    def _on_events(self) -> None:
        try:
            assert self._watch is not None
            names = self._watch.read()
            if names is None:
                names = {path.name for path in self._folder.glob(f"*{OUTPUT_SUFFIX}")}
            loop, now = asyncio.get_running_loop(), time.monotonic()
            loop.remove_reader(self._watch.fd)
            self._resting = loop.call_later(EVENTS_PAUSE_S, loop.add_reader, self._watch.fd, self._on_events)
            for name in names:
                if not name.endswith(OUTPUT_SUFFIX):
                    continue
                tail = self._tail(name)
                if tail.timer is None:
                    tail.timer = loop.call_later(tail.next_s(now) - now, self._on_time, name)
        except Exception as error:
            self._fail(error)

    def _on_time(self, name: str) -> None:
        try:
            path = self._folder / name
            self._take(name, partial(written_by, path.with_suffix(RECORD_SUFFIX)), is_final=False)
            if not path.exists():
                self._tails.pop(name, None)
        except Exception as error:
            self._fail(error)

    def _tail(self, name: str) -> _Tail:
        tail = self._tails.get(name)
        if tail is None:
            tail = self._tails[name] = _Tail(self._folder / name)
        return tail

    def _take(self, name: str, who: Callable[[], tuple[Optional[WorkerKey], int]], *, is_final: bool) -> None:
        """Tell what is new; ``who`` wrote it is asked only if there is something."""
        tail = self._tail(name)
        if tail.timer is not None:
            tail.timer.cancel()
            tail.timer = None
        output = tail.file.take(is_final=is_final)
        if not output.pieces:
            return
        tail.taken_s = time.monotonic()
        tail.pause_s = min(LONGEST_PAUSE_S, 2 * tail.pause_s)
        key, pid = who()
        for number, piece in enumerate(output.pieces, 1):
            cut = {"cut_bytes": output.cut_bytes} if output.cut_bytes and number == output.cut_after else {}
            notice = _notice(name, is_traceback=piece.is_traceback)
            self._journal.tell(notice, key, pid, piece.text.rstrip("\n"), **cut)


def _notice(name: str, *, is_traceback: bool) -> Notice:
    if name == FORK_SERVER_FILE:
        return FORK_SERVER_OUTPUT
    return WORKER_TRACEBACK if is_traceback else WORKER_OUTPUT
