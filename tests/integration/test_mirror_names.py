"""Mirrors that are called as their sources, or otherwise: real daemons, and programs that want the same names.

Both hosts are on one machine, so a mirror that is called as its source has that one's semaphores, as a segment of the
same name in another folder of a real host would.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daosup.core.mirror_names import FRESHNESS
from daosup.errors import SegmentLostError, UnavailableError
from daosup.shm import Keyword, Segment
from daosup.shm.making import fresh_metadata
from tests.integration.fleet import Fleet
from tests.integration.mirror_naming import (
    FRAME,
    NOTICED_S,
    check_mirrored,
    ctl,
    opened,
    owned,
    reconfigure,
    semaphores_of,
)
from tests.integration.obstacles import row, wait_for_reason
from tests.integration.registry_hosts import all_keys
from tests.integration.streams import filming, wait_for_frames
from tests.waiting import wait_until

PLAIN = '[mirrors]\nname = "{name}"\n'


@pytest.fixture(autouse=True)
def configured_as_before(hosts: Fleet) -> Iterator[None]:
    yield
    reconfigure(hosts.lab)


def test_a_mirror_that_is_called_as_its_source_is_no_segment_of_its_host(hosts: Fleet) -> None:
    assert reconfigure(hosts.lab, PLAIN) == {"changed": ["mirrors.name"], "needs_restart": []}
    with owned(hosts, "plain") as [segment]:
        made = hosts.lab.call("mirror", source="rts:plain", wait_s=20)
        assert (made["name"], made["path"]) == ("plain", str(hosts.lab.path("plain")))
        check_mirrored(hosts.lab, "plain", segment, 7)
        hosts.lab.call("register")
        hosts.lab.call("reload")  # looks through the whole folder
        assert hosts.lab.status()["segments"] == []
        assert hosts.lab.status()["segment_folder"]["refused"] == []
        assert row(hosts.lab, "rts:plain")["segment"] == "plain"
        assert [key for key in all_keys(hosts.redis.address) if b":lab:shm:plain" in key] == []
        [lab] = [each for each in hosts.rts.call("machines") if each["hostname"] == "lab"]
        assert lab["segments"] == []
        with filming(segment), opened(hosts.lab, "plain") as mirror:
            wait_for_frames(mirror, 50)
        hosts.lab.release("rts:plain")
        wait_until(lambda: not hosts.lab.path("plain").exists(), NOTICED_S, "the mirror's file to be gone")
        # The owner has them as well.
        assert len(semaphores_of("plain")) == 11
        check_going_without_mirror(segment)


def check_going_without_mirror(segment: Segment) -> None:
    with Segment.open(segment.path, writable=False) as reader:
        counter = reader.counter
        segment.write(FRAME + 3)
        assert reader.wait(counter, timeout_s=5.0) == counter + 1


def test_a_program_opens_a_mirror_by_its_source_whatever_it_is_called(hosts: Fleet) -> None:
    reconfigure(hosts.lab, '[mirrors]\nname = "{name}_from_{host}"\n')
    with owned(hosts, "asked"):
        code = "import daosup\nwith daosup.open('rts:asked') as s: print(s.path, s.read().max())"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "DAOSUP_SOCKET": str(hosts.lab.socket)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.stdout == f"{hosts.lab.path('asked_from_rts')} 1\n", done.stderr


def test_a_reload_renames_one_mirror_and_its_readers_see_the_old_file_lost(hosts: Fleet) -> None:
    with owned(hosts, "renamed", "steady") as [segment, _]:
        old = hosts.lab.mirror("rts:renamed")
        other = hosts.lab.mirror("rts:steady")
        other_pid = hosts.lab.worker_pid("rts:steady")
        changed = reconfigure(hosts.lab, '[[mirror]]\nsource = "rts:renamed"\nname = "the_new_one"\n')
        assert changed["changed"] == ["mirror"]
        check_mirrored(hosts.lab, "the_new_one", segment, 5)
        with pytest.raises(SegmentLostError):
            old.check()
        assert old.keywords["NET_LINK"] == 0
        old.close()
        assert not hosts.lab.path("remote_rts_renamed").exists()
        assert semaphores_of("remote_rts_renamed") == set()
        assert row(hosts.lab, "rts:renamed")["segment"] == "the_new_one"
        reconfigure(hosts.lab)
        check_mirrored(hosts.lab, "remote_rts_renamed", segment, 6)
        assert not hosts.lab.path("the_new_one").exists()
        assert semaphores_of("the_new_one") == set()
        other.check()
        assert hosts.lab.worker_pid("rts:steady") == other_pid
        other.close()


def test_two_mirrors_swap_their_names_and_no_reader_sees_the_wrong_one(hosts: Fleet) -> None:
    def tables(first: str, second: str) -> str:
        return (
            f'[[mirror]]\nsource = "rts:left"\nname = "{first}"\n[[mirror]]\nsource = "rts:right"\nname = "{second}"\n'
        )

    with owned(hosts, "left", "right") as [left, right]:
        reconfigure(hosts.lab, tables("one", "two"))
        check_mirrored(hosts.lab, "one", left, 11)
        check_mirrored(hosts.lab, "two", right, 22)
        with opened(hosts.lab, "one") as one, opened(hosts.lab, "two") as two:
            reconfigure(hosts.lab, tables("two", "one"))
            check_swapped = [("one", right, 23), ("two", left, 12)]
            wait_until(lambda: not is_there(one) and not is_there(two), NOTICED_S, "both old files to be lost")
            for name, segment, value in check_swapped:
                check_mirrored(hosts.lab, name, segment, value)
            # Who has an old file open sees what was in it last, in a view, and that it is lost when it reads.
            assert (one.view().max(), two.view().max()) == (11, 22)
            for lost in (one, two):
                assert lost.keywords["NET_LINK"] == 0
                with pytest.raises(SegmentLostError):
                    lost.read()
        reconfigure(hosts.lab)


def is_there(segment: Segment) -> bool:
    try:
        segment.check()
    except SegmentLostError:
        return False
    return True


# -- who else may have the name


def test_a_segment_of_this_host_comes_first_and_its_end_heals_the_mirror(hosts: Fleet) -> None:
    with owned(hosts, "wanted") as [segment]:
        local = hosts.lab.create("mine")
        local.write(FRAME + 99)
        reconfigure(hosts.lab, '[[mirror]]\nsource = "rts:wanted"\nname = "mine"\n')
        reason = wait_for_reason(hosts.lab, "rts:wanted", "segment mine of this host has that name")
        assert reason == "it would be called mine, and segment mine of this host has that name; rename one of the two"
        assert row(hosts.lab, "rts:wanted")["state"] == "waiting"
        with pytest.raises(UnavailableError, match="segment mine of this host has that name"):
            hosts.lab.call("mirror", source="rts:wanted", wait_s=20)
        assert (local.read() == 99).all()
        local.unlink()
        local.close()
        check_mirrored(hosts.lab, "mine", segment, 4)
        reconfigure(hosts.lab)


def make_in_place(path: Path) -> None:
    """As libdao makes a segment: in the file that is there, cut to nothing and filled in step by step."""
    with Segment.create(path.with_name("pattern.im.shm"), FRAME.shape, "uint16", keywords=len(FRESHNESS)) as pattern:
        geometry = pattern.geometry
        pattern.unlink()
    with path.open("wb") as file:
        file.truncate(geometry.file_bytes)
        file.write(fresh_metadata(str(path), geometry))


def make_anew(path: Path) -> None:
    Segment.create(path, FRAME.shape, "uint16", keywords=len(FRESHNESS)).close()


@pytest.mark.parametrize("make", [make_in_place, make_anew])
@pytest.mark.parametrize("is_written", [True, False], ids=["flowing", "resting"])
def test_a_program_that_makes_a_segment_of_the_mirrors_name_has_it_for_itself(
    hosts: Fleet, make: Any, is_written: bool
) -> None:
    name = f"source_{make.__name__}_{is_written:d}"
    with owned(hosts, name) as [segment]:
        path = hosts.lab.path(f"taken_{name}")
        reconfigure(hosts.lab, f'[[mirror]]\nsource = "rts:{name}"\nname = "taken_{name}"\n')
        check_mirrored(hosts.lab, f"taken_{name}", segment, 4)
        with filming(segment) if is_written else filming(segment, 3600.0):
            make(path)
            with Segment.open(path, writable=True) as local:
                local.write(FRAME + 500)
                hosts.lab.wait_for_segment(f"taken_{name}")  # it is a segment of this host, and published
                wait_for_reason(hosts.lab, f"rts:{name}", f"segment taken_{name} of this host has that name")
                wait_until(lambda: row(hosts.lab, f"rts:{name}")["state"] == "waiting", NOTICED_S, "the mirror to wait")
                local.check()
                before = local.counter
                local.write(FRAME + 501)
                assert local.counter == before + 1
                assert (local.read() == 501).all()
                # Whatever was written before the mirror's process noticed: the file is the program's alone now.
                assert "NET_LINK" not in local.keywords
                local.unlink()
        check_mirrored(hosts.lab, f"taken_{name}", segment, 5)
        reconfigure(hosts.lab)


def test_a_file_that_is_no_mirror_is_left_alone_under_a_name_that_is_not_the_mirrors_own(hosts: Fleet) -> None:
    place = hosts.lab.path("notes")
    place.write_bytes(b"my notes")
    with owned(hosts, "noted") as [segment]:
        reconfigure(hosts.lab, '[[mirror]]\nsource = "rts:noted"\nname = "notes"\n')
        wait_for_reason(hosts.lab, "rts:noted", str(place), "cannot be made there", "give the mirror another name")
        pid = row(hosts.lab, "rts:noted")["pid"]
        assert place.read_bytes() == b"my notes"
        place.unlink()
        check_mirrored(hosts.lab, "notes", segment, 8)
        assert row(hosts.lab, "rts:noted")["pid"] == pid
        reconfigure(hosts.lab)


def test_a_segment_that_only_copied_a_mirrors_keywords_is_a_segment_of_its_host(hosts: Fleet) -> None:
    with owned(hosts, "copied"):
        mirror = hosts.lab.mirror("rts:copied")
        keywords = [each for each in mirror.keywords.slots() if each is not None]
        mirror.close()
        assert keywords[0] == Keyword("NET_REPLICA", 1, "remote_rts_copied mirrors rts:copied")
        derived = hosts.lab.create("derived", keywords=keywords)
        assert [each["name"] for each in hosts.lab.status()["segments"]] == ["derived"]
        derived.unlink()
        derived.close()


def test_the_second_of_two_mirrors_of_one_name_waits_for_the_first(hosts: Fleet) -> None:
    reconfigure(hosts.lab, PLAIN)
    third = hosts.add("obs")
    third.start()
    with owned(hosts, "twin") as [segment]:
        # On one machine two segments of one name share their semaphores; that is all that they share.
        other = third.create("twin")
        other.write(FRAME + 77)
        hosts.lab.call("mirror", source="rts:twin", wait_s=20)
        hosts.lab.call("keep", source="obs:other")
        check_mirrored(hosts.lab, "twin", segment, 7)
        done = subprocess.run(
            [sys.executable, "-m", "daosup.ctl", "--socket", str(hosts.lab.socket), "mirror", "obs:twin"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert "obs:twin and rts:twin would both be mirrored as twin" in done.stderr
        hosts.lab.release("rts:twin")
        hosts.lab.call("mirror", source="obs:twin", wait_s=20)
        check_mirrored(hosts.lab, "twin", other, 78)
        hosts.lab.release("obs:twin")
        hosts.lab.release("obs:other")
        other.unlink()
        other.close()
    third.signal(signal.SIGTERM)
    del hosts.hosts["obs"]


def test_one_of_the_configuration_is_named_there(hosts: Fleet) -> None:
    reconfigure(hosts.lab, '[[mirror]]\nsource = "rts:configured"\n')
    done = ctl(hosts.lab, "mirror", "rts:configured", "--as", "mine")
    assert done.returncode == 77
    assert "rts:configured is in the configuration" in done.stderr
    assert "give it a name in its [[mirror]]" in done.stderr
