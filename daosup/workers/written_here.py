"""What programs of this host write into a mirror, told from what its owner sends, and handed on.

Two threads: the worker's own takes what comes from the owner; another sleeps on the mirror's semaphore and hands on
what was written here. Under the lock it is always known which frame of the mirror was the last that either has seen
(``_known``); what has another counter was written here.

Invariants: every frame written here is handed on once, or refused; none is handed on later than at once. Before a frame
of the owner is written into the mirror, those that were written here are handed on. Two programs that write at the same
time, one of them with libdao, which looks for nobody else, are the exception: as everywhere in DAO they can mix their
frames; and of two that are written within some ten microseconds a mirror that keeps one frame has the second only.
"""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import NamedTuple, Optional

from daosup.core.header import Buffer
from daosup.errors import SegmentBusyError, SegmentError, SegmentLostError
from daosup.shm import Segment
from daosup.shm._native import NEW
from daosup.shm.segment import READ_TIMEOUT_S
from daosup.workers.replica import Replica

#: The sending thread looks so often whether it still has anything to do.
_WAIT_S = 0.25
#: What cannot be done just now is tried again so soon.
_PAUSE_S = 0.0005
#: Neither thread waits longer for the interpreter while the other one has it.
_SWITCH_S = 0.0002
#: A program here that writes all the time does not keep a frame of the owner out for ever.
_MOST_TRIES = 100


class Stamps(NamedTuple):
    """Of a frame: ``counter`` is the mirror's, or 0 of one that is not there yet."""

    counter: int
    frame_id: int
    write_time_ns: int


