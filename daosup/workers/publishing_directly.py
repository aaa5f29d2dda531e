"""The publisher's part in the direct transport: readers with a connection of their own, who need no ZeroMQ.

Invariants: whether this works changes nothing for readers by ZeroMQ: without a free port, or any readers, there is none
of it. What a reader is told of the segment comes before its first frame, and again when it changed.
"""

from __future__ import annotations

import os
import time
from typing import Optional

from daosup.core.delivery import COMPRESSIONS
from daosup.core.dnet import Kind, encode_describe, encode_meta, message
from daosup.core.dnet_lines import Subscription
from daosup.errors import UsageError
from daosup.shm._native import DirectSender
from daosup.stream.direct_listener import MOST_READERS, DirectListener
from daosup.stream.handing import Handed, place_of
from daosup.stream.sender import LISTEN_S, Messages
from daosup.workers.direct_forms import DirectForms
from daosup.workers.orders import PublisherOrder
from daosup.workers.statistics import StatisticsPage
from daosup.workers.taking_writes import TakingWrites

#: The most frames that wait for a reader that wants every one; fewer of large ones.
_RING_FRAMES = 4096
#: The sender says so of a reader instead of a message's kind.
_GONE = 0


class DirectPublishing:
    """The direct readers of one segment.

    Attributes:
        port: Where they connect; 0: nowhere.
        sender: For ``Window.send_frames``.

    Args:
        order: The publisher's.
        page: Where ``rejected`` is counted.
        writes: Takes in what readers write.
        most_bytes: None of them may send a longer message.
    """

    def __init__(
        self,
        order: PublisherOrder,
        page: StatisticsPage,
        writes: TakingWrites,
        most_bytes: int,
    ) -> None:
        self._name = order.key.source.name
        self._page, self._rejected = page, 0
        self._writes = writes
        # Those of other kinds that may write, by the host that they say they are.
        self._foreign_writers: dict[int, str] = {}
        self.sender = DirectSender(most_bytes)
        self._forms = DirectForms(self.sender)
        self._listener = DirectListener(order.bind, order.direct_ports, self._name, self._why_not, self._take)
        self.port = self._listener.port
        self._handed = _handed(order) if order.is_handed else None
        #: Readable when somebody comes, who is answered at once also while frames flow: that is seldom. With ``tend``.
        self.doors = ((self._listener.fd,) if self.port else ()) + (() if self._handed is None else (self._handed.fd,))

    @property
    def fds(self) -> tuple[int, ...]:
        """Readable when a reader said something that does not wait until the next look; look with ``tend``.

        Readers that do not write only say each second that they are there, and nobody need wake up for that.
        """
        return (int(self.sender.fd),)

    @property
    def count(self) -> int:
        """How many readers there are."""
        return int(self.sender.count)

    def begin(self, messages: Messages) -> None:
        """The segment of ``messages`` is what is published from now on."""
        self.sender.begin(messages.segment.geometry.frame_bytes, *self._said_of(messages))
        self._forms.begin(messages)

    def describe(self, messages: Messages) -> None:
        """Its keywords changed."""
        self.sender.describe(*self._said_of(messages))
        self._forms.describe(messages)

    def _said_of(self, messages: Messages) -> tuple[bytes, bytes]:
        """For readers of others, and for ours."""
        segment, counter = messages.segment, messages.segment.counter
        keywords = segment.keywords.raw()
        return (
            encode_meta(self._name, segment.geometry, keywords, counter),
            encode_describe(messages.description, messages.epoch, counter, keywords),
        )

    def tend(self, now: float) -> bool:
        """Take in who came and what was said; never waits. Returns whether they say more than is heard at once."""
        self._listener.tend(now)
        if self._handed is not None:
            for connection, line in self._handed.take():
                self._listener.take_handed(connection, line)
        has_more = self._hear()
        self._page.rejected += self._listener.rejected - self._rejected
        self._rejected = self._listener.rejected
        return has_more

    def _hear(self) -> bool:
        until_s = time.monotonic() + LISTEN_S
        while said := self.sender.tend():
            for reader, kind, payload in said:
                if kind == _GONE:
                    self._foreign_writers.pop(reader, None)
                    self._writes.disconnected(reader)
                elif kind == Kind.ASK:
                    answer = self._writes.hear(payload, reader)
                    if answer is not None:
                        self.sender.answer(reader, message(Kind.ANSWER, answer))
                elif kind == Kind.WRITE and reader in self._foreign_writers:
                    counter = self._writes.take_foreign(self._foreign_writers[reader], payload)
                    if counter is not None:
                        self.sender.echo(reader, counter)
            if time.monotonic() >= until_s:
                return True
        return False

    def _why_not(self, wanted: Subscription) -> Optional[str]:
        if self.count >= MOST_READERS:
            return f"it has {MOST_READERS} readers already"
        delivery = wanted.delivery
        if wanted.is_writing and (delivery.is_cut or delivery.compress != COMPRESSIONS[0]):
            return "what is written back has to come in whole frames, not packed"
        return self._forms.why_not(delivery)

    def _take(self, fd: int, wanted: Subscription) -> None:
        delivery = wanted.delivery
        period_ns = round(1e9 / delivery.rate_hz) if delivery.rate_hz else 0
        ring_frames = _RING_FRAMES if delivery.mode == "every" else 0
        is_foreign_writer = self._handed is not None and not wanted.is_ours  # else it is none that may be here
        may_write = wanted.is_writing or is_foreign_writer
        try:
            form = self._forms.form_of(delivery)
            reader = self.sender.add(fd, wanted.is_ours, period_ns, ring_frames, form, may_write)
        except (OSError, UsageError):  # no room for one more; it will try again
            os.close(fd)
            self._page.rejected += 1
            return
        if wanted.is_writing:
            self._writes.connected(wanted.reader, reader)
        elif is_foreign_writer:
            self._foreign_writers[reader] = wanted.reader

    def close(self) -> None:
        """Say goodbye to all."""
        if self._handed is not None:
            self._handed.close()
        self._listener.close()
        self.sender.close()


def _handed(order: PublisherOrder) -> Optional[Handed]:
    """Where the gate hands us readers; None if that cannot be, and then there are none of other kinds."""
    try:
        return Handed(place_of(order.page))
    except OSError:
        return None
