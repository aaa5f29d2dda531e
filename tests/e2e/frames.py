"""What a checker saw of a camera: every frame that arrived, with its number, its moment, and whether it was whole.

And when the camera wrote it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.e2e.lab import Host

_SEEN = np.dtype([("number", "<u8"), ("seen_ns", "<u8"), ("is_whole", "<u8")])
_WRITTEN = np.dtype([("number", "<u8"), ("written_ns", "<u8")])


class Seen:
    """The frames of a while, in the order in which they were seen; and those that were written in it."""

    def __init__(self, records: npt.NDArray[Any], written: npt.NDArray[Any], began_ns: int, ended_ns: int) -> None:
        self._records = records
        self._written = written
        self._moments_ns = np.concatenate(([began_ns], records["seen_ns"].astype(np.int64), [ended_ns]))

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self._records)

    @property
    def newest(self) -> int:
        """Number of the last one; 0 if there was none."""
        return int(self._records["number"][-1]) if self.count else 0

    @property
    def first_s(self) -> float:
        """After how long the first one was seen, in seconds."""
        return float(self._moments_ns[1] - self._moments_ns[0]) / 1e9

    @property
    def torn(self) -> int:
        """How many were not whole."""
        return int((self._records["is_whole"] != 1).sum())

    @property
    def lost(self) -> int:
        """How many numbers were skipped between the first and the last one."""
        steps = np.diff(self._records["number"].astype(np.int64))
        return int((steps[steps > 1] - 1).sum())

    @property
    def longest_gap(self) -> int:
        """The most numbers that were skipped at once."""
        steps = np.diff(self._records["number"].astype(np.int64))
        return int(steps.max(initial=1)) - 1

    @property
    def backward(self) -> int:
        """How many were older than, or the same as, the one before."""
        return int((np.diff(self._records["number"].astype(np.int64)) <= 0).sum())

    @property
    def silence_s(self) -> float:
        """The longest time without a frame, in seconds."""
        return float(np.diff(self._moments_ns).max()) / 1e9

    @property
    def delay_s(self) -> float:
        """The longest time from when a frame was written until it, or a newer one, was seen, in seconds.

        While frames are written that is no less than the time without one; a camera that stands still has none to show.
        """
        if not len(self._written):
            return 0.0
        newest = np.maximum.accumulate(self._records["number"])
        places = np.searchsorted(newest, self._written["number"])
        seen_ns = self._moments_ns[1:][places]  # the last moment is now, for what was not seen yet
        return float((seen_ns - self._written["written_ns"].astype(np.int64)).max()) / 1e9

    @property
    def pause_s(self) -> float:
        """The longest time in which the camera wrote no frame, in seconds."""
        return float(np.diff(self._written["written_ns"].astype(np.int64)).max(initial=0)) / 1e9

    def __repr__(self) -> str:
        return (
            f"{self.count} frames, {self.torn} torn, {self.lost} lost (at most {self.longest_gap} at once), "
            f"{self.backward} again, silence of {self.silence_s:.2f} s, delay of {self.delay_s:.2f} s, "
            f"pause of the camera of {self.pause_s:.2f} s"
        )


class Frames:
    """What the checker on one host writes down, and the camera on another."""

    def __init__(self, checker: Host, seen: str, camera: Host, written: str) -> None:
        self._checker, self._seen = checker, seen
        self._camera, self._written = camera, written

    def since(self, began_ns: int) -> Seen:
        """What was seen from that moment (``time.time_ns()``) until now."""
        written = _records(self._camera, self._written, _WRITTEN)
        ended_ns = time.time_ns()
        seen = _records(self._checker, self._seen, _SEEN)
        return Seen(
            seen[seen["seen_ns"] >= began_ns],
            written[written["written_ns"] >= began_ns],
            began_ns,
            max(began_ns, ended_ns),
        )


def _records(host: Host, file: str, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    try:
        content = host.path(file).read_bytes()
    except FileNotFoundError:
        content = b""
    whole = len(content) // kind.itemsize * kind.itemsize  # it may be about to write one
    return np.frombuffer(content[:whole], kind)
