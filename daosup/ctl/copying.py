"""Commands that copy a frame out of a segment, or into one."""

from __future__ import annotations

import os
import time

from daosup.core.mirror_names import FRESHNESS
from daosup.ctl.asking import tell
from daosup.ctl.frame_files import Value, fits, npy, read_npy, utc, write_file
from daosup.ctl.options import Options
from daosup.ctl.reaching import MIRROR_S, reached
from daosup.ctl.tables import safe
from daosup.ctl.units import quantity, shape
from daosup.ctl.watching import Shot, Watched
from daosup.errors import NoAnswerError, UnsupportedError, UsageError
from daosup.shm import Segment
from daosup.shm.written import is_mirror, is_written_back

_POLL_S = 0.005
#: How long a mirror's worker may take to say that it is written back, once the daemon has said so.
_SAID_S = 1.0


def dump(options: Options) -> int:
    """Write the newest frame into a file."""
    name, file = options.name or "", options.second or ""
    ending = os.path.splitext(file)[1].lower()
    if ending not in (".npy", ".fits"):
        raise UsageError(f"{file!r} ends neither in .npy nor in .fits, by which its form is chosen")
    with reached(options, name) as place:
        with Segment.open(place.path, writable=False) as segment:
            keywords = {key: value for key, value in segment.keywords.items() if key not in FRESHNESS}
        shot = first_shot(options, place.source, place.path)
    write_file(file, npy(shot.frame) if ending == ".npy" else fits(shot.frame, _facts(shot, keywords)))
    told = {**facts_of(shot, place.path), "file": os.path.abspath(file), "nbytes": shot.frame.nbytes}
    form = f"{shape(shot.frame.shape)} {shot.frame.dtype.name}, {quantity(shot.frame.nbytes, 'B')}"
    line = f"{safe(place.source)}, frame {shot.counter} of {utc(shot.time_ns)} UTC, is in {file}: {form}"
    tell(options, told, lambda style, width: [line])
    return 0


def write(options: Options) -> int:
    """Write a file's array into a segment; returns when its owner has it."""
    name, file = options.name or "", options.second or ""
    wait_s = MIRROR_S if options.wait is None else options.wait
    with reached(options, name, is_written=True) as place, Segment.open(place.path, writable=True) as segment:
        frame = read_npy(file, segment.shape, segment.dtype, f"{place.source} takes")
        _check_goes_to_its_source(segment, place.source)
        segment.write(frame, wait=True, timeout_s=wait_s)
        counter = segment.stamp.counter
    written = {"source": place.source, "path": place.path, "file": os.path.abspath(file), "counter": counter}
    line = f"{safe(place.source)} has {file}, as frame {counter} of {place.path}"
    tell(options, written, lambda style, width: [line])
    return 0


def first_shot(options: Options, source: str, path: str) -> Shot:
    """The newest frame of the segment at ``path``; the first one, if there was none yet.

    Raises:
        NoAnswerError: If nothing is written in time.
        SegmentError: If it is no segment that can be read.
    """
    wait_s = MIRROR_S if options.wait is None else options.wait
    deadline_s = time.monotonic() + wait_s
    watched = Watched(source, path)
    try:
        while True:
            shot = watched.look()
            if shot is not None and shot.counter:
                return shot
            if time.monotonic() >= deadline_s or watched.is_hopeless:
                break
            time.sleep(_POLL_S)
    finally:
        watched.close()
    if watched.error is not None:
        raise watched.error
    raise NoAnswerError(f"{source} is there, but nothing was ever written into it (waited {wait_s:g} s)")


def facts_of(shot: Shot, path: str) -> dict[str, object]:
    """What is told of a frame as JSON, beside the frame itself."""
    return {
        "source": shot.source,
        "path": path,
        "shape": list(shot.frame.shape),
        "dtype": shot.frame.dtype.name,
        "counter": shot.counter,
        "frame_id": shot.frame_id,
        "time_ns": shot.time_ns,
    }


def _facts(shot: Shot, keywords: dict[str, Value]) -> dict[str, tuple[Value, str]]:
    facts: dict[str, tuple[Value, str]] = {
        "DATE-OBS": (utc(shot.time_ns), "when the frame was written"),
        "TIMESYS": ("UTC", ""),
        "SOURCE": (shot.source, "segment"),
        "COUNTER": (shot.counter, "frames ever written into it (cnt0)"),
        "FRAMEID": (shot.frame_id, "of the frame (cnt2)"),
    }
    return {**facts, **{f"DAO {key}": (value, "") for key, value in keywords.items()}}


def _check_goes_to_its_source(segment: Segment, source: str) -> None:
    """See that what is written here does not stay here.

    Raises:
        UnsupportedError: If the segment is a mirror that is not written back.
    """
    deadline_s = time.monotonic() + _SAID_S
    while is_mirror(segment.keywords) and not is_written_back(segment.keywords):
        if time.monotonic() >= deadline_s:
            raise UnsupportedError(
                f"{source} is a mirror that is not written back: nothing was written; give its source, HOST:NAME"
            )
        time.sleep(_POLL_S)
