"""Many workers begin a few at a time, so that each begins quickly; whoever ran before does not wait for its turn."""

from __future__ import annotations

import pytest

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import START_PATIENCE_S, STARTS_AT_ONCE, Phase
from daosup.core.types import Source, WorkerKey
from tests.unit.hosts import Story, mirror, only, record

COUNT = 3 * STARTS_AT_ONCE
KEYS = [mirror(Source("desk", f"s{number:03}")) for number in range(COUNT)]


@pytest.fixture
def begun() -> tuple[Story, list[WorkerKey]]:
    """A host that is to mirror many sources, and the workers it started at first."""
    story = Story()
    story.connect()
    for key in KEYS:
        story.say(e.MirrorAsked(key.source, "operator"))
    seen = tuple(e.SourceSeen(key.source, True, True, (record(),)) for key in KEYS)
    return story, [order.key for order in only(story.say(e.RecordsSeen(seen)), do.StartWorker)]


def test_only_a_few_begin_at_once(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, first = begun
    assert first == KEYS[:STARTS_AT_ONCE]
    assert {story.state.crew.workers[key].phase for key in KEYS[STARTS_AT_ONCE:]} == {Phase.QUEUED}


def test_whoever_is_ready_makes_room_for_the_next(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, first = begun
    running, started = 0, list(first)
    while running < COUNT:
        key = started[running]
        story.say(e.WorkerStarted(key, 100 + running))
        started += [each.key for each in only(story.say(e.WorkerReady(key, 100 + running, 0)), do.StartWorker)]
        running += 1
        assert len(started) - running <= STARTS_AT_ONCE
    assert sorted(started) == KEYS


def test_who_has_begun_makes_room_though_it_waits_for_its_owner(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, first = begun
    story.say(e.WorkerStarted(first[0], 100))
    assert story.say(e.WorkerBegan(first[0], 99)) == []
    assert [each.key for each in only(story.say(e.WorkerBegan(first[0], 100)), do.StartWorker)] == [
        KEYS[STARTS_AT_ONCE]
    ]
    assert story.say(e.WorkerBegan(first[0], 100)) == []


def test_who_takes_long_to_begin_does_not_keep_the_others_from_it(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, _ = begun
    assert only(story.after(START_PATIENCE_S - 0.01), do.StartWorker) == []
    later = only(story.after(0.02), do.StartWorker)
    assert [each.key for each in later] == KEYS[STARTS_AT_ONCE : 2 * STARTS_AT_ONCE]


def test_who_is_given_up_before_it_has_begun_makes_room_at_once(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, first = begun
    story.say(e.WorkerStarted(first[0], 100))
    actions = story.say(e.MirrorReleased(first[0].source, "operator"))
    assert only(actions, do.StopWorker) == [do.StopWorker(first[0], 100)]
    assert [each.key for each in only(actions, do.StartWorker)] == [KEYS[STARTS_AT_ONCE]]


def test_who_died_does_not_wait_for_its_turn(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, first = begun
    story.say(e.WorkerStarted(first[0], 100))
    again = only(story.say(e.WorkerExited(first[0], 100, "killed by SIGKILL")), do.StartWorker)
    assert first[0] in [each.key for each in again]


def test_who_waits_for_its_turn_and_is_not_wanted_any_more_leaves_nothing(begun: tuple[Story, list[WorkerKey]]) -> None:
    story, _ = begun
    actions = story.say(e.MirrorReleased(KEYS[-1].source, "operator"))
    assert only(actions, do.RemoveMirror) == [do.RemoveMirror(KEYS[-1].source)]
    assert KEYS[-1] not in story.state.crew.workers
