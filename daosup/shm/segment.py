"""Segment: frames in a shared-memory file, as Python sees them.

Invariant: a frame that is read is whole and belongs to the counters given with it; a frame that is written is seen
by libdao's readers as one of libdao's own.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt

from daosup.core import layout as tables
from daosup.core.layout import Geometry, Layout, make_geometry
from daosup.errors import SegmentBusyError, SegmentError, SegmentLostError
from daosup.shm import _native
from daosup.shm.keywords import Keyword, Keywords, encode
from daosup.shm.making import create_file, fresh_metadata, layout_named, semaphore_base, unlink_segment
from daosup.shm.memory import Memory, map_file, open_as_allowed, open_file
from daosup.shm.written import is_mirror, wait_until_written

Array = npt.NDArray[Any]
Path = Union[str, "os.PathLike[str]"]

#: How long a read tries to find a whole frame between a writer's writes before it gives up.
READ_TIMEOUT_S = 0.02
#: How long a write waits until the owner of a mirror's source has the frame.
ACKNOWLEDGED_S = 1.0
FOREVER_S = 1e9


class Stamp(NamedTuple):
    """What belongs to one frame: its counter (``cnt0``), frame id (``cnt2``), write time (ns since 1970 UTC), slot."""

    counter: int
    frame_id: int
    time_ns: int
    slot: int


class _Closed:
    def __getattr__(self, name: str) -> Any:
        raise SegmentError("the segment is closed; open it again")


class Segment:
    """An open segment. Use as a context manager, or call ``close()``.

    Threads need an object each. Several of these may write to one segment at once, also in several processes; programs
    built on libdao look for no other writer, so of those there may be one.
    """

    def __init__(self, path: str, fd: int, *, is_writable: bool) -> None:
        """Map an open file; use ``Segment.open`` or ``Segment.create``."""
        self.path = path
        self.is_writable = is_writable
        memory, geometry, facts = map_file(path, fd, is_writable=is_writable)
        self.geometry: Geometry = geometry
        self.shape = geometry.shape
        self.dtype = np.dtype(geometry.dtype)
        self._inode = (facts.st_dev, facts.st_ino)
        self._mapped: Optional[Memory] = memory
        self._window: _native.Window = _native.Window(
            memory=memory,
            guard=memory.guard,
            fd=fd,
            path=path,
            metadata_bytes=geometry.layout.metadata_bytes,
            frame_bytes=geometry.frame_bytes,
            depth=geometry.depth,
            has_fifo=geometry.layout is Layout.FIFO,
            semaphore_base=semaphore_base(path),
            semaphore_count=min(self._field("<H", tables.SEM), 32),
        )
        self._window.check()
        self._has_semaphores = False
        self._last_seen = self._window.counter()

    @classmethod
    def open(cls, path: Path, *, writable: Optional[bool] = None) -> Segment:
        """Open an existing segment.

        Args:
            path: The file, ``NAME.im.shm``.
            writable: Whether frames are to be written; by default if permissions allow.

        Raises:
            SegmentNotFoundError: If there is no such file.
            NotASegmentError: If it is not a DAO segment in a known layout.
            SegmentError: If it may not be opened.
        """
        name = os.path.abspath(os.fspath(path))
        if writable is None:
            fd, writable = open_as_allowed(name)
        else:
            fd = open_file(name, is_writable=writable)
        try:
            return cls(name, fd, is_writable=writable)
        finally:
            os.close(fd)

    @classmethod
    def create(
        cls,
        path: Path,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        *,
        layout: Union[str, Layout] = Layout.FIFO,
        depth: int = 1,
        keywords: Union[int, Sequence[Optional[Keyword]]] = 0,
        mode: int = 0o600,
        semaphore_mode: int = 0o644,
        is_replacing: bool = True,
        meanwhile: Optional[Callable[[], object]] = None,
    ) -> Segment:
        """Make a segment, in place of one of that name if there is one: its readers find a new file.

        Args:
            path: The file, ``NAME.im.shm``.
            shape: 1 to 3 axes. Programs built on libdao cannot open 1-axis segments: use ``(n, 1)`` for them.
            dtype: One of the twelve element types of a segment.
            layout: ``fifo`` (libdao since April 2026), ``v0`` (before) or ``semreg``.
            depth: Frames kept; more than 1 only in layout ``fifo``.
            keywords: Keywords that it has from the beginning, None for a free slot; or how many slots to leave free.
            mode: Permissions of the file; libdao's are 0600.
            semaphore_mode: Permissions of semaphores that have to be made; libdao's are 0644.
            is_replacing: Whether it takes the place of whatever file is there.
            meanwhile: Called several times a second while its room is reserved, a third of a second for a GB.

        Raises:
            UsageError: If no segment can be like that.
            SegmentError: If the file or the semaphores cannot be made.
        """
        name = os.path.abspath(os.fspath(path))
        listed = () if isinstance(keywords, int) else keywords
        slots = keywords if isinstance(keywords, int) else len(listed)
        encoded = b"".join(encode(each) if each else bytes(tables.KEYWORD_BYTES) for each in listed)
        geometry = make_geometry(
            tuple(shape), np.dtype(dtype).name, layout=layout_named(layout), depth=depth, keyword_count=slots
        )
        metadata = fresh_metadata(name, geometry)
        create_file(name, metadata, geometry.file_bytes, mode, encoded, is_replacing=is_replacing, meanwhile=meanwhile)
        segment = cls.open(name, writable=True)
        try:
            segment.create_semaphores(semaphore_mode)
        except BaseException:
            segment.close()
            os.unlink(name)
            raise
        return segment

    # -- frames

    def read(self, out: Optional[Array] = None, *, timeout_s: float = READ_TIMEOUT_S) -> Array:
        """Copy the newest frame out; ``stamp`` then says which it is.

        Args:
            out: Where to put it (``shape``, ``dtype``, C order); a new array by default.
            timeout_s: How long to try to get a whole frame from a writer that writes without a pause.

        Returns:
            The frame, of ``shape`` and ``dtype``.

        Raises:
            SegmentLostError: If the file was truncated, replaced or made anew: open it again.
            SegmentBusyError: If no whole frame could be read in time.
        """
        return self._snapshot(-1, out, timeout_s)

    def read_slot(self, slot: int, out: Optional[Array] = None, *, timeout_s: float = READ_TIMEOUT_S) -> Array:
        """Copy the frame of one FIFO slot out, ``0 <= slot < depth``; errors as ``read``, and IndexError."""
        if not 0 <= slot < self.geometry.depth:
            raise IndexError(f"{self.path}: slot {slot} of {self.geometry.depth}")
        return self._snapshot(slot, out, timeout_s)

    def _snapshot(self, slot: int, out: Optional[Array], timeout_s: float) -> Array:
        if out is None:
            out = np.empty(self.shape, self.dtype)
        elif out.dtype != self.dtype or out.size != self.geometry.element_count or not out.flags.c_contiguous:
            raise ValueError(f"{self.path}: out must be {self.geometry} in C order, not {out.dtype} {out.shape}")
        self._window.snapshot(out, 0, slot, timeout_s)
        if slot < 0:
            self._last_seen = self._window.cnt0
        return out

    def write(
        self,
        array: npt.ArrayLike,
        *,
        frame_id: Optional[int] = None,
        time_ns: Optional[int] = None,
        wait: bool = False,
        timeout_s: float = ACKNOWLEDGED_S,
    ) -> None:
        """Write a frame and wake its readers.

        Args:
            array: The frame: this segment's dtype and number of elements.
            frame_id: Its ``cnt2``; by default that of the frame before.
            time_ns: Its write time, ns since 1970 UTC; now by default.
            wait: If the segment is a mirror that is written back, return only when its source has the frame (or a
                newer one that was written here). Of a segment of this host that is so at once.
            timeout_s: How long.

        Raises:
            TypeError: If the dtype is another.
            ValueError: If the number of elements is another.
            PermissionError: If the segment is open for reading only.
            SegmentLostError: If the file is not the one that was opened any more.
            UnsupportedError: With ``wait``: if the segment is a mirror that is not written back.
            DeniedError: With ``wait``: if the owner of the source did not take the frame.
            UnavailableError: With ``wait``: if the owner cannot be reached.
            NoAnswerError: With ``wait``: if there was no word of it in time; the frame may still arrive, or not.
        """
        frame = np.asarray(array)
        if frame.dtype != self.dtype:
            raise TypeError(f"{self.path} holds {self.dtype}, not {frame.dtype}; convert it with .astype()")
        if frame.size != self.geometry.element_count:
            raise ValueError(f"{self.path} holds frames of shape {self.shape}, not {frame.shape}")
        if not self._has_semaphores:
            self.create_semaphores()
        if frame_id is None:
            frame_id = self._field("<Q", tables.CNT2, self._window.newest_slot())
        self._window.commit(np.ascontiguousarray(frame), 0, frame_id, time.time_ns() if time_ns is None else time_ns)
        if wait and is_mirror(self.keywords):
            wait_until_written(self.keywords, self._window.cnt0, timeout_s, self.path)

    def wait(
        self,
        last_counter: Optional[int] = None,
        timeout_s: Optional[float] = None,
        *,
        semaphore: int = 0,
        spin: bool = False,
    ) -> int:
        """Wait for a frame other than the one with ``last_counter`` (by default the last one read here).

        Args:
            last_counter: The counter already known.
            timeout_s: How long; for ever by default.
            semaphore: Which one to sleep on, 0 to 9. Each has one waiter; network services use 9.
            spin: Do not sleep but watch the counter: less delay for a whole core.

        Returns:
            The newest frame's counter.

        Raises:
            TimeoutError: If nothing came.
            SegmentLostError: If the file is not the one that was opened any more.
        """
        last = self._last_seen if last_counter is None else last_counter
        deadline = time.monotonic() + (FOREVER_S if timeout_s is None else timeout_s)
        while True:
            result = self._window.wait(last, semaphore, max(0.0, deadline - time.monotonic()), spin)
            if result == _native.NEW:
                return self._window.counter()
            if result == _native.TIMEOUT or time.monotonic() >= deadline:
                raise TimeoutError(f"{self.path}: no new frame within {timeout_s} s")

    def history(self, count: int) -> Array:
        """The last ``count`` frames, oldest first, of shape ``(count, *shape)``.

        Raises:
            ValueError: If the FIFO does not hold that many.
            SegmentLostError, SegmentBusyError: As ``read``.
        """
        depth = self.geometry.depth
        if not 1 <= count <= depth:
            raise ValueError(f"{self.path} holds {depth} frames; {count} cannot be had")
        frames = np.empty((count, *self.shape), self.dtype)
        deadline = time.monotonic() + READ_TIMEOUT_S
        while not self._is_history(frames):
            if time.monotonic() >= deadline:
                raise SegmentBusyError(f"{self.path}: its writer overtakes the reading of {count} frames; take fewer")
        return frames

    def _is_history(self, frames: Array) -> bool:
        """Fill in the last frames, oldest first, unless the writer puts a newer one into a slot meanwhile."""
        newest = self._window.newest_slot()
        counter = self._window.counter(newest)
        for back in range(len(frames) - 1, -1, -1):
            self.read_slot((newest - back) % self.depth, frames[len(frames) - 1 - back])
            if self._window.cnt0 > max(0, counter - back):
                return False
        return True

    # -- what is known of it

    @property
    def stamp(self) -> Stamp:
        """Counter, frame id, write time and slot of the frame last read or written by this object."""
        window = self._window
        return Stamp(window.cnt0, window.cnt2, window.atime_ns, window.slot)

    @property
    def counter(self) -> int:
        """``cnt0`` of the newest frame now: how many frames were ever written."""
        return self._window.counter()

    @property
    def name(self) -> str:
        """The file's name without folder and ``.im.shm``."""
        base = os.path.basename(self.path)
        return base[: -len(".im.shm")] if base.endswith(".im.shm") else base

    @property
    def layout(self) -> str:
        """``v0``, ``fifo`` or ``semreg``."""
        return self.geometry.layout.value

    @property
    def depth(self) -> int:
        """Frames kept."""
        return self.geometry.depth

    @property
    def creation_time(self) -> float:
        """When the segment was made, s since 1970 UTC, as its header states it."""
        (created,) = struct.unpack_from("<d", self._memory, tables.CREATION_TIME)
        return float(created)

    @property
    def retries(self) -> int:
        """Reads begun again because the writer came in between."""
        return self._window.retries

    @property
    def keywords(self) -> Keywords:
        """The keywords, as a mapping that reads and writes the file."""
        start = self.geometry.keywords_offset
        return Keywords(memoryview(self._memory)[start:], self.geometry.keyword_count)

    @property
    def window(self) -> _native.Window:
        """The native part, for loops that count nanoseconds."""
        return self._window

    def view(self, slot: Optional[int] = None) -> Array:
        """The memory of a slot (by default the newest) itself: no copy, and no promise that a frame in it is whole."""
        chosen = self._window.newest_slot() if slot is None else range(self.depth)[slot]
        offset = self.geometry.data_offset + chosen * self.geometry.frame_bytes
        flat = np.frombuffer(self._memory, self.dtype, self.geometry.element_count, offset)
        return flat.reshape(self.shape)

    def metadata_block(self, slot: int) -> bytes:
        """The raw metadata of one slot."""
        start = slot * self.geometry.layout.metadata_bytes
        return self._memory[start : start + self.geometry.layout.metadata_bytes]

    def check(self) -> None:
        """Find out whether the path still leads to this segment.

        Raises:
            SegmentLostError: If the file was truncated, replaced, made anew or removed.
        """
        self._window.check()
        try:
            facts = os.stat(self.path)
        except OSError:
            raise SegmentLostError(f"{self.path}: removed while it was open") from None
        if (facts.st_dev, facts.st_ino) != self._inode:
            raise SegmentLostError(f"{self.path}: replaced by another file while it was open; open it again")

    # -- its life

    def create_semaphores(self, mode: int = 0o644) -> None:
        """Open all semaphores, making those that are missing.

        Raises:
            SegmentError: If one cannot be had.
        """
        self._window.create_semaphores(mode)
        self._has_semaphores = True

    def close(self) -> None:
        """Let go of it; the file stays. Views of it stay valid as long as they live."""
        self._window = _Closed()  # type: ignore[assignment]
        self._mapped = None

    def unlink(self) -> None:
        """Remove the file and its semaphores."""
        unlink_segment(self.path)

    def __enter__(self) -> Segment:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed " if isinstance(self._window, _Closed) else ""
        return f"<{state}Segment {self.path}: {self.geometry}>"

    @property
    def _memory(self) -> Memory:
        if self._mapped is None:
            raise SegmentError(f"{self.path}: the segment is closed; open it again")
        _native.renew_guards()
        return self._mapped

    def _field(self, form: str, offset: int, slot: int = 0) -> int:
        value: int = struct.unpack_from(form, self._memory, slot * self.geometry.layout.metadata_bytes + offset)[0]
        return value
