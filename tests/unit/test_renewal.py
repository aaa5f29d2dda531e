"""Workers are renewed one at a time, and not at the price of all streams."""

from __future__ import annotations

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.renewal import PATIENCE_S
from tests.unit.hosts import DESK, DM, PORT, WFS, Story, mirror, mirroring, only, publisher, publishing, serving

FIRST, SECOND = publisher("dm"), publisher("wfs")


def two_publishers() -> Story:
    story = serving(DESK)
    story.segments(WFS, DM)
    story.say(e.ReadersSeen({name: {"desk": DESK} for name in ("wfs", "dm")}, True))
    story.run(FIRST, 8, PORT + 1)
    return story


def test_the_next_is_stopped_only_when_the_one_before_is_ready_again_on_its_port() -> None:
    story = two_publishers()
    assert only(story.say(e.RenewAsked((FIRST, SECOND))), do.StopWorker) == [do.StopWorker(FIRST, 8)]
    assert publishing("dm", PORT + 1, place=1) in story.end(FIRST, 8)
    assert only(story.say(e.WorkerStarted(FIRST, 9)), do.StopWorker) == []
    assert only(story.after(1.0), do.StopWorker) == []
    assert do.StopWorker(SECOND, 7) in story.say(e.WorkerReady(FIRST, 9, PORT + 1))
    assert publishing() in story.end(SECOND, 7)
    story.run(SECOND, 10, PORT)
    assert story.state.reconciling.renewal.is_over
    assert [worker.restarts for worker in story.state.crew.workers.values()] == [0, 0]


def test_if_a_new_one_dies_the_others_stay() -> None:
    story = two_publishers()
    story.say(e.RenewAsked((FIRST, SECOND)))
    story.end(FIRST, 8)
    story.say(e.WorkerStarted(FIRST, 9))
    story.end(FIRST, 9)
    assert only(story.after(2 * PATIENCE_S), do.StopWorker) == []
    assert story.state.crew.workers[SECOND].pid == 7
    assert story.state.reconciling.renewal.is_over


def test_one_that_is_not_ready_for_long_does_not_keep_the_others() -> None:
    story = two_publishers()
    story.say(e.RenewAsked((FIRST, SECOND)))
    story.end(FIRST, 8)
    story.say(e.WorkerStarted(FIRST, 9))
    assert do.StopWorker(SECOND, 7) in story.after(PATIENCE_S + 1)


def test_one_that_does_not_end_when_asked_is_killed_and_comes_back() -> None:
    story = two_publishers()
    story.say(e.RenewAsked((FIRST,)))
    assert do.StopWorker(FIRST, 8, is_forced=True) in story.after(3.0)
    assert publishing("dm", PORT + 1, place=1) in story.end(FIRST, 8)


def test_one_that_is_not_wanted_any_more_does_not_come_back() -> None:
    story = mirroring()
    assert story.say(e.RenewAsked((mirror(), publisher("unknown")))) == [do.StopWorker(mirror(), 8)]
    story.say(e.MirrorReleased(mirror().source, None))
    assert only(story.end(mirror(), 8), do.StartWorker) == []
    story.say(e.Ticked())
    assert story.state.reconciling.renewal.is_over
    assert mirror() not in story.state.crew.workers


def test_one_that_is_being_restarted_anyway_is_passed_over() -> None:
    story = two_publishers()
    story.end(FIRST, 8)
    assert story.state.crew.workers[FIRST].phase is Phase.STARTING
    assert do.StopWorker(SECOND, 7) in story.say(e.RenewAsked((FIRST, SECOND)))
