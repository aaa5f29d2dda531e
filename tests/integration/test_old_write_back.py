"""Writing back between ours and hosts that run the existing daemon, in both directions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Callable

import numpy as np

from daosup.shm import Segment
from tests.integration.fleet import Fleet
from tests.integration.interop import MakeOld, frames_of, newest, owner_records, segment_of, sources_of
from tests.old_daemon.peer import OldPeer
from tests.waiting import wait_until


def has(segment: Segment, value: int) -> bool:
    return bool((segment.read() == value).all())


def wait_for(segment: Segment, value: int) -> None:
    wait_until(lambda: has(segment, value), 10.0, f"{value} in {segment.path}")


def full(segment: Segment, value: int) -> np.ndarray[Any, Any]:
    return np.full(segment.shape, value, segment.dtype)


def write_first(write: Callable[[], object], is_there: Callable[[], bool]) -> None:
    """Write until it arrives: until the port is subscribed to, what is written is lost, as ever.

    Not again at once: what is on its way when the test goes on would be counted, and an old host overlooks what it
    writes while a frame comes in.
    """

    def arrives() -> bool:
        write()
        with suppress(AssertionError):
            wait_until(is_there, 0.5)
        return is_there()

    wait_until(arrives, 30.0, "the first frame that is written back")


def write_there(segment: Segment, old: OldPeer, source: str, value: int) -> None:
    """Have an old host write into its mirror, and wait until the frame is in ours and has come back to it.

    What it writes just when that comes in it overlooks, as it looks at a counter now and then.
    """
    before = frames_of(old, source)
    old.write(f"remote_{source.replace(':', '_')}", value)
    wait_for(segment, value)
    wait_until(lambda: frames_of(old, source) > before, 5.0, "the frame to come back")


def test_what_an_old_host_writes_into_its_mirror_is_in_our_segment_and_in_our_mirrors(
    fleet: Fleet, make_old: MakeOld
) -> None:
    fleet.start("rts", "lab")
    old = make_old("old")
    with segment_of(fleet.rts, "writable_a") as segment:
        segment.write(full(segment, 1))
        mirror_name = old.mirror("rts:writable_a", bidirectional=True)
        ours = fleet.lab.mirror("rts:writable_a")
        came = frames_of(old, "rts:writable_a")
        write_first(lambda: old.write(mirror_name, 5), lambda: has(segment, 5))
        wait_for(ours, 5)
        wait_until(lambda: frames_of(old, "rts:writable_a") > came, 5.0, "the frame to come back")
        before = segment.counter
        for value in range(10, 40):
            write_there(segment, old, "rts:writable_a", value)
        assert segment.counter == before + 30
        wait_for(ours, 39)
        # And in the other direction, where the old host must not send it back for ever.
        segment.write(full(segment, 50))
        old.wait_for_value(mirror_name, 50)
        write_there(segment, old, "rts:writable_a", 51)
        assert segment.counter == before + 32
        wait_until(lambda: (fleet.rts.worker("rts:writable_a") or {})["written"] >= 32 - 1, 5.0, "them to be counted")
        ours.close()
        old.release("rts:writable_a")


def test_what_we_write_into_our_mirror_is_in_the_old_hosts_segment_once(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("lab")
    owner = make_old("owner")
    owner.create("writable_b", (4, 6), "float32")
    wait_until(lambda: "owner:writable_b" in sources_of(fleet.lab), 10.0, "the segment to be announced")
    path = fleet.lab.call("mirror", source="owner:writable_b", wait_s=20, bidirectional=True)["path"]
    with Segment.open(path, writable=True) as mirror:
        write_first(lambda: mirror.write(full(mirror, 5)), lambda: bool(owner.read("writable_b")["value"] == 5))
        # Where any port will do, it is known only when the mirror runs; and that asks for a stream first.
        *_, record = [each for each in owner_records(fleet, "owner:writable_b") if each["client_hostname"] == "lab"]
        assert record["bidirectional"] is True
        assert record["client_pub_port"] == fleet.lab.worker("owner:writable_b")["port"]  # type: ignore[index]
        before = owner.read("writable_b")["counter"]
        for value in range(10, 40):
            mirror.write(full(mirror, value))
            owner.wait_for_value("writable_b", value)
        assert owner.read("writable_b")["counter"] == before + 30
        owner.write("writable_b", 50)
        wait_until(lambda: newest(fleet.lab, "owner:writable_b") == 50, 10.0, "the owner's own frame")
        mirror.write(full(mirror, 51))
        owner.wait_for_value("writable_b", 51)
        assert owner.read("writable_b")["counter"] == before + 32
    fleet.lab.release("owner:writable_b")


def test_two_old_hosts_and_ours_write_to_one_segment(fleet: Fleet, make_old: MakeOld) -> None:
    fleet.start("rts", "lab")
    old = make_old("old")
    with segment_of(fleet.rts, "writable_c") as segment:
        segment.write(full(segment, 1))
        theirs = old.mirror("rts:writable_c", bidirectional=True)
        path = fleet.lab.call("mirror", source="rts:writable_c", wait_s=20, bidirectional=True)["path"]
        with Segment.open(path, writable=True) as ours:
            write_first(lambda: old.write(theirs, 5), lambda: has(segment, 5))
            for value in range(10, 30, 2):
                ours.write(full(ours, value), wait=True)
                old.wait_for_value(theirs, value)
                write_there(segment, old, "rts:writable_c", value + 1)
                wait_for(ours, value + 1)
            assert has(segment, 29)
        old.release("rts:writable_c")
