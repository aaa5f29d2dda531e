"""The gate: this host as a node of DAO's network service. It says what there is, and hands who wants it to publishers.

Invariants: the beacon is sent by the process that answers, so a node that is heard can be asked; no frame goes through
here, so that a gate that dies or hangs touches no stream; what the catalogue lists is what the supervisor says may be
published, as its files are now.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Optional

from daosup.core.dnet_catalogue import Beacon, Catalogue, Listed, encode_beacon, encode_catalogue
from daosup.core.dnet_lines import Subscription
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.errors import SegmentError, UnavailableError
from daosup.shm.memory import examine, open_file
from daosup.stream.gate_listener import GateListener
from daosup.stream.handing import hand_over, place_of
from daosup.workers.orders import GateOrder
from daosup.workers.records import page_name
from daosup.workers.statistics import StatisticsPage

#: In the folder of the workers' files: what there is, as the supervisor writes it.
LISTED_NAME = "dnet.segments"
BEACON_S = 1.0
#: The page is stamped, and the list looked at, so often.
_LOOK_S = 0.25
#: The supervisor is told again of a publisher that is wanted and not there.
_TELL_S = 0.5


def keep_gate(order: GateOrder, tell: Callable[..., None]) -> None:
    """Be there until stopped.

    Raises:
        UnavailableError: If the data port cannot be had.
    """
    Gate(order, tell).run()


class Gate:
    """One host's gate; ``tell`` is called with an event's name and its facts."""

    def __init__(self, order: GateOrder, tell: Callable[..., None]) -> None:
        self._order, self._tell = order, tell
        self._page = StatisticsPage(order.page)
        self._listed = ListedSegments(order.page.parent)
        self._told: dict[str, float] = {}
        self._listener = GateListener(order.bind, order.port, self._catalogue, self._hand_over)
        self._beacons = BeaconSender(order)
        self._unsent: Optional[str] = None
        self._beacon_s = 0.0

    def run(self) -> None:
        """Answer until stopped."""
        try:
            self._page.has_link = 1
            self._page.stamp_ready(self._listener.port)
            self._tell("ready", port=self._listener.port)
            while True:
                now = time.monotonic()
                self._listed.look()
                if now >= self._beacon_s:
                    self._beacon_s = now + BEACON_S
                    self._say()
                self._listener.wait(now, min(now + _LOOK_S, self._beacon_s))
                self._page.frames, self._page.rejected = self._listener.handed, self._listener.rejected
                self._page.stamp()
        finally:
            self._listener.close()
            self._beacons.close()

    def _say(self) -> None:
        order = self._order
        reason = self._beacons.send(Beacon(order.domain, order.node, self._listener.port, self._listed.version))
        if reason != self._unsent:
            self._unsent = reason
            self._page.has_link = int(reason is None)
            self._tell("beacons", reason=reason)

    def _catalogue(self) -> bytes:
        order, listed = self._order, self._listed
        listed.look()
        return encode_catalogue(Catalogue(order.node, listed.version, order.domain, listed.segments()))

    def _hand_over(self, wanted: Subscription, connection: socket.socket, line: bytes) -> bool:
        """Hand a reader to the publisher of what it wants; False if that has to be started first.

        Raises:
            UnavailableError: If there is no such segment.
        """
        if wanted.name not in self._listed.paths:
            raise UnavailableError(f"{wanted.name[:120]} is not here")
        key = WorkerKey(WorkerKind.PUBLISHER, Source(self._order.key.source.host, wanted.name))
        if hand_over(place_of(self._order.page.with_name(page_name(key))), connection, line):
            self._told.pop(wanted.name, None)
            return True
        now = time.monotonic()
        if now >= self._told.get(wanted.name, 0.0) + _TELL_S:
            self._told[wanted.name] = now
            self._tell("asked", segment=wanted.name)
        return False


class BeaconSender:
    """Says that this host is there, by the interface that was configured or not at all."""

    def __init__(self, order: GateOrder) -> None:
        self._order = order
        self._channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, order.ttl)

    def send(self, beacon: Beacon) -> Optional[str]:
        """Say it once; returns why it could not be said. The network may be down: it is said again in a second."""
        order = self._order
        try:
            if order.interface:  # each time: it may come later than we do, and be made anew
                self._channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(order.interface))
            self._channel.sendto(encode_beacon(beacon), (order.group, order.beacon_port))
        except OSError as error:
            way = f" by {order.interface}" if order.interface else ""
            return f"no beacon can be sent to {order.group}{way}: {error.strerror or error}"
        return None

    def close(self) -> None:
        """Say no more."""
        self._channel.close()


class ListedSegments:
    """What the supervisor says there is.

    Attributes:
        version: Grows with each change.
        paths: The files, by name.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / LISTED_NAME
        self._identity: object = None
        self.version = 0
        self.paths: dict[str, str] = {}

    def look(self) -> None:
        """Read it, if it is another than before."""
        try:
            facts = os.stat(self._file)
            identity = facts.st_ino, facts.st_mtime_ns, facts.st_size
            if identity == self._identity:
                return
            told = json.loads(self._file.read_bytes())
            self._identity, self.version, self.paths = identity, told["version"], told["paths"]
        except (OSError, ValueError, KeyError):
            return  # it is just being made; what was known before is as good

    def segments(self) -> tuple[Listed, ...]:
        """All of them that can be read."""
        found = []
        for name, path in self.paths.items():
            with suppress(SegmentError):
                fd = open_file(path, is_writable=False)
                try:
                    geometry = examine(path, fd)[0]
                finally:
                    os.close(fd)
                found.append(Listed(name, geometry, geometry.keyword_count, geometry.depth))
        return tuple(found)


def write_listed(folder: Path, version: int, paths: dict[str, str]) -> None:
    """Say what there is.

    Raises:
        OSError: If it cannot be written.
    """
    new = folder / f"{LISTED_NAME}-new"
    new.write_text(json.dumps({"version": version, "paths": paths}))
    new.replace(folder / LISTED_NAME)
