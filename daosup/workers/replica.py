"""The segment that a mirror writes, and what it says of its own freshness.

A replica is its source's segment with eight keyword slots more. The names of six are those of DAO's own network
service, so that programs which look for them find them in our mirrors too; the others tell what became of frames that
were written here.

Invariants:
- whoever writes a replica holds the lock of its file, so no two processes write one, and what nobody holds has no
  living writer;
- a file that is let go of says that it is stale, for ever if another takes its place;
- what belongs to another user is neither written nor replaced; under a name that segments of this host may have,
  nothing is that is not marked as a mirror of that name;
- its keywords are its source's, slot by slot, and after them the freshness keywords. A name of those means the
  replica's own: where the source has a keyword of such a name, the replica has an unused slot.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES, MAX_KEYWORDS, Geometry
from daosup.core.mirror_names import FRESHNESS, is_mark_of, is_usual
from daosup.core.types import SEGMENT_SUFFIX
from daosup.errors import SegmentBusyError, SegmentError, SegmentLostError, SegmentNotFoundError, UsageError
from daosup.shm import Keyword, Segment
from daosup.shm.keywords import encode, pack_keyword_value, without
from daosup.shm.making import permit
from daosup.shm.memory import open_file
from daosup.shm.mirror_mark import mark, mark_at
from daosup.shm.written import NOT_WRITTEN_BACK

_LINK, _WRITTEN, _REFUSED = (FRESHNESS.index(name) for name in ("NET_LINK", "NET_WRITTEN", "NET_REFUSED"))
#: Of all but the first one.
_COMMENTS = (
    "1: its owner is heard, 0: stale",
    "age of the newest frame, us",
    "frames of the source that were skipped",
    "counter of the source",
    "write time at the source, ns since 1970 UTC",
    "counter of the newest frame written here that the owner took",
    "counter of the newest frame written here that it did not take",
)
_VALUE_PLACES = [index * KEYWORD_BYTES for index in range(1, len(FRESHNESS))]


class Replica:
    """A mirror's segment."""

    def __init__(self, segment: Segment, source_keyword_bytes: int, own_mark: Keyword) -> None:
        self.segment = segment
        self.is_announced = False
        self._source_keyword_bytes = source_keyword_bytes
        # All freshness keywords as they were said last; only values change.
        said = [Keyword(name, 0, comment) for name, comment in zip(FRESHNESS[1:], _COMMENTS)]
        self._said = bytearray(b"".join(map(encode, (own_mark, *said))))
        self._memory = segment.keywords
        self._keywords = b""
        self._written = self._refused = NOT_WRITTEN_BACK
        self._lock = _lock(segment)

    @classmethod
    def make(
        cls,
        path: str,
        source: str,
        like: Geometry,
        mode: int,
        before: Optional[Replica],
        meanwhile: Optional[Callable[[], object]] = None,
    ) -> Replica:
        """Open the mirror if it is as it should be, else make it anew in its place.

        Args:
            path: The mirror's file.
            source: What it mirrors, ``HOST:NAME``.
            like: What the mirror must be like, without the freshness keywords.
            mode: Permissions of the file.
            before: The replica so far, which is let go of and says that it is stale.
            meanwhile: Called several times a second while a large one is made.

        Raises:
            SegmentError: If it cannot be made.
        """
        if before is not None:
            before.retire()
        own_mark = mark(_name_in(path), source)
        _check_place(path)
        wanted = _with_freshness(path, like)
        segment = _open_if(path, wanted, own_mark)
        if segment is not None:
            permit(path, mode)
        else:
            is_usual_place = is_usual(_name_in(path))
            if not is_usual_place:
                _clear_place(path)
            try:
                segment = Segment.create(
                    path,
                    wanted.shape,
                    wanted.dtype,
                    layout=wanted.layout,
                    depth=wanted.depth,
                    keywords=[*[None] * like.keyword_count, own_mark, *[None] * (len(FRESHNESS) - 1)],
                    mode=mode,
                    semaphore_mode=mode,
                    is_replacing=is_usual_place,
                    meanwhile=meanwhile,
                )
            except UsageError as error:  # a hostile description's size, times the depth
                raise SegmentError(f"{path}: {error}") from None
        return cls(segment, like.keyword_count * KEYWORD_BYTES, own_mark)

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
        """Make the source's keywords the replica's, whatever was written into it meanwhile.

        Raises:
            SegmentLostError: If the file is somebody else's by now.
        """
        self.segment.window.check()
        self._keywords = without(raw, FRESHNESS)
        self.mend_keywords()

    def mend_keywords(self) -> None:
        """Make the keywords again what ``put_keywords`` made them last."""
        if self._keywords != self._memory.raw()[: len(self._keywords)]:
            self._memory.replace_raw(0, self._keywords)

    def put_freshness(self, has_link: bool, skipped: int, source_counter: int, write_time_utc_ns: int) -> None:
        """Write the freshness keywords.

        Raises:
            SegmentLostError: If the file is somebody else's by now.
        """
        self.segment.window.check()
        age_us = max(0, time.time_ns() - write_time_utc_ns) // 1000 if write_time_utc_ns else 0
        values = (
            int(has_link), age_us, skipped, source_counter, write_time_utc_ns, self._written, self._refused,
        )  # fmt: skip
        for place, value in zip(_VALUE_PLACES, values):
            pack_keyword_value(self._said, place, value)
        self._memory.replace_raw(self._source_keyword_bytes, self._said)

    def put_written(self, *, written: Optional[int] = None, refused: Optional[int] = None) -> None:
        """Say what became of frames that were written here: the counters of the newest that was taken, and was not."""
        if written is not None:
            self._written = written
            self._put(_WRITTEN, written)
        if refused is not None:
            self._refused = refused
            self._put(_REFUSED, refused)

    def _put(self, index: int, value: int) -> None:
        start = index * KEYWORD_BYTES
        pack_keyword_value(self._said, start, value)
        self._memory.replace_raw(self._source_keyword_bytes + start, self._said[start : start + KEYWORD_BYTES])


