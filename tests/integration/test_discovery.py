"""A host finds the segments of its folder at once, whatever happens to files and folder, and at no cost while quiet."""

from __future__ import annotations

import asyncio
import mmap
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest

from daosup.adapters.segment_folder import SegmentFolder
from daosup.core import events as e
from daosup.core.layout import Geometry, Layout
from daosup.core.types import SegmentFacts
from daosup.shm.making import fresh_metadata
from daosup.supervisor.discovery_desk import DiscoveryDesk
from tests.integration.fleet import Fleet, Host
from tests.journals import Told
from tests.waiting import wait_until

FOUND_S = 3.0
GEOMETRY = Geometry(Layout.FIFO, 3, (16, 16), 1, 0)


def put(path: Path, shape: tuple[int, ...] = (4, 4)) -> None:
    """A segment that nobody has written or read, and so without semaphores."""
    geometry = Geometry(Layout.FIFO, 3, shape, 1, 0)
    path.write_bytes(fresh_metadata(str(path), geometry).ljust(geometry.file_bytes, b"\0"))


def names(host: Host) -> set[str]:
    return {each["name"] for each in host.status()["segments"]}


def shape_of(host: Host, name: str) -> object:
    return next((each["shape"] for each in host.status()["segments"] if each["name"] == name), None)


def wait_for(host: Host, *expected: str, timeout_s: float = FOUND_S) -> None:
    wait_until(lambda: names(host) == set(expected), timeout_s, f"{host.name} to have {expected}")


def wait_without_scan(host: Host, *expected: str) -> None:
    """As ``wait_for``, and sooner than the slow scan could have helped."""
    began_s = time.monotonic()
    wait_for(host, *expected, timeout_s=5.0)
    assert time.monotonic() - began_s < 5.0


def test_a_segment_is_found_and_missed_without_being_announced(hosts: Fleet) -> None:
    rts = hosts.rts
    assert rts.status()["segment_folder"]["is_watched"]
    for turn in range(3):  # of which the slow scan can have helped at most one
        put(rts.path("new"), (4, 4 + turn))
        wait_until(lambda: shape_of(rts, "new") == [4, 4 + turn], FOUND_S, "the segment to be found")  # noqa: B023
        rts.path("new").unlink()
        wait_for(rts)


def test_a_segment_that_is_filled_in_through_memory_is_found(hosts: Fleet) -> None:
    """As libdao makes one: created, cut to size by writing its last byte, mapped, filled; and never closed."""
    rts = hosts.rts
    path = rts.path("slow")
    with path.open("w+b", buffering=0) as file:
        file.seek(GEOMETRY.file_bytes - 1)
        file.write(b"\0")
        with mmap.mmap(file.fileno(), 0) as memory:
            wait_until(lambda: rts.status()["segment_folder"]["refused"], FOUND_S, "the half-made file to be seen")
            header = fresh_metadata(str(path), GEOMETRY)
            memory[: len(header)] = header
            wait_for(rts, "slow")
            assert rts.status()["segment_folder"]["refused"] == []


def test_a_file_that_is_renamed_into_the_folder_and_out_of_it_is_noticed(hosts: Fleet) -> None:
    rts = hosts.rts
    elsewhere = rts.folder / "elsewhere.im.shm"
    put(elsewhere)
    elsewhere.rename(rts.path("moved"))
    wait_for(rts, "moved")
    rts.path("moved").rename(rts.path("moved_again"))
    wait_for(rts, "moved_again")
    rts.path("moved_again").rename(elsewhere)
    wait_for(rts)


def test_a_segment_that_changes_its_shape_in_place_is_seen_to(hosts: Fleet) -> None:
    rts = hosts.rts
    put(rts.path("shaped"))
    wait_for(rts, "shaped")
    put(rts.path("shaped"), (5, 6))  # opens with O_TRUNC, as libdao does
    wait_until(lambda: shape_of(rts, "shaped") == [5, 6], FOUND_S, "the new shape")


