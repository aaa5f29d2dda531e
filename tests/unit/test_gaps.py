"""What a reader missed, told sentence by sentence."""

from __future__ import annotations

import pytest

from daosup.core.gaps import GapTracker, Verdict

EPOCH, NEXT_EPOCH, MADE, MADE_ANEW = 11, 12, 100.0, 200.0


@pytest.fixture
def tracker() -> GapTracker:
    tracker = GapTracker()
    assert tracker.adopt(EPOCH, MADE, 0)
    return tracker


def take(tracker: GapTracker, *counters: int, epoch: int = EPOCH) -> list[Verdict]:
    return [tracker.take(epoch, counter) for counter in counters]


def test_a_reader_may_begin_anywhere_and_has_missed_nothing(tracker: GapTracker) -> None:
    assert take(tracker, 500, 501, 502) == [Verdict.FIRST, Verdict.NEXT, Verdict.NEXT]
    assert (tracker.skipped, tracker.gaps, tracker.counter) == (0, 0, 502)


def test_missing_frames_are_counted_and_so_are_the_gaps(tracker: GapTracker) -> None:
    assert take(tracker, 1, 2, 5, 6, 10) == [Verdict.FIRST, Verdict.NEXT, Verdict.GAP, Verdict.NEXT, Verdict.GAP]
    assert (tracker.skipped, tracker.gaps, tracker.counter) == (5, 2, 10)


def test_a_frame_is_taken_once_and_never_an_old_one(tracker: GapTracker) -> None:
    assert take(tracker, 7, 7, 9, 8, 9) == [Verdict.FIRST, Verdict.REPEAT, Verdict.GAP, Verdict.STALE, Verdict.REPEAT]
    assert (tracker.skipped, tracker.gaps, tracker.counter) == (1, 1, 9)


def test_a_frame_without_its_description_is_unknown() -> None:
    tracker = GapTracker()
    assert take(tracker, 1) == [Verdict.UNKNOWN]
    tracker.adopt(EPOCH, MADE, 0)
    assert take(tracker, 1, epoch=NEXT_EPOCH) == [Verdict.UNKNOWN]
    assert take(tracker, 1) == [Verdict.FIRST]


def test_a_restarted_publisher_goes_on_counting(tracker: GapTracker) -> None:
    take(tracker, 3, 4)
    assert tracker.adopt(NEXT_EPOCH, MADE, 4)
    assert take(tracker, 4, 8, epoch=NEXT_EPOCH) == [Verdict.REPEAT, Verdict.GAP]
    assert tracker.skipped == 3


def test_a_segment_made_anew_begins_anew(tracker: GapTracker) -> None:
    take(tracker, 3, 6)
    assert tracker.adopt(NEXT_EPOCH, MADE_ANEW, 0)
    assert take(tracker, 1, 2, epoch=NEXT_EPOCH) == [Verdict.FIRST, Verdict.NEXT]
    assert (tracker.skipped, tracker.gaps, tracker.counter) == (2, 1, 2)


def test_a_counter_that_was_set_back_begins_anew(tracker: GapTracker) -> None:
    take(tracker, 500, 501)
    assert tracker.adopt(NEXT_EPOCH, MADE, 2)
    assert take(tracker, 2, 3, epoch=NEXT_EPOCH) == [Verdict.FIRST, Verdict.NEXT]
    assert tracker.skipped == 0


def test_frames_expected_may_be_taken_unseen(tracker: GapTracker) -> None:
    assert tracker.expected == -1
    take(tracker, 7)
    assert tracker.expected == 8
    tracker.advance(3)
    assert (tracker.counter, tracker.expected, tracker.skipped) == (10, 11, 0)
    assert take(tracker, 10, 11, 13) == [Verdict.REPEAT, Verdict.NEXT, Verdict.GAP]


def test_what_comes_late_of_an_epoch_that_is_over_is_stale(tracker: GapTracker) -> None:
    take(tracker, 3)
    tracker.adopt(NEXT_EPOCH, MADE_ANEW, 0)
    assert take(tracker, 4, 1) == [Verdict.STALE, Verdict.STALE]
    assert not tracker.adopt(EPOCH, MADE, 0)
    assert take(tracker, 1, epoch=NEXT_EPOCH) == [Verdict.FIRST]


def test_a_repeated_description_changes_nothing(tracker: GapTracker) -> None:
    take(tracker, 3)
    assert tracker.adopt(EPOCH, MADE, 0)
    assert take(tracker, 3, 4) == [Verdict.REPEAT, Verdict.NEXT]


def test_whether_the_source_has_more(tracker: GapTracker) -> None:
    assert not tracker.is_behind(0)
    assert tracker.is_behind(1)
    take(tracker, 3)
    assert [tracker.is_behind(counter) for counter in (2, 3, 4)] == [False, False, True]
    tracker.adopt(NEXT_EPOCH, MADE_ANEW, 0)
    assert tracker.is_behind(1)
