"""Mirrors that are called otherwise, over crashes, restarts and reloads of the daemon that has them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from daosup.core.mirror_names import FRESHNESS
from daosup.shm import Keyword, Segment
from daosup.shm.making import unlink_segment, unlink_semaphores
from tests.integration.fleet import Fleet
from tests.integration.mirror_naming import (
    NOTICED_S,
    check_mirrored,
    configure,
    ctl,
    owned,
    reconfigure,
    semaphores_of,
)
from tests.waiting import wait_until


@pytest.fixture
def hosts(fleet: Fleet) -> Fleet:
    """Daemons of this test alone, for it ends them."""
    fleet.start("rts", "lab")
    return fleet


@pytest.fixture
def named_here(hosts: Fleet) -> Iterator[tuple[Fleet, Segment]]:
    with owned(hosts, "lasting") as [segment]:
        reconfigure(hosts.lab, '[mirrors]\nname = "{name}_here"\n')
        yield hosts, segment


def test_a_supervisor_that_is_killed_finds_its_mirrors_again_under_their_names(
    named_here: tuple[Fleet, Segment],
) -> None:
    hosts, segment = named_here
    lab = hosts.lab
    lab.call("mirror", source="rts:lasting", wait_s=20)
    check_mirrored(lab, "lasting_here", segment, 3)
    pid, inode = lab.worker_pid("rts:lasting"), os.stat(lab.path("lasting_here")).st_ino
    lab.signal(signal.SIGKILL)
    lab.start()
    assert lab.worker_pid("rts:lasting") == pid
    check_mirrored(lab, "lasting_here", segment, 4)
    assert os.stat(lab.path("lasting_here")).st_ino == inode
    assert lab.status()["segments"] == []
    # One that is called otherwise while nobody supervises is made anew.
    lab.signal(signal.SIGKILL)
    configure(lab, '[mirrors]\nname = "{name}_there"\n')
    lab.start()
    check_mirrored(lab, "lasting_there", segment, 5)
    assert not lab.path("lasting_here").exists()


def test_a_host_that_is_killed_as_a_whole_leaves_no_mirror_of_any_name(named_here: tuple[Fleet, Segment]) -> None:
    hosts, segment = named_here
    lab = hosts.lab
    lab.call("mirror", source="rts:lasting", holder="program", wait_s=20)
    check_mirrored(lab, "lasting_here", segment, 3)
    lab.kill_all()
    assert lab.path("lasting_here").exists()
    lab.start()
    assert lab.status()["segments"] == []
    assert lab.signal(signal.SIGTERM) == 0
    assert not lab.path("lasting_here").exists()
    assert semaphores_of("lasting_here") == set()
    assert lab.left_behind() == []
    lab.start()


def test_a_file_of_which_nothing_is_written_down_any_more_is_taken_up_by_its_source(
    named_here: tuple[Fleet, Segment],
) -> None:
    hosts, segment = named_here
    lab = hosts.lab
    lab.call("mirror", source="rts:lasting", wait_s=20)
    check_mirrored(lab, "lasting_here", segment, 3)
    lab.kill_all()
    for entry in (lab.runtime / "lab.mirrors").iterdir():
        entry.unlink()
    (lab.runtime / "lab.workers" / "mirrors").unlink()
    stranger = lab.path("stranger")
    Segment.create(
        stranger,
        (4, 4),
        "uint16",
        keywords=[Keyword("NET_REPLICA", 1, "stranger mirrors rts:gone"), *[None] * (len(FRESHNESS) - 1)],
    ).close()
    lab.start()
    assert lab.status()["segments"] == []
    assert "mirrors of unknown origin are left alone" in lab.log
    assert stranger.exists()
    inode = os.stat(lab.path("lasting_here")).st_ino
    lab.call("mirror", source="rts:lasting", wait_s=20)
    check_mirrored(lab, "lasting_here", segment, 4)
    assert os.stat(lab.path("lasting_here")).st_ino == inode
    unlink_segment(stranger)
    lab.release("rts:lasting")
    wait_until(lambda: not lab.path("lasting_here").exists(), NOTICED_S, "the mirror's file to be gone")
    # There were some before it was written down, so they may be another's, too.
    assert len(semaphores_of("lasting_here")) == 11
    unlink_semaphores(lab.path("lasting_here"))


def test_a_kept_mirror_is_back_under_its_name(named_here: tuple[Fleet, Segment]) -> None:
    hosts, segment = named_here
    lab = hosts.lab
    assert lab.call("keep", source="rts:lasting")["name"] == "lasting_here"
    check_mirrored(lab, "lasting_here", segment, 3)
    assert lab.signal(signal.SIGTERM) == 0
    assert not lab.path("lasting_here").exists()
    lab.start()
    check_mirrored(lab, "lasting_here", segment, 4)
    lab.release("rts:lasting")
    assert json.loads((lab.state / "lab.json").read_text())["kept_mirrors"] == []


def test_a_mirror_that_is_asked_for_under_a_name_has_it_until_it_is_released(hosts: Fleet) -> None:
    lab = hosts.lab
    with owned(hosts, "given") as [segment]:
        done = ctl(lab, "mirror", "rts:given", "--as", "my_wfs")
        assert done.stdout.startswith("rts:given is mirrored as my_wfs (16x16 uint16): running\n"), done.stderr
        check_mirrored(lab, "my_wfs", segment, 3)
        lab.signal(signal.SIGKILL)
        lab.start()
        pid = lab.worker_pid("rts:given")
        check_mirrored(lab, "my_wfs", segment, 4)
        reconfigure(lab, '[mirrors]\nname = "{name}_of_{host}"\n')
        assert lab.worker_pid("rts:given") == pid
        done = ctl(lab, "mirror", "rts:given", "--as", "{name}_otherwise")
        assert "is mirrored as given_otherwise" in done.stdout, done.stderr
        check_mirrored(lab, "given_otherwise", segment, 5)
        assert not lab.path("my_wfs").exists()
        # A name that cannot be had changes nothing.
        local = lab.create("mine")
        for name, words in (("mine", "segment mine of this host has that name"), ("a/b", "cannot be called 'a/b'")):
            done = ctl(lab, "mirror", "rts:given", "--as", name)
            assert done.returncode != 0
            assert words in done.stderr
        check_mirrored(lab, "given_otherwise", segment, 6)
        local.unlink()
        local.close()
        lab.release("rts:given")
        assert json.loads((lab.state / "lab.json").read_text())["mirror_names"] == {}
        lab.call("mirror", source="rts:given", wait_s=20)
        check_mirrored(lab, "given_of_rts", segment, 7)


def test_one_that_is_kept_under_a_name_waits_for_its_host_and_comes_back_under_it(hosts: Fleet) -> None:
    lab = hosts.lab
    done = ctl(lab, "keep", "rts:later", "--as", "later_here")
    assert done.stdout.startswith("rts:later is kept as later_here from now on: waiting"), done.stderr
    assert lab.signal(signal.SIGTERM) == 0
    lab.start()
    with owned(hosts, "later") as [segment]:
        check_mirrored(lab, "later_here", segment, 3)
    assert json.loads((lab.state / "lab.json").read_text())["mirror_names"] == {}
