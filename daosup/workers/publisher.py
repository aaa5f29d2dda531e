"""A publisher: one segment of this host, sent to whoever reads it.

Invariants: every frame sent is whole; a frame that was written while the one before was being sent is skipped, not
queued; a segment that is made anew is followed with a new epoch, on the same port.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from daosup.errors import SegmentBusyError, SegmentError
from daosup.shm import Segment
from daosup.shm._native import NEW, TIMEOUT
from daosup.stream.sender import DESCRIBE_PAUSE_S, Messages, Sender
from daosup.workers.doorbell import Doorbell
from daosup.workers.orders import PublisherOrder
from daosup.workers.statistics import StatisticsPage

#: After so long without a frame a stream counts as resting: its publisher sleeps deeper and lets readers ring.
RESTING_S = 0.02
SLEEP_S = 0.25
#: How often the path is compared with the open file: a segment that was unlinked keeps its memory.
CHECK_INTERVAL_S = 0.5
#: While frames flow, readers are heard and the page is stamped so often.
TEND_INTERVAL_S = 0.01
REOPEN_INTERVAL_S = 0.02


def publish(order: PublisherOrder, tell: Callable[..., None]) -> None:
    """Publish until stopped.

    Raises:
        UnavailableError: If no port is free.
        SegmentError: If there is no such segment in the beginning.
    """
    page = StatisticsPage(order.page)
    segment = Segment.open(order.path, writable=False)
    sender = Sender(order.bind, order.ports, segment.geometry.frame_bytes)
    doorbell = Doorbell(sender.fd, lambda: None)
    try:
        tell("ready", port=sender.port)
        page.has_link = 1
        while True:
            doorbell.answer_to(_ringing(segment, order.semaphore))
            try:
                _serve(segment, sender, doorbell, page, order)
            except SegmentError as error:
                tell("away", reason=str(error))
            segment.close()
            segment = _reopen(order.path, page)
            tell("back", segment=str(segment.geometry))
    finally:
        sender.close()


def _ringing(segment: Segment, semaphore: int) -> Callable[[], object]:
    window = segment.window
    return lambda: window.kick(semaphore)


def _serve(segment: Segment, sender: Sender, doorbell: Doorbell, page: StatisticsPage, order: PublisherOrder) -> None:
    """Send this segment's frames until it is lost."""
    window = segment.window
    messages = Messages(segment, time.time_ns(), str(order.key.source))
    sent = max(0, window.counter() - 1)  # a frame that is there already is news to whoever reads us
    sender.describe_soon()
    tended = checked = 0.0
    rest_s = 0.0
    retries_before = page.retries
    while True:
        outcome = window.wait(sent, order.semaphore, rest_s, False)
        now = time.monotonic()
        has_new = outcome == NEW
        is_due = now < sender.burst_until
        if not has_new or now >= tended + TEND_INTERVAL_S:
            tended = now
            sender.hear()
            is_due = sender.is_description_due(now, has_new=has_new)
            page.retries, page.reader_count = retries_before + window.retries, sender.reader_count
            page.stamp()
            if now >= checked + CHECK_INTERVAL_S:
                checked = now
                segment.check()
            rest_s = DESCRIBE_PAUSE_S if sender.is_asked else RESTING_S
            if outcome == TIMEOUT and not is_due and not sender.is_asked:
                doorbell.arm()
                rest_s = SLEEP_S
        if not has_new and not is_due:
            continue
        try:
            if is_due:
                message = messages.describe(sender.sequence + has_new, has_frame=has_new or sender.is_asked)
                sender.described(now)
            else:
                message = messages.frame(sender.sequence + 1)
        except SegmentBusyError:
            page.busy += 1
            continue
        sender.send(message)
        if has_new:
            counter = window.cnt0
            if counter > sent + 1:
                page.skipped += counter - sent - 1
                page.gaps += 1
            sent = counter
            sender.sequence += 1
            page.frames += 1
            page.payload_bytes += len(message)
            page.source_counter, page.write_time_utc_ns = counter, window.atime_ns


def _reopen(path: str, page: StatisticsPage) -> Segment:
    """Wait until there is a segment again."""
    while True:
        page.stamp()
        try:
            return Segment.open(path, writable=False)
        except SegmentError:
            time.sleep(REOPEN_INTERVAL_S)
