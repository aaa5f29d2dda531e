"""Finding the Redis servers of the local networks, for somebody who does not know where the registry is.

Invariant: looking changes nothing anywhere and never raises because of what is, or is not, out there. At most 256
addresses are tried for each network interface, each within a bounded time.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

from daosup.adapters.redis_address import DEFAULT_PORT
from daosup.adapters.redis_probe import Door, RedisSeen, look_at_redis

#: Of each interface's network.
SMALLEST_PREFIX = 24
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
    found = look_at_all(addresses, port, timeout_s, max_workers)
    return [
        {"host": each.host, "port": each.port, "dao": bool(each.hosts), "machines": list(each.hosts or ())}
        for each in found
        if each.door is not Door.TLS
    ]


def look_at_all(addresses: Iterable[str], port: int, timeout_s: float = 0.3, max_workers: int = 64) -> list[RedisSeen]:
    """The Redis servers among these addresses, in their order."""
    pool = ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="discover-redis")
    try:
        found = pool.map(lambda address: look_at_redis(address, port, timeout_s), addresses)
        return [server for server in found if server is not None]
    finally:
        # Who has pressed Ctrl-C does not wait for those that were not even asked yet.
        pool.shutdown(wait=False, cancel_futures=True)


def local_interfaces() -> dict[str, ipaddress.IPv4Interface]:
    """The address of each network interface of this machine, with its network, of which at most the /24 around it."""
    found = {}
    for _, name in socket.if_nameindex():
        interface = _interface(name)
        if interface is not None:
            found[name] = interface
    return found


def local_addresses() -> list[str]:
    """Every address of the networks of this machine's interfaces; only 127.0.0.1 if it has none but the loopback."""
    networks = sorted({interface.network for interface in local_interfaces().values()})
    addresses = [str(address) for network in networks for address in network.hosts()]
    return addresses or ["127.0.0.1"]


def _interface(name: str) -> Optional[ipaddress.IPv4Interface]:
    request = _IFREQ.pack(name.encode()[:15])
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
    return ipaddress.IPv4Interface(f"{address}/{max(prefix, SMALLEST_PREFIX)}")