def test_a_name_that_is_not_utf8_disturbs_nothing(hosts: Fleet) -> None:
    rts = hosts.rts
    path = os.fsencode(rts.segments) + b"/\xff\xfe.im.shm"
    put(rts.path("good"))
    wait_for(rts, "good")
    put(Path(os.fsdecode(path)))
    wait_until(lambda: rts.status()["segment_folder"]["refused"], FOUND_S, "the name to be refused")
    wait_for(rts, "good")
    os.unlink(path)
    wait_until(lambda: not rts.status()["segment_folder"]["refused"], FOUND_S, "the file to be forgotten")


@pytest.mark.parametrize("way", ["removed", "renamed", "led elsewhere"])
def test_the_folder_may_go_and_come(fleet: Fleet, way: str) -> None:
    rts = fleet.add("rts")
    folder, aside = rts.segments, rts.folder / "aside"
    if way == "led elsewhere":
        folder.rename(rts.folder / "real")
        folder.symlink_to(rts.folder / "real")
    put(rts.path("before"))
    rts.start()
    wait_for(rts, "before")
    if way == "removed":
        shutil.rmtree(folder)
    elif way == "renamed":
        folder.rename(aside)
    else:
        (rts.folder / "other").mkdir()
        put(rts.folder / "other" / "after.im.shm")
        (rts.folder / "link").symlink_to(rts.folder / "other")
        (rts.folder / "link").rename(folder)
    if way != "led elsewhere":
        wait_until(lambda: not rts.status()["segment_folder"]["is_watched"], FOUND_S, "the folder to be missed")
        assert "No such file" in rts.status()["segment_folder"]["error"]
        wait_for(rts)
        folder.mkdir()
        wait_until(lambda: rts.status()["segment_folder"]["is_watched"], FOUND_S, "the folder to be watched again")
        assert rts.status()["segment_folder"]["error"] is None
        put(rts.path("after"))
    wait_for(rts, "after")
    put(rts.path("later"))
    wait_without_scan(rts, "after", "later")


def test_more_happens_than_the_kernel_remembers(hosts: Fleet) -> None:
    rts = hosts.rts
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    os.kill(rts.pid, signal.SIGSTOP)
    for number in range(most // 2 + 100):  # each is created and closed, under names that differ
        (rts.segments / f"noise{number}").touch()
    put(rts.path("drowned"))
    os.kill(rts.pid, signal.SIGCONT)
    wait_for(rts, "drowned")
    for path in rts.segments.glob("noise*"):
        path.unlink()


class Counting(SegmentFolder):
    """A folder that counts how often it is looked through, and how often a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.scans = self.looks = 0
        self.stirred = asyncio.Event()

    def scan(self) -> list[str]:
        self.scans += 1
        return super().scan()

    def look(self, name: str) -> tuple[Optional[SegmentFacts], Optional[str]]:
        self.looks += 1
        self.stirred.set()
        return super().look(name)


def test_quiet_segments_are_not_looked_at(tmp_path: Path) -> None:
    count = 2000
    for number in range(count):
        put(tmp_path / f"quiet{number:04}.im.shm")
    told: list[e.SegmentsChanged] = []

    async def watch() -> tuple[int, int]:
        folder = Counting(tmp_path)

        async def until(is_so: Callable[[], bool]) -> None:
            while not is_so():
                folder.stirred.clear()
                await folder.stirred.wait()

        loop = asyncio.get_running_loop()
        broken = loop.create_future()
        desk = DiscoveryDesk(folder, told.append, broken.set_exception, Told())  # type: ignore[arg-type]
        desk.start()
        await until(lambda: folder.looks == 2 * count)  # two that agree for each
        scans, began_s = folder.scans, time.monotonic()
        for tick in range(400):  # of a quarter of a second each
            desk.tick(began_s + tick / 4)
            await asyncio.sleep(0)
        quiet = folder.scans - scans, folder.looks - 2 * count
        (tmp_path / "log").write_text("other programs' files are not ours to look at")
        put(tmp_path / "new.im.shm")
        await until(lambda: any(facts.name == "new" for each in told for facts in each.found))
        desk.close()
        assert not broken.done()
        return quiet

    scans, looks = asyncio.run(asyncio.wait_for(watch(), 60.0))
    assert 9 <= scans <= 11
    assert looks == 0
    assert len({facts.name for each in told for facts in each.found}) == count + 1
