"""What a host does with workers that fail ever again, hang, grow, or are to be started anew."""

from __future__ import annotations

from dataclasses import replace

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import STOP_TIMEOUT_S, Phase, Worker
from daosup.core.notices import workers
from daosup.core.restart import MAX_DELAY_S, QUARANTINE_S, RESTARTS_IN_A_ROW, SPREAD
from daosup.core.types import WorkerKey
from tests.unit.hosts import (
    DESK,
    ENDPOINT,
    PORT,
    REMOTE,
    WFS,
    Story,
    mirror,
    mirroring,
    only,
    publisher,
    publishing,
    record,
    serving,
)


def worker_of(story: Story, key: WorkerKey) -> Worker:
    return story.state.crew.workers[key]


def let_fail(story: Story, key: WorkerKey) -> list[do.Action]:
    """Each of its processes dies at once, until none comes after it; what was ordered then."""
    for pid in range(100, 101 + RESTARTS_IN_A_ROW):
        story.say(e.WorkerStarted(key, pid))
        actions = story.say(e.WorkerExited(key, worker_of(story, key).pid, "exited with code 1", "ValueError: no"))
        for _ in range(int(2 * MAX_DELAY_S)):
            if worker_of(story, key).phase is Phase.RESTARTING:
                story.after(0.5)
    return actions


def failed_publisher() -> Story:
    story = serving(DESK)
    assert only(let_fail(story, publisher()), do.StartWorker) == []
    assert worker_of(story, publisher()).phase is Phase.FAILED
    return story


def test_one_that_fails_ever_again_is_tried_slowly_for_ever() -> None:
    story = failed_publisher()
    worker = worker_of(story, publisher())
    assert (worker.last_exit, worker.last_details) == ("exited with code 1", "ValueError: no")
    assert worker.restarts == RESTARTS_IN_A_ROW + 1
    for pid in range(200, 205):
        assert QUARANTINE_S * (1 - SPREAD) <= worker.retry_s - story.now <= QUARANTINE_S
        assert only(story.after(worker.retry_s - story.now - 0.1), do.StartWorker) == []
        assert only(story.after(0.2), do.StartWorker) == [publishing()]
        story.run(publisher(), pid, PORT)
        story.end(publisher(), pid)
        assert worker.phase is Phase.FAILED


def test_a_healthy_life_ends_the_quarantine() -> None:
    story = failed_publisher()
    story.after(QUARANTINE_S)
    story.run(publisher(), 200, PORT)
    story.after(10.0)
    assert only(story.end(publisher(), 200), do.StartWorker) == [publishing()]


def test_a_publisher_that_failed_is_tried_at_once_when_its_segment_is_made_anew() -> None:
    story = failed_publisher()
    assert story.segments(WFS) == []
    assert only(story.segments(replace(WFS, identity="second")), do.StartWorker) == [publishing()]
    assert not worker_of(story, publisher()).backoff.deaths
    story.run(publisher(), 200, PORT)
    assert only(story.end(publisher(), 200), do.StartWorker), "its deaths are forgotten"


def test_a_mirror_that_failed_is_tried_at_once_when_its_owner_is_back() -> None:
    story = mirroring()
    let_fail(story, mirror())
    assert story.records(record()) == [], "nothing is new"
    assert story.say(e.RecordsSeen((e.SourceSeen(REMOTE, False, False, ()),))) == []
    assert story.records(record()) == [do.StartWorker(mirror(), 0, ENDPOINT)]


def test_a_mirror_that_failed_is_tried_at_once_when_its_owner_streams_from_elsewhere() -> None:
    story = mirroring()
    let_fail(story, mirror())
    assert story.records(record(6001)) == [do.StartWorker(mirror(), 0, "tcp://10.0.0.2:6001")]
    assert not worker_of(story, mirror()).backoff.deaths


def test_one_that_waits_is_started_when_somebody_asks_and_its_deaths_are_forgotten() -> None:
    story = failed_publisher()
    assert story.say(e.RestartAsked(publisher())) == [publishing()]
    assert not worker_of(story, publisher()).backoff.deaths


def test_one_that_runs_is_ended_and_started_anew_on_its_port_when_somebody_asks() -> None:
    story = serving(DESK)
    story.say(e.WorkerReady(publisher(), 7, 5017))
    assert only(story.say(e.RestartAsked(publisher())), do.StopWorker) == [do.StopWorker(publisher(), 7)]
    assert story.say(e.RestartAsked(publisher())) == [], "once is enough"
    assert only(story.end(publisher(), 7), do.StartWorker) == [publishing(port=5017)]
    worker = worker_of(story, publisher())
    assert (worker.restarts, worker.last_exit, worker.backoff.deaths) == (0, None, 0)
    story.run(publisher(), 8, 5017)
    story.end(publisher(), 8)
    assert (worker.restarts, worker.backoff.deaths) == (1, 1), "what was asked for is no excuse for later"


