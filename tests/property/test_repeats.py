"""Entries that repeat: each is written or counted, every count is told, and nobody else is silenced by it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from daosup.core.repeats import MOST_SUBJECTS, MOST_WRITTEN, WINDOW_S, Repeats, Subject

SUBJECTS = st.builds(Subject, st.sampled_from("ab"), st.sampled_from([(), (("segment", "wfs"),), (("segment", "dm"),)]))


@given(st.lists(st.tuples(SUBJECTS, st.floats(0, 40))))
def test_each_entry_is_written_or_counted_and_every_count_is_told_in_time(entries: list[tuple[Subject, float]]) -> None:
    repeats, now = Repeats(), 1000.0
    came, written, counted = Counter[Subject](), Counter[Subject](), Counter[Subject]()
    first_s: dict[Subject, float] = {}
    in_window: dict[Subject, int] = {}
    for subject, pause_s in entries:
        now += pause_s
        for each in repeats.due(now):
            counted[each.subject] += each.count
            assert now >= first_s[each.subject] + WINDOW_S
        for each, began_s in list(first_s.items()):
            if now >= began_s + WINDOW_S:
                assert came[each] == written[each] + counted[each], "all that was counted is told by now"
                del first_s[each], in_window[each]
        first_s.setdefault(subject, now)
        in_window.setdefault(subject, 0)
        came[subject] += 1
        is_written = repeats.is_written(subject, now)
        assert is_written == (in_window[subject] < MOST_WRITTEN)
        in_window[subject] += 1
        written[subject] += is_written
    for each in repeats.rest():
        counted[each.subject] += each.count
    assert came == written + counted
    assert list(repeats.rest()) == []


@settings(max_examples=10)
@given(st.integers(MOST_SUBJECTS, MOST_SUBJECTS + 3000))
def test_memory_is_bounded_and_nothing_is_uncounted_in_a_flood_of_names(count: int) -> None:
    repeats, written = Repeats(), 0
    for number in range(count):
        written += repeats.is_written(Subject("reader-vanished", (("peer", str(number)),)), 5.0)
    assert written <= MOST_SUBJECTS + MOST_WRITTEN
    assert len(repeats._windows) <= MOST_SUBJECTS + 1
    assert sum(each.count for each in repeats.rest()) == count - written


def test_a_crash_loop_costs_an_entry_in_six_seconds_and_its_neighbour_is_heard() -> None:
    repeats, lines, told = Repeats(), 0, 0
    noisy, quiet = Subject("worker-died", (("segment", "wfs"),)), Subject("worker-died", (("segment", "dm"),))
    for tenth in range(3000):
        now = tenth / 10
        told += len(list(repeats.due(now)))
        lines += repeats.is_written(noisy, now)
    assert (lines, told) == (50, 9)
    assert repeats.is_written(quiet, 300.0)
