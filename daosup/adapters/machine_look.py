"""What this machine gives a daemon: folders, space, limits.

Invariant: nothing is changed; what may not be seen is None, not a guess.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

_CAP_IPC_LOCK, _CAP_SYS_NICE, _CAP_DAC_OVERRIDE = 14, 23, 1
_STICKY_OR_NOT = 0o1777
UNLIMITED = -1


@dataclass(frozen=True)
class FolderLook:
    """A folder: ``free_bytes`` and ``free_inodes`` are for users other than root.

    ``error`` says why it cannot be looked at. ``is_others``: the daemon sees another folder at this path; None if that
    could not be seen. ``may_write``: the daemon may make files there; None without a daemon.
    """

    path: str
    error: Optional[str] = None
    is_folder: bool = True
    file_system: str = ""
    size_bytes: int = 0
    free_bytes: int = 0
    inodes: int = 0
    free_inodes: int = 0
    mode: int = 0
    may_write: Optional[bool] = None
    is_others: Optional[bool] = None


@dataclass(frozen=True)
class ProcessLook:
    """The limits of a process: ``UNLIMITED`` is -1. ``open_files`` is None if that may not be seen."""

    pid: int
    uid: int
    groups: frozenset[int]
    capabilities: int
    most_files: int
    most_memlock_bytes: int
    most_rtprio: int
    open_files: Optional[int]

    def may(self, wanted: int, facts: os.stat_result) -> bool:
        """Whether its user may do what ``wanted`` says (4 read, 2 write, 1 enter) with a file, by owner and mode."""
        if self.capabilities >> _CAP_DAC_OVERRIDE & 1:
            return True
        shift = 6 if self.uid == facts.st_uid else 3 if facts.st_gid in self.groups else 0
        return facts.st_mode >> shift & wanted == wanted

    @property
    def may_use_real_time(self) -> bool:
        """Whether it may have any real-time priority without a limit."""
        return bool(self.capabilities >> _CAP_SYS_NICE & 1)

    @property
    def may_lock_memory(self) -> bool:
        """Whether it may lock as much memory as it likes."""
        return self.most_memlock_bytes == UNLIMITED or bool(self.capabilities >> _CAP_IPC_LOCK & 1)


def look_at_process(pid: int) -> Optional[ProcessLook]:
    """The limits of a process, None if it is gone or not to be seen."""
    try:
        status, limits = _text(f"/proc/{pid}/status"), _text(f"/proc/{pid}/limits")
        open_files = None
        with suppress(PermissionError):
            open_files = len(os.listdir(f"/proc/{pid}/fd"))
        groups = {int(gid) for line in ("Gid", "Groups") for gid in _field(status, line).split()}
        return ProcessLook(
            pid,
            int(_field(status, "Uid").split()[1]),
            frozenset(groups),
            int(_field(status, "CapEff"), 16),
            _limits(limits, "Max open files")[1],
            _limits(limits, "Max locked memory")[1],  # workers raise it as far as they may
            _limits(limits, "Max realtime priority")[0],
            open_files,
        )
    except (OSError, ValueError, IndexError):
        return None


def look_at_folder(path: str, daemon: Optional[ProcessLook] = None) -> FolderLook:
    """How a folder is, and what ``daemon`` may do there."""
    try:
        facts, space = os.stat(path), os.statvfs(path)
    except OSError as error:
        return FolderLook(path, error=error.strerror)
    return FolderLook(
        path,
        is_folder=os.path.isdir(path),
        file_system=_file_system(path),
        size_bytes=space.f_blocks * space.f_frsize,
        free_bytes=space.f_bavail * space.f_frsize,
        inodes=space.f_files,
        free_inodes=space.f_favail,
        mode=facts.st_mode & _STICKY_OR_NOT,
        may_write=None if daemon is None else daemon.may(3, facts) and not space.f_flag & os.ST_RDONLY,
        is_others=None if daemon is None else _is_other(path, daemon.pid, facts),
    )


def may_use_file(path: str, daemon: ProcessLook) -> Optional[bool]:
    """Whether the daemon may read and write a file; None if there is none."""
    try:
        return daemon.may(6, os.stat(path))
    except OSError:
        return None


def _is_other(path: str, pid: int, facts: os.stat_result) -> Optional[bool]:
    """Whether a process sees another file at a path than we do: it has mounts of its own (systemd's PrivateTmp)."""
    try:
        its = os.stat(f"/proc/{pid}/root{path}")
    except OSError:
        return None
    return (its.st_dev, its.st_ino) != (facts.st_dev, facts.st_ino)


def _file_system(path: str) -> str:
    """The type of file system that a path lies on."""
    real, found = os.path.realpath(path), ("", "")
    with suppress(OSError):
        for line in _text("/proc/self/mounts").splitlines():
            _, at, kind = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), word) for word in line.split()[:3])
            is_below = real == at or real.startswith(at.rstrip("/") + "/")
            if is_below and len(at) >= len(found[0]):
                found = at, kind
    return found[1]


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(.*)$", text, re.MULTILINE)  # it may be empty, as Groups often is
    return found[1] if found else ""


def _limits(text: str, name: str) -> tuple[int, int]:
    """The soft and the hard limit."""
    found = re.search(rf"^{name}\s+(\S+)\s+(\S+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {name}")
    soft, hard = (UNLIMITED if word == "unlimited" else int(word) for word in found.groups())
    return soft, hard
