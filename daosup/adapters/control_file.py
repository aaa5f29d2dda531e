"""The file of the control socket: made without a race, taken over from a dead daemon, never from a live one.

Invariant: when a client can connect, the file has its final mode and group; and at most one daemon serves a path.
"""

from __future__ import annotations

import asyncio
import fcntl
import grp
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from daosup.adapters.control_protocol import MAX_PATH_BYTES
from daosup.errors import ConfigError, UnavailableError

LOCK_TRIES = 100
LOCK_PAUSE_S = 0.02


@dataclass(frozen=True)
class SocketFile:
    """A listening socket and the file it made at ``path``, which belongs to the group ``group_id``."""

    path: Path
    inode: int
    group_id: int
    listener: socket.socket

    @classmethod
    async def make(cls, path: Path, mode: int, group: str | None) -> SocketFile:
        """Listen at ``path`` with the permission bits ``mode``, the file given to ``group`` if there is one.

        Raises:
            UnavailableError: If another daemon serves this path, or the socket cannot be made now.
            ConfigError: If the path or the group can never work.
        """
        group_id = _group_id(group)
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise ConfigError(f"control.socket: {path} is longer than {MAX_PATH_BYTES} bytes; choose a shorter path")
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            async with _only_starter_in(path.parent):
                _remove_stale(path)
                return cls._listen(path, mode, group_id)
        except OSError as error:
            raise UnavailableError(f"cannot make the control socket {path}: {error.strerror or error}") from error

    @classmethod
    def _listen(cls, path: Path, mode: int, group_id: int) -> SocketFile:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(path))
            # A folder may have handed its own group on to what is made in it.
            made = cls(path, path.lstat().st_ino, os.getegid() if group_id < 0 else group_id, listener)
            try:
                # Until listen() a connect is refused, so nobody gets in by the permissions that bind() left.
                os.chown(path, -1, made.group_id)
                os.chmod(path, mode)
                listener.setblocking(False)
                listener.listen()
            except BaseException:
                made.remove()
                raise
        except BaseException:
            listener.close()
            raise
        return made

    def remove(self) -> None:
        """Remove the file, unless another daemon put its own there."""
        with suppress(OSError):
            if self.path.lstat().st_ino == self.inode:
                self.path.unlink()


def _group_id(group: str | None) -> int:
    if group is None:
        return -1
    try:
        found = grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"control.group: no group {group!r} here; make it (groupadd) or name another") from None
    if os.geteuid() != 0 and found not in (os.getegid(), *os.getgroups()):
        raise ConfigError(f"control.group: this process is no member of group {group!r}; join it or name another")
    return found


@asynccontextmanager
async def _only_starter_in(folder: Path) -> AsyncIterator[None]:
    """Hold the folder's lock, so that of two daemons starting at once the second finds the first one's live socket."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(LOCK_TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            await asyncio.sleep(LOCK_PAUSE_S)
        else:
            raise UnavailableError(f"somebody holds the lock of the folder {folder}; see: fuser {folder}")
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove the socket file that a dead daemon left at ``path``."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"control.socket: {path} exists and is not a socket; remove it or choose another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(os.fspath(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink()
        return
    except BlockingIOError:
        pass  # its queue of connections is full: somebody listens
    raise UnavailableError(f"another daosupd is running: it serves {path}; stop it or choose another instance name")
