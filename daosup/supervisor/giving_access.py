"""Lets the user that daosupd runs as at segments that other users made: ``daosupd --give-access USER``.

libdao makes segments with mode 0600 and semaphores with 0644, so that a daemon of another user can neither read the one
nor wait on the other. This runs beside daosupd, with the capability to change other users' files and no network.

Invariants: only regular files with one name that are segments by their layout and may be published, and the semaphores
that belong to one and are its owner's, are touched; of them only the one entry for USER. What cannot be changed is told
once. A configuration that is wrong changes nothing.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Optional

from daosup import log
from daosup.adapters.access_list import let_in
from daosup.adapters.folder_watch import FolderWatch
from daosup.adapters.segment_folder import SegmentFolder
from daosup.adapters.systemd import PATIENCE_S, Systemd
from daosup.config import Config
from daosup.core.discovery import Discovery
from daosup.core.mirror_names import semaphore_base_of
from daosup.core.notices import streams
from daosup.errors import ConfigError, SegmentError
from daosup.shm.making import semaphore_files
from daosup.shm.memory import examine

#: Where glibc and musl keep semaphores is fixed; one is a sem_t.
SEMAPHORES = Path("/dev/shm")
SEMAPHORE_BYTES = 32
#: The safety net's mesh: for what the kernel does not tell, and for owners who changed a file's mode.
SCAN_INTERVAL_S = 10.0

_log = log.get("daosup.access")


class AccessGiver:
    """Gives one user access to the segments of one folder.

    Args:
        read_config: Reads the configuration, which says where segments are and which may be published.
        uid: The user.
    """

    def __init__(self, read_config: Callable[[], Config], uid: int) -> None:
        self._uid = uid
        self._read_config = read_config
        self._config = read_config()
        folder = self._config.segment_folder
        self._segments = SegmentFolder(folder)
        self._discovery = Discovery()
        self._watches = FolderWatch(folder), FolderWatch(SEMAPHORES)
        self._bases: dict[str, set[str]] = {}
        self._failed: dict[str, str] = {}
        self._scan_s = 0.0
        self.is_ended = False

    def serve(self) -> None:
        """Give access to what there is and what will be, until ``is_ended``."""
        systemd = Systemd()
        end, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        poll = select.poll()
        for fd in (end, *(watch.fd for watch in self._watches)):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        self.turn()
        systemd.ready(f"segments in {self._segments.folder} are open to {_name_of(self._uid)}")
        systemd.flush(PATIENCE_S)
        while not self.is_ended:
            poll.poll(1e3 * self._pause_s())
            self.turn()
        systemd.stopping()

    def turn(self) -> None:
        """See to what happened since the last turn."""
        now = time.monotonic()
        segments, semaphores = self._watches
        is_other = [watch.renew() for watch in self._watches]
        files, made = segments.read() if segments.fd >= 0 else None, semaphores.read() if semaphores.fd >= 0 else None
        if any(is_other) or files is None or made is None or now >= self._scan_s:
            self._scan(now)
        for file in files or ():
            name = self._segments.name_of(file)
            if name is not None:
                self._discovery.touch(name, now)
        for name in self._discovery.due(now):
            facts, reason = self._segments.look(name)
            self._discovery.saw(name, facts, reason, time.monotonic())
            if facts is not None:
                self._open(name)
        found, gone = self._discovery.take_changes()
        for each in found:
            self._bases.setdefault(semaphore_base_of(each.name), set()).add(each.name)
        for name in gone:
            self._bases.get(semaphore_base_of(name), set()).discard(name)
        for name in {name for file in made or () for name in self._bases.get(_base_of_semaphore(file), ())}:
            self._open(name)

    def _pause_s(self) -> float:
        due_s = self._discovery.next_s
        until_s = self._scan_s if due_s is None else min(due_s, self._scan_s)
        return max(0.001, until_s - time.monotonic())

    def _scan(self, now: float) -> None:
        self._scan_s = now + SCAN_INTERVAL_S
        with suppress(ConfigError):  # daosupd tells of it
            self._config = self._read_config()
        for name in {*self._segments.scan(), *self._discovery.segments}:
            self._discovery.touch(name, now, patience_s=0.0)

    def _open(self, name: str) -> None:
        if not self._config.may_publish(name):
            return
        path = self._segments.path_of(name)
        owner = self._let_in(path, None)
        if owner is not None:
            for each in semaphore_files(path):
                self._let_in(each, owner)

    def _let_in(self, path: str, owner: Optional[int]) -> Optional[int]:
        """Give access to a segment, or to a semaphore of ``owner``; returns whose file it is, if it is one of those."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._tell(path, f"cannot be opened: {error.strerror}")
            return None
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
                return None
            if owner is None:
                examine(path, fd)
            elif facts.st_uid != owner or facts.st_size != SEMAPHORE_BYTES:
                return None
            if let_in(fd, self._uid) and owner is None:
                _log.notice(streams.ACCESS_GIVEN, segment=self._segments.name_of(os.path.basename(path)))
            self._failed.pop(path, None)
            return facts.st_uid
        except SegmentError:
            return None  # it is made anew right now
        except OSError as error:
            self._tell(path, f"its access control list cannot be changed: {error.strerror}")
            return None
        finally:
            os.close(fd)

    def _tell(self, path: str, reason: str) -> None:
        if self._failed.get(path) != reason:
            self._failed[path] = reason
            _log.notice(streams.ACCESS_REFUSED, file=path, reason=reason)

    def _end(self, _number: int, _frame: object) -> None:
        self.is_ended = True


def _base_of_semaphore(file: str) -> str:
    base, separator, _ = file.removeprefix("sem.").rpartition("_sem")
    return base if separator and file.startswith("sem.") else ""


def _name_of(uid: int) -> str:
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
