"""A host of ours and nodes of DAO's network service: it hears and lists them, mirrors what they have, writes back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from daosup.shm import Segment
from tests.dnet_service.peer import DnetPeer
from tests.integration.commands import daosupctl
from tests.integration.dnet import free_udp_port, nodes
from tests.integration.fleet import Fleet, Host
from tests.integration.interop import newest
from tests.waiting import wait_until

SHAPE = (64, 48)
LONG_S = 20.0


class Pair(NamedTuple):
    """A node, and a host of ours that hears it."""

    cam: DnetPeer
    lab: Host
    fleet: Fleet


@pytest.fixture
def pair(fleet: Fleet, tmp_path: Path) -> Iterator[Pair]:
    port = free_udp_port()
    lab = fleet.add("lab")
    lab.configure(f'[dnet]\nenable = true\nbeacon_port = {port}\ninterface = "127.0.0.1"\n')
    with nodes(tmp_path, port, "cam") as (cam,):
        cam.create("wfs", SHAPE, "float32", keywords={"GAIN": 7})
        cam.write("wfs", 1.0)
        fleet.start("lab")
        wait_until(lambda: [each["segments"] for each in heard(lab)] == [1], LONG_S, "the node's catalogue")
        yield Pair(cam, lab, fleet)
        wait_until(lambda: lab.status()["degraded"] is None, LONG_S, "all to be well in the end")


def heard(host: Host) -> list[dict[str, object]]:
    found: list[dict[str, object]] = host.status()["dnet"]["nodes"]
    return found


def wait_for_value(host: Host, value: float) -> None:
    wait_until(lambda: newest(host, "cam:wfs") == value, LONG_S, f"{value} in the mirror")


def keywords_of(mirror: Segment) -> dict[str, object]:
    return {each.name: each.value for each in mirror.keywords.slots() if each is not None}


def test_what_a_node_has_is_listed(pair: Pair):
    listed = json.loads(daosupctl(pair.lab, "ls", "cam:*", "--json").stdout)
    cam = next(each for each in listed if each["hostname"] == "cam")
    assert cam["role"] == "dnet"
    assert [(each["name"], each["shape"], each["dtype"]) for each in cam["segments"]] == [
        ("wfs", list(SHAPE), "float32")
    ]
    assert "cam:wfs" in daosupctl(pair.lab, "ls").stdout
    assert "heard: cam" in daosupctl(pair.lab, "status").stdout


def test_it_is_mirrored_and_followed(pair: Pair):
    cam, lab, _ = pair
    with lab.mirror("cam:wfs") as mirror:
        assert (mirror.shape, mirror.dtype) == (SHAPE, np.float32)
        wait_for_value(lab, 1.0)
        cam.write("wfs", 2.0)
        wait_for_value(lab, 2.0)
        row = lab.worker("cam:wfs")
        assert row is not None
        assert row["protocol"] == 3
        assert cam.reader_of("wfs")["reader"] == "lab"
    cam.create("wfs", (5,), "uint16")
    cam.write("wfs", 9)
    wait_for_value(lab, 9)
    lab.release("cam:wfs")
    wait_until(lambda: not cam.reader_of("wfs"), LONG_S, "the reader to leave")


def test_keywords_are_followed_between_frames(pair: Pair):
    cam, lab, _ = pair
    with lab.mirror("cam:wfs") as mirror:
        wait_until(lambda: keywords_of(mirror).get("GAIN") == 7, LONG_S, "the keyword")
        cam.tell("keyword", name="wfs", index=0, key="GAIN", value=8)
        wait_until(lambda: keywords_of(mirror)["GAIN"] == 8, LONG_S, "the keyword that changed")
        assert keywords_of(mirror)["NET_LINK"] == 1


def test_a_torn_or_half_frame_is_never_seen(pair: Pair):
    cam, lab, _ = pair
    with lab.mirror("cam:wfs"):
        wait_for_value(lab, 1.0)
        cam.tell("misbehave", name="wfs", is_torn=True)
        cam.write("wfs", 2.0)
        wait_until(lambda: cam.reader_of("wfs").get("frames") == 2, LONG_S, "the torn frame to be sent")
        cam.tell("misbehave", name="wfs", is_torn=False, is_cut=True)
        cam.write("wfs", 3.0)
        wait_for_value(lab, 3.0)  # with the next connection
        cam.write("wfs", 4.0)
        wait_for_value(lab, 4.0)


def test_a_node_that_is_killed_is_followed_when_it_is_back_elsewhere(pair: Pair, tmp_path: Path):
    cam, lab, _ = pair
    port = int(lab.config.read_text().partition("beacon_port = ")[2].split()[0])
    with lab.mirror("cam:wfs") as mirror:
        wait_for_value(lab, 1.0)
        cam.kill()
        wait_until(lambda: keywords_of(mirror)["NET_LINK"] == 0, LONG_S, "the mirror to say that it is stale")
        assert newest(lab, "cam:wfs") == 1.0
    wait_until(lambda: not heard(lab), LONG_S, "the node to be forgotten")
    with nodes(tmp_path, port, "cam") as (again,):
        again.create("wfs", SHAPE, "float32")
        again.write("wfs", 5.0)
        wait_for_value(lab, 5.0)


def test_a_mirrors_process_that_dies_is_replaced(pair: Pair):
    cam, lab, _ = pair
    lab.mirror("cam:wfs").close()
    pid = lab.worker_pid("cam:wfs")
    os.kill(pid, signal.SIGKILL)
    lab.worker_pid("cam:wfs", other_than=pid)
    cam.write("wfs", 2.0)
    wait_for_value(lab, 2.0)


def test_it_is_mirrored_while_the_registry_is_away(pair: Pair):
    cam, lab, fleet = pair
    fleet.redis.stop()
    wait_until(lambda: lab.status()["registry"]["state"] != "up", LONG_S, "the registry to be missed")
    lab.mirror("cam:wfs").close()
    cam.write("wfs", 2.0)
    wait_for_value(lab, 2.0)
    assert "cam:wfs" in daosupctl(lab, "ls").stdout
    fleet.redis.start()
    wait_until(lambda: lab.status()["registry"]["state"] == "up", LONG_S, "the registry")
    assert lab.worker("cam:wfs") is not None


def test_what_is_written_into_a_mirror_is_written_there_once(pair: Pair):
    cam, lab, _ = pair
    made = lab.call("mirror", source="cam:wfs", wait_s=20, bidirectional=True)
    wait_for_value(lab, 1.0)
    with Segment.open(made["path"], writable=True) as mirror:
        before = cam.read("wfs")["counter"]
        for value in (10.0, 11.0, 12.0):
            mirror.write(np.full(SHAPE, value, np.float32))
            cam.wait_for_value("wfs", value)
        assert cam.read("wfs")["counter"] == before + 3
        wait_until(lambda: (lab.worker("cam:wfs") or {}).get("echoes") == 3, LONG_S, "the echoes")
        counter = mirror.counter
        cam.write("wfs", 20.0)
        wait_for_value(lab, 20.0)
        assert mirror.counter == counter + 1
    assert cam.reader_of("wfs")["ignored"] == 0


def test_large_frames_are_written_back_whole(pair: Pair):
    cam, lab, _ = pair
    cam.create("big", (2048, 2048), "float32")
    cam.write("big", 1.0)
    wait_until(lambda: [each["segments"] for each in heard(lab)] == [2], LONG_S, "the second segment")
    made = lab.call("mirror", source="cam:big", wait_s=20, bidirectional=True)
    with Segment.open(made["path"], writable=True) as mirror:
        for value in (2.0, 3.0):
            mirror.write(np.full(mirror.shape, value, np.float32))
            cam.wait_for_value("big", value)


@pytest.mark.parametrize(
    "text",
    [
        "DAONET 1 domain=dao node=../x port=1 catalog=1",
        "DAONET 1 domain=other node=cam port=7710 catalog=9",
        "DAONET 2 domain=dao node=cam port=7710 catalog=9",
        "\x00" * 500,
        "DAONET 1 domain=dao node=lab port=1 catalog=1",
    ],
)
def test_strange_beacons_change_nothing(pair: Pair, text: str):
    cam, lab, _ = pair
    cam.tell("misbehave", beacon=text)
    wait_until(lambda: not heard(lab), LONG_S, "a node that says nothing of use to be forgotten")
    cam.tell("misbehave", beacon=None)
    wait_until(lambda: [each["node"] for each in heard(lab)] == ["cam"], LONG_S, "the node to be heard again")
