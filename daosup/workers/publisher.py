"""A publisher: one segment of this host, sent to whoever reads it.

Invariants: every frame sent is whole; a frame that was written while the one before was being sent is skipped, not
queued; a segment that is made anew is followed with a new epoch, on the same port.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from daosup.core.header import Flag
from daosup.errors import SegmentBusyError, SegmentError
from daosup.shm import Segment
from daosup.shm._native import TIMEOUT
from daosup.stream.sender import Messages, Sender
from daosup.workers.doorbell import Doorbell
from daosup.workers.orders import PublisherOrder
from daosup.workers.statistics import StatisticsPage

#: After so long without a frame a stream counts as resting: its publisher sleeps deeper and lets readers ring.
RESTING_S = 0.02
SLEEP_S = 0.25
#: How often the path is compared with the open file: a segment that was unlinked keeps its memory.
CHECK_INTERVAL_S = 0.5
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
                _serve(segment, sender, doorbell, page, order.semaphore)
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


def _serve(segment: Segment, sender: Sender, doorbell: Doorbell, page: StatisticsPage, semaphore: int) -> None:
    """Send this segment's frames until it is lost."""
    window = segment.window
    messages = Messages(segment, epoch=time.time_ns())
    sent = window.counter() if segment.counter == 0 else -1
    sender.describe_soon()
    checked = time.monotonic()
    retries_before = page.retries
    while True:
        sender.hear()
        now = time.monotonic()
        has_new = window.counter() != sent
        is_due = sender.is_description_due(now, has_new=has_new)
        if has_new or is_due:
            try:
                if is_due:
                    flags = Flag.HAS_FRAME if has_new or sender.is_asked else Flag.NONE
                    message = messages.describe(sender.sequence + has_new, flags)
                    sender.described(now)
                else:
                    message = messages.frame(sender.sequence + 1)
                sender.send(message)
                if has_new:
                    _count(page, sender, window.cnt0 - sent - 1 if sent >= 0 else 0, len(message))
                    sent = window.cnt0
                    page.source_counter, page.write_time_utc_ns = sent, window.atime_ns
            except SegmentBusyError:
                page.busy += 1
        page.retries = retries_before + window.retries
        page.reader_count = sender.reader_count
        page.stamp()
        if now >= checked + CHECK_INTERVAL_S:
            segment.check()
            checked = now
        if sender.is_asked:
            window.wait(max(sent, 0), semaphore, RESTING_S / 4, False)
        elif window.wait(max(sent, 0), semaphore, RESTING_S, False) == TIMEOUT:
            doorbell.arm()
            window.wait(max(sent, 0), semaphore, SLEEP_S, False)


def _count(page: StatisticsPage, sender: Sender, skipped: int, message_bytes: int) -> None:
    sender.sequence += 1
    page.frames += 1
    page.payload_bytes += message_bytes
    page.last_frame_ns = time.monotonic_ns()
    if skipped > 0:
        page.skipped += skipped
        page.gaps += 1


def _reopen(path: str, page: StatisticsPage) -> Segment:
    """Wait until there is a segment again."""
    while True:
        page.stamp()
        try:
            return Segment.open(path, writable=False)
        except SegmentError:
            time.sleep(REOPEN_INTERVAL_S)
