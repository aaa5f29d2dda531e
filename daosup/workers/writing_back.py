"""The mirror's part in writing back: what programs of this host write into a mirror goes to the owner of its source.

Invariants:
- A frame that comes back is known by its frame id and write time. It is not written again, unless frames of others were
  written here after it: then it is, for at the owner it came after them. So in the end both ends have the same frame.
- Each write is answered by the owner, or counts as refused; a frame that the owner does not take is replaced by the
  owner's. An answer that is lost is made up for by the next one, which says how many were taken. What the owner is not
  known to allow, or cannot be sent at once, is refused here.
- All this outlasts the link, which may change from one transport to the other while programs write.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional, Protocol

from daosup.core.header import HEADER_BYTES, Buffer, pack_header
from daosup.core.writing import (
    ASK_INTERVAL_S,
    FRAME_AT,
    TAKEN_MODULUS,
    Answer,
    Verdict,
    ask_header,
    decode_answer,
    topic_of,
    write_header,
    writer_of,
)
from daosup.errors import ProtocolError
from daosup.stream.sockets import written_frames
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage
from daosup.workers.written_here import Stamps, WrittenHere

#: A write that is not answered within this time counts as refused.
ANSWER_S = 1.0
#: Of one that waits for longer, the answer may be lost: it is asked for.
_ASK_AGAIN_S = 0.2
#: The first question may come before there is a connection, and is then not sent.
_FIRST_ASK_S = 0.02
#: Of so many writes it is remembered that they are to come back.
_ECHOES = 256


@dataclass(frozen=True)
class _Sent:
    """A frame that was sent, or (``is_refused``) could not be while others before it had no answer yet."""

    stamps: Stamps
    sent_s: float
    is_refused: bool = False

    @property
    def counter(self) -> int:
        return self.stamps.counter


class Link(Protocol):
    """What goes to the owner."""

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent now."""

    def send(self, message: Buffer) -> bool:
        """Send a message without waiting; False: it is not sent."""


