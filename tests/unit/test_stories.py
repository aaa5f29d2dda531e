"""What is kept of what was told of each worker."""

from __future__ import annotations

from daosup.core.notices import streams, workers
from daosup.core.notices.notice import Notice
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.supervisor.stories import MOST_TOLD, MOST_WORKERS, Stories


def a_key(name: str = "wfs") -> WorkerKey:
    return WorkerKey(WorkerKind.MIRROR, Source("rts", name))


def note(stories: Stories, key: WorkerKey, notice: Notice, at_s: float, body: str = "", **fields: object) -> None:
    stories.note(key, notice, fields, f"run-{at_s:g}", body, at_s, 1.8e9 + at_s)


def test_it_is_told_with_its_time_and_its_cause() -> None:
    stories = Stories()
    note(stories, a_key(), workers.WORKER_DIED, 10.0, "Traceback", cause="killed by SIGKILL", delay_s=0.1)
    assert stories.of(a_key(), 12.5) == [
        {
            "time_utc": "2027-01-15T08:00:10.000+00:00",
            "ago_s": 2.5,
            "level": "error",
            "notice": "worker-died",
            "text": "worker died; it is started again",
            "count": 1,
            "cause_id": "run-10",
            "fields": {"cause": "killed by SIGKILL", "delay_s": "0.1"},
            "body": "Traceback",
        }
    ]
    assert stories.of(a_key("dm"), 12.5) == []


def test_what_follows_its_like_is_counted_and_hides_nothing() -> None:
    stories = Stories()
    note(stories, a_key(), workers.WORKER_DIED, 1.0)
    for at_s in range(2, 5000):
        note(stories, a_key(), workers.WORKER_OUTPUT, at_s, f"line {at_s}")
    note(stories, a_key(), workers.WORKER_READY, 5000.0)
    told = [(each["notice"], each["count"], each["body"]) for each in stories.of(a_key(), 5000.0)]
    assert told == [
        ("worker-died", 1, None),
        ("worker-output", 4998, "line 4999"),
        ("worker-ready", 1, None),
    ]


def test_what_is_kept_is_bounded() -> None:
    stories = Stories()
    for number in range(MOST_WORKERS + 10):
        for at_s in range(3):
            note(stories, a_key(f"wfs{number}"), workers.WORKER_DIED, at_s, "x" * 100_000, cause="y" * 100_000)
            note(stories, a_key(f"wfs{number}"), streams.LINK_DOWN, at_s)
    assert [len(stories.of(a_key(f"wfs{number}"), 0.0)) for number in (0, 9, 10, MOST_WORKERS + 9)] == [0, 0, 6, 6]
    first = stories.of(a_key("wfs10"), 0.0)[0]
    assert len(first["body"]) <= 4000
    assert len(first["fields"]["cause"]) <= 300
    for at_s in range(100):
        note(stories, a_key("wfs10"), (workers.WORKER_DIED, streams.LINK_DOWN)[at_s % 2], at_s)
    assert [each["ago_s"] for each in stories.of(a_key("wfs10"), 100.0)] == list(range(MOST_TOLD, 0, -1))
