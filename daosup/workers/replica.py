"""The segment that a mirror writes, and what it says of its own freshness.

A replica is its source's segment with six keyword slots more. Their names are those of DAO's own network service, so
that programs which look for them find them in our mirrors too.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES, Geometry
from daosup.errors import SegmentBusyError, SegmentError
from daosup.shm import Keyword, Segment
from daosup.shm.keywords import encode
from daosup.shm.making import permit

FRESHNESS = ("NET_REPLICA", "NET_LINK", "NET_AGE_US", "NET_DROPPED", "NET_SRC_CNT", "NET_SRC_TIME")
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
            before.put_freshness(False, 0, 0, 0)
            before.segment.close()
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
    try:
        segment = Segment.open(path, writable=True)
    except SegmentError:
        return None
    if segment.geometry != wanted:
        segment.close()
        return None
    segment.create_semaphores()
    return segment
