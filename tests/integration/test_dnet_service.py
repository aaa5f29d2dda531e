"""The stand-in of DAO's network service against itself: it does what is known of the service, weaknesses included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dnet_service.peer import DnetPeer
from tests.integration.dnet import free_udp_port, nodes
from tests.waiting import wait_until

SHAPE = (64, 48)
LONG_S = 30.0


@pytest.fixture
def pair(tmp_path: Path):
    with nodes(tmp_path, free_udp_port(), "cam", "lab") as found:
        cam, lab = found
        cam.create("wfs", SHAPE, "float32", keywords={"GAIN": 7})
        cam.write("wfs", 1.0)
        wait_until(lambda: "wfs" in lab.status()["nodes"].get("cam", {}).get("segments", ()), LONG_S, "wfs to be heard")
        yield found


def test_frames_keywords_and_freshness_arrive(pair: tuple[DnetPeer, DnetPeer]):
    cam, lab = pair
    lab.mirror("cam:wfs")
    lab.wait_for_value("cam_wfs", 1.0)
    cam.write("wfs", 2.0)
    lab.wait_for_value("cam_wfs", 2.0)
    found = lab.read("cam_wfs")
    assert (found["shape"], found["dtype"]) == (list(SHAPE), "float32")
    keywords = found["keywords"]
    assert keywords.pop("NET_SRC_TIME") > 0
    assert keywords.pop("NET_AGE_US") >= 0
    assert keywords == {"GAIN": 7, "NET_REPLICA": 1, "NET_LINK": 1, "NET_DROPPED": 0, "NET_SRC_CNT": 2}
    cam.tell("keyword", name="wfs", index=0, key="GAIN", value=8)
    wait_until(lambda: lab.read("cam_wfs")["keywords"]["GAIN"] == 8, LONG_S, "the keyword")


def test_a_write_reaches_the_owner_and_comes_back_as_echo(pair: tuple[DnetPeer, DnetPeer]):
    cam, lab = pair
    lab.mirror("cam:wfs")
    lab.wait_for_value("cam_wfs", 1.0)
    lab.write("cam_wfs", 5.0)
    cam.wait_for_value("wfs", 5.0)
    wait_until(lambda: lab.status()["mirrored"]["cam:wfs"]["echoes"] == 1, LONG_S, "the echo")
    assert cam.reader_of("wfs")["written"] == 1


def test_a_source_made_anew_is_followed(pair: tuple[DnetPeer, DnetPeer]):
    cam, lab = pair
    lab.mirror("cam:wfs")
    lab.wait_for_value("cam_wfs", 1.0)
    cam.create("wfs", (5,), "uint16")
    cam.write("wfs", 9)
    lab.wait_for_value("cam_wfs", 9)
    assert lab.read("cam_wfs")["shape"] == [5]


def test_torn_frames_are_dropped_and_a_cut_one_is_half_there(pair: tuple[DnetPeer, DnetPeer]):
    cam, lab = pair
    lab.mirror("cam:wfs")
    lab.wait_for_value("cam_wfs", 1.0)
    cam.tell("misbehave", name="wfs", is_torn=True)
    cam.write("wfs", 2.0)
    wait_until(lambda: lab.status()["mirrored"]["cam:wfs"]["torn"] == 1, LONG_S, "a torn frame")
    assert lab.read("cam_wfs")["counter"] == 1
    cam.tell("misbehave", name="wfs", is_torn=False, is_cut=True)
    cam.write("wfs", 3.0)
    wait_until(lambda: lab.status()["mirrored"]["cam:wfs"]["links"] == 2, LONG_S, "the next link")


def test_who_is_not_heard_of_is_forgotten(pair: tuple[DnetPeer, DnetPeer]):
    cam, lab = pair
    cam.tell("misbehave", is_quiet=True)
    wait_until(lambda: "cam" not in lab.status()["nodes"], LONG_S, "cam to be forgotten")


def test_the_silent_lose_their_link(pair: tuple[DnetPeer, DnetPeer]):
    cam, lab = pair
    lab.mirror("cam:wfs")
    cam.tell("misbehave", is_mute=True)
    wait_until(lambda: lab.status()["mirrored"]["cam:wfs"]["links"] == 2, LONG_S, "the next link")
