"""Segments with keywords, on top of what the other stand-in knows of segments."""

from __future__ import annotations

import os
import struct

import numpy as np

from tests.dnet_service.wire import KEYWORD, Meta
from tests.old_daemon import segments
from tests.old_daemon.segments import DTYPES


class Segment(segments.Segment):
    """An open segment, with its keywords."""

    @property
    def atype(self) -> int:
        return DTYPES.index(self.dtype) + 1

    @property
    def meta(self) -> Meta:
        name = os.path.basename(self.path)[: -len(segments.SUFFIX)]
        return Meta(name, tuple(self.shape), self.atype, self.keywords)

    @property
    def _keywords_at(self) -> int:
        return self.depth * (self._metadata_bytes + self.frame_bytes)

    @property
    def keywords(self) -> bytes:
        return bytes(self._memory[self._keywords_at :])

    def put_keyword(self, index: int, raw: bytes) -> None:
        begin = self._keywords_at + index * KEYWORD.size
        self._memory[begin : begin + KEYWORD.size] = raw

    @property
    def atime_ns(self) -> int:
        found: int = struct.unpack_from("<q", self._memory, self._slot() * self._metadata_bytes + 136)[0]
        return found

    def frame_view(self) -> memoryview:
        """The memory of the newest frame of a segment of depth 1: what the service receives into."""
        begin = self.depth * self._metadata_bytes
        return memoryview(self._memory)[begin : begin + self.frame_bytes]

    def publish(self, atime_ns: int) -> int:
        """Make what lies in ``frame_view`` the newest frame: counter, time, semaphores."""
        counter = self.counter + 1
        struct.pack_into("<q", self._memory, 136, atime_ns)
        struct.pack_into("<Q", self._memory, 152, counter)
        self.post()
        return counter


def filled(segment: segments.Segment, value: float) -> segments.Array:
    return np.full(segment.shape, value, segment.dtype)
