"""In which form a mirror's frames come, on two whole hosts: which of them, how often, and what it waits for if not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import daosup
from daosup.errors import NoAnswerError, UnsupportedError, UsageError
from daosup.server import opening
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.interop import MakeOld, sources_of
from tests.integration.shells import environment
from tests.integration.streams import filming, wait_for_frames, wait_for_value
from tests.integration.terminals import daosupctl
from tests.waiting import wait_until

SOURCE = "rts:wfs"
SOON_S = 10.0
#: Many more than any rate that is asked for here.
PERIOD_S = 0.004
DEPTH, BURSTS = 8, 30
PLAIN = {"frames": "newest", "rate_hz": None, "roi": None, "stride": None, "compress": "none"}


@pytest.fixture
def wfs(hosts: Fleet) -> Iterator[Segment]:
    """A segment of rts that was written once."""
    segment = hosts.rts.create("wfs", (16, 16))
    segment.write(np.zeros((16, 16), "uint16"))
    yield segment
    hosts.remove(SOURCE, segment)


def ctl(host: Host, *arguments: str, exit_code: int = 0) -> str:
    """What a command prints."""
    done = subprocess.run(
        ["daosupctl", "--socket", str(host.socket), *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == exit_code, done.stderr
    return done.stdout


def row(host: Host, source: str = SOURCE) -> dict[str, Any]:
    """A mirror's, whatever state it is in."""
    rows: list[dict[str, Any]] = host.status()["workers"]
    return next((each for each in rows if (each["kind"], each["source"]) == ("mirror", source)), {})


def mirrored(host: Host) -> Segment:
    """The mirror that is there."""
    return Segment.open(host.path("remote_rts_wfs"), writable=False)


def wait_until_direct(host: Host) -> dict[str, Any]:
    """Wait until frames come directly; the mirror's row then."""

    def found() -> dict[str, Any]:
        worker = row(host)
        return worker if worker.get("transport") == "direct" else {}

    return wait_until(found, SOON_S, f"frames of {SOURCE} on {host.name} directly")


def wait_until_waiting(host: Host, why: str, source: str = SOURCE) -> dict[str, Any]:
    """Wait until none come, for this reason; the mirror's row then."""

    def found() -> dict[str, Any]:
        worker = row(host, source)
        return worker if (worker.get("transport"), worker.get("transport_reason")) == (None, why) else {}

    return wait_until(found, SOON_S, f"{source} on {host.name} to wait, as {why}")


def wait_until_all_told(host: Host, mirror: Segment, written: int) -> dict[str, Any]:
    """Wait until of each frame that was written meanwhile it is told that it is here or that it is not; exactly."""

    def is_told() -> dict[str, Any]:
        told = row(host)
        return told if told["frames"] + told["skipped"] >= written else {}

    told = wait_until(is_told, SOON_S, "all frames to be told of")
    assert told["frames"] + told["skipped"] == written
    assert told["frames"] == mirror.counter
    return told


#: Of ten frames a second; less, for some may be late and then seem to come sooner one after the other.
PERIOD_OF_TEN_S = 0.07


def period_s(mirror: Segment, count: int = 16) -> float:
    """How long it is from one frame to the next, over some."""
    before = mirror.counter
    wait_until(lambda: mirror.counter > before, SOON_S, "a frame")
    began_s, began = time.monotonic(), mirror.counter
    wait_until(lambda: mirror.counter >= began + count, SOON_S, f"{count} more frames")
    return (time.monotonic() - began_s) / (mirror.counter - began)


# -- rate


def test_with_a_rate_no_more_frames_come_and_in_the_end_the_newest(hosts: Fleet, wfs: Segment) -> None:
    told = ctl(hosts.lab, "mirror", SOURCE, "--rate", "10")
    assert "is mirrored as remote_rts_wfs" in told
    with mirrored(hosts.lab) as mirror:
        assert mirror.counter == 1
        with filming(wfs, PERIOD_S):
            assert period_s(mirror) > PERIOD_OF_TEN_S
            worker = wait_until_direct(hosts.lab)
            assert worker["delivery"] == {**PLAIN, "rate_hz": 10.0}
        wait_for_value(mirror, wfs.counter % 251, SOON_S)
        told_of = wait_until_all_told(hosts.lab, mirror, wfs.counter)
        assert told_of["skipped"] > told_of["frames"]
    assert "delivery   at most 10 Hz" in ctl(hosts.lab, "status", SOURCE)
    # The network is spared: the owner left out the others.
    publisher = hosts.rts.worker(SOURCE)
    assert publisher is not None
    assert publisher["frames"] < wfs.counter / 2


