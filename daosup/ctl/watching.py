"""Looks at a segment's newest frame again and again, whatever becomes of the segment meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy.typing as npt

from daosup.errors import SegmentBusyError, SegmentError, SegmentLostError
from daosup.shm import Segment
from daosup.shm.written import link_of, skipped_of


@dataclass(frozen=True)
class Shot:
    """One frame, and what belongs to it.

    Attributes:
        source: What people call the segment.
        counter: ``cnt0``.
        frame: A copy of its elements, in the segment's shape and dtype.
        frame_id: ``cnt2``.
        time_ns: When it was written, ns since 1970 UTC, by the clock of the host that wrote it.
        layout: Of the segment.
        depth: Of the segment.
        has_link: Whether new frames would come; None of a segment that is no mirror.
    """

    source: str
    counter: int
    frame: npt.NDArray[Any]
    frame_id: int = 0
    time_ns: int = 0
    layout: str = ""
    depth: int = 1
    has_link: Optional[bool] = None


class Watched:
    """A segment that may not be there yet, or be made anew meanwhile.

    Attributes:
        error: Why there was no frame at the last look; None if there was.
    """

    def __init__(self, source: str, path: Union[str, os.PathLike[str]]) -> None:
        self.error: Optional[SegmentError] = None
        self._source = source
        self._path = path
        self._segment: Optional[Segment] = None

    def look(self) -> Optional[Shot]:
        """The newest frame; None if there is none."""
        try:
            if self._segment is None:
                self._segment = Segment.open(self._path, writable=False)
            segment = self._segment
            segment.check()
            frame = segment.read()
            stamp = segment.stamp
            self.error = None
            return Shot(
                self._source,
                stamp.counter,
                frame,
                stamp.frame_id,
                stamp.time_ns,
                segment.layout,
                segment.depth,
                link_of(segment.keywords),
            )
        except SegmentError as error:
            self.error = error
            self.close()
            return None

    @property
    def trouble(self) -> str:
        """The same in words."""
        return "" if self.error is None else str(self.error)

    @property
    def is_hopeless(self) -> bool:
        """Whether it is not to be expected that the next look finds a frame."""
        return self.error is not None and not isinstance(self.error, (SegmentBusyError, SegmentLostError))

    @property
    def counter(self) -> Optional[int]:
        """The newest frame's counter, as far as the segment is open."""
        try:
            return None if self._segment is None else self._segment.counter
        except SegmentError:
            return None

    @property
    def written(self) -> Optional[int]:
        """A count that goes up by one for each frame of the source, also for those that did not come to its mirror."""
        try:
            return None if self._segment is None else self._segment.counter + skipped_of(self._segment.keywords)
        except SegmentError:
            return None

    def close(self) -> None:
        """Let go of the segment."""
        if self._segment is not None:
            self._segment.close()
        self._segment = None
