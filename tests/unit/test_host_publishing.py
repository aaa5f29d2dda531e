"""What a host does with its own segments and with the registry, one sentence after the other."""

from __future__ import annotations

from dataclasses import replace

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.host import HostFacts
from daosup.core.ports import MOST_REMEMBERED, Ports
from daosup.core.restart import SPREAD
from daosup.core.standing import RegistryPhase
from daosup.core.types import Role, StreamRecord
from tests.unit.hosts import DESK, DM, IP, LAB, PORT, REMOTE, WFS, Story, only, publisher, publishing, serving


def test_the_first_reader_starts_the_publisher() -> None:
    story = Story()
    story.connect()
    assert story.segments(WFS, DM) == [do.PutSegment(WFS, ()), do.PutSegment(DM, ())]
    assert story.readers() == []
    assert story.readers(DESK) == [publishing()]
    assert story.readers(DESK) == []


def test_a_reader_of_what_is_not_there_starts_nothing_until_it_is() -> None:
    story = Story()
    story.connect()
    assert story.readers(DESK) == []
    assert publishing() in story.segments(WFS)


def test_what_may_not_be_published_is_not_and_nobody_hears_of_it() -> None:
    story = Story(may_publish=lambda name: name != "wfs")
    story.connect()
    assert story.segments(WFS, DM) == [do.PutSegment(DM, ())]
    assert story.readers(DESK) == []


def test_the_record_is_written_and_the_reader_told_once_the_publisher_works() -> None:
    story = Story()
    story.connect()
    story.segments(WFS)
    story.readers(DESK)
    assert story.say(e.WorkerStarted(publisher(), 7)) == []
    records = (StreamRecord(IP, 5001, "desk", "10.0.0.2"),)
    assert story.say(e.WorkerReady(publisher(), 7, 5001)) == [do.PutRecords("wfs", records, ("desk",))]
    assert story.say(e.WorkerReady(publisher(), 7, 5001)) == []


def test_a_second_reader_is_written_down_beside_the_first() -> None:
    (order,) = serving(DESK).readers(DESK, LAB)
    assert isinstance(order, do.PutRecords)
    assert [(record.client_hostname, record.port) for record in order.records] == [("desk", PORT), ("lab", PORT)]
    assert order.notify == ("desk", "lab")


def test_the_last_reader_s_leave_stops_the_publisher() -> None:
    story = serving(DESK, LAB)
    assert only(story.readers(LAB), do.StopWorker) == []
    assert story.readers() == [do.StopWorker(publisher(), 7), do.PutRecords("wfs", (), ("lab",))]
    assert story.end(publisher(), 7) == []
    assert story.state.crew.workers == {}


def test_a_publisher_that_does_not_end_is_ended() -> None:
    story = serving(DESK)
    story.readers()
    assert only(story.after(1.5), do.StopWorker) == []
    assert only(story.after(5.0), do.StopWorker) == [do.StopWorker(publisher(), 7, is_forced=True)]


def test_a_segment_that_is_gone_is_neither_announced_nor_published() -> None:
    story = serving(DESK)
    assert story.segments() == [do.DropSegment("wfs"), do.StopWorker(publisher(), 7)]


def test_a_segment_made_anew_is_announced_again_and_its_publisher_stays() -> None:
    story = serving(DESK)
    (order,) = story.segments(replace(WFS, identity="second"))
    assert isinstance(order, do.PutSegment)
    assert [record.port for record in order.records] == [PORT]


def test_a_publisher_that_died_comes_back_at_once_on_its_port() -> None:
    story = serving(DESK)
    story.say(e.WorkerReady(publisher(), 7, 5017))
    assert story.end(publisher(), 7) == [publishing(port=5017), do.PutRecords("wfs", (), ())]
    assert story.state.crew.workers[publisher()].restarts == 1


def test_one_that_dies_again_and_again_is_started_ever_later() -> None:
    story = serving(DESK)
    assert only(story.end(publisher(), 7), do.StartWorker) == [publishing()]
    for pid, delay_s in ((8, 0.1), (9, 0.2), (10, 0.4), (11, 0.8), (12, 1.6), (13, 3.2), (14, 5.0)):
        story.run(publisher(), pid, PORT)
        assert only(story.end(publisher(), pid), do.StartWorker) == []
        assert only(story.after(delay_s * (1 - SPREAD) - 0.01), do.StartWorker) == []
        assert only(story.after(delay_s * SPREAD + 0.02), do.StartWorker) == [publishing()]


def test_one_that_cannot_be_started_is_tried_again() -> None:
    story = Story()
    story.connect()
    story.segments(WFS)
    story.readers(DESK)
    failed = e.WorkerExited(publisher(), 0, "cannot be started: no room")
    assert story.say(failed) == [publishing()]
    assert story.say(failed) == []
    assert story.state.crew.workers[publisher()].phase is Phase.RESTARTING
    assert story.state.crew.workers[publisher()].last_exit == "cannot be started: no room"
    assert only(story.after(0.5), do.StartWorker) == [publishing()]


