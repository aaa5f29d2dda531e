"""Readers of the old protocol at a segment's port: who is there, and what makes a frame one of theirs.

Invariants: a frame goes out as two parts, the topic ``frameData`` and the pickled array, to old readers and to nobody
else; they get the frames that readers of protocol 2 get; while no old reader is there, nothing is made for them.
Nothing is pickled for a frame: it is copied into the middle of a pickle that was written once, by the native part
while frames flow (``ends`` are for ``Window.send_frames``).

An old reader is a subscription that ``frameData`` begins with, the empty one included (which gets protocol 2's messages
too, as it asks for). libzmq tells of each subscription and takes one back when its socket is gone; a socket that
subscribed twice is counted twice and taken back once, so the count may be too high, never too low, until nobody is
connected any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import zmq

from daosup.core.header import MAX_FRAME_BYTES
from daosup.core.layout import Geometry
from daosup.core.pickled import Ends, pickled_ends
from daosup.stream.connections import SUBSCRIBED, UNSUBSCRIBED
from daosup.stream.old_frames import OLD_TOPIC

_NOBODY = Ends(b"", b"")


class OldReaders:
    """The old readers of one port.

    Attributes:
        count: How many there are.
        ends: What stands around each frame that is sent to them; nothing if there are none.

    Args:
        socket: The XPUB socket they are connected to.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.count = 0
        self.ends = _NOBODY
        self._socket = socket
        self._geometry: Optional[Geometry] = None

    def hear(self, said: bytes, has_left: Callable[[int], bool]) -> None:
        """Take in what a reader said: a byte for subscribed or not, and the topic; strangers may say anything.

        ``has_left``: whether one of so many may be believed to have left.
        """
        if not OLD_TOPIC.startswith(said[1:]):
            return
        if said[:1] == SUBSCRIBED:
            self.count += 1
        elif said[:1] == UNSUBSCRIBED and has_left(self.count):
            self.count -= 1
        self._put_ends()

    def forget(self) -> None:
        """All of them have left."""
        self.count = 0
        self._put_ends()

    def follow(self, geometry: Geometry) -> None:
        """Send frames of this shape and dtype from now on."""
        self._geometry = geometry
        self._put_ends()

    def _put_ends(self) -> None:
        geometry = self._geometry
        has_frames = geometry is not None and geometry.frame_bytes <= MAX_FRAME_BYTES
        self.ends = pickled_ends(geometry) if geometry is not None and has_frames and self.count else _NOBODY

    def send(self, frame: memoryview) -> None:
        """Send one frame; never waits for a reader: one that is too slow goes without."""
        if self.ends.begin:
            self._socket.send(OLD_TOPIC, zmq.NOBLOCK | zmq.SNDMORE)
            self._socket.send(b"".join((self.ends.begin, frame, self.ends.end)), zmq.NOBLOCK)
