"""What a host does to mirror from hosts that run the existing daemon."""

from __future__ import annotations

from typing import Any

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.host_facts import HostFacts
from daosup.core.old_owners import DOUBT_S, followed
from daosup.core.types import WorkerKey, WorkerKind
from tests.unit.hosts import (
    DESK,
    DM,
    ENDPOINT,
    HOST,
    IP,
    PORT,
    REMOTE,
    WFS,
    Story,
    mirror,
    only,
    publisher,
    publishing,
    record,
)

REQUEST = do.RequestStream(REMOTE)
LOOK = do.ReadRecords((REMOTE,))


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
    assert story.say(seen(old())) == [do.StartWorker(mirror(), 0, ENDPOINT, protocol=1)]
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
        do.StartWorker(mirror(), 0, "tcp://10.0.0.2:7000", protocol=1),
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
    assert story.say(seen(old(6000), old(6001))) == [do.StopWorker(mirror(), 7)]
    (order,) = only(story.end(mirror(), 7), do.StartWorker)
    assert (order.endpoint, order.protocol) == ("tcp://10.0.0.2:6001", 1)


def test_a_host_that_changed_to_our_daemon_is_followed_there() -> None:
    story = holding()
    story.say(seen(old()))
    story.run(mirror(), 7)
    assert story.records(record()) == [do.StopWorker(mirror(), 7)]
    (order,) = only(story.end(mirror(), 7), do.StartWorker)
    assert (order.endpoint, order.protocol) == (ENDPOINT, 2)


def test_what_is_not_there_is_not_asked_for() -> None:
    story = holding()
    assert story.say(seen(is_segment_known=False)) == []
    assert story.say(seen(is_host_known=False, is_segment_known=False)) == []
    assert story.records() == []  # a host of ours takes no requests


def test_a_mirror_of_an_old_host_is_adopted_as_such() -> None:
    story = Story()
    order = do.StartWorker(mirror(), 0, ENDPOINT, protocol=1)
    story.say(e.WorkersFound((e.FoundWorker(order, 7, is_ready=True),)))
    assert mirrors_from(story) == ENDPOINT
    story.connect()
    assert only(story.say(seen(old())), do.StopWorker, do.StartWorker) == []


def test_a_stream_of_protocol_2_is_followed_first_then_our_own_record_then_the_last() -> None:
    new, mine, theirs = record(1, "lab"), record(2, protocol=1), record(3, "lab", protocol=1)
    assert followed((mine, new), HOST) == new
    assert followed((mine, theirs), HOST) == mine
    assert followed((theirs, record(4, "desk", protocol=1)), HOST) == record(4, "desk", protocol=1)
    assert followed((record(protocol=3), record(protocol=1, transport="udp")), HOST) is None
    assert followed((), HOST) is None


# -- and writing back


def asks(port: int) -> do.RequestStream:
    return do.RequestStream(REMOTE, bidirectional=True, client_pub_port=port)


def followed_from(port: int, client: str = HOST) -> object:
    return record(6000, client, protocol=1, bidirectional=True, client_pub_port=port)


def order(port: int) -> do.StartWorker:
    return do.StartWorker(mirror(), port, ENDPOINT, (None, 9), 1, is_written_back=True)


def writing(**facts: Any) -> Story:
    story = Story(**facts)
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator", is_written_back=True))
    return story


def test_an_old_host_is_asked_to_follow_a_port_that_is_chosen_like_a_publisher_s() -> None:
    story = writing()
    assert story.say(seen()) == [asks(PORT)]
    assert story.say(seen(followed_from(PORT))) == [order(PORT)]
    assert not only(story.after(60.0), do.RequestStream)


def test_a_record_that_is_one_way_or_names_another_port_is_none_of_ours() -> None:
    for other in (old(), followed_from(PORT + 7), followed_from(PORT, "lab")):
        story = writing()
        story.say(seen())
        story.after(2.0)
        assert asks(PORT) in story.say(seen(other))
        story.after(2.0)
        assert asks(PORT) not in story.say(seen(other, followed_from(PORT)))


