"""What a host does to mirror from hosts that run the existing daemon."""

from __future__ import annotations

from daosup.core import events as e
from daosup.core.old_owners import DOUBT_S, followed
from daosup.core.types import WorkerKey, WorkerKind
from tests.unit.hosts import ENDPOINT, HOST, REMOTE, Story, mirror, only, record

REQUEST = e.RequestStream(REMOTE)
LOOK = e.ReadRecords((REMOTE,))


def seen(*records: object, is_host_known: bool = True, is_segment_known: bool = True) -> e.RecordsSeen:
    return e.RecordsSeen((e.SourceSeen(REMOTE, is_host_known, is_segment_known, records, is_old=True),))  # type: ignore[arg-type]


def holding() -> Story:
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    return story


def old(port: int = 6000, client: str = HOST) -> object:
    return record(port, client, protocol=1)


def mirrors_from(story: Story) -> str:
    worker = story.state.crew.workers[WorkerKey(WorkerKind.MIRROR, REMOTE)]
    assert worker.order.protocol == 1
    return worker.order.endpoint


def test_an_old_host_is_asked_and_its_stream_followed_when_it_has_written_us_down() -> None:
    story = holding()
    assert story.say(seen()) == [REQUEST]
    assert story.say(seen()) == []  # the same look again
    assert story.say(seen(old())) == [e.StartWorker(mirror(), 0, ENDPOINT, protocol=1)]
    assert REQUEST not in story.after(60.0)


def test_as_long_as_it_has_no_record_it_is_asked_again_as_often_as_it_looks() -> None:
    story = holding()
    for _ in range(5):
        assert story.say(seen()) == [REQUEST]
        assert LOOK in story.after(2.0)


def test_a_stream_for_another_reader_is_followed_at_once_and_a_record_of_our_own_asked_for() -> None:
    story = holding()
    assert story.say(seen(old(7000, "lab"))) == [
        REQUEST,
        e.StartWorker(mirror(), 0, "tcp://10.0.0.2:7000", protocol=1),
    ]
    story.run(mirror(), 7)
    assert story.say(seen(old(7000, "lab"), old(7000))) == []
    assert story.say(seen(old(7000))) == []


def test_a_record_that_is_gone_is_asked_for_again() -> None:
    story = holding()
    story.say(seen(old()))
    story.run(mirror(), 7)
    story.after(30.0)
    assert story.say(seen()) == [REQUEST]
    assert mirrors_from(story) == ENDPOINT


def test_a_record_whose_stream_stays_away_is_doubted_ever_more_rarely() -> None:
    story = holding()
    story.say(seen(old()))
    story.run(mirror(), 7)
    began = story.now
    asked = []
    story.say(e.LinksSeen(frozenset(), frozenset()))
    while story.now < began + 200.0:
        story.after(1.0)
        if REQUEST in story.say(seen(old())):
            asked.append(story.now - began)
    assert [round(each) for each in asked] == [10, 20, 40, 80, 160]
    story.say(e.LinksSeen(frozenset({REMOTE}), frozenset()))
    story.after(DOUBT_S - 1.0)
    assert story.say(seen(old())) == []


def test_a_new_place_is_followed_although_the_old_record_still_stands_there() -> None:
    story = holding()
    story.say(seen(old(6000)))
    story.run(mirror(), 7)
    assert story.say(seen(old(6000), old(6001))) == [e.StopWorker(mirror(), 7)]
    (order,) = only(story.end(mirror(), 7), e.StartWorker)
    assert (order.endpoint, order.protocol) == ("tcp://10.0.0.2:6001", 1)


def test_a_host_that_changed_to_our_daemon_is_followed_there() -> None:
    story = holding()
    story.say(seen(old()))
    story.run(mirror(), 7)
    assert story.records(record()) == [e.StopWorker(mirror(), 7)]
    (order,) = only(story.end(mirror(), 7), e.StartWorker)
    assert (order.endpoint, order.protocol) == (ENDPOINT, 2)


def test_what_is_not_there_is_not_asked_for() -> None:
    story = holding()
    assert story.say(seen(is_segment_known=False)) == []
    assert story.say(seen(is_host_known=False, is_segment_known=False)) == []
    assert story.records() == []  # a host of ours takes no requests


def test_a_mirror_of_an_old_host_is_adopted_as_such() -> None:
    story = Story()
    order = e.StartWorker(mirror(), 0, ENDPOINT, protocol=1)
    story.say(e.WorkersFound((e.FoundWorker(order, 7, is_ready=True),)))
    assert mirrors_from(story) == ENDPOINT
    story.connect()
    assert only(story.say(seen(old())), e.StopWorker, e.StartWorker) == []


def test_a_stream_of_protocol_2_is_followed_first_then_our_own_record_then_the_last() -> None:
    new, mine, theirs = record(1, "lab"), record(2, protocol=1), record(3, "lab", protocol=1)
    assert followed((mine, new), HOST) == new
    assert followed((mine, theirs), HOST) == mine
    assert followed((theirs, record(4, "desk", protocol=1)), HOST) == record(4, "desk", protocol=1)
    assert followed((record(protocol=3), record(protocol=1, transport="udp")), HOST) is None
    assert followed((), HOST) is None