def test_publishers_that_start_together_get_different_ports() -> None:
    story = Story()
    story.connect()
    story.segments(WFS, DM)
    actions = story.say(e.ReadersSeen({"wfs": {"desk": DESK}, "dm": {"desk": DESK}}, True))
    assert actions == [publishing("dm"), publishing("wfs", PORT + 1, place=1)]


def test_without_a_base_port_any_port_will_do() -> None:
    story = Story(base_port=0)
    story.connect()
    story.segments(WFS)
    assert story.readers(DESK) == [do.StartWorker(publisher(), 0)]


def test_a_reader_silent_for_25_s_is_dropped() -> None:
    story = serving(DESK, LAB)
    story.now += 24.0
    beating = replace(LAB, beat=2)
    assert only(story.readers(DESK, beating), do.DropReaders) == []
    story.now += 1.5
    actions = story.readers(DESK, beating)
    assert only(actions, do.DropReaders) == [do.DropReaders((("wfs", "desk"),))]
    assert [record.client_hostname for record in only(actions, do.PutRecords)[0].records] == ["lab"]


def test_a_reader_that_was_dropped_counts_again_when_it_beats() -> None:
    story = serving(DESK)
    story.now += 26.0
    assert only(story.readers(DESK), do.StopWorker) == [do.StopWorker(publisher(), 7)]
    story.end(publisher(), 7)
    assert story.readers(DESK) == [do.DropReaders((("wfs", "desk"),))]
    assert story.readers(replace(DESK, beat=2)) == [publishing()]


def test_nobody_is_dropped_for_a_time_in_which_the_registry_was_away() -> None:
    story = serving(DESK)
    story.lose()
    story.after(600.0)
    story.connect()
    assert story.readers(DESK) == []
    story.now += 26.0
    assert only(story.readers(DESK), do.DropReaders) == [do.DropReaders((("wfs", "desk"),))]


def test_the_registry_s_loss_stops_nothing_and_its_return_announces_all() -> None:
    story = serving(DESK)
    assert story.lose() == []
    assert only(story.after(60.0), do.StopWorker) == []
    announce, read = story.connect()
    assert isinstance(announce, do.Announce)
    assert (announce.role, announce.segments) == (Role.MINION, {"wfs": WFS})
    assert [record.port for record in announce.records["wfs"]] == [PORT]
    assert read == do.ReadReaders()


def test_a_registry_that_comes_back_empty_stops_nothing() -> None:
    story = serving(DESK)
    story.lose()
    story.connect()
    assert story.readers() == []
    assert story.readers(replace(DESK, beat=5)) == []
    assert do.StopWorker(publisher(), 7) in story.readers()


def test_whoever_does_not_come_back_to_an_empty_registry_is_dropped_in_time() -> None:
    story = serving(DESK)
    story.lose()
    story.connect()
    story.readers()
    story.now += 25.5
    assert do.StopWorker(publisher(), 7) in story.readers()


def test_the_registry_is_tried_again_until_it_is_back() -> None:
    story = Story()
    assert story.say(e.Ticked()) == [do.ConnectRegistry()]
    assert story.after(5.0) == []
    story.lose()
    assert story.after(0.5) == [do.ConnectRegistry()]
    story.lose()
    assert len(only(story.after(3.0), do.ConnectRegistry)) == 1
    assert story.state.standing.phase is RegistryPhase.DOWN


def test_a_heartbeat_announces_at_its_interval() -> None:
    story = Story(heartbeat_interval_s=30.0)
    story.connect()
    assert only(story.after(29.5), do.Announce) == []
    assert len(only(story.after(60.5), do.Announce)) == 3


def test_with_each_heartbeat_a_host_says_what_it_reads_too() -> None:
    """Else a registry that was flushed just before would have the host, but not its readings, and look right."""
    story = Story(heartbeat_interval_s=5.0)
    story.connect()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    told = [type(each) for each in only(story.after(5.0), do.Announce, do.Ask)]
    assert told == [do.Announce, do.Ask]


def test_readers_are_looked_for_also_without_being_told() -> None:
    story = Story()
    story.connect()
    story.readers()
    assert only(story.after(4.0), do.ReadReaders, do.CheckRegistry) == [do.CheckRegistry()] * 4
    assert story.say(e.RegistryChecked(True, 0)) == []
    assert story.say(e.RegistryChecked(True, 1)) == [do.ReadReaders()]
    assert story.say(e.RegistryChecked(False, 0)) == [do.ReadReaders()]
    assert story.say(e.ReadersNotified()) == [do.ReadReaders()]
    story.now += 1.0
    assert story.say(e.RegistryChecked(True, 0)) == [do.ReadReaders()]