def test_a_mirror_that_is_followed_one_way_asks_again_when_it_is_to_be_written_back() -> None:
    story = holding()
    story.say(seen(old()))
    story.run(mirror(), 7)
    story.after(5.0)
    asked = story.say(e.MirrorAsked(REMOTE, "client", is_written_back=True))
    assert asked == [LOOK, do.StopWorker(mirror(), 7)]
    assert story.say(seen(old())) == [asks(PORT)]
    assert story.end(mirror(), 7) == [order(PORT)]
    story.run(mirror(), 8)
    assert story.say(seen(old(), followed_from(PORT))) == []
    assert story.say(e.MirrorAsked(REMOTE, "client", is_written_back=False)) == [do.StopWorker(mirror(), 8)]
    assert story.say(seen(old(), followed_from(PORT))) == []


def test_the_port_is_none_that_a_publisher_has_and_no_publisher_gets_it() -> None:
    story = writing()
    story.segments(WFS, DM)
    story.readers(DESK)
    story.run(publisher(), 9, PORT)
    assert story.say(seen()) == [asks(PORT + 1)]
    story.say(seen(followed_from(PORT + 1)))
    readers = {"wfs": {"desk": DESK}, "dm": {"desk": DESK}}
    started = only(story.say(e.ReadersSeen(readers, True, entry_count=2)), do.StartWorker)
    assert started == [publishing("dm", PORT + 2, place=2)]


def test_the_port_is_the_same_after_a_restart() -> None:
    story = writing()
    story.say(seen())
    told = only(story.state.handle(e.Ticked(), story.now), do.RememberPorts)
    assert told == [do.RememberPorts({"desk:cam": PORT})]
    again = Story()
    again.say(e.PortsRemembered({"desk:cam": PORT + 3}))
    again.connect()
    again.say(e.MirrorAsked(REMOTE, "operator", is_written_back=True))
    assert again.say(seen()) == [asks(PORT + 3)]


def test_a_mirror_that_got_another_port_has_its_owner_told_and_goes_on() -> None:
    story = writing()
    story.say(seen())
    story.say(seen(followed_from(PORT)))
    assert story.run(mirror(), 7, PORT + 5) == [LOOK]
    assert story.say(seen(followed_from(PORT))) == []  # too soon
    story.after(2.0)
    assert story.say(seen(followed_from(PORT))) == [asks(PORT + 5)]
    assert only(story.after(60.0), do.StopWorker) == []


def test_without_ports_of_our_own_the_one_it_got_is_told_when_it_is_known() -> None:
    story = writing(base_port=0)
    assert story.say(seen()) == [REQUEST]
    assert story.say(seen(old())) == [order(0)]
    assert story.run(mirror(), 7, 45678) == [LOOK]
    story.after(2.0)
    assert story.say(seen(old())) == [asks(45678)]
    assert story.say(seen(old(), followed_from(45678))) == []


def test_one_that_is_found_keeps_the_port_that_its_owner_knows() -> None:
    story = Story()
    found = e.FoundWorker(order(PORT + 4), 7, is_ready=True)
    assert story.say(e.WorkersFound((found,), (REMOTE,), (), (REMOTE,))) == []
    story.connect()
    assert story.say(seen(followed_from(PORT + 4))) == []
    assert only(story.after(60.0), do.StopWorker) == []


def test_ports_that_are_configured_otherwise_are_taken_at_once() -> None:
    story = writing()
    story.say(seen())
    story.say(seen(followed_from(PORT)))
    story.run(mirror(), 7, PORT)
    facts = HostFacts(HOST, IP, base_port=7000)
    assert story.say(e.ConfigChanged(facts)) == [do.StopWorker(mirror(), 7)]
    story.after(2.0)
    assert asks(7000) in story.say(seen(followed_from(PORT)))
    assert story.end(mirror(), 7) == [order(7000)]


def test_a_host_of_ours_follows_no_port() -> None:
    story = writing()
    assert story.records(record()) == [do.StartWorker(mirror(), 0, ENDPOINT, (None, 9), is_written_back=True)]
    assert only(story.after(60.0), do.RequestStream) == []
