"""Mirrors that are called otherwise, and what else may have their names."""

from __future__ import annotations

from typing import Any, Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.host_facts import HostFacts
from daosup.core.mirror_names import MirrorNames
from daosup.core.types import SegmentFacts, Source, WorkerKey
from tests.unit.hosts import ENDPOINT, HOST, IP, REMOTE, Story, mirror, only, record

CAM = SegmentFacts("cam", (4, 4), "float32", "fifo", 1, 64, "first")
OTHER = Source("lab", "cam")
PLAIN = MirrorNames("{name}")


def named(names: MirrorNames, **more: Any) -> HostFacts:
    """What a host is told; a mirror's process is told its name."""

    def terms_of(key: WorkerKey) -> Optional[str]:
        return names.of(key.source)

    return HostFacts(HOST, IP, names=names, terms_of=terms_of, **more)


def mirroring(names: MirrorNames = PLAIN) -> Story:
    """A host that mirrors desk:cam under that name."""
    story = Story()
    story.connect()
    story.say(e.ConfigChanged(named(names)))
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert story.records(record()) == [started(REMOTE, names)]
    story.run(mirror(), 8)
    return story


def started(source: Source, names: MirrorNames) -> do.StartWorker:
    return do.StartWorker(mirror(source), 0, ENDPOINT, names.of(source))


def test_a_segment_of_this_host_comes_before_a_mirror_and_its_end_makes_room() -> None:
    story = Story()
    story.connect()
    story.say(e.ConfigChanged(named(PLAIN)))
    story.segments(CAM)
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert only(story.records(record()), do.StartWorker) == []
    assert story.state.mirrors.reason_of(REMOTE) == (
        "it would be called cam, and segment cam of this host has that name; rename one of the two"
    )
    assert only(story.segments(), do.StartWorker) == [started(REMOTE, PLAIN)]
    assert story.state.mirrors.reason_of(REMOTE) is None


def test_a_segment_that_comes_later_ends_the_mirror_and_its_file_is_not_the_mirrors_to_remove() -> None:
    story = mirroring()
    assert only(story.segments(CAM), do.StopWorker) == [do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == []
    assert "segment cam of this host" in str(story.state.mirrors.reason_of(REMOTE))
    assert only(story.segments(), do.StartWorker) == [started(REMOTE, PLAIN)]


def test_a_segment_that_is_not_published_has_its_name_all_the_same() -> None:
    story = Story()
    story.connect()
    story.say(e.ConfigChanged(named(PLAIN, may_publish=lambda name: False)))
    story.segments(CAM)
    assert story.state.segments == {}
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert only(story.records(record()), do.StartWorker) == []


def test_a_segment_with_the_same_semaphores_is_as_one_of_that_name() -> None:
    story = mirroring()
    story.segments(SegmentFacts("cam.part", (4, 4), "float32", "fifo", 1, 64, "first"))
    assert story.end(mirror(), 8) == []
    assert "segment cam.part of this host has the semaphores of that name" in str(story.state.mirrors.reason_of(REMOTE))


def test_a_name_that_no_segment_can_have_is_told_and_another_one_heals_it() -> None:
    dotted = Source("desk", "cam.part")
    story = Story()
    story.connect()
    story.say(e.ConfigChanged(named(PLAIN)))
    story.say(e.MirrorAsked(dotted, "operator"))
    assert only(story.records(record(), source=dotted), do.StartWorker) == []
    assert "it would be called 'cam.part', which has a dot" in str(story.state.mirrors.reason_of(dotted))
    other = MirrorNames("{name}", {dotted: "cam_part"})
    assert only(story.say(e.ConfigChanged(named(other))), do.StartWorker) == [started(dotted, other)]


def test_a_mirror_that_is_renamed_is_removed_and_made_anew() -> None:
    story = mirroring(MirrorNames())
    assert story.say(e.ConfigChanged(named(PLAIN))) == [do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE), started(REMOTE, PLAIN)]


def test_two_mirrors_that_swap_their_names_are_both_removed_before_either_is_made() -> None:
    before = MirrorNames("{name}", {REMOTE: "a", OTHER: "b"})
    after = MirrorNames("{name}", {REMOTE: "b", OTHER: "a"})
    story = mirroring(before)
    story.say(e.MirrorAsked(OTHER, "operator"))
    assert story.records(record(), source=OTHER) == [started(OTHER, before)]
    story.run(mirror(OTHER), 9)
    assert len(only(story.say(e.ConfigChanged(named(after))), do.StopWorker)) == 2
    # The name that this one is to have is still the other's.
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE)]
    assert story.end(mirror(OTHER), 9) == [do.RemoveMirror(OTHER), started(REMOTE, after), started(OTHER, after)]


def test_of_two_mirrors_of_one_name_the_first_has_it_until_it_is_removed() -> None:
    story = mirroring()
    story.say(e.MirrorAsked(OTHER, "operator"))
    assert only(story.records(record(), source=OTHER), do.StartWorker) == []
    assert story.state.mirrors.reason_of(OTHER) == "desk:cam has the same file, cam; release one of the two"
    story.say(e.MirrorReleased(REMOTE, "operator"))
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE), started(OTHER, PLAIN)]


def test_what_a_crash_left_under_a_name_goes_before_another_has_it() -> None:
    story = Story()
    story.connect()
    both = (REMOTE, OTHER)
    story.say(e.ConfigChanged(named(PLAIN, mirrors=(OTHER,))))
    story.say(e.WorkersFound((), (), (REMOTE,)))
    seen = e.RecordsSeen(tuple(e.SourceSeen(source, True, True, (record(),)) for source in both))
    # The configured one was held first, so the name is its own; the other's file goes before that.
    assert only(story.say(seen), do.StartWorker) == [started(OTHER, PLAIN)]


def test_at_the_end_all_are_removed_whatever_they_are_called() -> None:
    story = mirroring()
    assert story.say(e.StopAsked())[-1] == do.StopWorker(mirror(), 8)
    assert do.RemoveMirror(REMOTE) in story.end(mirror(), 8)
