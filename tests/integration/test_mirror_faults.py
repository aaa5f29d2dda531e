"""What keeps a mirror from being made or spoils its file: status says so, and it is right once the cause is over.

File systems that are really full, and files of other users, take root to make.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import numpy as np
import pytest

from daosup.core.mirror_names import FRESHNESS
from daosup.errors import SegmentLostError
from daosup.shm import Segment
from daosup.shm.daoshm import shm
from tests.integration.fleet import Fleet
from tests.integration.obstacles import WITHOUT_OVERRIDE, ask_without_waiting, row, wait_for_reason
from tests.integration.streams import FOLLOWED_S, Stream, filming, stream, wait_for_frames
from tests.mounts import resize, small
from tests.waiting import wait_until


def heal(hosts: Fleet, name: str, words: tuple[str, ...], end: Callable[[], object]) -> None:
    """Ask for a mirror that cannot be made, and see it made by the same process when the cause has ended."""
    source = f"rts:{name}"
    segment = hosts.rts.create(name)
    segment.write(np.full((16, 16), 8, "uint16"))
    with ask_without_waiting(hosts.lab, source) as asking:
        wait_for_reason(hosts.lab, source, *words)
        pid = row(hosts.lab, source)["pid"]
        assert row(hosts.lab, source)["restarts"] == 0
        end()
        assert asking.wait(10.0) == 0
    made = row(hosts.lab, source)
    assert (made["state"], made["reason"], made["pid"]) == ("running", None, pid)
    with Segment.open(hosts.lab.path(f"remote_rts_{name}"), writable=False) as mirror:
        assert (mirror.read() == 8).all()
    hosts.remove(source, segment)


def test_no_space_for_a_mirror(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    ballast = fleet.lab.segments / "ballast"
    size = 4304 + 16 * 16 * 2 + 120 * len(FRESHNESS)
    with small(fleet.lab.segments, "64k"):
        ballast.write_bytes(bytes(64 * 1024))
        heal(fleet, "wfs", ("No space left on device", f"{size} bytes", "has room"), ballast.unlink)


def test_no_space_for_a_mirror_that_grows(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with small(fleet.lab.segments, "128k"), stream(fleet, "wfs") as wfs:
        wfs.check_going()
        with Segment.open(wfs.mirror.path, writable=False) as old:
            wfs.segment.close()
            os.unlink(fleet.rts.path("wfs"))
            wfs.segment = Segment.create(fleet.rts.path("wfs"), (256, 256), "float64")
            wait_for_reason(fleet.lab, wfs.source, "No space left on device")
            assert old.keywords["NET_LINK"] == 0
            resize(fleet.lab.segments, "4m")
            wait_until(lambda: wfs.reopen().shape == (256, 256), FOLLOWED_S, "the larger mirror")
            wfs.check_going()


def test_no_space_for_semaphores(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    segment = fleet.rts.create("wfs")
    segment.write(np.full((16, 16), 8, "uint16"))
    kept = set(os.listdir("/dev/shm"))
    with small(Path("/dev/shm"), "4k"):
        Path("/dev/shm/ballast").write_bytes(bytes(4096))
        with ask_without_waiting(fleet.lab, "rts:wfs") as asking:
            wait_for_reason(fleet.lab, "rts:wfs", "semaphore", "No space left on device")
            assert not [name for name in os.listdir(fleet.lab.segments) if name.startswith("remote_")]
            os.unlink("/dev/shm/ballast")
            resize(Path("/dev/shm"), "4m")
            assert asking.wait(10.0) == 0
        fleet.remove("rts:wfs")
    assert set(os.listdir("/dev/shm")) == kept
    segment.unlink()
    segment.close()


def test_a_folder_in_the_mirrors_place(hosts: Fleet) -> None:
    place = hosts.lab.path("remote_rts_taken")
    place.mkdir()
    heal(hosts, "taken", (str(place), "it is a folder"), place.rmdir)


def test_another_users_file_in_the_mirrors_place(hosts: Fleet) -> None:
    place = hosts.lab.path("remote_rts_owned")
    place.write_bytes(b"mine")
    os.chown(place, 65534, 65534)
    heal(hosts, "owned", (str(place), "belongs to user nobody"), place.unlink)


def test_a_mirror_that_is_released_while_a_folder_lies_in_its_place_leaves_the_folder(hosts: Fleet) -> None:
    with stream(hosts, "put") as put:
        os.unlink(put.mirror.path)
        Path(put.mirror.path).mkdir()
        wait_for_reason(hosts.lab, put.source, "it is a folder")
    assert Path(put.mirror.path).is_dir()
    assert hosts.lab.status()["pid"] == hosts.lab.pid
    Path(put.mirror.path).rmdir()


def test_two_daemons_of_one_machine_do_not_write_one_mirror(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    other = fleet.add("other")
    other.config.write_text(other.config.read_text().replace(str(other.segments), str(fleet.lab.segments)))
    other.start()
    with stream(fleet, "wfs") as wfs:
        with ask_without_waiting(other, wfs.source) as asking:
            wait_for_reason(other, wfs.source, "another process writes this mirror")
            wfs.check_going()
            fleet.lab.release(wfs.source)
            assert asking.wait(15.0) == 0
        wfs.reopen()
        wfs.check_going()


#: What somebody may do to a mirror's file.
SPOILED: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "cut to nothing": lambda path: os.truncate(path, 0),
    "cut to half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "lengthened": lambda path: os.truncate(path, path.stat().st_size + 1),
    "replaced by garbage": lambda path: (path.unlink(), path.write_bytes(os.urandom(9000))),
    "overwritten by garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "replaced by another segment": lambda path: Segment.create(path, (3, 3), "float64").close(),
    "renamed": lambda path: path.rename(path.with_name("remote_renamed.im.shm")),
}


@pytest.mark.parametrize("is_written", [True, False], ids=["flowing", "resting"])
@pytest.mark.parametrize("how", SPOILED)
def test_a_mirrors_file_that_is(hosts: Fleet, how: str, is_written: bool) -> None:
    with stream(hosts, f"struck{is_written:d}") as struck:
        struck.check_going()
        pid = hosts.lab.worker_pid(struck.source)

        def strike() -> None:
            SPOILED[how](Path(struck.mirror.path))
            wait_until(lambda: is_whole(struck), FOLLOWED_S, "the mirror to be made anew")

        if is_written:
            with filming(struck.segment):
                strike()
                wait_for_frames(struck.mirror, 10)
        else:
            strike()
        struck.check_going()
        assert hosts.lab.worker_pid(struck.source) == pid
    hosts.lab.path("remote_renamed").unlink(missing_ok=True)


def is_whole(struck: Stream) -> bool:
    """Whether the mirror is there, with the source's newest frame; looked at as a program that opens it now."""
    mirror = struck.reopen()
    try:
        mirror.check()
        return mirror.shape == (16, 16) and mirror.counter > 0 and mirror.keywords.get("NET_LINK") == 1
    except SegmentLostError:
        return False


