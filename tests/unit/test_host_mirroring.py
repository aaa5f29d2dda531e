"""What a host does for those who want another host's segment, one sentence after the other."""

from __future__ import annotations

import pytest

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.mirror import ADOPTED_S
from daosup.core.types import Source
from tests.unit.hosts import ENDPOINT, HOST, REMOTE, Story, mirror, mirroring, only, record

LOOK = do.ReadRecords((REMOTE,))
ASKED = [do.Ask((REMOTE,), 1, is_news=True), LOOK]


def test_a_mirror_is_asked_for_and_starts_when_its_owner_publishes() -> None:
    story = Story()
    story.connect()
    assert story.say(e.MirrorAsked(REMOTE, "operator")) == ASKED
    assert story.records() == []
    assert story.state.mirrors[REMOTE].reason == "waiting for desk to publish cam"
    assert story.say(e.RecordNotified(REMOTE)) == [LOOK]
    assert story.records(record()) == [do.StartWorker(mirror(), 0, ENDPOINT)]
    assert story.state.mirrors[REMOTE].reason is None


def test_a_mirror_asked_for_while_the_registry_is_away_is_asked_for_when_it_is_back() -> None:
    story = Story()
    assert only(story.say(e.MirrorAsked(REMOTE, "operator")), do.Ask) == []
    assert story.connect()[-2:] == ASKED


def test_while_it_is_held_the_owner_hears_a_growing_beat_and_the_record_is_looked_at() -> None:
    actions = mirroring().after(60.5)
    assert only(actions, do.Ask) == [do.Ask((REMOTE,), beat, is_news=False) for beat in range(2, 8)]
    assert only(actions, do.ReadRecords) == [LOOK, LOOK]


def test_many_mirrors_are_asked_for_and_looked_at_all_at_once() -> None:
    story = Story()
    story.connect()
    sources = [Source("desk", f"cam{number}") for number in range(100)]
    for source in sources:
        story.say(e.MirrorAsked(source, "operator"))
    for ask in only(story.after(60.5), do.Ask):
        assert ask.sources == tuple(sources)
    waiting = only(story.after(60.0), do.ReadRecords)
    assert [look.sources for look in waiting] == [tuple(sources)] * 30
    story.say(e.RecordsSeen(tuple(e.SourceSeen(source, True, True, (record(),)) for source in sources)))
    assert [look.sources for look in only(story.after(60.0), do.ReadRecords)] == [tuple(sources)] * 2
    story.lose()
    assert only(story.connect(), do.Ask)[0].is_news


def test_a_mirror_without_a_link_is_looked_at_often_until_it_has_one() -> None:
    story = mirroring()
    second = Source("desk", "second")
    story.say(e.MirrorAsked(second, "operator"))
    story.records(record(), source=second)
    story.say(e.LinksSeen(frozenset({second}), frozenset()))
    assert only(story.after(10.0), do.ReadRecords) == [LOOK] * 5
    story.say(e.LinksSeen(frozenset({REMOTE, second}), frozenset()))
    assert only(story.after(10.0), do.ReadRecords) == []


def test_our_own_record_is_taken_before_another_reader_s() -> None:
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert story.records(record(7000, "lab"), record(6000, HOST)) == [do.StartWorker(mirror(), 0, ENDPOINT)]


def test_a_changed_endpoint_replaces_the_mirror() -> None:
    story = mirroring()
    assert story.records(record(6001)) == [do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.StartWorker(mirror(), 0, "tcp://10.0.0.2:6001")]


def test_an_owner_without_a_stream_for_now_leaves_the_mirror_as_it_is() -> None:
    story = mirroring()
    assert story.records() == [do.Ask((REMOTE,), 2, is_news=False)]
    assert story.say(e.RecordsSeen((e.SourceSeen(REMOTE, False, False, ()),))) == []


def test_who_is_not_written_down_any_more_asks_again() -> None:
    story = mirroring()
    assert story.records(record()) == []
    assert story.records(record(client="other")) == [do.Ask((REMOTE,), 2, is_news=False)]
    story.lose()
    assert story.records() == []
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert story.records() == [], "it has not been written down yet"


def test_a_mirror_that_died_is_started_again() -> None:
    story = mirroring()
    assert story.end(mirror(), 8) + story.after(0.5) == [do.StartWorker(mirror(), 0, ENDPOINT)]


@pytest.mark.parametrize(
    ("is_host_known", "reason"),
    [(False, "host desk is not in the registry"), (True, "host desk has no segment cam in the registry")],
)
def test_an_unknown_source_is_said_to_be_unknown(is_host_known: bool, reason: str) -> None:
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert story.say(e.RecordsSeen((e.SourceSeen(REMOTE, is_host_known, False, ()),))) == []
    held = story.state.mirrors[REMOTE]
    assert (held.is_unknown, held.is_unsupported, held.reason) == (True, False, reason)


