"""Mirrors that keep another number of frames than their sources, on two whole hosts."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from daosup.errors import SegmentLostError, SegmentNotFoundError
from daosup.shm import Segment
from tests.integration.commands import daosupctl
from tests.integration.fleet import Fleet, Host
from tests.integration.interop import MakeOld, sources_of
from tests.integration.streams import wait_for_value
from tests.waiting import wait_until

SOURCE = "rts:wfs"
SOON_S = 10.0
#: Of what is written into a FIFO while it comes.
LARGE = (512, 512)


def put(segment: Segment, value: int, *, wait: bool = False) -> None:
    """Write a frame all of this value."""
    segment.write(np.full(segment.shape, value, segment.dtype), wait=wait)


@pytest.fixture
def wfs(hosts: Fleet) -> Iterator[Segment]:
    """A segment of rts of large frames, of which it keeps the newest only, that was written once."""
    segment = hosts.rts.create("wfs", LARGE)
    put(segment, 1)
    yield segment
    hosts.remove(SOURCE, segment)


def looks(host: Host) -> tuple[str, int]:
    """Layout and depth of the mirror that is there now."""
    with Segment.open(host.path("remote_rts_wfs"), writable=False) as mirror:
        return mirror.layout, mirror.depth


def wait_for_looks(host: Host, layout: str, depth: int) -> None:
    def is_so() -> bool:
        with contextlib.suppress(SegmentNotFoundError, SegmentLostError):  # it is just made anew
            return looks(host) == (layout, depth)
        return False

    wait_until(is_so, SOON_S, f"a mirror of layout {layout} and depth {depth}")


@pytest.mark.parametrize("how", [["--transport", "direct"], ["--transport", "zmq"], ["--frames", "every"]])
def test_it_keeps_the_last_frames_however_they_come(hosts: Fleet, wfs: Segment, how: list[str]) -> None:
    told = daosupctl(hosts.lab, "mirror", SOURCE, "--depth", "4", *how)
    assert told.returncode == 0, told.stderr
    assert "is mirrored as remote_rts_wfs (512x512 uint16): running" in told.stdout
    with Segment.open(hosts.lab.path("remote_rts_wfs"), writable=False) as mirror:
        assert (mirror.layout, mirror.depth) == ("fifo", 4)
        for value in range(2, 9):
            put(wfs, value)
            wait_for_value(mirror, value, SOON_S)
        kept = mirror.history(4)
        assert [(int(frame.min()), int(frame.max())) for frame in kept] == [(5, 5), (6, 6), (7, 7), (8, 8)]
        assert mirror.counter == wfs.counter == 8
    assert "512x512 uint16, fifo x4" in daosupctl(hosts.lab, "status", SOURCE).stdout


def test_it_lasts_until_it_is_released_over_supervisors_that_come_after(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with fleet.rts.create("wfs") as wfs:
        put(wfs, 1)
        fleet.lab.call("keep", source=SOURCE, depth=3, wait_s=30)
        assert looks(fleet.lab) == ("fifo", 3)
        pid = fleet.lab.worker_pid(SOURCE)
        fleet.lab.signal(signal.SIGKILL)
        fleet.lab.start()
        assert json.loads(next(fleet.lab.state.rglob("*.json")).read_text())["depths"] == {SOURCE: 3}
        # What was said before stays, and what was not said leaves the process alone.
        fleet.lab.call("mirror", source=SOURCE, wait_s=30)
        assert (fleet.lab.worker_pid(SOURCE), looks(fleet.lab)) == (pid, ("fifo", 3))
        fleet.lab.release(SOURCE)
        fleet.lab.call("mirror", source=SOURCE, wait_s=30)
        assert looks(fleet.lab) == ("fifo", 1)
        wfs.unlink()


def test_the_configuration_says_it_of_all_or_of_one_and_is_read_anew(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with fleet.rts.create("wfs", depth=2) as wfs:
        put(wfs, 1)
        fleet.lab.call("mirror", source=SOURCE, wait_s=30)
        assert looks(fleet.lab) == ("fifo", 2)
        began = fleet.lab.config.read_text()
        one = f'[[mirror]]\nsource = "{SOURCE}"\n'
        for told, layout, depth in (
            ("[mirrors]\ndepth = 3\n", "fifo", 3),
            ('[mirrors]\ndepth = 3\nlayout = "fifo"\n' + one + "depth = 1\n", "fifo", 1),
            ("[mirrors]\ndepth = 3\n" + one + 'layout = "v0"\n', "v0", 1),
            ('[mirrors]\nlayout = "v0"\n' + one + "depth = 5\n", "fifo", 5),
            ("", "fifo", 2),
        ):
            fleet.lab.config.write_text(began + told)
            fleet.lab.call("reload")
            wait_for_looks(fleet.lab, layout, depth)
        # What an operator says goes before all that.
        fleet.lab.config.write_text(began + '[mirrors]\nlayout = "semreg"\n')
        fleet.lab.call("reload")
        wait_for_looks(fleet.lab, "semreg", 1)
        fleet.lab.call("mirror", source=SOURCE, depth=6, wait_s=30)
        assert looks(fleet.lab) == ("fifo", 6)
        wfs.unlink()


@pytest.mark.parametrize("transport", ["direct", "zmq"])
@pytest.mark.parametrize(("source_depth", "depth"), [(1, 4), (4, 1), (3, 5)])
def test_what_is_written_into_it_goes_to_its_source_and_comes_back(
    hosts: Fleet, transport: str, source_depth: int, depth: int
) -> None:
    with hosts.rts.create("wfs", LARGE, depth=source_depth) as wfs:
        put(wfs, 1)
        asked = {"source": SOURCE, "transport": transport, "depth": depth, "wait_s": 30}
        answer = hosts.lab.call("mirror", bidirectional=True, **asked)
        with Segment.open(answer["path"], writable=True) as mirror:
            for value in range(10, 30, 2):
                put(mirror, value, wait=True)
                wait_for_value(wfs, value, SOON_S)
                put(wfs, value + 1)
                wait_for_value(mirror, value + 1, SOON_S)
            assert (mirror.depth, wfs.depth) == (depth, source_depth)
            assert wfs.counter == 21
        hosts.remove(SOURCE, wfs)


def test_of_an_old_host_s_segment_too(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    old = make_old("old")
    old.create("wfs", (4, 6), "float32")
    wait_until(lambda: "old:wfs" in sources_of(fleet.lab), SOON_S, "it to be announced")
    answer = fleet.lab.call("mirror", source="old:wfs", depth=4, wait_s=30)
    with Segment.open(answer["path"], writable=False) as mirror:
        assert (mirror.layout, mirror.depth, mirror.shape) == ("fifo", 4, (4, 6))


@pytest.mark.parametrize("depth", ["0", "-1", "65537", "four", "4.5", "99999999999999999999", ""])
def test_a_depth_that_is_none_gets_one_clear_line(hosts: Fleet, depth: str) -> None:
    refused = daosupctl(hosts.lab, "mirror", SOURCE, f"--depth={depth}")
    assert refused.returncode == 64
    assert f"depth is {depth!r}, not a whole number of frames from 1 to 65536" in refused.stderr


def test_a_segment_of_the_host_itself_has_the_depth_it_was_made_for(hosts: Fleet) -> None:
    refused = daosupctl(hosts.lab, "mirror", "lab:own", "--depth", "4")
    assert refused.returncode == 64
    assert "lab:own is a segment of this host itself, and keeps as many frames as it was made for" in refused.stderr
