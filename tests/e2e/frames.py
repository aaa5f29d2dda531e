"""What a checker saw of a camera: every frame that arrived, with its number, its moment, and whether it was whole."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.e2e.lab import Host

_RECORD = np.dtype([("number", "<u8"), ("seen_ns", "<u8"), ("is_whole", "<u8")])


class Seen:
    """The frames of a while, in the order in which they were seen."""

    def __init__(self, records: npt.NDArray[Any], began_ns: int, ended_ns: int) -> None:
        self._records = records
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

    def __repr__(self) -> str:
        return (
            f"{self.count} frames, {self.torn} torn, {self.lost} lost (at most {self.longest_gap} at once), "
            f"{self.backward} again, silence of {self.silence_s:.2f} s"
        )


class Frames:
    """What the checker on ``host`` writes down in ``file``."""

    def __init__(self, host: Host, file: str) -> None:
        self._host = host
        self._file = file

    def since(self, began_ns: int) -> Seen:
        """What was seen from that moment (``time.time_ns()``) until now."""
        ended_ns = time.time_ns()
        try:
            content = self._host.path(self._file).read_bytes()
        except FileNotFoundError:
            content = b""
        whole = len(content) // _RECORD.itemsize * _RECORD.itemsize  # it may be about to write one
        records = np.frombuffer(content[:whole], _RECORD)
        return Seen(records[records["seen_ns"] >= began_ns], began_ns, max(began_ns, ended_ns))