class WrittenHere(ABC):
    """Hands on what is written into one mirror.

    Attributes:
        needs_frame: A frame was refused: the mirror has one that its source never had.
        is_unanswered: Something was sent by the present link that its owner should have answered, and did not.
        first_written: What programs that wait for an answer find in the beginning, see ``daosup.shm.written``.

    Args:
        semaphore: Of the mirror, to sleep on.
    """

    first_written = 0

    def __init__(self, semaphore: int) -> None:
        self._semaphore = semaphore
        self._lock = threading.Lock()
        self._replica: Optional[Replica] = None
        self._source: Optional[Segment] = None
        self._buffer = bytearray()
        self._frame_at = 0
        self._known = self._foreign = 0
        self.needs_frame = self.is_unanswered = False
        self._is_closed = False
        self._has_room_now = threading.Event()
        self._failure: Optional[BaseException] = None
        sys.setswitchinterval(_SWITCH_S)
        self._thread = threading.Thread(target=self._run, name="written here", daemon=True)
        self._thread.start()

    # -- how it is handed on; all is called by whoever has the lock

    @abstractmethod
    def _make_message(self, frame_bytes: int) -> tuple[bytearray, int]:
        """What is sent for each frame, and where in it the frame begins."""

    @abstractmethod
    def _has_room(self) -> bool:
        """Whether another frame may be sent now."""

    @abstractmethod
    def _send(self, stamps: Stamps) -> None:
        """Send the frame that lies in the buffer, or refuse it."""

    @abstractmethod
    def _refuse(self, counter: int, count: int = 1) -> None:
        """So many frames are not sent, ``counter`` the last of them."""

    @abstractmethod
    def _is_here(self, message: Buffer, offset: int, stamps: Stamps) -> bool:
        """Whether a frame of the owner is in the mirror already, as it was written here."""

    # -- for the mirror's own thread

    def _follow(self, replica: Optional[Replica]) -> bool:
        """Hand on what is written into this replica from now on; whether it is another. The caller has the lock.

        Raises:
            SegmentLostError: If it is not there any more.
        """
        if replica is self._replica:
            return False
        if self._source is not None:
            self._source.close()
            self._source = None
        if replica is not None:
            self._source = _open(replica)
            self._buffer, self._frame_at = self._make_message(replica.segment.geometry.frame_bytes)
            self._known = self._foreign = replica.segment.counter
            replica.put_written(written=self.first_written, refused=self._known)
        self._replica = replica
        return True

    def put(self, message: Buffer, offset: int, stamps: Stamps) -> bool:
        """Write a frame of the owner into the mirror; False if it is there already, as it was written here.

        Raises:
            SegmentLostError: If the mirror is being made anew.
        """
        replica = self._replica
        if replica is None:
            raise SegmentLostError("the mirror is being made anew")
        window, (_, frame_id, write_time_ns) = replica.segment.window, stamps
        with self._lock:
            for attempt in range(_MOST_TRIES):
                self._hand_on(is_last_chance=True)
                if attempt == 0 and self._is_here(message, offset, stamps):
                    return False
                if window.commit(message, offset, frame_id, write_time_ns, self._known):
                    break
            else:
                window.commit(message, offset, frame_id, write_time_ns)
            self._known = self._foreign = window.cnt0
            self.needs_frame = False
        return True

    def check(self) -> None:
        """See that what is written here can be handed on.

        Raises:
            RuntimeError: If the other thread died.
        """
        if self._failure is not None:
            raise RuntimeError("what is written here cannot be sent any more") from self._failure

    def _end(self) -> None:
        """End the other thread."""
        self._is_closed = True
        with self._lock:
            if self._replica is not None:
                self._replica.segment.window.kick(self._semaphore)
        self._has_room_now.set()
        self._thread.join(2 * _WAIT_S)
        with self._lock:
            if self._source is not None:
                self._source.close()
                self._source = None

    # -- for the other thread

    def _run(self) -> None:
        try:
            while not self._is_closed:
                self._watch()
        except BaseException as error:
            self._failure = error

    def _watch(self) -> None:
        """Hand on what is written into the present replica, until there is another."""
        replica = self._replica
        if replica is None:
            time.sleep(_PAUSE_S)
            return
        try:
            segment = _open(replica)
        except SegmentLostError:
            time.sleep(_PAUSE_S)  # the other thread finds out, too
            return
        with segment:
            while replica is self._replica and not self._is_closed:
                try:
                    outcome = segment.window.wait(self._known, self._semaphore, _WAIT_S, False)
                except SegmentLostError:
                    time.sleep(_PAUSE_S)
                    return
                if outcome == NEW:
                    with self._lock:
                        is_done = replica is not self._replica or self._hand_on(is_last_chance=False)
                    if not is_done:
                        self._has_room_now.wait(_PAUSE_S)

    # -- for whoever has the lock

    def _hand_on(self, *, is_last_chance: bool) -> bool:
        """Hand on what was written here; False if something of that has to wait (unless it is the last chance)."""
        source = self._source
        if self._replica is None or source is None:
            return True
        window = source.window
        while True:
            newest, slot = window.counter(), window.newest_slot()
            if newest == self._known:
                return True
            # A FIFO keeps some that others were written after.
            back = max(0, min(newest - self._known, source.depth) - 1)
            if not is_last_chance and not self._has_room():
                self._has_room_now.clear()
                return False
            try:
                window.snapshot(
                    self._buffer,
                    self._frame_at,
                    (slot - back) % source.depth,
                    READ_TIMEOUT_S if is_last_chance else 0.0,
                )
            except SegmentBusyError:
                return False
            if window.cnt0 <= self._known:
                continue  # it is being written over
            before, self._known = self._known, window.cnt0
            overtaken = window.cnt0 - before - 1
            if overtaken > 0:
                self._refuse(window.cnt0 - 1, overtaken)
            self._send(Stamps(window.cnt0, window.cnt2, window.atime_ns))


def _open(replica: Replica) -> Segment:
    """A replica's segment once more: each thread needs its own.

    Raises:
        SegmentLostError: If it is not there any more.
    """
    try:
        return Segment.open(replica.segment.path, writable=False)
    except SegmentError as error:
        raise SegmentLostError(f"the mirror went away: {error}") from error
