"""A host that is killed as a whole: the next start finds what it left, takes up what is wanted, removes the rest."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from daosup.adapters.leftovers import MirrorLedger
from daosup.adapters.segment_folder import SegmentFolder
from daosup.core.keys import EVENTS
from daosup.core.mirror import ADOPTED_S
from daosup.core.mirror_names import FRESHNESS
from daosup.core.types import Source
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from daosup.shm.mirror_mark import mark
from tests.integration.fleet import Fleet, Host
from tests.integration.registry_hosts import all_keys
from tests.integration.streams import stream
from tests.waiting import wait_until

#: A program has 30 s to come back.
REMOVED_S = ADOPTED_S + 15.0
SOURCE = Source("rts", "wfs")


def kill_whole(host: Host) -> None:
    """SIGKILL for the daemon, its fork server and every worker, at once."""
    for _ in range(3):  # whoever was just being forked
        for pid in host.processes():
            os.kill(pid, signal.SIGKILL)
    host.wait()
    wait_until(lambda: not host.processes(), 5.0, "all of the host to be dead")


def shm() -> set[str]:
    return set(os.listdir("/dev/shm"))


def test_a_killed_host_leaves_nothing_that_is_not_wanted_and_gets_back_what_is(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    lab = fleet.lab
    before_shm, before_keys = shm(), all_keys(fleet.redis.address)
    with stream(fleet, "kept") as kept, stream(fleet, "unwanted") as unwanted:
        # Only a program's: what the operator asked for is remembered.
        lab.release(unwanted.source)
        lab.call("mirror", source=unwanted.source, holder="program", wait_s=20)
        kept.segment.write(np.full((16, 16), 5, "uint16"))
        wait_until(lambda: bool((kept.mirror.read() == 5).all()), 5.0, "the frame")
        inode = os.stat(kept.mirror.path).st_ino
        (lab.segments / ".remote_rts_unwanted.im.shm.0a1b2c3d.new").touch()
        kill_whole(lab)
        assert Path(unwanted.mirror.path).exists()
        assert (kept.mirror.read() == 5).all()
        lab.start()
        lab.call("mirror", source=kept.source, wait_s=20)
        wait_until(
            lambda: not [name for name in (*os.listdir(lab.segments), *shm()) if "remote_rts_unwanted" in name],
            REMOVED_S,
            "the other mirror to be removed, with its semaphores and its unfinished file",
        )
        assert [name for name in os.listdir(lab.segments) if "unwanted" in name] == []
        kept.check_going()  # through the file that a reader had open all the time
        assert os.stat(kept.mirror.path).st_ino == inode
    wait_until(lambda: shm() == before_shm, 5.0, "all semaphores to be gone")
    wait_until(lambda: all_keys(fleet.redis.address) <= before_keys | {EVENTS}, 5.0, "all keys to be gone")
    for host in fleet.hosts.values():
        host.signal(signal.SIGTERM)
        assert host.left_behind() == []


def test_a_killed_owner_is_back_with_all_its_streams_and_without_old_keys(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    rts = fleet.rts
    gone = rts.create("gone")
    with stream(fleet, "wfs") as wfs:
        assert b"dao:machines:rts:shm:gone:dtype" in all_keys(fleet.redis.address)
        kill_whole(rts)
        gone.unlink()
        gone.close()
        rts.start()
        wfs.check_going(10.0)
        wait_until(
            lambda: b"dao:machines:rts:shm:gone:dtype" not in all_keys(fleet.redis.address), 5.0, "its keys to be gone"
        )
        assert {each["name"] for each in rts.status()["segments"]} == {"wfs"}


def test_a_mirror_that_is_asked_for_nowhere_goes_also_when_the_next_daemon_stops_at_once(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs:
        kill_whole(fleet.lab)
        fleet.lab.start()
        assert fleet.lab.signal(signal.SIGTERM) == 0
        assert fleet.lab.left_behind() == []
        fleet.lab.start()
        assert not Path(wfs.mirror.path).exists()


# -- what is proof and what is not


def a_mirror(folder: Path, name: str = "remote_rts_wfs", source: str = "rts:wfs") -> Path:
    path = folder / f"{name}.im.shm"
    with Segment.create(path, (4, 4), "uint16", keywords=[mark(name, source), *[None] * (len(FRESHNESS) - 1)]):
        pass
    return path


def a_ledger(folder: Path, path: Path) -> MirrorLedger:
    """As a supervisor finds it that was not the one to write it."""
    assert MirrorLedger(folder / "ledger").note(SOURCE, str(path)) is None
    ledger = MirrorLedger(folder / "ledger")
    assert ledger.find() == (SOURCE,)
    return ledger


def test_what_is_written_down_and_a_mirror_is_removed(tmp_path: Path) -> None:
    path = a_mirror(tmp_path)
    ledger = a_ledger(tmp_path, path)
    assert ledger.strangers(SegmentFolder(tmp_path)) == []
    assert ledger.remove(SOURCE) is None
    assert not path.exists()
    ledger.close()
    assert not (tmp_path / "ledger").exists()
    assert ledger.remove(SOURCE) == "this daosupd did not make it"


def test_a_mirror_that_a_living_process_writes_stays(tmp_path: Path) -> None:
    path = a_mirror(tmp_path)
    ledger = a_ledger(tmp_path, path)
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert "another process writes it" in str(ledger.remove(SOURCE))
    assert path.exists()
    unlink_segment(path)


def test_what_somebody_put_in_a_mirrors_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "remote_rts_wfs.im.shm"
    path.write_bytes(b"my own notes")
    assert "no mirror" in str(a_ledger(tmp_path, path).remove(SOURCE))
    assert path.read_bytes() == b"my own notes"
    path.unlink()
    path.mkdir()
    assert "not a file of this user" in str(a_ledger(tmp_path, path).remove(SOURCE))
    assert path.is_dir()
    path.rmdir()
    target = a_mirror(tmp_path, "wfs")
    path.symlink_to(target)
    assert "not a file of this user" in str(a_ledger(tmp_path, path).remove(SOURCE))
    assert target.exists()
    unlink_segment(target)


def test_a_mirror_that_is_not_written_down_is_a_stranger_and_stays(tmp_path: Path) -> None:
    path = a_mirror(tmp_path)
    (tmp_path / "remote_of_another_program.im.shm").write_bytes(b"?")
    ledger = MirrorLedger(tmp_path / "ledger")
    assert ledger.find() == ()
    assert ledger.strangers(SegmentFolder(tmp_path)) == [str(path)]
    assert ledger.remove(SOURCE) is not None
    assert path.exists()
    unlink_segment(path)


def test_a_ledger_that_is_spoilt_or_anothers_proves_nothing(tmp_path: Path) -> None:
    path = a_mirror(tmp_path)
    folder = tmp_path / "ledger"
    ledger = a_ledger(tmp_path, path)
    entry = folder / str(SOURCE)
    good = entry.read_text()
    spoilt = [
        "",
        "[]",
        "{",
        good[:-9],
        good.replace("/", ""),
        good.replace("rts:wfs", "rts:dm"),
        *(good.replace("remote_rts_wfs", name) for name in ("", ".hidden", "a.b", "a b", "a:b", "x" * 235)),
        good.replace(".im.shm", ""),
    ]
    for said in spoilt:
        entry.write_text(said)
        assert MirrorLedger(folder).find() == (), said
        assert not entry.exists()
    entry.write_text(good)
    folder.chmod(0o777)
    assert MirrorLedger(folder).find() == ()
    folder.chmod(0o700)
    assert MirrorLedger(folder).find() == (SOURCE,)
    assert ledger.remove(SOURCE) is None
    shutil.rmtree(folder)


@pytest.mark.parametrize("source", ["rts:dm", "lab:wfs"])
def test_the_mirror_of_another_source_stays_whatever_is_written_down(tmp_path: Path, source: str) -> None:
    path = a_mirror(tmp_path, "precious", source)
    assert "no mirror" in str(a_ledger(tmp_path, path).remove(SOURCE))
    assert path.exists()
    unlink_segment(path)


# -- under names that others may have


def semaphores_of(name: str) -> set[str]:
    return {each for each in shm() if each.startswith(f"sem.{name}_")}


def test_a_mirror_of_any_name_takes_its_semaphores_along(tmp_path: Path) -> None:
    ledger = MirrorLedger(tmp_path / "ledger")
    path = tmp_path / "plain_leftover.im.shm"
    assert ledger.note(SOURCE, str(path)) is None
    a_mirror(tmp_path, "plain_leftover")
    assert semaphores_of("plain_leftover")
    assert a_ledger_again(tmp_path).remove(SOURCE) is None
    assert not path.exists()
    assert semaphores_of("plain_leftover") == set()


def test_semaphores_that_were_there_before_a_mirror_or_are_anothers_now_stay(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, other in (
        ("shared_before", elsewhere / "shared_before"),
        ("shared_after", tmp_path / "shared_after.more"),
    ):
        with Segment.create(Path(f"{other}.im.shm"), (4, 4), "uint16") as another:
            if name == "shared_after":
                another.unlink()
            assert MirrorLedger(tmp_path / "ledger").note(SOURCE, str(tmp_path / f"{name}.im.shm")) is None
            if name == "shared_after":
                Segment.create(Path(f"{other}.im.shm"), (4, 4), "uint16").close()
        path = a_mirror(tmp_path, name)
        assert a_ledger_again(tmp_path).remove(SOURCE) is None
        assert not path.exists()
        assert semaphores_of(name)
        unlink_segment(Path(f"{other}.im.shm"))


def test_a_mirror_that_is_called_otherwise_leaves_nothing_under_its_old_name(tmp_path: Path) -> None:
    old = a_mirror(tmp_path)
    ledger = a_ledger(tmp_path, old)
    new = str(tmp_path / "renamed_leftover.im.shm")
    assert ledger.note(SOURCE, new) is None
    assert not old.exists()
    assert ledger.note(Source("lab", "wfs"), new) is None  # and what is to have that name now
    assert a_ledger_again(tmp_path).find() == (Source("lab", "wfs"),)


def a_ledger_again(folder: Path) -> MirrorLedger:
    """As the next supervisor finds it."""
    ledger = MirrorLedger(folder / "ledger")
    ledger.find()
    return ledger