def _with_freshness(path: str, like: Geometry) -> Geometry:
    """What a replica is like.

    Raises:
        SegmentError: If there is no room for its own keywords.
    """
    count = like.keyword_count + len(FRESHNESS)
    if count > MAX_KEYWORDS:
        raise SegmentError(
            f"{path}: the mirror cannot be made: its source has {like.keyword_count} keywords, a mirror has "
            f"{len(FRESHNESS)} more, and {MAX_KEYWORDS} are possible"
        )
    return replace(like, keyword_count=count)


def _open_if(path: str, wanted: Geometry, own_mark: Keyword) -> Optional[Segment]:
    if os.path.islink(path):  # it would be another file, with other semaphores
        return None
    try:
        segment = Segment.open(path, writable=True)
    except SegmentError:
        return None
    if segment.geometry != wanted or mark_at(path) != own_mark.comment:
        segment.close()
        return None
    try:
        segment.create_semaphores()
    except BaseException:
        segment.close()
        raise
    return segment


def _name_in(path: str) -> str:
    return os.path.basename(path)[: -len(SEGMENT_SUFFIX)]


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
    is_file, name = stat.S_ISREG(facts.st_mode), _name_in(path)
    if not is_usual(name) and not (is_file and is_mark_of(mark_at(path) or "", name)):
        raise SegmentError(
            f"{path}: the mirror cannot be made there: a segment of this host has that name, or whatever the file is; "
            f"remove or rename it, or give the mirror another name"
        )
    if is_file:
        os.close(_locked(path))


def _clear_place(path: str) -> None:
    """Take away a mirror that ``_check_place`` found, unless somebody writes it meanwhile."""
    try:
        fd = _locked(path)
    except SegmentNotFoundError:
        return
    try:
        os.unlink(path)
    finally:
        os.close(fd)


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