def test_what_was_said_last_counts_until_it_is_released(hosts: Fleet, wfs: Segment) -> None:
    ctl(hosts.lab, "mirror", SOURCE, "--rate", "10", "--transport", "auto")
    ctl(hosts.lab, "mirror", SOURCE)
    assert row(hosts.lab)["delivery"] == {**PLAIN, "rate_hz": 10.0}
    ctl(hosts.lab, "keep", SOURCE, "--frames", "every", "--wait", "30")
    assert wait_until_direct(hosts.lab)["delivery"] == {**PLAIN, "frames": "every"}
    ctl(hosts.lab, "mirror", SOURCE, "--frames", "newest")
    assert row(hosts.lab)["delivery"] == PLAIN
    ctl(hosts.lab, "mirror", SOURCE, "--rate", "20")
    ctl(hosts.lab, "release", SOURCE)
    ctl(hosts.lab, "mirror", SOURCE)
    assert row(hosts.lab)["delivery"] == PLAIN


def test_it_lasts_over_the_supervisor_and_the_mirror_goes_on(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with fleet.rts.create("wfs") as wfs:
        wfs.write(np.zeros((16, 16), "uint16"))
        fleet.lab.call("keep", source=SOURCE, delivery="rate=20", wait_s=30)
        pid = wait_until_direct(fleet.lab)["pid"]
        fleet.lab.signal(signal.SIGKILL)
        fleet.lab.start()
        found = wait_until_direct(fleet.lab)
        assert (found["pid"], found["delivery"]["rate_hz"]) == (pid, 20.0)
        state = json.loads(next(fleet.lab.state.rglob("*.json")).read_text())
        assert state["deliveries"] == {SOURCE: "rate=20"}
        # And of a configuration that says so.
        fleet.lab.release(SOURCE)
        fleet.lab.configure(f'[[mirror]]\nsource = "{SOURCE}"\nrate = 5\n')
        fleet.lab.call("reload")
        assert wait_until_direct(fleet.lab)["delivery"]["rate_hz"] == 5.0
        wfs.unlink()


# -- every


@pytest.fixture
def deep(hosts: Fleet) -> Iterator[Segment]:
    """A FIFO of rts that was written once."""
    segment = hosts.rts.create("wfs", (16, 16), depth=DEPTH)
    segment.write(np.zeros((16, 16), "uint16"))
    yield segment
    hosts.remove(SOURCE, segment)


def test_a_recorder_gets_every_frame_also_of_bursts(hosts: Fleet, deep: Segment) -> None:
    """Of a FIFO, slot by slot: each burst is as long as it can be without any being written over."""
    hosts.lab.call("mirror", source=SOURCE, wait_s=20, delivery="mode=every")
    with mirrored(hosts.lab) as mirror:
        assert (mirror.depth, mirror.counter) == (DEPTH, 1)
        for _ in range(BURSTS):
            for _ in range(DEPTH - 2):
                deep.write(np.full((16, 16), deep.counter + 1, "uint16"))
            wait_for_value(mirror, deep.counter, SOON_S)
        told = wait_until_all_told(hosts.lab, mirror, deep.counter)
        assert (told["frames"], told["skipped"], told["gaps"]) == (1 + BURSTS * (DEPTH - 2), 0, 0)


@pytest.fixture
def large(hosts: Fleet) -> Iterator[Segment]:
    """A segment of rts, written once, of which the owner keeps 16 frames for a recorder."""
    segment = hosts.rts.create("wfs", (1024, 2048))
    segment.write(np.zeros((1024, 2048), "uint16"))
    yield segment
    hosts.remove(SOURCE, segment)


def test_a_recorder_that_stood_still_gets_what_waited_and_is_told_what_is_missing(hosts: Fleet, large: Segment) -> None:
    hosts.lab.call("mirror", source=SOURCE, wait_s=20, delivery="mode=every")
    with mirrored(hosts.lab) as mirror:
        pid = wait_until_direct(hosts.lab)["pid"]
        assert mirror.counter == 1
        # Who would replace it stands still, too.
        with stopped(hosts.lab.pid), stopped(pid), filming(large, 0.01) as camera:
            wait_until(lambda: camera.written >= 64, SOON_S, "four times as many frames as are kept")
        wait_until_still(mirror, 8)
        # One more, and it is known what was missing before it.
        large.write(np.full(large.shape, 999, "uint16"))
        wait_for_value(mirror, 999, SOON_S)
        told = wait_until_all_told(hosts.lab, mirror, large.counter)
        assert 8 < told["frames"] < large.counter
        assert (told["gaps"] >= 1, told["pid"]) == (True, pid)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that has no turn meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def wait_until_still(mirror: Segment, least: int) -> None:
    """Wait until so many frames have come, and none comes any more."""
    last, since_s = -1, 0.0

    def is_still() -> bool:
        nonlocal last, since_s
        if mirror.counter != last:
            last, since_s = mirror.counter, time.monotonic()
        return last >= least and time.monotonic() >= since_s + 1.0

    wait_until(is_still, SOON_S, "what waited")


# -- what it waits for


def test_an_owner_that_offers_nothing_direct_is_waited_for(hosts: Fleet, wfs: Segment) -> None:
    before = hosts.rts.config.read_text()
    hosts.rts.configure("[publish]\ndirect = false\n")
    hosts.rts.call("reload")
    try:
        hosts.lab.call("keep", source=SOURCE, delivery="rate=10")
        why = "rate=10 comes by a direct connection alone, and its owner does not offer frames directly"
        waiting = wait_until_waiting(hosts.lab, why)
        assert (waiting["reason"], waiting["link"]) == (why, "down")
        assert not hosts.lab.path("remote_rts_wfs").exists()
        wait_until(lambda: why in hosts.lab.log, SOON_S, "the journal to say so")
        assert f"transport none, not direct: {why}" in " ".join(ctl(hosts.lab, "status", SOURCE, exit_code=1).split())
        with pytest.raises(NoAnswerError, match=why):
            hosts.lab.call("keep", source=SOURCE, delivery="rate=10", wait_s=1)
    finally:
        hosts.rts.config.write_text(before)
        hosts.rts.call("reload")
    assert wait_until_direct(hosts.lab)["delivery"]["rate_hz"] == 10.0
    wait_until(lambda: row(hosts.lab)["state"] == "running", SOON_S, "the mirror")


def test_what_the_owner_refuses_is_told_at_once_and_changes_nothing(hosts: Fleet, wfs: Segment) -> None:
    roi = "roi=0:9999,0:9999"
    with pytest.raises(UnsupportedError, match=rf"{roi} comes by a direct connection alone, and \S+ refuses: "):
        hosts.lab.call("mirror", source=SOURCE, wait_s=300, delivery=roi)
    wait_until(lambda: row(hosts.lab) == {}, SOON_S, "it to be gone")
    hosts.lab.mirror(SOURCE).close()
    assert row(hosts.lab)["delivery"] == PLAIN


def test_a_transport_that_has_no_such_form_is_no_way_around(hosts: Fleet, wfs: Segment) -> None:
    before = hosts.lab.config.read_text()
    hosts.lab.configure('[mirrors]\ntransport = "zmq"\n')
    hosts.lab.call("reload")
    try:
        hosts.lab.call("keep", source=SOURCE, delivery="mode=every")
        why = "mode=every comes by a direct connection alone, and transport is zmq"
        wait_until_waiting(hosts.lab, why)
    finally:
        hosts.lab.config.write_text(before)
        hosts.lab.call("reload")
    wait_until_direct(hosts.lab)


def test_an_owner_that_runs_the_existing_daemon_has_no_such_forms(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    one = make_old("one")
    one.create("cam", (4, 6), "float32")
    wait_until(lambda: "one:cam" in sources_of(fleet.lab), SOON_S, "it to be announced")
    fleet.lab.call("keep", source="one:cam", delivery="rate=10")
    why = "rate=10 comes by a direct connection alone, and its owner does not offer frames directly"
    wait_until_waiting(fleet.lab, why, "one:cam")
    fleet.lab.release("one:cam")


def test_what_cannot_be_together_is_refused(hosts: Fleet, wfs: Segment) -> None:
    for arguments, complaint in (
        ({"delivery": "rate=10", "transport": "zmq"}, "rate=10 comes by a direct connection alone, not by zmq"),
        ({"delivery": "mode=every rate=10"}, "exclude each other"),
        ({"delivery": "compress=lz4", "bidirectional": True}, "written back has whole frames: leave out that, or comp"),
        ({"delivery": "rate=10", "holder": "program"}, "is the operator's to say"),
        ({"delivery": 10}, "delivery is '10', not options"),
    ):
        with pytest.raises(UsageError, match=complaint):
            hosts.lab.call("mirror", source=SOURCE, **arguments)
    assert row(hosts.lab) == {}


def test_a_mirror_that_is_written_back_comes_whole_meanwhile(hosts: Fleet, wfs: Segment) -> None:
    hosts.lab.call("mirror", source=SOURCE, wait_s=20, delivery="rate=10")
    hosts.lab.call("mirror", source=SOURCE, wait_s=20, holder="program", bidirectional=True)
    assert row(hosts.lab)["delivery"] == PLAIN
    hosts.lab.call("release", source=SOURCE, holder="program")
    assert wait_until_direct(hosts.lab)["delivery"] == {**PLAIN, "rate_hz": 10.0}


# -- programs that need no more


@pytest.fixture
def program(hosts: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is one of lab."""
    monkeypatch.setenv("DAOSUP_SOCKET", str(hosts.lab.socket))
    monkeypatch.setattr(opening, "_daemon", None)
    yield
    if opening._daemon is not None:
        opening._daemon.stop()


@pytest.mark.usefixtures("program")
def test_a_program_to_which_some_frames_are_enough_gets_all_when_another_wants_them(hosts: Fleet, wfs: Segment) -> None:
    with filming(wfs, PERIOD_S), daosup.open(SOURCE, rate=10) as mirror:
        assert period_s(mirror) > PERIOD_OF_TEN_S
        assert row(hosts.lab)["delivery"]["rate_hz"] == 10.0
        hosts.lab.mirror(SOURCE).close()
        assert row(hosts.lab)["delivery"]["rate_hz"] is None
        with mirrored(hosts.lab) as other:
            wait_for_frames(other, 100, 5.0)
        hosts.lab.call("release", source=SOURCE, holder="operator")


@pytest.mark.usefixtures("program")
def test_a_program_is_content_with_whatever_way_there_is(hosts: Fleet, wfs: Segment) -> None:
    before = hosts.lab.config.read_text()
    hosts.lab.configure('[mirrors]\ntransport = "zmq"\n')
    hosts.lab.call("reload")
    try:
        with filming(wfs, PERIOD_S), daosup.open(SOURCE, rate=10) as mirror:
            wait_for_frames(mirror, 20)
            assert row(hosts.lab)["transport"] == "zmq"
    finally:
        hosts.lab.config.write_text(before)
        hosts.lab.call("reload")


def test_a_look_from_another_host_has_no_more_than_it_draws_but_tells_the_true_rate(hosts: Fleet, wfs: Segment) -> None:
    with filming(wfs, 0.01) as camera, daosupctl(hosts.lab.socket, "view", SOURCE) as terminal:
        terminal.wait_for("Hz")
        assert row(hosts.lab)["delivery"]["rate_hz"] == 10.0
        terminal.wait_for(lambda: shown_hz(terminal.text) > 30, told="the source's own rate")
        with mirrored(hosts.lab) as mirror:
            assert period_s(mirror) > PERIOD_OF_TEN_S
        assert camera.written > 50


def shown_hz(screen: str) -> float:
    found = re.search(r"([0-9.]+) Hz", screen)
    return float(found[1]) if found else 0.0
