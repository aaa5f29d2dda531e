"""A file to which a process writes its standard output and error, read by another one that forgets what it has read.

Invariants: whatever is appended is read, or counted as cut; what was read takes no room any more, though the file's
size goes on growing (its beginning is a hole), so that nothing is lost that is written just then. Where the unread part
begins can be seen from the file itself, so that a reader can go on where one that crashed was.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path
from typing import NamedTuple

from daosup.core.output import Piece, pieces_of

#: So much of what is new is taken at once: its beginning and its end, if there is more.
MAX_TAKEN_BYTES = 8192
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2


class Output(NamedTuple):
    """What was taken: pieces, and how many bytes were left out after the first ``cut_after`` of them."""

    pieces: list[Piece]
    cut_bytes: int = 0
    cut_after: int = 0


class OutputFile:
    """The reading side of one file, which may not be there yet, or be another one than before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = -1
        self._offset = 0

    def take(self, *, is_final: bool) -> Output:
        """What is new; with ``is_final`` also what may be incomplete. Nothing if it cannot be read."""
        try:
            # Not for writing: whoever watches for that would be called again, by this very look.
            fd = _open(self._path, os.O_RDONLY)
        except OSError:
            return Output([])
        try:
            return self._take(fd, is_final=is_final)
        except OSError:
            return Output([])
        finally:
            os.close(fd)

    def _take(self, fd: int, *, is_final: bool) -> Output:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return Output([])
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset = status.st_ino, _first_data(fd, status.st_size)
        length = status.st_size - self._offset
        if length == 0:
            return Output([])
        if length <= MAX_TAKEN_BYTES:
            text = _text(os.pread(fd, length, self._offset))
            pieces, rest = pieces_of(text, is_final=is_final or length == MAX_TAKEN_BYTES)
            output = Output(pieces)
            length -= len(rest.encode("utf-8", "surrogateescape"))
        else:
            half = MAX_TAKEN_BYTES // 2
            first, _ = pieces_of(_text(os.pread(fd, half, self._offset)), is_final=True)
            last, _ = pieces_of(_text(os.pread(fd, half, status.st_size - half)), is_final=True)
            output = Output(first + last, length - 2 * half, len(first))
        if length:
            self._offset += length
            _free(self._path, status, self._offset)
        return output


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _first_data(fd: int, size: int) -> int:
    """Where the hole ends that was left of what was read before."""
    try:
        at = os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:  # nothing but a hole
        return size
    page = os.pread(fd, os.sysconf("SC_PAGE_SIZE"), at)
    return at + len(page) - len(page.lstrip(b"\0"))  # holes end where pages do


def _free(path: Path, status: os.stat_result, length: int) -> None:
    """Give back the room of the file's beginning, if it still is that file and its file system can do that."""
    call = ctypes.CDLL(None, use_errno=True).fallocate64
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    fd = _open(path, os.O_WRONLY)
    try:
        if os.path.samestat(os.fstat(fd), status):
            call(fd, _PUNCH_HOLE | _KEEP_SIZE, 0, length)
    finally:
        os.close(fd)
