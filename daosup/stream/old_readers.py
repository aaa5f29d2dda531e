"""Readers of the old protocol at a segment's port: who is there, and the frames they get.

Invariants: a frame goes out as two parts, the topic ``frameData`` and the pickled array, to old readers and to nobody
else; each is a whole frame and newer than the one before; while no old reader is there, nothing is made for them.
Nothing is pickled for a frame: it is copied into the middle of a pickle that was written once.

An old reader is a subscription that ``frameData`` begins with, the empty one included (which gets protocol 2's messages
too, as it asks for). libzmq tells of each subscription and takes one back when its socket is gone; a socket that
subscribed twice is counted twice and taken back once, so the count may be too high, never too low.
"""

from __future__ import annotations

from typing import Optional

import zmq

from daosup.core.pickled import pickled_ends
from daosup.shm import Segment
from daosup.stream.old_frames import OLD_TOPIC

_CHANGES = {b"\x01": 1, b"\x00": -1}
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)


class OldReaders:
    """The old readers of one port.

    Attributes:
        count: How many there are.
        sent: Frames sent to them.

    Args:
        socket: The XPUB socket they are connected to.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.count = 0
        self.sent = 0
        self._send = super(zmq.Socket, socket).send
        self._message: Optional[bytearray] = None
        self._frame_at = 0
        self._last = 0  # counter of the last frame sent

    def hear(self, said: bytes) -> None:
        """Take in what a reader said: a byte for subscribed or not, and the topic; strangers may say anything."""
        if OLD_TOPIC.startswith(said[1:]):
            self.count = max(0, self.count + _CHANGES.get(said[:1], 0))
        if self.count == 0:
            self._message = None

    def follow(self, segment: Segment) -> None:
        """Send this segment's frames from now on."""
        self._segment = segment
        self._message = None
        self._last = 0

    def send_newest(self, timeout_s: float) -> None:
        """Send the newest frame if it was not sent yet; never waits for a reader: one that is too slow goes without.

        Args:
            timeout_s: How long to try to get a whole frame.

        Raises:
            SegmentBusyError: If there was none.
            SegmentLostError: If the segment was made anew; ``follow`` the new one.
        """
        window = self._segment.window
        if self._message is None:
            self._message = self._write_pickle()
        window.snapshot(self._message, self._frame_at, -1, timeout_s)
        if window.cnt0 == self._last:
            return
        self._last = window.cnt0
        self._send(OLD_TOPIC, _MORE)
        self._send(self._message, _NOBLOCK)
        self.sent += 1

    def _write_pickle(self) -> bytearray:
        geometry = self._segment.geometry
        begin, end = pickled_ends(geometry)
        self._frame_at = len(begin)
        return bytearray(begin + bytes(geometry.frame_bytes) + end)