def test_one_that_does_not_end_for_its_successor_is_killed_and_so_is_the_successor_in_its_turn() -> None:
    story = serving(DESK)
    for pid in (7, 8):
        assert only(story.say(e.RestartAsked(publisher())), do.StopWorker) == [do.StopWorker(publisher(), pid)]
        assert only(story.after(STOP_TIMEOUT_S), do.StopWorker) == [do.StopWorker(publisher(), pid, is_forced=True)]
        story.end(publisher(), pid)
        story.run(publisher(), pid + 1, PORT)


def test_one_that_is_restarted_but_no_longer_wanted_ends_for_good() -> None:
    story = serving(DESK)
    story.say(e.RestartAsked(publisher()))
    story.segments()
    assert story.end(publisher(), 7) == []
    assert publisher() not in story.state.crew.workers


def test_to_restart_what_is_not_there_does_nothing() -> None:
    assert Story().say(e.RestartAsked(publisher())) == []


def test_one_that_hangs_is_killed_and_started_again_and_is_not_said_to_have_crashed() -> None:
    story = serving(DESK)
    story.after(10.0)
    hung = e.WorkerHung(publisher(), 7, 1.3)
    reports = only(story.state.handle(hung, story.now), do.Report)
    assert [report.notice for report in reports] == [workers.WORKER_HUNG]
    assert story.say(hung) == [], "it is killed once"
    killed = story.state.handle(e.WorkerExited(publisher(), 7, "killed by SIGKILL"), story.now)
    assert only(killed, do.StartWorker) == [publishing()]
    assert [report.notice for report in only(killed, do.Report)] == [workers.WORKER_REPLACED]
    worker = worker_of(story, publisher())
    assert worker.last_exit == "hung: its loop stood still for 1.3 s"
    assert (worker.restarts, worker.hangs) == (1, 1)


def test_one_that_hangs_is_killed_at_once() -> None:
    story = serving(DESK)
    assert only(story.say(e.WorkerHung(publisher(), 7, 1.3)), do.StopWorker) == [
        do.StopWorker(publisher(), 7, is_forced=True)
    ]


def test_the_time_it_hung_is_no_healthy_life() -> None:
    story = serving(DESK)
    pid = 7
    for _ in range(3):
        story.after(10.0)
        story.say(e.WorkerHung(publisher(), pid, 9.9))
        story.end(publisher(), pid)
        pid += 1
        story.after(1.0)
        story.run(publisher(), pid, PORT)
    assert worker_of(story, publisher()).backoff.deaths == 3


def test_what_is_said_of_another_process_or_of_one_that_ends_anyway_changes_nothing() -> None:
    story = serving(DESK)
    assert story.say(e.WorkerHung(publisher(), 8, 5.0)) == []
    assert story.say(e.WorkerHung(mirror(), 7, 5.0)) == []
    assert story.say(e.WorkerGrown(publisher(), 8, 2, 1)) == []
    story.segments()
    assert story.say(e.WorkerHung(publisher(), 7, 5.0)) == []
    assert story.say(e.WorkerGrown(publisher(), 7, 2, 1)) == []
    story.end(publisher(), 7)
    assert publisher() not in story.state.crew.workers


def test_one_that_grew_is_replaced_and_says_why() -> None:
    story = serving(DESK)
    story.after(100.0)
    grown = e.WorkerGrown(publisher(), 7, 310_000_000, 300_000_000)
    assert only(story.say(grown), do.StopWorker) == [do.StopWorker(publisher(), 7)]
    assert only(story.end(publisher(), 7), do.StartWorker) == [publishing()]
    worker = worker_of(story, publisher())
    assert worker.last_exit == "stopped: 310 MB of own memory, and memory_limit_mb is 300"
    assert (worker.restarts, worker.backoff.deaths) == (1, 1)


def test_one_that_is_too_big_from_the_beginning_ends_in_quarantine() -> None:
    story = serving(DESK)
    for pid in range(7, 8 + RESTARTS_IN_A_ROW):
        assert worker_of(story, publisher()).phase is Phase.RUNNING
        story.after(5.0)
        story.say(e.WorkerGrown(publisher(), pid, 310_000_000, 300_000_000))
        story.end(publisher(), pid)
        story.after(MAX_DELAY_S)
        if worker_of(story, publisher()).phase is Phase.STARTING:
            story.run(publisher(), pid + 1, PORT)
    assert worker_of(story, publisher()).phase is Phase.FAILED


def test_a_system_without_room_puts_nobody_into_quarantine() -> None:
    story = Story()
    story.connect()
    story.segments(WFS)
    story.readers(DESK)
    for _ in range(2 * RESTARTS_IN_A_ROW):
        story.say(e.WorkerExited(publisher(), 0, "cannot be started: no room"))
        for _ in range(int(2 * MAX_DELAY_S)):
            if worker_of(story, publisher()).phase is not Phase.STARTING:
                story.after(0.5)
    worker = worker_of(story, publisher())
    assert (worker.phase, worker.restarts) == (Phase.STARTING, 2 * RESTARTS_IN_A_ROW)
