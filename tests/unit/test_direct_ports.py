"""Where frames are offered directly: from the end of the range, and never where a segment would have no port then."""

from __future__ import annotations

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.actions import NO_PORT
from daosup.core.desired import Desired
from daosup.core.host_facts import HostFacts
from daosup.core.ports import direct_port
from daosup.core.types import SegmentFacts, Transport
from tests.unit.hosts import DESK, ENDPOINT, PORT, REMOTE, Story, mirror, mirroring, only, publisher, record, serving

FACTS = HostFacts("rts", "10.0.0.1", base_port=PORT, port_count=10)


def test_it_is_as_far_from_the_end_as_the_first_is_from_the_begin() -> None:
    assert [direct_port(PORT + place, FACTS, 5) for place in range(6)] == [5009, 5008, 5007, 5006, 5005, NO_PORT]


def test_there_is_none_where_segments_need_the_range_and_any_where_there_is_no_range() -> None:
    assert direct_port(PORT, FACTS, 6) == NO_PORT
    assert direct_port(0, HostFacts("rts", "10.0.0.1"), 6) == 0
    assert direct_port(PORT - 1, FACTS, 1) == NO_PORT


def test_a_reader_is_told_where_and_the_publisher_comes_back_there() -> None:
    story = serving(DESK)
    (put,) = only(story.say(e.WorkerReady(publisher(), 7, PORT, 6990)), do.PutRecords)
    assert put.records[0].direct_port == 6990
    assert only(story.end(publisher(), 7), do.StartWorker) == [do.StartWorker(publisher(), PORT, direct_port=6990)]


def test_a_mirror_is_told_where_its_owner_offers_it_and_follows_when_that_changes() -> None:
    story = mirroring()
    assert story.records(record(direct_port=7559)) == [do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.StartWorker(mirror(), 0, ENDPOINT, direct_port=7559)]
    story.run(mirror(), 9)
    assert story.records(record(direct_port=7559)) == []


def test_a_record_of_the_old_protocol_offers_nothing() -> None:
    story = mirroring()
    story.records(record(protocol=1, direct_port=7559))
    assert story.state.mirrors[REMOTE].direct_port == 0


def test_a_segment_that_finds_no_port_gets_a_direct_one() -> None:
    """Two ports, one segment with both; then there is another."""
    story = Story(port_count=2)
    story.connect()
    names = ("wfs", "dm")
    facts = {name: SegmentFacts(name, (4, 4), "float32", "fifo", 1, 64, "first") for name in names}
    story.segments(facts["wfs"])
    assert story.readers(DESK) == [do.StartWorker(publisher(), PORT, direct_port=PORT + 1)]
    story.say(e.WorkerStarted(publisher(), 7))
    story.say(e.WorkerReady(publisher(), 7, PORT, PORT + 1))
    story.segments(facts["wfs"], facts["dm"])
    actions = story.say(e.ReadersSeen({name: {"desk": DESK} for name in names}, True, entry_count=2))
    assert do.StopWorker(publisher(), 7) in actions
    assert do.StartWorker(publisher("dm"), PORT + 1, direct_port=NO_PORT) in actions
    assert do.StartWorker(publisher(), PORT, direct_port=NO_PORT) in story.end(publisher(), 7)


def test_what_an_operator_says_of_a_transport_makes_it_another_process() -> None:
    story = mirroring()
    desired = Desired().with_transport(REMOTE, Transport.ZMQ)
    assert story.say(e.DesiredChanged(desired)) == [do.StopWorker(mirror(), 8)]
    (order,) = only(story.end(mirror(), 8), do.StartWorker)
    assert order.terms == (None, Transport.ZMQ, None)
    story.run(mirror(), 9)
    assert story.say(e.DesiredChanged(desired)) == []
