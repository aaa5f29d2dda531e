"""Nodes of DAO's own network service for tests, in a domain of their own that no other test can hear."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.dnet_service.peer import DnetPeer


def free_udp_port() -> int:
    """A port that no other program has now: where this test's beacons go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def nodes(folder: Path, beacon_port: int, *names: str) -> Iterator[tuple[DnetPeer, ...]]:
    """Run these nodes; in the end each must have been well."""
    there: list[DnetPeer] = []
    try:
        there.extend(DnetPeer(name, folder / name, beacon_port) for name in names)
        yield tuple(there)
        for each in there:
            if each.is_there:
                each.check_well()
    finally:
        for each in there:
            each.close()
