"""A worker's statistics page: a small file in the runtime folder, written by its loop and read by the supervisor.

Behind the numbers are the counts of how late frames are (`core/latency.py`), which no stamp writes. While frames flow
without Python, the native loop counts each of them there, and in the numbers that it knows (`shm/statistics.h`).

Invariants: the page is written by the loop that moves frames and by nothing else, so a beat that stands still means
a loop that stands still. Whoever reads while it is written sees of each number the old value or the new one. What the
native loop counts, Python counts when that loop ends; so a stamp writes over its numbers what they are.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple, Optional

from daosup.core.latency import LATENCY_BYTES

FORMAT = 6


class Statistics(NamedTuple):
    """One reading of a page. Times are ns on the monotonic clock unless they say otherwise; 0 means never.

    ``writing``: whether the owner lets a mirror write: 0 if that is not known, 1 yes, 2 no. ``direct_port`` and
    ``direct_count`` are where a publisher offers its frames directly, and how many of its readers have them so; ``via``
    is how a mirror gets them, a `core.transport.Via`.
    """

    format: int = FORMAT
    pid: int = 0
    started_ns: int = 0
    beat_ns: int = 0
    frames: int = 0
    payload_bytes: int = 0
    skipped: int = 0
    passed_over: int = 0
    gaps: int = 0
    retries: int = 0
    rejected: int = 0
    write_time_utc_ns: int = 0
    source_counter: int = 0
    has_link: int = 0
    reader_count: int = 0
    busy: int = 0
    port: int = 0
    is_ready: int = 0
    written: int = 0
    refused: int = 0
    echoes: int = 0
    writing: int = 0
    direct_port: int = 0
    direct_count: int = 0
    via: int = 0


_PAGE = struct.Struct(f"<{len(Statistics._fields)}q")
_HEAD = struct.Struct("<4q")
_PAGE_BYTES = _PAGE.size + LATENCY_BYTES
_MOST = 2**63 - 1


class StatisticsPage:
    """The writing side. Set the attributes, then ``stamp()``.

    Attributes:
        memory: All of it, for ``Window.send_frames``, ``Window.take_frames`` and ``Window.take_direct``.
        latency: Where a frame is counted that Python moved, by ``note_latency``.
    """

    def __init__(self, path: Path) -> None:
        """Make the page anew; whoever still looks at the page of the worker before keeps that one."""
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, _PAGE_BYTES)
            self._memory = mmap.mmap(fd, _PAGE_BYTES)
        finally:
            os.close(fd)
        self.memory = memoryview(self._memory)
        self.latency = self.memory[_PAGE.size :]
        self.pid = os.getpid()
        self.frames = self.payload_bytes = self.retries = self.rejected = 0
        self.skipped = self.passed_over = self.gaps = 0
        self.write_time_utc_ns = self.source_counter = 0
        self.has_link = self.reader_count = self.busy = 0
        self.port = self.is_ready = 0
        self.written = self.refused = self.echoes = self.writing = 0
        self.direct_port = self.direct_count = self.via = 0
        self.started_ns = time.monotonic_ns()
        self._write(self.started_ns)  # a beat of that very moment is no loop's

    def stamp(self) -> None:
        """Write everything, with the present as the beat."""
        self._write(time.monotonic_ns())

    def _write(self, beat_ns: int) -> None:
        numbers = (
            FORMAT, self.pid, self.started_ns, beat_ns, self.frames, self.payload_bytes,
            self.skipped, self.passed_over, self.gaps, self.retries, self.rejected, self.write_time_utc_ns,
            self.source_counter, self.has_link, self.reader_count, self.busy,
            self.port, self.is_ready, self.written, self.refused, self.echoes,
            self.writing, self.direct_port, self.direct_count, self.via,
        )  # fmt: skip
        # Not pack_into, which clears the place before it writes there. A segment's counter may be any 64 bits, garbage
        # too, and a sum of counters more.
        self._memory[: _PAGE.size] = _PAGE.pack(*(min(number, _MOST) for number in numbers))

    def stamp_ready(self, port: int = 0, direct_port: int = 0) -> None:
        """Write that the worker does its work; whoever was not there to be told finds it here."""
        self.port, self.direct_port, self.is_ready = port, direct_port, 1
        self.stamp()


class StatisticsReader:
    """The reading side of one worker's page: mapped once, so that looking costs no system call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: Optional[mmap.mmap] = None

    def read(self, pid: int) -> Optional[Statistics]:
        """What the process ``pid`` last stamped; None if it has not yet."""
        for is_fresh in (False, True):
            if self._memory is None or is_fresh:
                self._open()
            if self._memory is None:
                return None
            statistics = Statistics._make(_PAGE.unpack_from(self._memory))
            if statistics.pid == pid and statistics.format == FORMAT:
                return statistics
        return None

    def latency(self) -> Optional[bytes]:
        """The counts of the page that was read last, for ``read_latencies``; None if none was."""
        return self._memory[_PAGE.size :] if self._memory is not None else None

    def beat(self, pid: int) -> Optional[tuple[int, int]]:
        """When the process ``pid`` started and when its loop last beat; None if its page was not read before."""
        if self._memory is not None:
            page_format, page_pid, started_ns, beat_ns = _HEAD.unpack_from(self._memory)
            if page_pid == pid and page_format == FORMAT:
                return started_ns, beat_ns
        return None

    def _open(self) -> None:
        self._memory = None
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            if os.fstat(fd).st_size == _PAGE_BYTES:
                self._memory = mmap.mmap(fd, _PAGE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(fd)
