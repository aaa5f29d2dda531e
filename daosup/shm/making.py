"""Making a segment's file, and taking it away.

Invariant: a segment is put in place at once and whole, with its room reserved; nobody ever opens half of one.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Optional, Union

from daosup.core import layout as tables
from daosup.core.layout import Geometry, Layout
from daosup.core.mirror_names import semaphore_base_of
from daosup.errors import SegmentError, UsageError
from daosup.shm import _native

Path = Union[str, "os.PathLike[str]"]

#: So much is reserved at a time, in a tenth of a second.
_PIECE_BYTES = 1 << 28


def layout_named(layout: Union[str, Layout]) -> Layout:
    """The layout of that name.

    Raises:
        UsageError: If there is none.
    """
    try:
        return Layout(layout)
    except ValueError:
        raise UsageError(f"layout {layout!r} is not one of {', '.join(each.value for each in Layout)}") from None


def fresh_metadata(path: str, geometry: Geometry) -> bytes:
    """The metadata blocks of a segment that was never written."""
    block = bytearray(geometry.layout.metadata_bytes)
    name = os.fsencode(path)[-(tables.NAME_BYTES - 1) :]
    block[: len(name)] = name
    block[tables.NAXIS] = len(geometry.shape)
    struct.pack_into(f"<{len(geometry.shape)}I", block, tables.SIZE, *geometry.shape)
    struct.pack_into("<Q", block, tables.NELEMENT, geometry.element_count)
    block[tables.ATYPE] = geometry.atype
    now = time.time()
    struct.pack_into("<2d", block, tables.CREATION_TIME, now, now)
    block[tables.SHARED] = 1
    struct.pack_into("<H", block, tables.SEM, tables.SEMAPHORE_COUNT)
    struct.pack_into("<H", block, tables.KEYWORD_COUNT, geometry.keyword_count)
    if geometry.layout is Layout.FIFO:
        struct.pack_into("<2I", block, tables.FIFO_SIZE, geometry.depth, geometry.depth - 1)
    return bytes(block) * geometry.depth


def create_file(
    path: str,
    first_bytes: bytes,
    length: int,
    mode: int,
    last_bytes: bytes = b"",
    *,
    is_replacing: bool = True,
    meanwhile: Optional[Callable[[], object]] = None,
) -> None:
    """Put a file of ``length`` bytes in place at once: readers see the old file, or the new one whole.

    Its room is reserved, so that a full file system shows here and not later, in the middle of a frame.

    Args:
        path: Where.
        first_bytes: How it begins.
        length: Its size; what is not given is zero.
        mode: Its permissions.
        last_bytes: How it ends.
        is_replacing: Whether it takes the place of a file that is there.
        meanwhile: Called several times a second while its room is reserved, a third of a second for a GB.

    Raises:
        SegmentError: If it cannot be made, with the reason.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.new")
    try:
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _reserve(fd, length, meanwhile)
            os.pwrite(fd, first_bytes, 0)
            os.pwrite(fd, last_bytes, length - len(last_bytes))
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
        if is_replacing:
            os.rename(temporary, path)
        else:
            os.link(temporary, path)
            os.unlink(temporary)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        raise SegmentError(
            f"{path}: a segment of {length} bytes cannot be made: {error.strerror}; "
            f"check that {folder or '.'} exists, has room and may be written"
        ) from error


def _reserve(fd: int, length: int, meanwhile: Optional[Callable[[], object]]) -> None:
    # To find out by trying would take all the room that others need, if only for a moment.
    room = os.fstatvfs(fd)
    if room.f_blocks and room.f_bfree * room.f_frsize < length:  # a tmpfs without a limit has no blocks
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for at in range(0, length, _PIECE_BYTES):
        os.posix_fallocate(fd, at, min(_PIECE_BYTES, length - at))
        if meanwhile is not None:
            meanwhile()


def semaphore_files(path: Path) -> list[str]:
    """The files of a segment's semaphores, whether or not they are there; where glibc and musl keep them is fixed."""
    ends = [f"{index:02d}" for index in range(tables.SEMAPHORE_COUNT)] + ["log"]
    return [f"/dev/shm/sem.{semaphore_base(path)}_sem{end}" for end in ends]


def permit(path: Path, mode: int) -> None:
    """Give a segment's file and semaphores these permissions, as far as they are ours."""
    for each in (path, *semaphore_files(path)):
        with suppress(FileNotFoundError, PermissionError):
            if stat.S_IMODE(os.stat(each).st_mode) != mode:
                os.chmod(each, mode)


def has_semaphores(path: Path) -> bool:
    """Whether there are semaphores for a segment at ``path``, whoever made them."""
    return os.path.exists(f"/dev/shm/sem.{semaphore_base(path)}_sem00")


def semaphore_base(path: Path) -> str:
    """What a segment's semaphores are called after: the file's name up to its first dot, without the folder."""
    return semaphore_base_of(os.path.basename(os.fspath(path)))


def unlink_segment(path: Path) -> None:
    """Remove a segment's file and semaphores; what is not there is no error."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    unlink_semaphores(path)


def unlink_semaphores(path: Path) -> None:
    """Remove the semaphores of a segment at ``path``."""
    _native.unlink_semaphores(semaphore_base(path), tables.SEMAPHORE_COUNT)
