"""DAO's network service on a host whose interface comes late, or is made anew; each in a network of its own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daosup.adapters.dnet_listening import open_channel
from daosup.core.dnet_catalogue import MOST_BEACON_BYTES, Beacon, decode_beacon
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.workers.gate import BeaconSender
from daosup.workers.orders import GateOrder
from tests.networks import add_interface, ip, own_network, takes_networks

pytestmark = takes_networks

GROUP, PORT = "239.255.77.10", 7711
LAN = "10.77.0.1"
BEACON = Beacon("dao", "rts", 7710, 1)


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[BeaconSender]:
    key = WorkerKey(WorkerKind.GATE, Source.parse("rts:gate"))
    with closing(BeaconSender(GateOrder(key, tmp_path, "*", 7710, "dao", "rts", GROUP, PORT, LAN, 1))) as made:
        yield made


def heard(channel: socket.socket) -> Beacon:
    channel.settimeout(10.0)
    return decode_beacon(channel.recv(MOST_BEACON_BYTES))


def test_beacons_are_sent_by_an_interface_that_comes_after_the_gate_and_is_made_anew(sender: BeaconSender) -> None:
    add_interface("wan0", "10.78.0.1")
    ip("route add default dev wan0")
    why_not = f"no beacon can be sent to {GROUP} by {LAN}: {os.strerror(errno.EADDRNOTAVAIL)}"
    with open_channel(GROUP, PORT, "10.78.0.1") as elsewhere:
        assert sender.send(BEACON) == why_not
        with pytest.raises(BlockingIOError):
            elsewhere.recv(MOST_BEACON_BYTES)
    for _ in range(2):
        add_interface("lan0", LAN)
        with open_channel(GROUP, PORT, LAN) as channel:
            assert sender.send(BEACON) is None
            assert heard(channel) == BEACON
        ip("link delete lan0")
        assert sender.send(BEACON) == why_not