def test_a_publisher_that_is_subscribed_to_goes_on_without_a_reader_in_the_registry() -> None:
    story = serving(DESK)
    story.say(e.LinksSeen(frozenset(), frozenset({"wfs", "dm"})))
    story.now += 30.0
    assert story.readers(DESK) == [do.DropReaders((("wfs", "desk"),)), do.PutRecords("wfs", (), ("desk",))]
    assert story.readers() == []
    (put,) = story.readers(replace(DESK, beat=9))
    assert isinstance(put, do.PutRecords)
    assert put.records[0].port == PORT
    assert story.readers() == [do.PutRecords("wfs", (), ("desk",))]
    assert story.say(e.LinksSeen(frozenset(), frozenset())) == [do.StopWorker(publisher(), 7)]


def test_a_registry_that_forgot_us_is_told_again_and_stops_nothing() -> None:
    story = serving(DESK)
    actions = story.readers(is_announced=False)
    assert [type(action) for action in actions] == [do.Announce]
    assert [record.port for record in only(actions, do.Announce)[0].records["wfs"]] == [PORT]


def test_a_withdrawn_host_stays_out_of_the_registry_but_serves_its_readers() -> None:
    story = serving(DESK)
    assert story.say(e.WithdrawAsked()) == [do.Withdraw()]
    assert only(story.after(120.0), do.Announce) == []
    assert story.readers(replace(DESK, beat=9), is_announced=False) == []
    assert story.segments(WFS, DM) == []
    (announce,) = story.say(e.AnnounceAsked())
    assert isinstance(announce, do.Announce)
    assert announce.segments.keys() == {"wfs", "dm"}


def test_a_host_that_was_withdrawn_while_the_registry_was_away_is_withdrawn_later() -> None:
    story = serving(DESK)
    story.lose()
    assert story.say(e.WithdrawAsked()) == []
    assert story.connect() == [do.Withdraw(), do.ReadReaders()]


def test_a_host_that_stops_ends_its_workers_then_withdraws_then_finishes_once() -> None:
    story = serving(DESK)
    assert story.say(e.StopAsked()) == [do.StopWorker(publisher(), 7)]
    assert story.readers(DESK, LAB, is_announced=False) == []
    assert story.segments(WFS, DM) == []
    assert story.say(e.AnnounceAsked()) == []
    assert story.end(publisher(), 7) == [do.Withdraw(), do.Finish()]
    assert story.say(e.StopAsked()) + story.after(60.0) == []


def test_a_host_that_stops_while_it_connects_is_not_announced() -> None:
    story = Story()
    story.after(0.5)
    assert story.say(e.StopAsked()) == [do.Finish()]
    assert story.connect() == []


def test_after_a_restart_each_segment_has_the_port_that_its_readers_know() -> None:
    before = Story()
    before.connect()
    before.segments(WFS, DM)
    before.readers(DESK, name="wfs")
    before.run(publisher(), 7, PORT + 3)  # where it was free
    (remembered,) = only(before.state.handle(e.Ticked(), before.now), do.RememberPorts)
    assert remembered.ports == {"wfs": PORT + 3}
    assert only(before.state.handle(e.Ticked(), before.now), do.RememberPorts) == []
    after = Story()
    after.say(e.PortsRemembered(remembered.ports))
    after.connect()
    after.segments(WFS, DM)
    readers = {"wfs": {"desk": DESK}, "dm": {"desk": DESK}}
    started = only(after.say(e.ReadersSeen(readers, True, entry_count=2)), do.StartWorker)
    assert {order.key.source.name: order.port for order in started} == {"dm": PORT, "wfs": PORT + 3}


def test_a_port_that_another_segment_had_is_given_only_if_there_is_no_other() -> None:
    facts = HostFacts("rts", "10.0.0.1", base_port=PORT, port_count=3)
    ports = Ports()
    ports.note("wfs", PORT)
    ports.note("dm", PORT + 1)
    assert ports.choose("cam", facts, set()) == PORT + 2
    assert ports.choose("cam", facts, {PORT + 2}) == PORT
    assert ports.choose("cam", facts, {PORT, PORT + 1, PORT + 2}) == 0
    assert ports.choose("wfs", facts, {PORT}) == PORT + 2
    ports.note("cam", PORT)
    assert ports.choose("wfs", facts, set()) == PORT + 2
    assert ports.choose("dm", replace(facts, base_port=0), set()) == PORT + 1
    assert ports.choose("new", replace(facts, base_port=0), set()) == 0
    assert ports.choose("dm", replace(facts, base_port=PORT + 10), set()) == PORT + 10


def test_only_so_many_ports_are_remembered() -> None:
    ports = Ports()
    for number in range(MOST_REMEMBERED + 10):
        ports.note(f"wfs{number}", 1024 + number)
    (remembered,) = ports.tick()
    assert isinstance(remembered, do.RememberPorts)
    assert len(remembered.ports) == MOST_REMEMBERED
    assert f"wfs{MOST_REMEMBERED + 9}" in remembered.ports
