"""What a supervisor does with the workers that it finds."""

from __future__ import annotations

from dataclasses import replace

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.mirror import ADOPTED_S
from daosup.core.readership import READER_TIMEOUT_S
from daosup.core.types import StreamRecord
from tests.unit.hosts import DESK, ENDPOINT, IP, LAB, PORT, REMOTE, WFS, Story, mirror, only, publisher, record

PUBLISHER = e.FoundWorker(do.StartWorker(publisher(), PORT), 7, is_ready=True)
MIRROR = e.FoundWorker(do.StartWorker(mirror(), 0, ENDPOINT), 8, is_ready=True)


def found(*workers: e.FoundWorker, remembered: bool = False) -> tuple[Story, list[do.Action]]:
    story = Story()
    story.segments(WFS)
    return story, story.say(e.WorkersFound(workers, (REMOTE,) if remembered else ()))


def test_what_is_found_runs_and_nothing_is_started() -> None:
    story, actions = found(PUBLISHER, MIRROR)
    assert actions == []
    for each in (PUBLISHER, MIRROR):
        worker = story.state.crew.workers[each.order.key]
        assert (worker.phase, worker.pid, worker.port) == (Phase.RUNNING, each.pid, each.order.port)
    stopped = only(story.after(ADOPTED_S + 1), do.StopWorker)
    assert stopped == [do.StopWorker(mirror(), 8)], "without the registry only its time runs"


def test_a_publisher_goes_on_until_its_readers_are_known() -> None:
    story, _ = found(PUBLISHER)
    story.connect()
    told = StreamRecord(IP, PORT, "desk", DESK.ip)
    assert story.readers(DESK) == [do.PutRecords("wfs", (told,), ("desk",))]
    assert only(story.readers(), do.StopWorker) == [do.StopWorker(publisher(), 7)]


def test_a_publisher_that_nobody_reads_ends_only_when_every_reader_would_have_spoken() -> None:
    story, _ = found(PUBLISHER)
    story.connect()
    assert only(story.readers(), do.StopWorker) == []
    story.now += READER_TIMEOUT_S - 1
    assert only(story.readers(), do.StopWorker) == []
    story.lose()
    story.connect()
    story.now += READER_TIMEOUT_S - 1
    assert only(story.readers(), do.StopWorker) == [], "while the registry was away nobody could speak"
    story.now += READER_TIMEOUT_S + 1
    assert only(story.readers(), do.StopWorker) == [do.StopWorker(publisher(), 7)]


def test_a_publisher_whose_segment_is_gone_is_stopped() -> None:
    story = Story()
    story.segments()
    assert story.say(e.WorkersFound((PUBLISHER,))) == [do.StopWorker(publisher(), 7)]


def test_a_mirror_that_nobody_comes_for_is_given_up() -> None:
    story, _ = found(MIRROR)
    story.connect()
    assert only(story.after(ADOPTED_S - 1), do.StopWorker) == []
    actions = story.after(1.5)
    assert only(actions, do.StopWorker) == [do.StopWorker(mirror(), 8)]
    assert only(actions, do.Unask) == [do.Unask((REMOTE,))]
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE)]


def test_a_mirror_that_its_program_came_back_for_stays() -> None:
    story, _ = found(MIRROR)
    story.say(e.MirrorAsked(REMOTE, "program"))
    assert only(story.after(2 * ADOPTED_S), do.StopWorker) == []
    assert story.state.mirrors[REMOTE].holders == {"program"}


def test_what_the_operator_asked_for_is_remembered_whether_it_runs_or_not() -> None:
    story, _ = found(MIRROR, remembered=True)
    assert only(story.after(2 * ADOPTED_S), do.StopWorker) == []
    assert story.say(e.MirrorReleased(REMOTE, None)) == [do.StopWorker(mirror(), 8)]
    story, _ = found(remembered=True)
    story.connect()
    assert story.records(record()) == [do.StartWorker(mirror(), 0, ENDPOINT)]