class WritingBack(WrittenHere):
    """Writes one mirror back to an owner of ours.

    Attributes:
        topic: What a receiver by ZeroMQ has to subscribe to.
    """

    def __init__(self, order: MirrorOrder, page: StatisticsPage, tell: Callable[..., None]) -> None:
        self._host, self._endpoint = order.host, order.endpoint
        self._writer = writer_of(order.host)
        self.topic = topic_of(self._writer)
        self._page, self._tell = page, tell
        self._link: Optional[Link] = None
        self._most_waiting = 0
        self._epoch = self._layout_id = self._sent_counter = self._asked_counter = 0
        # A mirror made anew counts its frames anew. On the wire they go on behind those of the one before: an answer
        # that was under way meanwhile is known by its counter, and taken for no other frame's.
        self._before = 0
        self._taken: Optional[int] = None
        self._is_open = False
        self._told: Optional[tuple[bool, str]] = None
        self._waiting: deque[_Sent] = deque()
        self._echoes: deque[Stamps] = deque(maxlen=_ECHOES)
        self._asked_s = 0.0
        super().__init__(order.semaphore)

    def link(self, link: Optional[Link]) -> None:
        """Send by this from now on; None: by nothing, and what is written is refused."""
        with self._lock:
            self._link = link
            self.is_unanswered = False
        if link is not None and self._told is not None:  # else it is asked once the source is known
            self._ask(time.monotonic())

    def follow(self, replica: Optional[Replica], epoch: int, layout_id: int) -> None:
        """Write this replica back from now on, to the stream as it is described now.

        Raises:
            SegmentLostError: If it is not there any more.
        """
        with self._lock:
            is_other = self._follow(replica) or (epoch, layout_id) != (self._epoch, self._layout_id)
            self._epoch, self._layout_id = epoch, layout_id
        if is_other and replica is not None:
            self._ask(time.monotonic())

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
        self._answered(answer)

    def _say(self, reason: str) -> None:
        if (self._is_open, reason) != self._told:
            self._told = (self._is_open, reason)
            self._page.writing = 1 if self._is_open else 2
            self._tell("writing", state="open" if self._is_open else "refused", reason=reason or None)

    def _answered(self, answer: Answer) -> None:
        """All up to the counter that the owner answers is decided: it answers in the order of the writes."""
        with self._lock:
            answer = answer._replace(counter=answer.counter - self._before)
            if answer.counter <= 0:  # of no frame of this mirror: whatever is taken from now on is ours
                self._taken = answer.taken
                return
            decided = []
            while self._waiting and self._waiting[0].counter <= answer.counter:
                decided.append(self._waiting.popleft())
            sent = [each.counter for each in decided if not each.is_refused]
            taken = self._taken_of(sent, answer)
            for each in decided:
                if each.counter in taken:
                    self._page.written += 1
                    self._put_answer(written=each.counter)
                else:
                    self._give_up(each)
            while self._waiting and self._waiting[0].is_refused:
                self._put_answer(refused=self._waiting.popleft().counter)
        self._has_room_now.set()

    def _taken_of(self, sent: list[int], answer: Answer) -> set[int]:
        """Which of the frames that are decided now were taken.

        How many is certain; which ones, if some were and some not, is not, but for the one that the verdict is of.
        """
        told = len(sent) + 1 if self._taken is None else (answer.taken - self._taken) % TAKEN_MODULUS
        self._taken = answer.taken
        if answer.verdict is not Verdict.WRITTEN and sent[-1:] == [answer.counter]:
            sent = sent[:-1]
        if told > len(sent):  # the owner counts anew, so only what it says of this one is known
            is_of_a_write = answer.verdict is Verdict.WRITTEN and answer.counter != self._asked_counter
            told = int(is_of_a_write and sent[-1:] == [answer.counter])
        return set(sent[len(sent) - told :])

    def _give_up(self, sent: _Sent) -> None:
        """One that waited for an answer is not written."""
        self._page.refused += not sent.is_refused
        self.needs_frame = True
        self._put_answer(refused=sent.counter)

    def _put_answer(self, **answer: int) -> None:
        if self._replica is not None:
            self._replica.put_written(**answer)

    def tend(self, now: float, *, has_link: bool) -> None:
        """Ask now and then, and give up on what is not answered.

        Raises:
            RuntimeError: If what is written here cannot be sent any more.
        """
        self.check()
        with self._lock:
            while self._waiting and (not has_link or now > self._waiting[0].sent_s + ANSWER_S):
                self.is_unanswered = True
                self._give_up(self._waiting.popleft())
        if not has_link and self._is_open:
            self._is_open = False
            self._say(f"no link to {self._endpoint}")
        is_late = bool(self._waiting) and now > self._waiting[0].sent_s + _ASK_AGAIN_S
        pause_s = _ASK_AGAIN_S if is_late else ASK_INTERVAL_S
        if has_link and now >= self._asked_s + (pause_s if self._told else _FIRST_ASK_S):
            self._ask(now)

    def _ask(self, now: float, *, is_leaving: bool = False) -> None:
        self._asked_s = now
        name = self._host.encode()
        message = bytearray(FRAME_AT + len(name))
        message[HEADER_BYTES:] = self._writer + name
        with self._lock:
            self._asked_counter = self._sent_counter - self._before
            header = ask_header(self._epoch, self._layout_id, self._sent_counter, self._host, is_leaving=is_leaving)
            pack_header(message, header)
            if self._link is not None:
                self._link.send(message)

    def close(self) -> None:
        """Tell the owner, if there is a link still, that nothing will come any more."""
        self._ask(0.0, is_leaving=True)
        self._end()

    # -- for whoever has the lock

    def _make_message(self, frame_bytes: int) -> tuple[bytearray, int]:
        self._waiting.clear()
        self._echoes.clear()
        self._before, self._taken = self._sent_counter, None
        self._most_waiting = written_frames(frame_bytes)
        buffer = bytearray(FRAME_AT + frame_bytes)
        buffer[HEADER_BYTES:FRAME_AT] = self._writer
        return buffer, FRAME_AT

    def _has_room(self) -> bool:
        return len(self._waiting) < self._most_waiting and (self._link is None or self._link.has_room)

    def _send(self, stamps: Stamps) -> None:
        frame_bytes = len(self._buffer) - FRAME_AT
        sent = stamps._replace(counter=self._before + stamps.counter)
        header = write_header(self._epoch, self._layout_id, *sent, time.time_ns(), frame_bytes)
        pack_header(self._buffer, header)
        link = self._link if self._is_open and self._has_room() else None
        if link is None or not link.send(self._buffer):
            self._refuse(stamps.counter)
            return
        self._waiting.append(_Sent(stamps, time.monotonic()))
        self._echoes.append(stamps)
        self._sent_counter = sent.counter

    def _refuse(self, counter: int, count: int = 1) -> None:
        self._page.refused += count
        self.needs_frame = True
        if self._waiting:  # it is told in its turn
            self._waiting.append(_Sent(Stamps(counter, 0, 0), time.monotonic(), is_refused=True))
        else:
            self._put_answer(refused=counter)

    def _is_here(self, message: Buffer, offset: int, stamps: Stamps) -> bool:
        index = next((index for index, sent in enumerate(self._echoes) if sent[1:] == stamps[1:]), None)
        if index is None:
            return False
        for _ in range(index):
            self._echoes.popleft()
        sent = self._echoes.popleft()
        # Written here, and nothing else after it that the owner had before it; or the last of several is to come yet.
        is_here = self._foreign < sent.counter or bool(self._echoes)
        self._page.echoes += is_here
        return is_here
