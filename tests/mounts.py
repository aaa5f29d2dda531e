"""File systems of memory that only this process and its children see; root alone can make them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_SLAVE = 2, 4, 32, 1 << 19
_MNT_DETACH = 2


def make_shm_private() -> bool:
    """Give this process and its children a ``/dev/shm`` of their own, or say that it could not be had."""
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        return False
    # Slave, not shared: what we mount over it stays ours.
    if _LIBC.mount(b"none", b"/dev/shm", None, ctypes.c_ulong(_MS_SLAVE), None) != 0:
        return False
    return bool(_LIBC.mount(b"tmpfs", b"/dev/shm", b"tmpfs", ctypes.c_ulong(0), b"mode=1777") == 0)


def is_private(folder: Path) -> bool:
    """Whether a file system was put over a folder that the process which started this one does not see there."""
    return folder.stat().st_dev != Path(f"/proc/{os.getppid()}/root{folder}").stat().st_dev


def mount(folder: Path, size: str) -> None:
    """Put a file system of memory over a folder; it holds ``size``, as tmpfs says it."""
    _mount(folder, size, 0)


def resize(folder: Path, size: str) -> None:
    """Let one that was mounted hold ``size``, which is no less than what is in it."""
    _mount(folder, size, _MS_REMOUNT)


def _mount(folder: Path, size: str, flags: int) -> None:
    flags |= _MS_NOSUID | _MS_NODEV
    if _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(flags), f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))


@contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """A folder that holds ``size`` meanwhile."""
    mount(folder, size)
    try:
        yield
    finally:
        _LIBC.umount2(os.fsencode(folder), _MNT_DETACH)
