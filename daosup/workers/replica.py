"""The segment that a mirror writes, and what it says of its own freshness.

A replica is its source's segment with six keyword slots more. Their names are those of DAO's own network service, so
that programs which look for them find them in our mirrors too.

Invariants: whoever writes a replica holds the lock of its file, so no two processes write one, and what nobody holds
has no living writer; a file that is let go of says that it is stale, for ever if another takes its place; what belongs
to another user is neither written nor replaced.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import time
from dataclasses import replace
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES, Geometry
from daosup.core.types import REPLICA_KEYWORD
from daosup.errors import SegmentBusyError, SegmentError, SegmentLostError
from daosup.shm import Keyword, Segment
from daosup.shm.keywords import encode
from daosup.shm.making import permit
from daosup.shm.memory import open_file

FRESHNESS = (REPLICA_KEYWORD, "NET_LINK", "NET_AGE_US", "NET_DROPPED", "NET_SRC_CNT", "NET_SRC_TIME")
_LINK = FRESHNESS.index("NET_LINK")
_COMMENTS = (
    "1: mirror of another host's segment",
    "1: its owner is heard, 0: stale",
    "age of the newest frame, us",
    "frames of the source that were skipped",
    "counter of the source",
    "write time at the source, ns since 1970 UTC",
)


class Replica:
    """A mirror's segment."""

    def __init__(self, segment: Segment, source_keyword_bytes: int) -> None:
        self.segment = segment
        self.is_announced = False
        self._source_keyword_bytes = source_keyword_bytes
        self._keywords = b""
        self._memory = segment.keywords
        self._lock = _lock(segment)

    @classmethod
    def make(cls, path: str, source: Geometry, mode: int, before: Optional[Replica]) -> Replica:
        """Open the mirror if it is as it should be, else make it anew in its place.

        Args:
            path: The mirror's file.
            source: What the mirror must be like, without the freshness keywords.
            mode: Permissions of the file.
            before: The replica so far, which is let go of and says that it is stale.

        Raises:
            SegmentError: If it cannot be made.
        """
        if before is not None:
            before.retire()
        _check_place(path)
        wanted = replace(source, keyword_count=source.keyword_count + len(FRESHNESS))
        segment = _open_if(path, wanted)
        if segment is not None:
            permit(path, mode)
        else:
            segment = Segment.create(
                path,
                wanted.shape,
                wanted.dtype,
                layout=wanted.layout,
                depth=wanted.depth,
                keywords=wanted.keyword_count,
                mode=mode,
                semaphore_mode=mode,
            )
        return cls(segment, source.keyword_count * KEYWORD_BYTES)

    def retire(self) -> None:
        """Let go of it, and say that it is stale, unless the file is somebody else's by now."""
        try:
            self.segment.window.check()
        except SegmentLostError:
            if not self._is_only_removed():
                self.close()
                return
        self._put(_LINK, 0)
        self.close()

    def _is_only_removed(self) -> bool:
        """Whether the file is as it was, but for its name."""
        facts = os.fstat(self._lock)
        return facts.st_nlink == 0 and facts.st_size == self.segment.geometry.file_bytes

    def close(self) -> None:
        """Let go of it as it is."""
        self.segment.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _put(self, index: int, value: int) -> None:
        raw = encode(Keyword(FRESHNESS[index], value, _COMMENTS[index]))
        self._memory.replace_raw(self._source_keyword_bytes + index * KEYWORD_BYTES, raw)

    def holds(self, frame_id: int, write_time_ns: int) -> bool:
        """Whether the newest frame here is that one already, from before this process began."""
        if self.segment.counter == 0:
            return False
        try:
            self.segment.read()
        except SegmentBusyError:  # that process was killed in the middle of a frame
            return False
        return self.segment.stamp[1:3] == (frame_id, write_time_ns)

    def put_keywords(self, raw: bytes) -> None:
        """Write the source's keywords if they changed."""
        if raw != self._keywords:
            self._keywords = raw
            self._memory.replace_raw(0, raw)

    def put_freshness(self, has_link: bool, skipped: int, source_counter: int, write_time_utc_ns: int) -> None:
        """Write the freshness keywords."""
        age_us = max(0, time.time_ns() - write_time_utc_ns) // 1000 if write_time_utc_ns else 0
        values = (1, int(has_link), age_us, skipped, source_counter, write_time_utc_ns)
        raw = b"".join(
            encode(Keyword(name, value, comment)) for name, value, comment in zip(FRESHNESS, values, _COMMENTS)
        )
        self._memory.replace_raw(self._source_keyword_bytes, raw)


def _open_if(path: str, wanted: Geometry) -> Optional[Segment]:
    if os.path.islink(path):  # it would be another file, with other semaphores
        return None
    try:
        segment = Segment.open(path, writable=True)
    except SegmentError:
        return None
    if segment.geometry != wanted:
        segment.close()
        return None
    try:
        segment.create_semaphores()
    except BaseException:
        segment.close()
        raise
    return segment


def _check_place(path: str) -> None:
    """Make sure that a mirror may take this place.

    Raises:
        SegmentError: If something lies there that is not ours to replace.
    """
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SegmentError(f"{path}: the mirror cannot be made there: {error.strerror}") from error
    if stat.S_ISDIR(facts.st_mode):
        raise SegmentError(f"{path}: the mirror cannot be made there: it is a folder; remove or rename it")
    if facts.st_uid != os.geteuid():
        raise SegmentError(
            f"{path}: the mirror cannot be made there: the file belongs to {_user(facts.st_uid)}; remove it, or run "
            f"daosupd as that user"
        )
    if stat.S_ISREG(facts.st_mode):
        os.close(_locked(path))


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _lock(segment: Segment) -> int:
    """Hold the lock of a replica's file as long as the returned descriptor is open.

    Raises:
        SegmentError: If another process holds it, or the file went away meanwhile.
    """
    try:
        return _locked(segment.path)
    except SegmentError:
        segment.close()
        raise


def _locked(path: str) -> int:
    fd = open_file(path, is_writable=False)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise SegmentError(
            f"{path}: another process writes this mirror; let only one daosupd of this machine mirror the source"
        ) from None
    return fd