def test_a_reader_of_a_removed_mirror_notices_and_follows(hosts: Fleet) -> None:
    with stream(hosts, "watched") as watched, filming(watched.segment):
        wait_for_frames(watched.mirror, 5)
        old = watched.mirror
        daos = shm(str(old.path))  # DAO's own class: it has no check, and sees the counter stop and the keyword fall
        os.unlink(old.path)
        with pytest.raises(SegmentLostError):
            old.check()
        wait_until(lambda: old.keywords["NET_LINK"] == 0, 3.0, "the old file to say that it is stale")
        counter = daos.get_counter()
        watched.mirror = wait_until(lambda: opened(watched), FOLLOWED_S, "the new file")
        old.close()
        wait_for_frames(watched.mirror, 10)
        assert daos.get_counter() == counter
        daos.close()


def opened(watched: Stream) -> Optional[Segment]:
    path = hosts_path(watched)
    return Segment.open(path, writable=False) if path.exists() else None


def hosts_path(watched: Stream) -> Path:
    return watched.hosts.lab.path(f"remote_rts_{watched.name}")


def test_a_source_whose_permissions_are_taken_away_and_given_back(fleet: Fleet) -> None:
    rts = fleet.add("rts")
    rts.launcher = [sys.executable, "-c", WITHOUT_OVERRIDE]
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        wfs.check_going()
        os.chmod(wfs.segment.path, 0)
        wait_until(lambda: not rts.status()["segments"], 5.0, "the segment to be missed")
        (refused,) = rts.status()["segment_folder"]["refused"]
        assert "Permission denied" in refused["reason"]
        wait_until(lambda: wfs.mirror.keywords["NET_LINK"] == 0, 10.0, "the mirror to be stale")
        os.chmod(wfs.segment.path, 0o600)
        wfs.check_going(FOLLOWED_S)
        wfs.mirror.check()
