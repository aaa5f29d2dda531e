"""What a mirror on one host is to a segment on another: the same frames, whole, and a word on how fresh they are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daosup.core.layout import ATYPE_OF, SEMAPHORE_COUNT
from daosup.errors import SegmentBusyError, SegmentNotFoundError
from daosup.shm import Keyword, Segment
from daosup.shm._native import TIMEOUT
from tests.integration.fleet import Fleet
from tests.integration.processes_seen import is_alive, stat_of
from tests.integration.streams import filming, wait_for_frames, wait_for_value
from tests.waiting import wait_until

SHAPES: list[tuple[int, ...]] = [(1,), (97, 1), (5, 4, 3), (4096,), (33, 7), (1, 1, 1)]
SNAPSHOTS = 100_000
WRITE_FLAT_OUT = """
import sys
import numpy as np
from daosup.shm import Segment
segment = Segment.open(sys.argv[1], writable=True)
frames = [np.full(segment.shape, value, segment.dtype) for value in range(1, 200)]
while True:
    for frame in frames:
        segment.write(frame)
"""


def ramp(segment: Segment, start: int) -> np.ndarray[Any, Any]:
    """A frame whose elements all differ as far as the type allows."""
    values = np.arange(start, start + segment.geometry.element_count) % 120
    return (values * (1 - 0.5j if segment.dtype.kind == "c" else 1)).astype(segment.dtype).reshape(segment.shape)


@pytest.mark.parametrize("dtype", ATYPE_OF)
def test_every_element_type_is_mirrored(hosts: Fleet, dtype: str) -> None:
    shape = SHAPES[list(ATYPE_OF).index(dtype) % len(SHAPES)]
    check_mirroring(hosts, f"t_{dtype}", shape, dtype)


@pytest.mark.parametrize(
    ("layout", "depth"), [("v0", 1), ("semreg", 1), ("fifo", 1), ("fifo", 4)], ids=["v0", "semreg", "fifo", "fifo4"]
)
def test_every_layout_is_mirrored(hosts: Fleet, layout: str, depth: int) -> None:
    check_mirroring(hosts, f"l_{layout}{depth}", (12, 9), "float32", layout=layout, depth=depth)


def check_mirroring(hosts: Fleet, name: str, shape: tuple[int, ...], dtype: str, **options: Any) -> None:
    source = hosts.rts.create(name, shape, dtype, **options)
    source.write(ramp(source, 1), frame_id=41, time_ns=1_700_000_000_000_000_123)
    mirror = hosts.lab.mirror(f"rts:{name}")
    assert (mirror.shape, mirror.dtype) == (source.shape, source.dtype)
    assert (mirror.layout, mirror.depth) == (source.layout, source.depth)
    np.testing.assert_array_equal(mirror.read(), source.read())
    assert mirror.stamp[:3] == (1, 41, 1_700_000_000_000_000_123)
    for number in range(2, 7):
        source.write(ramp(source, number), frame_id=40 + number, time_ns=1_700_000_000_000_000_000 + number)
        wait_until(lambda: mirror.counter >= number, 5.0, "the next frame")  # noqa: B023
        np.testing.assert_array_equal(mirror.read(), ramp(source, number))
        assert mirror.stamp[:3] == (number, 40 + number, 1_700_000_000_000_000_000 + number)
    if source.depth > 1:
        np.testing.assert_array_equal(mirror.history(4), source.history(4))
    mirror.close()
    hosts.remove(f"rts:{name}", source)


def test_a_source_that_was_never_written_has_a_mirror_at_once(hosts: Fleet) -> None:
    source = hosts.rts.create("unwritten", (8, 8), "int32")
    mirror = hosts.lab.mirror("rts:unwritten")
    assert mirror.counter == 0
    assert not mirror.read().any()
    source.write(np.full((8, 8), 5, "int32"))
    wait_until(lambda: mirror.counter == 1, 5.0, "the first frame")
    assert (mirror.read() == 5).all()
    mirror.close()
    hosts.remove("rts:unwritten", source)


def test_a_source_that_rests_is_mirrored_with_its_last_frame_and_stays_linked(hosts: Fleet) -> None:
    source = hosts.rts.create("resting", (8, 8))
    for value in range(1, 4):
        source.write(np.full((8, 8), value, "uint16"))
    mirror = hosts.lab.mirror("rts:resting")
    assert (mirror.read() == 3).all()
    wait_until(lambda: mirror.keywords["NET_AGE_US"] > 3_000_000, 6.0, "the frame to be three seconds old")
    # Longer than a link may be silent: the descriptions keep it up, and no frame is counted that did not come.
    assert mirror.keywords["NET_LINK"] == 1
    assert mirror.counter == 1
    mirror.close()
    hosts.remove("rts:resting", source)


def test_keywords_travel_and_freshness_is_told_beside_them(hosts: Fleet) -> None:
    given = [Keyword("EXPTIME", 0.25, "s"), Keyword("MODE", "closed", "loop"), Keyword("GAIN", 7, "")]
    source = hosts.rts.create("words", (4, 4), keywords=given)
    source.write(np.ones((4, 4), "uint16"), time_ns=1_700_000_000_000_000_000)
    mirror = hosts.lab.mirror("rts:words")
    assert {name: mirror.keywords[name] for name in ("EXPTIME", "MODE", "GAIN")} == {
        "EXPTIME": 0.25,
        "MODE": "closed",
        "GAIN": 7,
    }
    freshness = {name: value for name, value in mirror.keywords.items() if name.startswith("NET_")}
    assert freshness.pop("NET_AGE_US") > 1_000_000
    assert freshness == {
        "NET_REPLICA": 1,
        "NET_LINK": 1,
        "NET_DROPPED": 0,
        "NET_SRC_CNT": 1,
        "NET_SRC_TIME": 1_700_000_000_000_000_000,
        "NET_WRITTEN": -1,
        "NET_REFUSED": -1,
    }
    source.keywords["GAIN"] = 8
    wait_until(lambda: mirror.keywords["GAIN"] == 8, 3.0, "the changed keyword")
    source.write(np.ones((4, 4), "uint16"))
    wait_until(lambda: mirror.keywords["NET_SRC_CNT"] == 2, 2.0, "the new counter of the source")
    mirror.close()
    hosts.remove("rts:words", source)


def test_each_frame_raises_the_mirrors_counter_by_one_and_skipped_ones_are_told(hosts: Fleet) -> None:
    source = hosts.rts.create("counted", (16, 16))
    source.write(np.zeros((16, 16), "uint16"))
    mirror = hosts.lab.mirror("rts:counted")
    assert mirror.counter == 1
    with filming(source, 0.002):
        wait_for_frames(mirror, 200)
    wait_until(lambda: mirror.read() is not None and mirror.stamp.frame_id == source.counter, 5.0, "the last frame")

    def adds_up() -> bool:
        row = hosts.lab.worker("rts:counted")
        return row is not None and row["frames"] + row["skipped"] == source.counter and mirror.counter == row["frames"]

    wait_until(adds_up, 2.0, "frames taken and skipped to be those written")
    mirror.close()
    hosts.remove("rts:counted", source)


def test_every_semaphore_of_a_mirror_is_posted(hosts: Fleet) -> None:
    source = hosts.rts.create("posted", (4, 4))
    mirror = hosts.lab.mirror("rts:posted")
    for index in range(SEMAPHORE_COUNT):
        while mirror.window.wait(mirror.counter, index, 0.0, False) != TIMEOUT:
            pass  # take what was posted before
    before = mirror.counter
    source.write(np.ones((4, 4), "uint16"))
    wait_until(lambda: mirror.counter == before + 1, 5.0, "the frame")
    for index in range(SEMAPHORE_COUNT):
        # Against the counter of now nothing is new: only a post ends this before its time.
        result = mirror.window.wait(mirror.counter, index, 1.0, False)
        assert result != TIMEOUT, f"semaphore {index} was not posted"
    mirror.close()
    hosts.remove("rts:posted", source)


def test_no_frame_is_torn_while_the_source_is_written_flat_out(hosts: Fleet) -> None:
    source = hosts.rts.create("flat", (96, 96))
    source.write(np.full((96, 96), 1, "uint16"))
    writer = subprocess.Popen([sys.executable, "-c", WRITE_FLAT_OUT, source.path])
    try:
        mirror = hosts.lab.mirror("rts:flat")
        first, deadline_s = mirror.counter, time.monotonic() + 25.0
        frame, counters, read, busy = np.empty((96, 96), "uint16"), set(), 0, 0
        while read < SNAPSHOTS:
            try:
                mirror.read(frame)
            except SegmentBusyError:
                busy += 1
            else:
                assert frame.min() == frame.max(), f"torn frame {mirror.stamp}"
                counters.add(mirror.stamp.counter)
                read += 1
            assert time.monotonic() < deadline_s, f"{read} reads, {busy} busy"
        assert len(counters) > 100
        assert mirror.counter > first + 100
        assert busy < SNAPSHOTS / 1000
    finally:
        writer.kill()
        writer.wait()
    mirror.close()
    hosts.remove("rts:flat", source)


def test_a_publisher_exists_while_there_are_readers(hosts: Fleet) -> None:
    source = hosts.rts.create("wanted", (4, 4))
    assert hosts.rts.worker("rts:wanted") is None
    hosts.lab.mirror("rts:wanted").close()
    pid = hosts.rts.worker_pid("rts:wanted")
    hosts.lab.release("rts:wanted")
    wait_until(lambda: not is_alive(pid), 3.0, "the publisher to end")
    hosts.remove("rts:wanted", source)


def test_a_released_mirror_leaves_no_file_and_no_semaphore(hosts: Fleet) -> None:
    source = hosts.rts.create("given_back", (4, 4))
    mirror = hosts.lab.mirror("rts:given_back")
    of_mirror = {f"sem.{mirror.name}_sem{index:02d}" for index in range(SEMAPHORE_COUNT)} | {
        f"sem.{mirror.name}_semlog"
    }
    assert of_mirror <= set(os.listdir("/dev/shm"))
    hosts.lab.release("rts:given_back")
    assert not of_mirror & set(os.listdir("/dev/shm"))
    with pytest.raises(SegmentNotFoundError):
        Segment.open(mirror.path)
    mirror.close()
    hosts.remove("rts:given_back", source)


def test_a_mirror_is_the_same_one_for_all_who_ask(hosts: Fleet) -> None:
    source = hosts.rts.create("shared", (4, 4))
    first, second = hosts.lab.mirror("rts:shared"), hosts.lab.mirror("rts:shared")
    assert os.stat(first.path).st_ino == os.stat(second.path).st_ino
    assert len([row for row in hosts.lab.status()["workers"] if row["source"] == "rts:shared"]) == 1
    first.close()
    second.close()
    hosts.remove("rts:shared", source)


def test_each_stream_has_one_process_on_each_side_forked_from_one_without_threads(hosts: Fleet) -> None:
    sources = [hosts.rts.create(name, (4, 4)) for name in ("wfs_a", "wfs_b")]
    for name in ("wfs_a", "wfs_b"):
        hosts.lab.mirror(f"rts:{name}").close()
    pids = {
        (host.name, name): host.worker_pid(f"rts:{name}")
        for host in (hosts.rts, hosts.lab)
        for name in ("wfs_a", "wfs_b")
    }
    assert len(set(pids.values())) == 4
    for host in (hosts.rts, hosts.lab):
        servers = {int(stat_of(pids[host.name, name])[1]) for name in ("wfs_a", "wfs_b")}
        (server,) = servers
        assert int(stat_of(server)[1]) == host.pid
        assert len(os.listdir(f"/proc/{server}/task")) == 1
    for name in ("wfs_a", "wfs_b"):
        assert comm(pids["rts", name]) == f"dao>{name}"
        assert comm(pids["lab", name]) == f"dao<{name}"
    for name, source in zip(("wfs_a", "wfs_b"), sources):
        hosts.remove(f"rts:{name}", source)


def comm(pid: int) -> str:
    """What ``ps`` and ``top`` call a process."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_of_two_reading_hosts_one_leaves_and_the_other_notices_nothing(fleet: Fleet) -> None:
    fleet.start("rts", "lab", "obs")
    source = fleet.rts.create("both", (32, 32))
    with filming(source, 0.005):
        mirrors = {name: fleet.hosts[name].mirror("rts:both") for name in ("lab", "obs")}
        publisher = fleet.rts.worker_pid("rts:both")
        for mirror in mirrors.values():
            wait_for_frames(mirror, 20)
        (segment,) = fleet.rts.status()["segments"]
        assert segment["readers"] == ["lab", "obs"]
        fleet.lab.release("rts:both")
        wait_until(lambda: fleet.rts.status()["segments"][0]["readers"] == ["obs"], 5.0, "lab to be off the list")
        wait_for_frames(mirrors["obs"], 100)
        assert fleet.rts.worker_pid("rts:both") == publisher
    row = fleet.hosts["obs"].worker("rts:both")
    assert row is not None
    assert row["restarts"] == 0
    assert row["link"] == "up"
    wait_for_value(mirrors["obs"], source.read()[0, 0])
    for mirror in mirrors.values():
        mirror.close()
    fleet.remove("rts:both", source)
