"""Being told by the kernel what happens in a folder (inotify).

Invariants: whatever happens to a file of the folder after ``renew`` is told by ``read``, or ``read`` says that it
cannot tell; the watch is on the folder that the path leads to now, as of the last ``renew``. Frames are written through
memory and tell nothing, so a quiet folder and one full of streams cost the same. Changes that another machine makes on
a network file system are not told.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Optional

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x4000, 0x8000
_ONLYDIR = 0x1000000
# Cutting a file to size is a modification, a change of permissions one of its attributes.
_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_EVENT = struct.Struct("iIII")
_READ_BYTES = 64 * 1024


class FolderWatch:
    """Watches one folder, by its path; what there is may change.

    Attributes:
        fd: Readable when something happened; -1 if the kernel gives none.
        error: Why there is no watch now; None if there is one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.fspath(folder)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = -1
        self._watched: Optional[tuple[int, int]] = None
        self.error: Optional[str] = None
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            self.error = f"inotify: {os.strerror(ctypes.get_errno())}; see fs.inotify.max_user_instances"

    @property
    def is_watching(self) -> bool:
        """Whether changes are told."""
        return self._watched is not None

    def renew(self) -> bool:
        """Watch what the path leads to now; whether that is another folder than before, or none any more."""
        try:
            facts = os.stat(self._folder)
        except OSError as error:
            self.error = f"{self._folder}: {error.strerror}"
            return self._let_go()
        if self._watched == (facts.st_dev, facts.st_ino):
            return False
        is_change = self._let_go()
        if self.fd < 0:
            return is_change
        watch = self._libc.inotify_add_watch(self.fd, os.fsencode(self._folder), _MASK | _ONLYDIR)
        if watch < 0:
            self.error = f"{self._folder}: inotify: {os.strerror(ctypes.get_errno())}"
            return is_change
        # If the path was just led elsewhere, the next call sees that it differs from what was looked at here.
        self._watch, self._watched, self.error = watch, (facts.st_dev, facts.st_ino), None
        return True

    def read(self) -> Optional[set[str]]:
        """The names of files to which something happened; None if it may have been all. Never waits."""
        names: Optional[set[str]] = set()
        while True:
            try:
                piece = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return names
            at = 0
            while at < len(piece):
                watch, mask, _, length = _EVENT.unpack_from(piece, at)
                name = piece[at + _EVENT.size : at + _EVENT.size + length]
                at += _EVENT.size + length
                if mask & _OVERFLOW:
                    names = None
                elif watch != self._watch:
                    continue  # of a folder that was here before
                elif mask & (_IGNORED | _DELETE_SELF | _MOVE_SELF):
                    self._let_go()
                elif names is not None:
                    names.add(os.fsdecode(name.rstrip(b"\0")))

    def _let_go(self) -> bool:
        was_watching = self._watched is not None
        if self._watch >= 0:
            self._libc.inotify_rm_watch(self.fd, self._watch)  # which says EINVAL if the folder is gone
        self._watch, self._watched = -1, None
        return was_watching

    def close(self) -> None:
        """Watch no longer."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
