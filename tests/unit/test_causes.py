"""What led to what: one id from what began until the worker works, or is gone."""

from __future__ import annotations

from daosup.core import events as e
from daosup.core.causes import Causes
from daosup.core.types import Source, WorkerKey, WorkerKind

WFS = WorkerKey(WorkerKind.MIRROR, Source("rts", "wfs"))
DM = WorkerKey(WorkerKind.MIRROR, Source("rts", "dm"))


class World:
    """Some workers are on their way to work; the others work or are not there."""

    def __init__(self) -> None:
        self.causes = Causes("run")
        self.on_their_way: set[WorkerKey] = set()

    def told(self, event: e.Event, *keys: WorkerKey, ends: WorkerKey | None = None) -> list[str]:
        """The ids with which something is told of these workers while the event is handled."""
        with self.causes.event(event, self.on_their_way.__contains__):
            ids = [self.causes.follow(key) for key in keys]
            self.on_their_way |= set(keys)
            self.on_their_way.discard(ends)  # type: ignore[arg-type]
        return ids

    def started(self, event: e.Event, key: WorkerKey) -> str:
        """The id with which its next process is ordered."""
        with self.causes.event(event, self.on_their_way.__contains__):
            return self.causes.follow(key, is_start=True)


def test_all_that_follows_from_one_event_has_one_id_and_the_next_event_another() -> None:
    world = World()
    with world.causes.event(e.StopAsked(), lambda key: False):
        assert {world.causes.of(None), world.causes.follow(WFS), world.causes.follow(DM)} == {"run-1"}
    with world.causes.event(e.Ticked(), lambda key: False):
        assert world.causes.of(None) == "run-2"
    assert (world.causes.of(None), world.causes.of(None)) == ("run-3", "run-4"), "outside of events each is its own"


def test_events_that_nothing_is_told_of_take_no_id() -> None:
    world = World()
    for _ in range(100):
        world.told(e.Ticked())
    assert world.told(e.StopAsked(), WFS) == ["run-1"]


def test_from_asked_to_ready_and_from_death_to_ready_are_two_stories() -> None:
    world = World()
    (asked,) = world.told(e.MirrorAsked(WFS.source, "operator"), WFS)
    assert world.started(e.RecordsSeen(()), WFS) == asked
    assert world.told(e.WorkerReady(WFS, 7, 0), WFS, ends=WFS) == [asked]
    (died,) = world.told(e.WorkerExited(WFS, 7, "killed"), WFS)
    assert died != asked
    assert world.started(e.Ticked(), WFS) == died, "its next process comes when its pause is over"
    assert world.told(e.WorkerExited(WFS, 8, "killed"), WFS) == [died], "it never worked in between"
    assert world.told(e.WorkerReady(WFS, 9, 0), WFS, ends=WFS) == [died]
    assert world.told(e.WorkerExited(WFS, 9, "killed"), WFS) != [died]


def test_what_is_found_of_a_death_before_it_is_handled_belongs_to_it() -> None:
    world = World()
    found = world.causes.follow(WFS)
    assert world.told(e.WorkerExited(WFS, 7, "killed"), WFS) == [found]


def test_an_operator_begins_another_story() -> None:
    world = World()
    (died,) = world.told(e.WorkerExited(WFS, 7, "killed"), WFS)
    (released,) = world.told(e.MirrorReleased(WFS.source, None), WFS)
    assert released != died
    assert world.told(e.WorkerExited(WFS, 8, "exited"), WFS, ends=WFS) == [released]


def test_a_new_configuration_does_not_take_over_the_story_of_one_that_just_waits() -> None:
    world = World()
    (died,) = world.told(e.WorkerExited(WFS, 7, "killed"), WFS)
    assert world.started(e.StopAsked(), WFS) == died


def test_two_workers_have_stories_of_their_own_and_those_of_a_renewal_one() -> None:
    world = World()
    (wfs,) = world.told(e.WorkerExited(WFS, 7, "killed"), WFS)
    (dm,) = world.told(e.WorkerExited(DM, 8, "killed"), DM)
    assert wfs != dm
    world.told(e.WorkerReady(WFS, 9, 0), WFS, ends=WFS)
    world.told(e.WorkerReady(DM, 10, 0), DM, ends=DM)
    (renewed,) = world.told(e.RenewAsked((WFS, DM)), WFS)
    assert world.told(e.WorkerReady(WFS, 11, 0), WFS, DM, ends=WFS) == [renewed, renewed]


def test_who_is_given_up_without_a_word_leaves_no_story() -> None:
    world = World()
    (died,) = world.told(e.WorkerExited(WFS, 7, "killed"), WFS)
    world.on_their_way.clear()
    world.told(e.Ticked())
    assert world.causes._stories == {}
    assert world.told(e.WorkerExited(WFS, 8, "killed"), WFS) != [died]