def test_what_is_remembered_is_written_when_it_changes_and_stays_written_when_the_host_stops() -> None:
    story = Story()
    written = story.state.handle(e.MirrorAsked(REMOTE, "operator"), story.now)
    assert only(written, do.RememberMirrors) == [do.RememberMirrors((REMOTE,), ())]
    again = story.state.handle(e.MirrorAsked(REMOTE, "operator"), story.now)
    assert only(again, do.RememberMirrors) == []
    assert only(story.state.handle(e.MirrorAsked(REMOTE, "program"), story.now), do.RememberMirrors) == []
    released = story.state.handle(e.MirrorReleased(REMOTE, "operator"), story.now)
    assert only(released, do.RememberMirrors) == [do.RememberMirrors((), (REMOTE,))]
    assert only(story.state.handle(e.StopAsked(), story.now), do.RememberMirrors) == []


def test_a_mirror_whose_worker_and_holder_are_gone_is_removed_after_its_time() -> None:
    story = Story()
    story.segments(WFS)
    assert story.say(e.WorkersFound((), (), (REMOTE,))) == []
    assert only(story.after(ADOPTED_S - 1), do.RemoveMirror) == []
    assert only(story.after(1.5), do.RemoveMirror) == [do.RemoveMirror(REMOTE)]


def test_a_mirror_whose_owner_moved_meanwhile_is_connected_anew() -> None:
    story, _ = found(MIRROR, remembered=True)
    story.connect()
    assert story.records(record(6001)) == [do.StopWorker(mirror(), 8)]
    assert story.end(mirror(), 8) == [do.StartWorker(mirror(), 0, "tcp://10.0.0.2:6001")]


def test_what_was_told_otherwise_is_replaced_on_the_same_port() -> None:
    story, actions = found(replace(PUBLISHER, is_matching=False), replace(MIRROR, is_matching=False))
    assert actions == [do.StopWorker(publisher(), 7), do.StopWorker(mirror(), 8)]
    assert story.end(publisher(), 7) == [do.StartWorker(publisher(), PORT)]
    assert story.end(mirror(), 8) == [do.StartWorker(mirror(), 0, ENDPOINT)]


def test_one_that_was_not_ready_yet_becomes_ready() -> None:
    story, _ = found(replace(PUBLISHER, is_ready=False, order=do.StartWorker(publisher(), 0)))
    assert story.state.crew.workers[publisher()].phase is Phase.STARTING
    story.say(e.WorkerReady(publisher(), 7, PORT))
    assert story.state.crew.workers[publisher()].phase is Phase.RUNNING


def test_one_that_dies_is_started_again_on_its_port() -> None:
    story, _ = found(PUBLISHER)
    assert story.end(publisher(), 7) == [do.StartWorker(publisher(), PORT)]


def test_one_found_late_takes_the_place_of_one_that_could_not_start_beside_it() -> None:
    story = Story()
    story.connect()
    story.segments(WFS)
    story.readers(LAB)
    story.end(publisher(), 0)
    story.end(publisher(), 0)
    assert story.state.crew.workers[publisher()].phase is Phase.RESTARTING
    story.say(e.WorkersFound((PUBLISHER,)))
    worker = story.state.crew.workers[publisher()]
    assert (worker.phase, worker.pid) == (Phase.RUNNING, 7)
    assert only(story.after(10.0), do.StartWorker) == []


def test_what_is_found_while_the_host_stops_is_stopped() -> None:
    story = Story()
    story.segments(WFS)
    story.say(e.WorkersFound((PUBLISHER,)))
    assert story.say(e.StopAsked()) == [do.StopWorker(publisher(), 7)]
    assert story.say(e.WorkersFound((MIRROR,))) == [do.StopWorker(mirror(), 8)]
    story.end(publisher(), 7)
    assert story.end(mirror(), 8) == [do.RemoveMirror(REMOTE), do.Finish()]
