"""Whether a host is as it should be, and since when."""

from __future__ import annotations

from typing import Optional

import pytest

from daosup.core import events as e
from daosup.core.degraded import LINKING_S, Degraded, reasons_of
from daosup.core.restart import HEALTHY_S
from tests.unit.hosts import DESK, REMOTE, Story, mirror, mirroring, publisher, serving


def reasons(story: Story, mistakes: int = 0, state_error: Optional[str] = None) -> list[str]:
    return list(reasons_of(story.state, mistakes, state_error, story.now))


def test_a_host_where_all_works_is_not() -> None:
    assert reasons(serving(DESK)) == []
    assert reasons(mirroring()) == []
    assert reasons(Story()) == []  # it is just beginning


def test_it_is_while_the_registry_is_away() -> None:
    story = serving(DESK)
    story.lose()
    assert reasons(story) == ["the registry is away: connection refused"]
    story.connect()
    assert reasons(story) == []


def test_it_is_while_a_mirror_has_no_link_or_waits_for_its_owner() -> None:
    story = mirroring()
    story.say(e.LinksSeen(frozenset(), frozenset()))
    assert reasons(story) == []  # its process has just begun
    story.after(LINKING_S)
    assert reasons(story) == ["1 worker without a link: mirror desk:cam"]
    story.say(e.LinksSeen(frozenset({REMOTE}), frozenset()))
    assert reasons(story) == []
    waiting = Story()
    waiting.connect()
    waiting.say(e.MirrorAsked(REMOTE, "operator"))
    assert reasons(waiting) == ["1 worker waiting: mirror desk:cam"]


def test_it_is_while_a_worker_that_died_again_waits_for_its_next_try() -> None:
    story = serving(DESK)
    story.say(e.WorkerExited(publisher(), 7, "killed by SIGKILL"))
    story.say(e.WorkerStarted(publisher(), 9))
    assert reasons(story) == []  # the first next one comes at once
    story.say(e.WorkerExited(publisher(), 9, "killed by SIGKILL"))
    assert reasons(story) == ["1 worker restarting: publisher rts:wfs"]
    story.after(1.0)
    story.run(publisher(), 11, 5000)
    assert reasons(story) == []


def test_it_is_as_long_as_a_worker_is_in_quarantine() -> None:
    story = mirroring()
    pid = 8
    for _ in range(12):
        story.say(e.WorkerExited(mirror(), pid, "exited with code 1"))
        story.after(HEALTHY_S - 1)
        pid += 1
        story.say(e.WorkerStarted(mirror(), pid))
        if reasons(story) == ["1 worker failed: mirror desk:cam"]:
            return
    pytest.fail("it never was in quarantine")


def test_it_is_if_its_clock_is_off_or_its_files_are_wrong() -> None:
    story = serving(DESK)
    story.say(e.ClockCompared(12.0, 0.001))
    assert reasons(story, 2, "/var/lib/daosup/rts.json cannot be written") == [
        "this host's clock is off against the registry's",
        "the new configuration was refused, the one before is in force",
        "/var/lib/daosup/rts.json cannot be written",
    ]


def test_since_when_is_since_the_first_reason_whatever_follows() -> None:
    degraded = Degraded()
    degraded.look((), 1.0)
    assert degraded.since_s is None
    degraded.look(("one",), 2.0)
    degraded.look(("another",), 3.0)
    assert (degraded.since_s, degraded.reasons) == (2.0, ("another",))
    degraded.look((), 4.0)
    degraded.look(("one",), 5.0)
    assert degraded.since_s == 5.0
