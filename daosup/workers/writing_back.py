"""The mirror's part in writing back: what programs of this host write into a mirror goes to the owner of its source.

Two threads: the worker's own takes what comes from the owner; another sleeps on the mirror's semaphore and sends what
was written here. Under the lock it is always known which frame of the mirror was the last that either has seen
(``_known``); what has another counter was written here.

Invariants:
- Every frame written here is sent once, or counted as refused; none is sent later than at once. Before a frame of the
  owner is written into the mirror, one that was written here is sent. Two programs that write at the same time, one of
  them with libdao, which looks for nobody else, are the exception: as everywhere in DAO they can mix their frames.
- A frame that comes back is known by its frame id and write time. It is not written again, unless frames of others were
  written here after it: then it is, for at the owner it came after them. So in the end both ends have the same frame.
- A frame that the owner does not take is replaced by the owner's.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from daosup.core.header import HEADER_BYTES, Buffer, Header, pack_header
from daosup.core.writing import (
    ASK_INTERVAL_S,
    FRAME_AT,
    Answer,
    Verdict,
    ask_header,
    decode_answer,
    topic_of,
    write_header,
    writer_of,
)
from daosup.errors import ProtocolError, SegmentBusyError, SegmentError, SegmentLostError
from daosup.shm import Segment
from daosup.shm._native import NEW
from daosup.shm.segment import READ_TIMEOUT_S
from daosup.stream.upstream import Upstream
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage

#: A write that is not answered within this time counts as refused.
ANSWER_S = 1.0
#: The sending thread looks so often whether it still has anything to do.
_WAIT_S = 0.25
#: What cannot be done just now is tried again so soon.
_PAUSE_S = 0.0005
#: The first question may come before there is a connection, and is then not sent.
_FIRST_ASK_S = 0.02
#: Neither thread waits longer for the interpreter while the other one has it.
_SWITCH_S = 0.0002
#: Of so many writes it is remembered that they are to come back.
_ECHOES = 256
#: A program here that writes all the time does not keep a frame of the owner out for ever.
_MOST_TRIES = 100


@dataclass(frozen=True)
class _Sent:
    """A frame that was sent, or (``is_refused``) could not be while others before it had no answer yet."""

    counter: int
    frame_id: int
    write_time_ns: int
    sent_s: float
    is_refused: bool = False

    def is_in(self, header: Header) -> bool:
        return (self.frame_id, self.write_time_ns) == (header.frame_id, header.write_time_ns)


class WritingBack:
    """Writes one mirror back.

    Attributes:
        topic: What the mirror's receiver has to subscribe to.
        needs_frame: A write was not taken: the mirror has a frame that its source never had.
    """

    def __init__(self, order: MirrorOrder, page: StatisticsPage, tell: Callable[..., None]) -> None:
        self._host, self._endpoint, self._semaphore = order.host, order.endpoint, order.semaphore
        self._writer = writer_of(order.host)
        self.topic = topic_of(self._writer)
        self._page, self._tell = page, tell
        self._lock = threading.Lock()
        self._upstream: Optional[Upstream] = None
        self._replica: Optional[Replica] = None
        self._epoch = self._layout_id = 0
        self._source: Optional[Segment] = None
        self._buffer = bytearray()
        self._known = self._foreign = 0
        self._is_open = False
        self._told: Optional[tuple[bool, str]] = None
        self._waiting: deque[_Sent] = deque()
        self._echoes: deque[_Sent] = deque(maxlen=_ECHOES)
        self._asked_s = 0.0
        self.needs_frame = False
        self._is_closed = False
        self._has_room = threading.Event()
        self._failure: Optional[BaseException] = None
        sys.setswitchinterval(_SWITCH_S)
        self._thread = threading.Thread(target=self._run, name="writing back", daemon=True)
        self._thread.start()

    # -- for the mirror's own thread

    def follow(self, replica: Optional[Replica], epoch: int, layout_id: int) -> None:
        """Write this replica back from now on, to the stream as it is described now.

        Raises:
            SegmentLostError: If it is not there any more.
        """
        with self._lock:
            if replica is not self._replica and replica is not None:
                geometry = replica.segment.geometry
                self._source = _open(replica)
                self._buffer = bytearray(FRAME_AT + geometry.frame_bytes)
                self._buffer[HEADER_BYTES:FRAME_AT] = self._writer
                self._known = self._foreign = replica.segment.counter
                self._waiting.clear()
                self._echoes.clear()
                if self._upstream is not None:
                    self._upstream.close()
                self._upstream = Upstream(self._endpoint, geometry.frame_bytes)
            is_other = (replica, epoch, layout_id) != (self._replica, self._epoch, self._layout_id)
            self._replica, self._epoch, self._layout_id = replica, epoch, layout_id
        if is_other and replica is not None:
            replica.put_written(written=0, refused=self._known)
            self._ask(time.monotonic())

    def put(self, message: Buffer, offset: int, header: Header) -> bool:
        """Write a frame of the owner into the mirror; False if it is there already, as it was written here."""
        replica = self._replica
        if replica is None:
            raise SegmentLostError("the mirror is being made anew")
        window = replica.segment.window
        with self._lock:
            for attempt in range(_MOST_TRIES):
                self._send_written(is_last_chance=True)
                if attempt == 0 and self._is_here(header):
                    self._page.echoes += 1
                    return False
                if window.commit(message, offset, header.frame_id, header.write_time_ns, self._known):
                    break
            else:
                window.commit(message, offset, header.frame_id, header.write_time_ns)
            self._known = self._foreign = window.cnt0
            self.needs_frame = False
        return True

    def _is_here(self, header: Header) -> bool:
        """Whether a frame of the owner was written here, and nothing else after it that the owner had before it."""
        index = next((i for i, sent in enumerate(self._echoes) if sent.is_in(header)), None)
        if index is None:
            return False
        for _ in range(index):
            self._echoes.popleft()
        sent = self._echoes.popleft()
        return self._foreign < sent.counter or bool(self._echoes)

    def heard(self, message: Buffer) -> None:
        """The owner answered."""
        try:
            answer = decode_answer(message, self._writer)
        except ProtocolError:
            self._page.rejected += 1
            return
        if answer.verdict is Verdict.STALE:
            self._ask(time.monotonic())
        elif answer.verdict is not Verdict.WRITTEN or not self._is_open:
            self._is_open = answer.verdict is Verdict.WRITTEN
            self._say(answer.reason)
        if answer.counter:
            self._answered(answer)

    def _say(self, reason: str) -> None:
        if (self._is_open, reason) != self._told:
            self._told = (self._is_open, reason)
            self._tell("writing", state="open" if self._is_open else "refused", reason=reason or None)

    def _answered(self, answer: Answer) -> None:
        with self._lock:
            # Answers come in the order of the writes: one before it that has none will get none.
            while self._waiting and self._waiting[0].counter < answer.counter:
                self._give_up_first()
            if self._waiting and self._waiting[0].counter == answer.counter:
                if answer.verdict is Verdict.WRITTEN:
                    self._page.written += 1
                    self._waiting.popleft()
                    self._put_answer(written=answer.counter)
                else:
                    self._give_up_first()
            while self._waiting and self._waiting[0].is_refused:
                self._put_answer(refused=self._waiting.popleft().counter)
        self._has_room.set()

    def _give_up_first(self) -> None:
        """The first that waits for an answer will not be written."""
        sent = self._waiting.popleft()
        self._page.refused += not sent.is_refused
        self.needs_frame = True
        self._put_answer(refused=sent.counter)

    def _refuse(self, counter: int, count: int = 1) -> None:
        """Do not send so many frames, ``counter`` the last of them; told in their turn."""
        self._page.refused += count
        self.needs_frame = True
        if self._waiting:
            self._waiting.append(_Sent(counter, 0, 0, time.monotonic(), is_refused=True))
        else:
            self._put_answer(refused=counter)

    def _put_answer(self, **answer: int) -> None:
        if self._replica is not None:
            self._replica.put_written(**answer)

    def tend(self, now: float, *, has_link: bool) -> None:
        """Ask now and then, and give up on what is not answered.

        Raises:
            RuntimeError: If the sending thread died.
        """
        if self._failure is not None:
            raise RuntimeError("what is written here cannot be sent any more") from self._failure
        with self._lock:
            while self._waiting and (not has_link or now > self._waiting[0].sent_s + ANSWER_S):
                self._give_up_first()
        if not has_link and self._is_open:
            self._is_open = False
            self._say(f"no link to {self._endpoint}")
        if has_link and now >= self._asked_s + (ASK_INTERVAL_S if self._told else _FIRST_ASK_S):
            self._ask(now)

    def _ask(self, now: float, *, is_leaving: bool = False) -> None:
        self._asked_s = now
        name = self._host.encode()
        message = bytearray(FRAME_AT + len(name))
        message[HEADER_BYTES:] = self._writer + name
        pack_header(message, ask_header(self._epoch, self._layout_id, self._host, is_leaving=is_leaving))
        with self._lock:
            if self._upstream is not None:
                self._upstream.send(message)

    def close(self) -> None:
        """Tell the owner that nothing will come any more."""
        self._is_closed = True
        self._ask(0.0, is_leaving=True)
        with self._lock:
            if self._replica is not None:
                self._replica.segment.window.kick(self._semaphore)
        self._has_room.set()
        self._thread.join(2 * _WAIT_S)
        if self._upstream is not None:
            self._upstream.close()

    # -- for the sending thread

    def _run(self) -> None:
        try:
            while not self._is_closed:
                self._watch()
        except BaseException as error:
            self._failure = error

    def _watch(self) -> None:
        """Send what is written into the present replica, until there is another."""
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
                        is_done = replica is not self._replica or self._send_written(is_last_chance=False)
                    if not is_done:
                        self._has_room.wait(_PAUSE_S)

    # -- for whoever has the lock

    def _send_written(self, *, is_last_chance: bool) -> bool:
        """Send what was written here; False if something of that has to wait (unless it is the last chance)."""
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
            is_full = self._upstream is None or len(self._waiting) >= self._upstream.most_waiting
            if is_full and not is_last_chance:
                self._has_room.clear()
                return False
            try:
                window.snapshot(
                    self._buffer, FRAME_AT, (slot - back) % source.depth, READ_TIMEOUT_S if is_last_chance else 0.0
                )
            except SegmentBusyError:
                return False
            if window.cnt0 <= self._known:
                continue  # it is being written over
            before, self._known = self._known, window.cnt0
            overtaken = window.cnt0 - before - 1
            if overtaken > 0:
                self._refuse(window.cnt0 - 1, overtaken)
            if is_full or not self._is_open:
                self._refuse(window.cnt0)
            else:
                self._send(_Sent(window.cnt0, window.cnt2, window.atime_ns, time.monotonic()))

    def _send(self, sent: _Sent) -> None:
        """Send the frame that lies in the buffer."""
        self._waiting.append(sent)
        self._echoes.append(sent)
        frame_bytes = len(self._buffer) - FRAME_AT
        header = write_header(
            self._epoch, self._layout_id, sent.counter, sent.frame_id, sent.write_time_ns, time.time_ns(), frame_bytes
        )
        pack_header(self._buffer, header)
        if self._upstream is not None:
            self._upstream.send(self._buffer)


def _open(replica: Replica) -> Segment:
    """A replica's segment once more: each thread needs its own.

    Raises:
        SegmentLostError: If it is not there any more.
    """
    try:
        return Segment.open(replica.segment.path, writable=False)
    except SegmentError as error:
        raise SegmentLostError(f"the mirror went away: {error}") from error