def test_a_source_that_becomes_known_is_not_unknown_any_more() -> None:
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    story.say(e.RecordsSeen((e.SourceSeen(REMOTE, False, False, ()),)))
    assert story.records(record()) == [do.StartWorker(mirror(), 0, ENDPOINT)]
    assert not story.state.mirrors[REMOTE].is_unknown


def test_a_stream_of_another_protocol_is_not_connected_to_and_the_reason_is_said() -> None:
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert story.records(record(protocol=3)) == []
    held = story.state.mirrors[REMOTE]
    assert held.is_unsupported
    assert held.reason == "host desk streams cam only in a form that this version cannot read"


def test_an_answer_about_a_source_nobody_holds_is_passed_over() -> None:
    story = Story()
    story.connect()
    assert story.records(record()) == []
    assert story.say(e.RecordNotified(REMOTE)) == []
    assert story.state.mirrors == {}


def test_with_two_holders_one_s_release_leaves_the_mirror() -> None:
    story = mirroring("operator")
    assert story.say(e.MirrorAsked(REMOTE, "client")) == []
    assert story.say(e.MirrorReleased(REMOTE, "operator")) == []
    assert story.say(e.MirrorReleased(REMOTE, "client")) == [do.Unask((REMOTE,)), do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE)]


def test_a_release_for_everybody_is_one() -> None:
    story = mirroring("operator")
    story.say(e.MirrorAsked(REMOTE, "client"))
    assert story.say(e.MirrorReleased(REMOTE, None)) == [do.Unask((REMOTE,)), do.StopWorker(mirror(), 8)]


def test_a_release_by_somebody_who_holds_nothing_is_none() -> None:
    story = mirroring("operator")
    assert story.say(e.MirrorReleased(REMOTE, "client")) == []
    assert story.say(e.MirrorReleased(Source("desk", "other"), None)) == []


def test_a_holder_that_is_gone_lets_go_of_all_it_held() -> None:
    story = mirroring("client")
    second = Source("desk", "second")
    story.say(e.MirrorAsked(second, "client"))
    assert story.say(e.HolderGone("stranger")) == []
    actions = story.say(e.HolderGone("client"))
    assert only(actions, do.Unask) == [do.Unask((REMOTE, second))]
    assert only(actions, do.StopWorker) == [do.StopWorker(mirror(), 8)]


def test_a_mirror_released_and_asked_for_again_while_it_ends_comes_back_and_is_not_removed() -> None:
    story = mirroring()
    story.say(e.MirrorReleased(REMOTE, "operator"))
    assert story.say(e.MirrorAsked(REMOTE, "operator")) == [do.Ask((REMOTE,), 2, is_news=True), LOOK]
    assert story.records(record()) == []
    assert story.end(mirror(), 8) == [do.StartWorker(mirror(), 0, ENDPOINT)]


def test_a_mirror_released_before_it_existed_is_stopped_as_soon_as_it_does() -> None:
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    story.records(record())
    assert story.say(e.MirrorReleased(REMOTE, "operator")) == [do.Unask((REMOTE,))]
    assert story.say(e.WorkerStarted(mirror(), 8)) == [do.StopWorker(mirror(), 8)]


def test_the_registry_s_loss_leaves_mirrors_and_a_release_meanwhile_is_carried_out() -> None:
    story = mirroring()
    assert story.lose() == []
    assert only(story.after(60.0), do.StopWorker) == []
    assert story.say(e.MirrorReleased(REMOTE, "operator")) == [do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE)]


def test_a_stop_removes_the_mirrors() -> None:
    story = mirroring()
    assert story.say(e.StopAsked()) == [do.Unask((REMOTE,)), do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE), do.Withdraw(), do.Finish()]


def test_a_mirror_asked_for_while_the_host_stops_neither_starts_nor_stays() -> None:
    story = mirroring()
    story.say(e.StopAsked())
    assert story.say(e.MirrorAsked(REMOTE, "client")) == []
    assert story.records(record()) == []
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE), do.Withdraw(), do.Finish()]


def test_a_mirror_that_was_left_is_kept_for_a_while_for_whoever_asks_again() -> None:
    story = Story()
    story.connect()
    other = Source("desk", "other")
    story.say(e.WorkersFound((), by_others=(REMOTE, other)))
    assert only(story.after(ADOPTED_S - 1.0), do.RemoveMirror) == []
    story.say(e.MirrorAsked(REMOTE, "operator"))
    actions = story.after(2.0)
    assert only(actions, do.RemoveMirror) == [do.RemoveMirror(other)]
    assert only(actions, do.Unask) == [do.Unask((other,))]
    assert only(story.say(e.MirrorReleased(REMOTE, "operator")), do.RemoveMirror) == [do.RemoveMirror(REMOTE)]


def test_a_stop_removes_what_was_left_too() -> None:
    story = Story()
    story.connect()
    story.say(e.WorkersFound((), by_others=(REMOTE,)))
    assert story.say(e.StopAsked()) == [do.Unask((REMOTE,)), do.RemoveMirror(REMOTE), do.Withdraw(), do.Finish()]
