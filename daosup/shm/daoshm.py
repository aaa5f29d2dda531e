"""DAO's own Python interface to segments, on top of ours: scripts written for ``daoShm.shm`` run unchanged.

Names, arguments and results are those of DAO's ``daoShm.py`` (Durham-Adaptive-Optics/daoBase). Better than there: a
frame is always whole, waiting sees every new frame whoever else waits on the semaphore, and a segment that was made
anew is opened again by itself. Segments on a GPU and the publishing inside this class are not offered.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Callable, Optional, TypeVar

import numpy as np

from daosup.core import layout as tables
from daosup.core.layout import Layout
from daosup.errors import SegmentLostError
from daosup.shm.segment import FOREVER_S, Array, Segment

_log = logging.getLogger("daosup.daoshm")
_Result = TypeVar("_Result")

#: While it waits, a reader looks so often whether the path leads to another segment by now.
_CHECK_INTERVAL_S = 0.5

#: Metadata by DAO's names: format and offset. Arrays follow in ``_metadata``.
_FIELDS: Mapping[str, tuple[str, int]] = {
    "naxis": ("<B", tables.NAXIS),
    "nelement": ("<Q", tables.NELEMENT),
    "atype": ("<B", tables.ATYPE),
    "creation_time": ("<d", tables.CREATION_TIME),
    "last_access": ("<d", tables.LAST_ACCESS),
    "shared": ("<B", tables.SHARED),
    "status": ("<B", tables.SHARED + 1),
    "logflag": ("<B", tables.SHARED + 2),
    "sem": ("<H", tables.SEM),
    "cnt0": ("<Q", tables.CNT0),
    "cnt1": ("<Q", tables.CNT1),
    "cnt2": ("<Q", tables.CNT2),
    "write": ("<B", tables.WRITE),
    "NBkw": ("<H", tables.KEYWORD_COUNT),
    "lastPos": ("<I", 180),
    "lastNb": ("<I", 184),
    "packetNb": ("<I", 188),
    "packetTotal": ("<I", 192),
}
_LAST_NB_ARRAY = ("<512Q", 200)


class shm:  # DAO's name
    """A segment with the methods of DAO's ``daoShm.shm``.

    Args:
        fname: The file. With ``data`` it is made (or made anew), else it must exist.
        data: First frame: 1 to 3 axes, one of the twelve element types.
        nbkw: Keyword slots of a new segment.
        depth: FIFO depth of a new segment.
        pubPort, subPort, subHost, logLevel: Taken for compatibility, without effect.

    Raises:
        FileNotFoundError: If there is no such segment and no ``data``.
        OSError: If the file is not a segment.
    """

    DAO_SUCCESS = 0
    DAO_ERROR = 1
    DAO_TIMEOUT = -1
    DAO_OVERWRITE = -2
    DAO_NOTREADY = -3

    def __init__(
        self,
        fname: Optional[str] = None,
        data: Optional[Array] = None,
        nbkw: int = 0,
        pubPort: int = 5555,
        subPort: int = 5555,
        subHost: str = "localhost",
        logLevel: int = 0,
        depth: int = 1,
    ) -> None:
        if not fname:
            raise FileNotFoundError("shm() needs the file of a segment: shm('/tmp/NAME.im.shm')")
        self.fname = os.fspath(fname)
        self.mtdata: dict[str, Any] = {}
        self._seen = self._tail = 0
        if data is not None:
            frame = np.asarray(data)
            segment = Segment.create(self.fname, frame.shape, frame.dtype, depth=max(1, depth), keywords=nbkw)
            segment.write(frame)
            self._take(segment)
        elif os.path.exists(self.fname):
            self._take(Segment.open(self.fname))
        else:
            raise FileNotFoundError(f"shm: {self.fname} does not exist; its writer creates it")

    # -- writing

    def set_data(self, data: Array) -> None:
        """Write a frame.

        Raises:
            TypeError: If the dtype is not the segment's.
            ValueError: If the number of elements is not the segment's.
        """
        self._follow(lambda: self.segment.write(data))

    # -- reading

    def get_data(
        self,
        check: bool = False,
        reform: bool = True,
        semNb: int = 0,
        timeout: float = 0,
        spin: bool = False,
        x: Optional[slice] = None,
        y: Optional[slice] = None,
    ) -> Optional[Array]:
        """The newest frame, as a copy.

        Args:
            check: Wait for a frame that this object has not returned yet.
            reform: Without effect, as in DAO's library: the frame always has its shape.
            semNb: Semaphore to sleep on.
            timeout: How long to wait in seconds; 0 for ever.
            spin: Watch the counter instead of sleeping.
            x: Columns of the frame, all by default.
            y: Rows of the frame, all by default.

        Returns:
            The frame, or None if none came in time.
        """
        if check and not self._wait(semNb, timeout, spin):
            return None
        frame = self._follow(lambda: self.segment.read())  # noqa: PLW0108  # another segment at the second try
        self._seen = self.segment.stamp.counter
        return _part(frame, x, y)

    def get_data_next(
        self, wait: bool = False, reform: bool = True, x: Optional[slice] = None, y: Optional[slice] = None
    ) -> tuple[int, Optional[Array]]:
        """The frame after the one this method returned last.

        Returns:
            ``DAO_SUCCESS`` and the frame; ``DAO_NOTREADY`` and None if there is no newer one; ``DAO_OVERWRITE`` and the
            newest frame if the next one is not kept any more.
        """
        if wait:
            self._wait_for(lambda: self._tail, 0, 0, False)
        return self._follow(lambda: self._next(x, y))

    def _next(self, x: Optional[slice], y: Optional[slice]) -> tuple[int, Optional[Array]]:
        segment, window = self.segment, self.segment.window
        slot = window.newest_slot()
        ahead = window.counter(slot) - self._tail
        if ahead <= 0:
            return self.DAO_NOTREADY, None
        if ahead <= segment.depth:
            frame = segment.read_slot((slot - ahead + 1) % segment.depth)
            if segment.stamp.counter == self._tail + 1:
                self._tail += 1
                return self.DAO_SUCCESS, _part(frame, x, y)
        frame = segment.read()
        self._tail = segment.stamp.counter
        return self.DAO_OVERWRITE, _part(frame, x, y)

    def get_data_arbitrary(self, index: int, x: Optional[slice] = None, y: Optional[slice] = None) -> Array:
        """The frame in FIFO slot ``index``, counted around the FIFO."""
        return _part(self._follow(lambda: self.segment.read_slot(index % self.segment.depth)), x, y)

    def get_history(
        self,
        num_items: int = 1,
        check: bool = False,
        semNb: int = 0,
        timeout: float = 0,
        spin: bool = False,
        buffer: bool = False,
        x: Optional[slice] = None,
        y: Optional[slice] = None,
    ) -> Optional[Array]:
        """The last frames, oldest first, of shape ``(num_items, ...)``; None if there cannot be so many, or in time.

        Args:
            num_items: How many.
            check: Wait for a new frame first.
            buffer: Wait for ``num_items`` new frames first.
            semNb: As for ``get_data``.
            timeout: As for ``get_data``, for each frame.
            spin: As for ``get_data``.
            x: As for ``get_data``.
            y: As for ``get_data``.
        """
        if not 1 <= num_items <= self.segment.depth:
            _log.error("get_history: %s keeps %d frames, not %d", self.fname, self.segment.depth, num_items)
            return None
        for _ in range(num_items if buffer else int(bool(check))):
            if not self._wait(semNb, timeout, spin):
                return None
            self._seen = self.segment.counter
        frames = self._follow(lambda: self.segment.history(num_items))
        return np.stack([_part(frame, x, y) for frame in frames])

    # -- metadata

    def get_meta_data(self, index: Optional[int] = None) -> dict[str, Any]:
        """The metadata of the newest frame, or of FIFO slot ``index``, by DAO's names; also kept as ``mtdata``."""
        self._follow(self.segment.check)
        segment = self.segment
        slot = segment.window.newest_slot() if index is None else index % segment.depth
        self.mtdata = _metadata(segment, slot)
        return self.mtdata

    def get_counter(self) -> int:
        """``cnt0`` of the newest frame."""
        return int(self._follow(lambda: self.segment.counter))

    def get_frame_id(self) -> int:
        """``cnt2`` of the newest frame."""
        return int(self.get_meta_data()["cnt2"])

    def get_timestamp(self) -> datetime:
        """Write time of the newest frame, as local time without a zone."""
        time_ns = self.get_meta_data()["atime"]["tsfixed"]["secondlong"]
        return datetime.fromtimestamp(time_ns // 1000 / 1e6)  # noqa: DTZ006  # what DAO's scripts compare it with

    def reset_tail(self) -> int:
        """Let ``get_data_next`` go on with the frame that is written next."""
        self._tail = self._follow(lambda: self.segment.counter)
        return self.DAO_SUCCESS

    def close(self) -> None:
        """Let go of the segment."""
        self.segment.close()

    # -- waiting, and following a segment that is made anew

    def _take(self, segment: Segment) -> None:
        self.segment = segment
        self._seen = self._tail = segment.counter

    def _follow(self, action: Callable[[], _Result]) -> _Result:
        """Do something; once more with the segment opened again if it was lost."""
        try:
            return action()
        except SegmentLostError:
            segment = Segment.open(self.fname)
            self.segment.close()
            self._take(segment)
            return action()

    def _wait(self, semaphore: int, timeout_s: float, spin: bool) -> bool:
        return self._wait_for(lambda: self._seen, semaphore, timeout_s, spin)

    def _wait_for(self, last: Callable[[], int], semaphore: int, timeout_s: float, spin: bool) -> bool:
        deadline = time.monotonic() + (timeout_s or FOREVER_S)
        while True:
            rest_s = min(_CHECK_INTERVAL_S, max(0.0, deadline - time.monotonic()))
            try:
                self.segment.wait(last(), rest_s, semaphore=semaphore, spin=spin)
                return True
            except SegmentLostError:
                self._follow(self.segment.check)
            except TimeoutError:
                if time.monotonic() >= deadline:
                    _log.error("%s: no new frame within %g s", self.fname, timeout_s)
                    return False
                self._follow(self.segment.check)


def _part(frame: Array, x: Optional[slice], y: Optional[slice]) -> Array:
    if x is None and y is None:
        return frame
    columns, rows = x or slice(None), y or slice(None)
    return frame[columns].copy() if frame.ndim == 1 else frame[rows, columns].copy()


def _metadata(segment: Segment, slot: int) -> dict[str, Any]:
    block = segment.metadata_block(slot)
    name = block[: tables.NAME_BYTES].split(b"\0", 1)[0]
    found: dict[str, Any] = {field: struct.unpack_from(form, block, at)[0] for field, (form, at) in _FIELDS.items()}
    found["name"] = name
    found["size"] = list(struct.unpack_from("<3I", block, tables.SIZE))
    found["lastNbArray"] = list(struct.unpack_from(_LAST_NB_ARRAY[0], block, _LAST_NB_ARRAY[1]))
    first, second = struct.unpack_from("<2q", block, tables.ATIME_NS - 8)
    found["atime"] = {
        "ts": {"tv_sec": first, "tv_nsec": second},
        "tsfixed": {"firstlong": first, "secondlong": second},
    }
    has_fifo = segment.geometry.layout is Layout.FIFO
    found["fifo_size"] = segment.depth
    found["fifo_last_written"] = (
        struct.unpack_from("<I", segment.metadata_block(0), tables.FIFO_LAST_WRITTEN)[0] if has_fifo else 0
    )
    return found
