"""A segment's file in this process's memory.

Invariant: as long as any array or view of the memory lives, the mapping lives and is guarded, so a file that is
cut short under its readers gives an error at the next call and never a fault.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat

from daosup.core.layout import HEADER_BYTES, Geometry, recognise
from daosup.errors import NotASegmentError, SegmentError, SegmentLostError, SegmentNotFoundError
from daosup.shm import _native

_OPEN_TRIES = 5


class Memory(mmap.mmap):
    """A shared, guarded mapping of a whole file."""

    guard: int = -1

    @classmethod
    def of(cls, path: str, fd: int, length: int, *, is_writable: bool) -> Memory:
        """Map the first ``length`` bytes of an open file.

        Raises:
            SegmentError: If this process has too many segments open, or too little address space.
            ValueError: If the file is shorter.
        """
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if is_writable else 0)
        try:
            memory = cls(fd, length, mmap.MAP_SHARED, protection)
        except OSError as error:
            raise SegmentError(f"{path}: its {length} bytes cannot be mapped: {error.strerror}") from error
        try:
            memory.guard = _native.guard(memory)
        except OSError as error:
            raise SegmentError(f"{path}: {error}") from None
        return memory

    def __del__(self) -> None:
        _native.unguard(self.guard)


def open_file(path: str, *, is_writable: bool) -> int:
    """Open a segment's file; never blocks, whatever lies there.

    Raises:
        SegmentNotFoundError: If there is nothing.
        SegmentError: If it may not be opened.
    """
    access = os.O_RDWR if is_writable else os.O_RDONLY
    try:
        return os.open(path, access | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SegmentNotFoundError(f"{path}: there is no such segment; its writer creates it") from None
    except OSError as error:
        raise SegmentError(f"{path}: cannot be opened: {error.strerror}{_whose(path, error)}") from error


def _whose(path: str, error: OSError) -> str:
    """Whose file it is that we may not open."""
    if error.errno not in (errno.EACCES, errno.EPERM):
        return ""
    try:
        facts = os.stat(path)
    except OSError:
        return ""
    mode = stat.S_IMODE(facts.st_mode)
    return f"; it is of user {facts.st_uid}, mode {mode:04o}, and this program runs as user {os.geteuid()}"


def open_as_allowed(path: str) -> tuple[int, bool]:
    """As ``open_file``, to write if that is allowed, and whether it is; errors are the same.

    It is tried, not asked before: between question and opening the file may be made anew.
    """
    try:
        return open_file(path, is_writable=True), True
    except SegmentError as error:
        if getattr(error.__cause__, "errno", None) not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return open_file(path, is_writable=False), False


def examine(path: str, fd: int) -> tuple[Geometry, os.stat_result]:
    """Recognise an open file without mapping it.

    Raises:
        NotASegmentError: If it is no segment.
    """
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        raise NotASegmentError(f"{path}: not a DAO segment: not a regular file")
    try:
        return recognise(os.pread(fd, HEADER_BYTES, 0), facts.st_size), facts
    except NotASegmentError as error:
        raise NotASegmentError(f"{path}: {error}") from None


def map_file(path: str, fd: int, *, is_writable: bool) -> tuple[Memory, Geometry, os.stat_result]:
    """Map an open file whose header stays the same meanwhile.

    Raises:
        NotASegmentError: If it is no segment.
        SegmentLostError: If it changes all the time.
    """
    for _ in range(_OPEN_TRIES):
        geometry, facts = examine(path, fd)
        try:
            memory = Memory.of(path, fd, geometry.file_bytes, is_writable=is_writable)
            if examine(path, fd)[0] == geometry:
                return memory, geometry, facts
        except (ValueError, NotASegmentError):
            continue  # it was cut short meanwhile; the next look tells what it is now
    raise SegmentLostError(f"{path}: it is being made anew all the time; try again when its writer has settled")
