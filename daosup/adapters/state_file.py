"""A small file that must not be lost: written whole or not at all, read with distrust.

Invariant: under its name there is always one whole state, the one before or the one after, whenever the process is
killed or the machine loses power. What cannot be understood is set aside under another name, never overwritten.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Optional

from daosup.errors import ProtocolError, UnavailableError

MAX_BYTES = 4 << 20


class StateFile:
    """The file at ``path``; its folder is made when something is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = path.with_name(path.name + ".new")
        self._broken = path.with_name(path.name + ".broken")

    def read(self) -> Optional[bytes]:
        """What is in it; None if there is no such file.

        Raises:
            ProtocolError: If it cannot be one of ours.
            UnavailableError: If it cannot be read.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UnavailableError(f"{self.path} cannot be read: {error.strerror}") from error
        with os.fdopen(fd, "rb", buffering=0) as file:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise ProtocolError("it is no regular file")
            if facts.st_size > MAX_BYTES:
                raise ProtocolError(f"it has {facts.st_size} bytes, more than {MAX_BYTES}")
            try:
                return file.readall()
            except OSError as error:
                raise UnavailableError(f"{self.path} cannot be read: {error.strerror}") from error

    def write(self, content: bytes) -> None:
        """Replace it; on return the new state outlasts a power cut.

        Raises:
            UnavailableError: If that is impossible now; what was there before still is.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            os.rename(self._new, self.path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(self._new)
            raise UnavailableError(
                f"{self.path} cannot be written: {error.strerror}; check that {self.path.parent} has room and may be "
                "written by daosupd (state_folder)"
            ) from error
        with suppress(OSError):  # it is in place; what some file systems do not offer is no reason to say it failed
            self._sync_folder()

    def set_aside(self) -> Path:
        """Give it another name, in place of one that was set aside before; returns that name.

        Raises:
            UnavailableError: If that is impossible.
        """
        try:
            os.rename(self.path, self._broken)
        except OSError as error:
            raise UnavailableError(f"{self.path} cannot be renamed: {error.strerror}") from error
        return self._broken

    def _sync_folder(self) -> None:
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
