"""A publisher: one segment of this host, sent to whoever reads it.

Invariants: every frame sent is whole; a frame that was written while the one before was being sent is skipped, not
queued; a keyword that changed is described at the next look, whether there are frames or not; a segment that is made
anew is followed with a new epoch, on the same port.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from daosup.core.types import Writing
from daosup.core.writing import MOST_ASK_BYTES
from daosup.errors import SegmentBusyError, SegmentError
from daosup.shm import Segment
from daosup.shm._native import NEW, TIMEOUT, WOKEN, note_latency
from daosup.shm.segment import READ_TIMEOUT_S
from daosup.stream.sender import DESCRIBE_PAUSE_S, Messages, Sender
from daosup.workers.doorbell import Doorbell
from daosup.workers.looking import look_interval_s
from daosup.workers.orders import PublisherOrder
from daosup.workers.publishing_directly import DirectPublishing
from daosup.workers.spinning import Spinner
from daosup.workers.statistics import StatisticsPage
from daosup.workers.taking_writes import TakingWrites

#: After so long without a frame a stream counts as resting: its publisher sleeps deeper and lets readers ring.
RESTING_S = 0.02
SLEEP_S = 0.25
#: How often the path is compared with the open file: a segment that was unlinked keeps its memory.
CHECK_INTERVAL_S = 0.4
#: How often the keywords are compared with those that were described, while frames do not flow without us.
KEYWORDS_INTERVAL_S = 0.2
#: While each message describes, all else is looked after so often.
TEND_INTERVAL_S = 0.01
REOPEN_INTERVAL_S = 0.02
#: After so long without a whole frame, though there are new ones, the operator is told.
STUCK_S = 1.0
#: How many times larger a segment may be made anew, and still be written back without another process.
ROOM_TO_GROW = 4

#: Beside the outcomes of a wait: there is a frame, but not a whole one.
_BUSY = -1


def publish(order: PublisherOrder, tell: Callable[..., None]) -> None:
    """Publish until stopped.

    Raises:
        UnavailableError: If no port is free.
        SegmentError: If there is no such segment in the beginning.
    """
    page = StatisticsPage(order.page)
    segment = Segment.open(order.path, writable=False)
    frame_bytes = segment.geometry.frame_bytes
    is_writable = order.writing != Writing.READ_ONLY.value
    most_bytes = MOST_ASK_BYTES + (ROOM_TO_GROW * frame_bytes if is_writable else 0)
    writes = TakingWrites(order, page, most_bytes)
    sender = Sender(order.bind, order.ports, frame_bytes, writes.hear, most_bytes)
    direct = DirectPublishing(order, page, writes, most_bytes)
    doorbell = Doorbell()
    try:
        page.has_link = 1
        page.stamp_ready(sender.port, direct.port)
        tell("ready", port=sender.port)
        while True:
            doorbell.answer_to(_ringing(segment, order.semaphore))
            try:
                _Service(segment, sender, direct, writes, doorbell, page, order, tell).run()
            except SegmentError as error:
                tell("away", reason=str(error))
            writes.let_go()
            segment.close()
            segment = _reopen(order.path, page, direct)
            tell("back", segment=str(segment.geometry), reason=None)
    finally:
        direct.close()
        writes.close()
        sender.close()


def _ringing(segment: Segment, semaphore: int) -> Callable[[], object]:
    window = segment.window
    return lambda: window.kick(semaphore)


class _Service:
    """Sends the frames of one opened segment until it is lost."""

    def __init__(
        self,
        segment: Segment,
        sender: Sender,
        direct: DirectPublishing,
        writes: TakingWrites,
        doorbell: Doorbell,
        page: StatisticsPage,
        order: PublisherOrder,
        tell: Callable[..., None],
    ) -> None:
        self._tell = tell
        self._segment, self._sender, self._doorbell, self._page = segment, sender, doorbell, page
        self._writes, self._direct = writes, direct
        self._messages = Messages(segment, time.time_ns(), str(order.key.source))
        self._semaphore = order.semaphore
        self._look_s = look_interval_s(order.limits)
        # Of the segments served before, made anew since.
        self._before = (page.retries, page.skipped, page.gaps)
        self._window = window = segment.window
        window.sequence = page.frames
        # A frame that is there already is news to whoever reads us.
        window.sent = max(0, segment.counter - 1)
        self._tended = self._stamped = self._checked = self._compared = 0.0
        self._rest_s = self._spin_s = 0.0
        # When there last was no frame that could not be had, and how many were sent by then.
        self._whole, self._whole_sequence = time.monotonic(), window.sequence
        self._is_stuck = False
        # The counter of the last frame that may not have found room, and was told of since.
        self._doubted = 0
        # Readers had said more than was heard the last time.
        self._has_more = False
        self._spinner = Spinner(order.limits, tell)
        sender.describe_soon()
        sender.old_readers.follow(segment.geometry)
        direct.begin(self._messages)
        writes.follow(segment, self._messages.epoch, self._messages.description.layout_id)

    def run(self) -> None:
        """Serve; ends with SegmentLostError."""
        sender, header, window = self._sender, self._messages.header, self._window
        old_readers, direct = sender.old_readers, self._direct
        now = time.monotonic()
        try:
            while True:
                # Frames flow without us until a reader speaks or it is time to look. Then, and while each message has
                # to describe, the next frame is left to us; direct readers have it by then.
                until_s = min(self._stamped + self._look_s, sender.due_s) if now >= sender.burst_until else 0.0
                try:
                    outcome = window.send_frames(
                        sender.address,
                        header,
                        self._semaphore,
                        self._rest_s,
                        READ_TIMEOUT_S,
                        until_s,
                        *old_readers.ends,
                        self._page.memory,
                        direct.sender,
                        sender.has_readers or not direct.count,
                        self._spin_s,
                        self._messages.keywords,
                    )
                except SegmentBusyError:
                    self._page.busy += 1
                    outcome = _BUSY
                now = time.monotonic()
                is_due = now < sender.burst_until
                if outcome != NEW or not is_due or now >= self._tended + TEND_INTERVAL_S:
                    is_due = self._tend(now, outcome)
                if is_due and outcome != _BUSY and sender.is_heard(now):
                    self._describe(now, has_new=outcome == NEW)
        finally:
            self._spinner.close()
            self._stamp(now)

    def _describe(self, now: float, *, has_new: bool) -> None:
        sender, window = self._sender, self._window
        try:
            message = self._messages.describe(window.sequence + has_new, has_frame=has_new or sender.is_asked)
        except SegmentBusyError:
            self._page.busy += 1
            return
        sender.described(now)
        if has_new:
            window.note_sent()
        sender.send(message)
        if has_new:
            if window.atime_ns >= self._messages.epoch:  # the frame that was there before us is not late
                note_latency(self._page.latency, window.atime_ns, time.time_ns())
            sender.old_readers.send(self._messages.frame_of(message))

    def _tend(self, now: float, outcome: int) -> bool:
        """Hear readers, look after segment and page; whether a description is due."""
        sender = self._sender
        self._tended = now
        self._writes.tend(now, has_more=self._has_more)
        has_more = sender.hear()
        self._has_more = has_more = self._direct.tend(now) or has_more
        self._doorbell.arm(*self._direct.doors)
        if now >= self._compared + KEYWORDS_INTERVAL_S:
            self._compared = now
            if self._messages.has_new_keywords():
                sender.describe_next()
                self._direct.describe(self._messages)
        if outcome == TIMEOUT and self._window.is_doubtful and self._doubted != self._window.sent:
            # Nothing pushes it out any more: a reader that lacks it is to notice now, and not in a second.
            self._doubted = self._window.sent
            sender.describe_next()
        is_due = sender.is_description_due(now, has_new=outcome == NEW)
        if outcome != NEW or now >= self._stamped + self._look_s or self._reader_count != self._page.reader_count:
            self._stamp(now)
        if now >= self._checked + CHECK_INTERVAL_S:
            self._checked = now
            self._segment.check()
        self._note_stuck(now, outcome)
        has_readers = self._direct.count > 0 or sender.has_readers
        self._spin_s = self._spinner.spin_s(now, self._window.sequence, is_wanted=has_readers)
        self._rest_s = DESCRIBE_PAUSE_S if sender.is_asked else RESTING_S
        is_resting = outcome == TIMEOUT and not sender.is_asked and not has_more
        if is_resting or self._writes.has_writers or not sender.has_readers:
            self._doorbell.arm(sender.fd, *self._direct.fds)
        if is_resting or has_more:
            self._rest_s = SLEEP_S if is_resting else 0.0
        return is_due

    @property
    def _reader_count(self) -> int:
        return self._sender.reader_count + self._sender.old_readers.count + self._direct.count

    def _stamp(self, now: float) -> None:
        page, window = self._page, self._window
        self._stamped = now
        page.retries, page.skipped, page.gaps = (
            before + now for before, now in zip(self._before, (window.retries, window.skipped, window.gaps))
        )
        page.direct_count = self._direct.count
        page.reader_count = self._reader_count
        page.source_counter, page.write_time_utc_ns = window.sent, window.atime_ns
        page.payload_bytes += (window.sequence - page.frames) * self._messages.frame_message_bytes
        page.frames = window.sequence
        page.written, page.refused, page.echoes = self._writes.counts
        page.stamp()

    def _note_stuck(self, now: float, outcome: int) -> None:
        """A writer that died while writing leaves a segment that nobody can read; say so, and when it is over."""
        if outcome in (TIMEOUT, WOKEN) or self._window.sequence != self._whole_sequence:
            self._whole, self._whole_sequence = now, self._window.sequence
        is_stuck = now > self._whole + STUCK_S
        if is_stuck != self._is_stuck:
            self._is_stuck = is_stuck
            reason = f"no whole frame for {STUCK_S:g} s: its writer died while writing, or writes without a pause"
            self._tell("stuck" if is_stuck else "flowing", reason=reason if is_stuck else None)


def _reopen(path: str, page: StatisticsPage, direct: DirectPublishing) -> Segment:
    """Wait until there is a segment again."""
    while True:
        page.stamp()
        direct.tend(time.monotonic())
        try:
            return Segment.open(path, writable=False)
        except SegmentError:
            time.sleep(REOPEN_INTERVAL_S)
