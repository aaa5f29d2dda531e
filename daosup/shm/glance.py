"""A glance at the newest frame's counter and time, for who looks at many segments now and then.

Invariant: a few reads of the file, nothing mapped and nothing kept open; what changes meanwhile is seen the next time.
"""

from __future__ import annotations

import os
import pwd
import struct
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Optional

from daosup.core import layout as tables
from daosup.core.layout import Geometry, Layout
from daosup.errors import SegmentError
from daosup.shm.memory import examine, open_file


@dataclass(frozen=True)
class Glance:
    """One segment at one moment.

    Attributes:
        geometry: Its layout, shape and element type.
        identity: Device, inode and creation time: another one for each segment that ever had this path.
        owner: The user whose file it is, or the number if it has no name.
        counter: ``cnt0`` of the newest frame: how many were ever written.
        write_time_ns: When that was, ns since 1970 UTC; 0 if never.
        seen_s: When we looked, monotonic seconds.
    """

    geometry: Geometry
    identity: tuple[int, int, bytes]
    owner: str
    counter: int
    write_time_ns: int
    seen_s: float


def glance(path: str) -> Glance:
    """Look at the segment at ``path``.

    Raises:
        SegmentError: If there is none, or it may not be read.
    """
    fd = open_file(path, is_writable=False)
    try:
        geometry, facts = examine(path, fd)
        created = os.pread(fd, 8, tables.CREATION_TIME)
        counter, write_time_ns = _newest(fd, geometry)
    finally:
        os.close(fd)
    identity = (facts.st_dev, facts.st_ino, created)
    return Glance(geometry, identity, _name_of(facts.st_uid), counter, write_time_ns, time.monotonic())


def rate_hz(before: Glance, after: Glance) -> float:
    """Frames per second between two glances; 0 if none came, or the segment was made anew.

    Between two looks that lie close together, the frames' own times tell the rate of a slow stream better than their
    number does; they are believed as far as the number allows.
    """
    frames, elapsed_s = after.counter - before.counter, after.seen_s - before.seen_s
    if before.identity != after.identity or frames <= 0 or elapsed_s <= 0:
        return 0.0
    between_s = (after.write_time_ns - before.write_time_ns) / 1e9
    least, most = (frames - 1) / elapsed_s, (frames + 1) / elapsed_s
    return min(max(frames / between_s, least), most) if between_s > 0 else frames / elapsed_s


def glance_or_none(path: str) -> Optional[Glance]:
    """As ``glance``; None if there is nothing to be seen."""
    try:
        return glance(path)
    except SegmentError:
        return None


def facts_between(before: Optional[Glance], after: Optional[Glance]) -> dict[str, Any]:
    """What is told of a segment after two glances: what it is (``nbytes`` of one frame) and how it is written.

    None where it could not be seen, or was never written.
    """
    if after is None:
        return dict.fromkeys(
            ("shape", "dtype", "layout", "depth", "nbytes", "rate_hz", "age_s", "counter", "user"), None
        )
    geometry = after.geometry
    return {
        "shape": list(geometry.shape),
        "dtype": geometry.dtype,
        "layout": geometry.layout.value,
        "depth": geometry.depth,
        "nbytes": geometry.frame_bytes,
        "rate_hz": rate_hz(before, after) if before is not None else None,
        "age_s": (time.time_ns() - after.write_time_ns) / 1e9 if after.write_time_ns > 0 else None,
        "counter": after.counter,
        "user": after.owner,
    }


def _newest(fd: int, geometry: Geometry) -> tuple[int, int]:
    """Counter and write time of the newest frame; libdao moves the index before the slot's counter."""
    slots = [0]
    if geometry.layout is Layout.FIFO and geometry.depth > 1:
        last = _number(fd, "<I", tables.FIFO_LAST_WRITTEN) % geometry.depth
        slots = [last, (last - 1) % geometry.depth]
    starts = [slot * geometry.layout.metadata_bytes for slot in slots]
    return max((_number(fd, "<Q", start + tables.CNT0), _number(fd, "<q", start + tables.ATIME_NS)) for start in starts)


def _number(fd: int, form: str, offset: int) -> int:
    raw = os.pread(fd, struct.calcsize(form), offset)
    found: int = struct.unpack(form, raw)[0] if len(raw) == struct.calcsize(form) else 0
    return found


@lru_cache(maxsize=256)
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
