"""What daosupctl prints of one worker."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daosup.ctl.tables import Style
from daosup.ctl.worker_report import worker_report
from tests.status_samples import a_story, a_told, a_worker

PLAIN = Style(False)


def report(story: dict[str, Any], width: int = 80, *, is_verbose: bool = False) -> str:
    lines = worker_report(story, PLAIN, width, is_verbose=is_verbose)
    assert max(map(len, lines)) <= width
    return "\n".join(lines)


def test_a_mirrors_story_says_all_that_is_known_of_it() -> None:
    text = report(a_story())
    for told in (
        "mirror rts:wfs  running for 5 h 33 min",
        "owner      rts at tcp://10.0.0.2:5560 (protocol 2), link up",
        "transport  direct from tcp://10.0.0.2:7559",
        "500 Hz, 57.6 MB/s, 10M so far, the newest 2.1 ms old",
        "p50 310 µs, p99 1.2 ms from written to here (4997 frames)",
        "3 frames skipped in 2 gaps, 1 passed over for a newer one",
        "pid 1234, CPU 3.41 %, memory 34.6 MB (9.2 MB its share, 5.3 MB its",
        "limits     500 MB of its own memory, CPU 2, 3, nice -5",
        "segment    /tmp/remote_rts_wfs.im.shm: 240x240 uint16, fifo, 115 kB a frame",
        "held by    operator",
        "GAIN      0.5    of the loop",
        "3 min 20 s ago: worker died; it is started again: killed by SIGKILL\n  [3f2a91bc-17]",
    ):
        assert told in text
    for absent in ("trouble", "last exit", "READER", "\nport"):
        assert absent not in text


def test_a_publishers_story_says_who_reads_it() -> None:
    readers = [{"host": "lab", "ip": "10.0.0.3", "protocol": 1, "writes": True}]
    worker = a_worker(kind="publisher", port=5560, holders=[], writing="single_writer")
    text = report(a_story(worker=worker, owner=None, readers=readers))
    for told in (
        "publisher rts:wfs",
        "port       5560",
        "from written to sent",
        "write-back single writer to readers",
        "lab     10.0.0.3         1  yes",
    ):
        assert told in text
    assert "owner      " not in text


def test_the_form_of_frames_is_told_where_it_is_not_as_usual() -> None:
    assert "delivery" not in report(a_story())
    asked = {"frames": "every", "rate_hz": None, "roi": "0:64,0:64", "stride": "2,2", "compress": "lz4"}
    text = report(a_story(worker=a_worker(delivery=asked)))
    assert "delivery   every frame, of each 0:64,0:64, stride 2,2, packed by lz4\n" in text
    asked = {"frames": "newest", "rate_hz": 10.0, "roi": None, "stride": None, "compress": "none"}
    assert "delivery   at most 10 Hz\n" in report(a_story(worker=a_worker(delivery=asked)))


def test_a_mirror_that_waits_for_a_direct_connection_says_so() -> None:
    reason = "rate=10 comes by a direct connection alone, and its owner does not offer frames directly"
    waiting = a_worker(transport=None, transport_reason=reason, state="starting", reason=reason)
    text = report(a_story(worker=waiting))
    assert f"transport  none, not direct: {reason}" in " ".join(text.split("\n           "))


def test_why_it_ended_is_told_with_its_last_words() -> None:
    worker = a_worker(
        state="failed", reason="exited with code 1", next_try_s=42.0, restarts=9, uptime_s=None, pid=None
    ) | {"last_exit": "exited with code 1", "last_exit_s": 18.0, "last_details": "Traceback ...\nValueError: no\x1b[2J"}
    text = report(a_story(worker=worker, process=None))
    assert "mirror rts:wfs  failed\n" in text
    assert "trouble    exited with code 1; next try in 42 s; restarted 9x" in text
    assert "last exit  exited with code 1, 18 s ago\n  Traceback ...\n  ValueError: no?[2J\n" in text
    assert "process" not in text


def test_with_v_there_are_times_of_day_and_what_belongs_to_each_entry() -> None:
    history = [a_told(count=3, body="line one\nline two")]
    text = report(a_story(history=history), is_verbose=True)
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.search(f"running for 5 h 33 min, since {day}", text)
    assert re.search(rf"3 min 20 s ago, at {day}: worker died; it is started again \(3\s+times\)", text)
    assert text.endswith("    line one\n    line two")
    assert "line one" not in report(a_story(history=history))


@pytest.mark.parametrize("story", [{}, {"worker": {}, "segment": {}, "history": [{}]}, {"segment": {"error": "gone"}}])
def test_an_older_daemons_story_is_still_one(story: dict[str, Any]) -> None:
    assert report(story)


def test_hostile_words_cannot_write_to_the_terminal() -> None:
    evil = "\033]0;owned\a\033[2Jx\n\u202e"
    story = a_story(
        worker=a_worker(source=evil, reason=evil, last_exit=evil, last_details=evil, holders=[evil], state=evil),
        owner={"host": evil, "endpoint": evil, "protocol": evil},
        readers=[{"host": evil, "ip": evil, "protocol": evil}],
        history=[a_told(text=evil, cause_id=evil, body=evil, fields={evil: evil})],
        segment={"file": evil, "dtype": evil, "keywords": [{"name": evil, "value": evil, "comment": evil}]},
    )
    for line in worker_report(story, PLAIN, None, is_verbose=True):
        assert line.isprintable()
