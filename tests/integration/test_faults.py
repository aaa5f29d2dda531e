"""One thing of a stream breaks: what goes on meanwhile, and that all is right again without anybody's help."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from daosup.adapters.fork_server import LIVED_S
from daosup.core.layout import WRITE
from daosup.errors import SegmentLostError
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.processes_seen import children_of, is_alive, stat_of
from tests.integration.registry_hosts import all_keys, raw
from tests.integration.streams import (
    FOLLOWED_S,
    WHOLE_AGAIN_S,
    filming,
    stream,
    undisturbed,
    wait_for_frames,
    wait_for_value,
)
from tests.waiting import wait_until

# -- processes


@pytest.mark.parametrize("side", ["publisher", "mirror"])
def test_a_killed_worker_is_replaced_and_no_other_stream_notices(hosts: Fleet, side: str) -> None:
    host = hosts.rts if side == "publisher" else hosts.lab
    with stream(hosts, f"hit_{side}") as hit, stream(hosts, f"other_{side}") as other:
        with undisturbed(other), filming(hit.segment):
            wait_for_frames(hit.mirror, 20)
            pid = host.worker_pid(hit.source)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), 2.0, "the worker to be dead")
            wait_for_frames(hit.mirror, 20, WHOLE_AGAIN_S)
            assert host.worker_pid(hit.source) != pid
        row = host.worker(hit.source)
        assert row is not None
        assert row["restarts"] == 1
        assert row["last_exit"] == "killed by SIGKILL"
        hit.mirror.check()


def test_a_mirror_whose_worker_was_killed_while_writing_it_is_whole_again(hosts: Fleet) -> None:
    with stream(hosts, "half", (2048, 1024)) as half:
        with filming(half.segment, 0.01):
            pid = hosts.lab.worker_pid(half.source)

            def is_writing() -> bool:
                os.kill(pid, signal.SIGSTOP)
                wait_until(lambda: stat_of(pid)[0] == "T", 2.0, "the worker to stop")
                if half.mirror.metadata_block(0)[WRITE]:
                    return True
                os.kill(pid, signal.SIGCONT)
                return False

            wait_until(is_writing, 20.0, "the worker to be caught while writing")
            os.kill(pid, signal.SIGKILL)
            wait_for_frames(half.mirror, 5, WHOLE_AGAIN_S)
        row = hosts.lab.worker(half.source)
        assert row is not None
        assert row["restarts"] == 1
        half.check_going()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_fork_servers_that_are_gone_cost_no_worker_and_new_ones_are_started(fleet: Fleet, number: int) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "one") as one, stream(fleet, "two") as two:
        with undisturbed(one), undisturbed(two):
            for host in (fleet.rts, fleet.lab):
                os.kill(int(stat_of(host.worker_pid(one.source))[1]), number)
            with stream(fleet, "three") as three:
                three.check_going()
        for host in (fleet.rts, fleet.lab):
            pid = host.worker_pid(two.source)
            os.kill(pid, signal.SIGKILL)
            host.worker_pid(two.source, other_than=pid)
            two.check_going()


def test_a_fork_server_that_is_killed_is_followed_by_another_before_it_is_needed(fleet: Fleet) -> None:
    fleet.start("rts")
    supervisor = fleet.rts.pid
    (server,) = wait_until(lambda: children_of(supervisor, "dao-fork-server"), 5.0, "the fork server")
    began_s = time.monotonic()
    wait_until(lambda: time.monotonic() > began_s + LIVED_S, 10.0, "the fork server to have lived")
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_alive(server), 5.0, "it to be dead")
    wait_until(lambda: children_of(supervisor, "dao-fork-server"), 5.0, "another one")


# -- the registry


@pytest.mark.parametrize("away_s", [0.0, 3.0])
def test_streams_go_on_while_redis_is_away_and_an_empty_one_is_filled_again(fleet: Fleet, away_s: float) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, undisturbed(wfs):
        before = all_keys(fleet.redis.address)
        fleet.redis.stop()
        until_s = time.monotonic() + away_s
        while time.monotonic() < until_s:
            wait_for_frames(wfs.mirror, 3)
        fleet.redis.start()
        for host in fleet.hosts.values():
            host.wait_up()
        wait_until(lambda: all_keys(fleet.redis.address) >= before, 5.0, "everything to be registered again")
        wait_until(lambda: fleet.rts.status()["segments"][0]["readers"] == ["lab"], 5.0, "rts to know its reader")
        # Long enough for every poll to have looked: a reader that had not come back would be dropped now.
        wait_for_frames(wfs.mirror, 60, 10.0)
    with stream(fleet, "after") as after:
        after.check_going()


def test_a_flushed_redis_is_filled_again_and_no_stream_notices(fleet: Fleet) -> None:
    fleet.start("rts", "lab")
    with stream(fleet, "wfs") as wfs, undisturbed(wfs):
        before = all_keys(fleet.redis.address)
        raw(fleet.redis.address, ("FLUSHALL",))
        wait_until(lambda: all_keys(fleet.redis.address) >= before, 15.0, "everything to be registered again")
        wait_for_frames(wfs.mirror, 60, 10.0)


# -- the segment


@pytest.mark.parametrize("is_in_place", [True, False], ids=["truncated", "unlinked"])
def test_a_source_made_anew_otherwise_is_followed(hosts: Fleet, is_in_place: bool) -> None:
    with stream(hosts, f"changing{is_in_place:d}", (6, 7)) as changing:
        old = Segment.open(changing.mirror.path, writable=False)
        path = changing.segment.path
        changing.segment.close()
        if is_in_place:
            twin = Segment.create(hosts.rts.segments / "twin", (3, 4, 5), "float64", keywords=2)
            with open(twin.path, "rb") as new, open(path, "wb") as target:  # 'wb' is libdao's O_TRUNC
                target.write(new.read())
            twin.unlink()
            twin.close()
        else:
            os.unlink(path)
            Segment.create(path, (3, 4, 5), "float64", keywords=2).close()
        changing.segment = Segment.open(path)
        changing.segment.write(np.full((3, 4, 5), 2.5))

        def is_followed() -> bool:
            mirror = changing.reopen()
            return (mirror.shape, mirror.dtype) == ((3, 4, 5), np.float64) and mirror.counter > 0

        wait_until(is_followed, FOLLOWED_S, "the mirror to follow")
        assert (changing.mirror.read() == 2.5).all()
        with pytest.raises(SegmentLostError):
            old.check()
        old.close()
        changing.check_going()


def test_a_source_made_anew_alike_keeps_its_mirror(hosts: Fleet) -> None:
    with stream(hosts, "alike") as alike:
        alike.segment.write(np.full((16, 16), 9, "uint16"))
        wait_for_value(alike.mirror, 9)
        counter = alike.mirror.counter
        alike.segment.close()
        os.unlink(hosts.rts.path("alike"))
        alike.segment = Segment.create(hosts.rts.path("alike"), (16, 16), "uint16")
        alike.segment.write(np.full((16, 16), 10, "uint16"))
        wait_for_value(alike.mirror, 10, FOLLOWED_S)
        assert alike.mirror.counter == counter + 1
        alike.mirror.check()


def test_a_source_that_goes_leaves_its_last_frame_and_comes_back(hosts: Fleet) -> None:
    with stream(hosts, "leaving") as leaving:
        leaving.segment.write(np.full((16, 16), 3, "uint16"))
        wait_for_value(leaving.mirror, 3)
        leaving.segment.unlink()
        leaving.segment.close()
        wait_until(lambda: not hosts.rts.status()["segments"], 5.0, "the owner to see that it is gone")
        wait_until(lambda: leaving.mirror.keywords["NET_LINK"] == 0, 10.0, "the mirror to be marked stale")
        assert (leaving.mirror.read() == 3).all()
        leaving.mirror.check()
        leaving.segment = Segment.create(hosts.rts.path("leaving"), (16, 16), "uint16")
        leaving.check_going()
        wait_until(lambda: leaving.mirror.keywords["NET_LINK"] == 1, 3.0, "the mirror to be marked fresh")


def test_a_mirrors_file_that_somebody_removed_is_made_anew(hosts: Fleet) -> None:
    with stream(hosts, "removed") as removed:
        removed.check_going()
        os.unlink(removed.mirror.path)
        with pytest.raises(SegmentLostError):
            removed.mirror.check()
        removed.reopen()
        removed.check_going()


def refused_by(host: Host) -> list[str]:
    return [each["name"] for each in host.status()["segment_folder"]["refused"]]


def test_files_that_are_no_segments_are_told_of_once_and_disturb_nothing(hosts: Fleet) -> None:
    with stream(hosts, "good") as good:
        folder = hosts.rts.segments
        junk = {
            name: folder / f"{name}.im.shm" for name in ("fifo", "folder", "junk", "empty", "cut", "locked", "loop")
        }
        with undisturbed(good):
            os.mkfifo(junk["fifo"])
            junk["folder"].mkdir()
            junk["junk"].write_bytes(os.urandom(10_000))
            junk["empty"].touch()
            junk["cut"].write_bytes(hosts.rts.path("good").read_bytes()[:-1])
            junk["locked"].write_bytes(b"no")
            junk["locked"].chmod(0)
            junk["loop"].symlink_to(junk["loop"])
            refused = wait_until(lambda: len(refused_by(hosts.rts)) >= 6 and refused_by(hosts.rts), 5.0, "the refusals")
            for _ in range(5):
                hosts.rts.call("register")
            assert refused_by(hosts.rts) == refused
        (segment,) = hosts.rts.status()["segments"]
        assert segment["name"] == "good"
        for name in junk.keys() - {"loop"}:
            assert hosts.rts.log.count(f"file={name}.im.shm") == 1, name
        for name, path in junk.items():
            path.rmdir() if name == "folder" else path.unlink()
