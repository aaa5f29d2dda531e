"""A source is changed, spoiled, taken away or closed: its mirror is right again soon after, or says what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daosup.core.layout import CNT0
from daosup.core.mirror_names import FRESHNESS
from daosup.errors import SegmentLostError
from daosup.shm import Segment
from tests.integration.fleet import Fleet
from tests.integration.streams import FOLLOWED_S, filming, stream, wait_for_frames, wait_for_value
from tests.waiting import wait_until

KINDS: dict[str, dict[str, Any]] = {
    "shape": {"shape": (5, 7)},
    "axes": {"shape": (4, 4, 16)},  # as many bytes as before
    "dtype": {"dtype": "int16"},  # likewise
    "larger dtype": {"dtype": "float64"},
    "depth": {"depth": 4},
    "v0": {"layout": "v0"},
    "semreg": {"layout": "semreg"},
    "keywords": {"keywords": 3},
}


def remake(path: Path, is_in_place: bool, **options: Any) -> Segment:
    """Make a segment anew with one thing otherwise, as libdao does it or as we do."""
    settings: dict[str, Any] = {"shape": (16, 16), "dtype": "uint16", **options}
    if not is_in_place:
        os.unlink(path)
        return Segment.create(path, **settings)
    twin = Segment.create(path.with_name("twin_of.im.shm.not"), **settings)
    with open(twin.path, "rb") as new, path.open("wb") as target:  # 'wb' is libdao's O_TRUNC
        target.write(new.read())
    twin.unlink()
    twin.close()
    return Segment.open(path)


@pytest.mark.parametrize("is_in_place", [True, False], ids=["in place", "anew"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_source_made_anew_with_another(hosts: Fleet, kind: str, is_in_place: bool) -> None:
    with stream(hosts, f"changed{is_in_place:d}") as changed:
        changed.check_going()
        with Segment.open(changed.mirror.path, writable=False) as old:
            changed.segment.close()
            changed.segment = remake(hosts.rts.path(changed.name), is_in_place, **KINDS[kind])
            value = 7 if is_in_place else 9
            changed.segment.write(np.full(changed.segment.shape, value, changed.segment.dtype))
            wait_until(lambda: is_like(changed.reopen(), changed.segment), FOLLOWED_S, "the mirror to follow")
            wait_for_value(changed.mirror, value)
            # Who has the former mirror open can notice: it is another file, and says that it is stale for ever.
            with pytest.raises(SegmentLostError):
                old.check()
            assert old.keywords["NET_LINK"] == 0
            counter = old.counter
            changed.check_going()
            assert old.counter == counter
            assert changed.mirror.keywords["NET_LINK"] == 1


def is_like(mirror: Segment, source: Segment) -> bool:
    ours, theirs = mirror.geometry, source.geometry
    return (ours.shape, ours.dtype, ours.layout, ours.depth) == (
        theirs.shape,
        theirs.dtype,
        theirs.layout,
        theirs.depth,
    ) and ours.keyword_count == theirs.keyword_count + len(FRESHNESS)


def cut_to(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


SPOILED: dict[str, Callable[[Path], None]] = {
    "truncated to nothing": cut_to(0),
    "truncated to a header": cut_to(4304),
    "truncated to half": cut_to((4304 + 512) // 2),
    "truncated in the data": cut_to(4304 + 100),
    "lengthened": cut_to(10_000),
    "replaced by garbage": lambda path: replace(path, os.urandom(20_000)),
    "overwritten by garbage": lambda path: path.write_bytes(os.urandom(4304 + 512)) and None,
    "replaced by a folder": lambda path: path.unlink() or path.mkdir(),
    "replaced by a pipe": lambda path: path.unlink() or os.mkfifo(path),
    "replaced by a loop": lambda path: path.unlink() or path.symlink_to(path),
}


def replace(path: Path, raw: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(raw)
    new.rename(path)


@pytest.mark.parametrize("is_for_long", [False, True], ids=["shortly", "for long"])
@pytest.mark.parametrize("how", SPOILED)
def test_a_source_that_is(hosts: Fleet, how: str, is_for_long: bool) -> None:
    rts = hosts.rts
    with stream(hosts, "spoiled") as spoiled:
        spoiled.segment.write(np.full((16, 16), 3, "uint16"))
        wait_for_value(spoiled.mirror, 3)
        path = rts.path("spoiled")
        spoiled.segment.close()
        SPOILED[how](path)
        if is_for_long:
            wait_until(lambda: not rts.status()["segments"], 5.0, "the segment to be missed")
            (refused,) = rts.status()["segment_folder"]["refused"]
            assert refused["name"] == "spoiled"
            assert refused["reason"].startswith(f"{path}: ")
            wait_until(lambda: spoiled.mirror.keywords["NET_LINK"] == 0, 10.0, "the mirror to be stale")
        assert (spoiled.mirror.read() == 3).all()
        path.rmdir() if path.is_dir() else path.unlink()
        spoiled.segment = Segment.create(path, (16, 16), "uint16")
        spoiled.check_going(FOLLOWED_S)
        spoiled.mirror.check()
        assert rts.status()["segment_folder"]["refused"] == []


def test_a_source_that_is_cut_and_restored_goes_on(hosts: Fleet) -> None:
    with stream(hosts, "restored") as restored:
        raw = hosts.rts.path("restored").read_bytes()
        restored.segment.close()
        os.truncate(hosts.rts.path("restored"), 100)
        wait_until(lambda: not hosts.rts.status()["segments"], 5.0, "the segment to be missed")
        hosts.rts.path("restored").write_bytes(raw)
        restored.segment = Segment.open(hosts.rts.path("restored"))
        restored.check_going(FOLLOWED_S)


def test_a_source_that_grows_larger_than_its_streams_queues_goes_on(hosts: Fleet) -> None:
    with stream(hosts, "grown", (4, 4)) as grown:
        grown.segment.close()
        grown.segment = remake(hosts.rts.path("grown"), is_in_place=False, shape=(2048, 1024))
        with filming(grown.segment, 0.02):
            wait_until(lambda: is_like(grown.reopen(), grown.segment), FOLLOWED_S, "the mirror to follow")
            wait_for_frames(grown.mirror, 20, 10.0)


def test_the_folder_of_a_source_vanishes_and_comes_back(hosts: Fleet) -> None:
    folder, aside = hosts.rts.segments, hosts.rts.folder / "aside"
    with stream(hosts, "away") as away:
        away.check_going()
        folder.rename(aside)
        wait_until(lambda: not hosts.rts.status()["segments"], 5.0, "the segments to be missed")
        assert "No such file" in hosts.rts.status()["segment_folder"]["error"]
        aside.rename(folder)
        away.check_going(FOLLOWED_S)
        shutil.move(folder, aside)
        folder.mkdir()
        away.segment.close()
        away.segment = Segment.create(hosts.rts.path("away"), (16, 16), "uint16")
        away.check_going(FOLLOWED_S)
        shutil.rmtree(aside)


@pytest.mark.parametrize("transport", ["direct", "zmq"])
def test_a_counter_that_is_garbage_ends_no_worker(hosts: Fleet, transport: str) -> None:
    source = hosts.rts.create(f"garbage_{transport}", (4, 4), layout="v0")
    name = f"rts:garbage_{transport}"
    source.write(np.full((4, 4), 1, "uint16"))
    asked = hosts.lab.call("mirror", source=name, transport=transport, wait_s=20)
    with Segment.open(asked["path"], writable=False) as mirror:
        wait_for_value(mirror, 1)
        pids = [host.worker_pid(name) for host in (hosts.rts, hosts.lab)]
        set_counter(hosts.rts.path(f"garbage_{transport}"), 2**63 + 4)
        source.write(np.full((4, 4), 2, "uint16"))
        wait_until(lambda: (row := hosts.rts.worker(name)) and row["skipped"] > 2**62, 5.0, "the publisher to see it")
        set_counter(hosts.rts.path(f"garbage_{transport}"), 100)
        source.write(np.full((4, 4), 3, "uint16"))
        wait_for_value(mirror, 3)
        wait_until(lambda: mirror.keywords["NET_SRC_CNT"] == 101, what="the mirror to say so")
        assert [host.worker_pid(name) for host in (hosts.rts, hosts.lab)] == pids
    hosts.remove(name, source)


def set_counter(path: Path, counter: int) -> None:
    with path.open("r+b") as file:
        file.seek(CNT0)
        file.write(counter.to_bytes(8, "little"))
