"""DAO's network service on a host whose interface comes late, or is made anew; each in a network of its own."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daosup.adapters.dnet_listening import join, open_channel
from daosup.config.dnet import DnetConfig
from daosup.core.dnet_catalogue import MOST_BEACON_BYTES, Beacon, decode_beacon
from daosup.core.dnet_nodes import Nodes
from daosup.core.notices import dnet as notices
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.supervisor import dnet_desk
from daosup.supervisor.dnet_desk import AGAIN_S, DnetDesk
from daosup.workers.gate import BeaconSender
from daosup.workers.orders import GateOrder
from tests.networks import add_interface, ip, own_network, takes_networks
from tests.waiting import wait_until

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


class Listening:
    """The desk of rts, at whatever time a test says.

    Attributes:
        heard: Which nodes' beacons came.
        told: What its journal was told.
    """

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        self.told: list[object] = []
        config = DnetConfig(enable=True, group=GROUP, beacon_port=PORT, interface=LAN)
        supervisor = SimpleNamespace(
            config=SimpleNamespace(dnet=config),
            state=SimpleNamespace(
                segments={}, facts=SimpleNamespace(node="rts"), foreign=SimpleNamespace(nodes=Nodes("rts", "dao"))
            ),
            folder=None,
            workers_folder=SimpleNamespace(path=folder),
            journal=SimpleNamespace(tell=lambda notice, **_: self.told.append(notice)),
            post=lambda event: self.heard.append(event.beacon.node),
        )
        self._loop = asyncio.new_event_loop()
        self.desk = DnetDesk(cast(Any, supervisor))

    def _run(self, do: Callable[[], object]) -> None:
        async def doing() -> None:
            do()

        self._loop.run_until_complete(doing())

    def tick(self, now: float) -> None:
        self._run(lambda: self.desk.tick(now))

    @property
    def error(self) -> object:
        status = self.desk.status(0.0)
        assert status is not None
        return status["error"]

    def wait_for(self, sender: BeaconSender, node: str = "cam") -> None:
        """Beacons that are sent now are heard."""
        self.heard.clear()
        assert sender.send(Beacon("dao", node, 7710, 1)) is None
        wait_until(lambda: (self._run(lambda: None), self.heard == [node])[1], what=f"a beacon of {node}")

    def close(self) -> None:
        self._loop.run_until_complete(self.desk.close())
        self._loop.close()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    add_interface("lan0", LAN)
    with closing(Listening(tmp_path)) as made:
        yield made


def test_nodes_are_heard_by_an_interface_that_is_made_anew(listening: Listening, sender: BeaconSender) -> None:
    Path("/proc/sys/net/ipv4/igmp_max_memberships").write_text("2")  # of one socket
    now = time.monotonic()
    listening.tick(now)
    listening.wait_for(sender)
    for _ in range(4):
        ip("link delete lan0")
        add_interface("lan0", LAN)
        now += AGAIN_S
        listening.tick(now)
        listening.wait_for(sender)
    assert listening.told == []


def test_that_nodes_are_not_heard_while_the_interface_is_away_is_told_once(
    listening: Listening, sender: BeaconSender
) -> None:
    now = time.monotonic()
    listening.tick(now)
    ip("link delete lan0")
    for times in (1, 2):
        listening.tick(now + times * AGAIN_S)
        assert listening.error == os.strerror(errno.ENODEV)
    assert listening.told == [notices.NODES_UNHEARD]
    add_interface("lan0", LAN)
    listening.tick(now + 3 * AGAIN_S)
    assert listening.error is None
    listening.wait_for(sender)


def test_a_host_that_hears_its_own_gate_joins_no_group_again(
    listening: Listening, sender: BeaconSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[bool] = []
    monkeypatch.setattr(dnet_desk, "join", lambda *arguments: joined.append(join(*arguments)))
    began_s = time.monotonic()
    listening.tick(began_s)
    listening.wait_for(sender, "rts")
    listening.tick(began_s + AGAIN_S)
    assert joined == []
    listening.tick(time.monotonic() + AGAIN_S)
    assert joined == [False]
    listening.wait_for(sender)
