"""Finding the Redis servers of the local networks, for somebody who does not know where the registry is.

Invariant: looking changes nothing anywhere and never raises because of what is, or is not, out there. At most 256
addresses are tried for each network interface, each within a bounded time.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

from daosup.adapters.redis_address import DEFAULT_PORT, RedisAddress
from daosup.adapters.redis_link import Command, blocking_link
from daosup.adapters.redis_server import answer_to_ping
from daosup.core import keys
from daosup.errors import DaosupError, ProtocolError

_SMALLEST_PREFIX = 24
_MOST_SCAN_STEPS = 2000
_REPLY_TIMEOUT_S = 1.0
_SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFNETMASK = 0x8913, 0x8915, 0x891B
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_IFREQ = struct.Struct("16s24x")
_FLAGS_AT, _ADDRESS_AT = 16, 20


def discover_redis(port: int = DEFAULT_PORT, timeout: float = 0.3, max_workers: int = 64) -> list[dict[str, Any]]:
    """Look for Redis on every address of the local IPv4 networks, at most the /24 around each of our own addresses.

    Args:
        port: TCP port to try.
        timeout: How long to wait for a connection, and for the first answer, in seconds.
        max_workers: How many addresses are tried at a time.

    Returns:
        For each server found, in the order of addresses: ``host`` (its address) and ``port``, ``dao`` (whether it holds
        a registry) and ``machines`` (the hosts registered there; empty also if it asks for a password).
    """
    return probe(local_addresses(), port, timeout, max_workers)


def probe(addresses: Iterable[str], port: int, timeout_s: float, max_workers: int) -> list[dict[str, Any]]:
    """As :func:`discover_redis`, for these addresses."""
    with ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="discover-redis") as pool:
        found = pool.map(lambda address: _probe_one(address, port, timeout_s), addresses)
        return [server for server in found if server is not None]


def local_addresses() -> list[str]:
    """Every address of the networks of this machine's interfaces; only 127.0.0.1 if it has none but the loopback."""
    networks = set()
    for _, interface in socket.if_nameindex():
        network = _network_of(interface)
        if network is not None:
            networks.add(network)
    addresses = [str(address) for network in sorted(networks) for address in network.hosts()]
    return addresses or ["127.0.0.1"]


def _network_of(interface: str) -> Optional[ipaddress.IPv4Network]:
    request = _IFREQ.pack(interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            flags_reply = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
            address_reply = fcntl.ioctl(any_socket, _SIOCGIFADDR, request)
            mask_reply = fcntl.ioctl(any_socket, _SIOCGIFNETMASK, request)
        except OSError:
            # Without an IPv4 address, or gone since it was listed.
            return None
    (flags,) = struct.unpack_from("=H", flags_reply, _FLAGS_AT)
    if flags & _IFF_LOOPBACK or not flags & _IFF_UP:
        return None
    address = socket.inet_ntoa(address_reply[_ADDRESS_AT : _ADDRESS_AT + 4])
    mask = socket.inet_ntoa(mask_reply[_ADDRESS_AT : _ADDRESS_AT + 4])
    prefix = ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen
    return ipaddress.IPv4Network(f"{address}/{max(prefix, _SMALLEST_PREFIX)}", strict=False)


def _probe_one(address: str, port: int, timeout_s: float) -> Optional[dict[str, Any]]:
    if answer_to_ping((address, port), timeout_s) is None:
        return None
    hosts: set[str] = set()
    # Anything at all can listen on that port.
    with contextlib.suppress(DaosupError, TypeError, ValueError):
        hosts = _registered_hosts(RedisAddress(host=address, port=port, timeout_s=max(timeout_s, _REPLY_TIMEOUT_S)))
    return {"host": address, "port": port, "dao": bool(hosts), "machines": sorted(hosts)}


def _registered_hosts(address: RedisAddress) -> set[str]:
    hosts: set[str] = set()
    with blocking_link(address) as run:
        cursor = b"0"
        for _ in range(_MOST_SCAN_STEPS):
            command: Command = ("SCAN", cursor, "MATCH", keys.ALL_MACHINES, "COUNT", 1000)
            (reply,) = run([command])
            if not isinstance(reply, list):
                return hosts
            cursor, page = reply
            for raw in page:
                with contextlib.suppress(ProtocolError):
                    hosts.add(keys.parse_machine_key(raw).host)
            if cursor == b"0":
                break
    return hosts
