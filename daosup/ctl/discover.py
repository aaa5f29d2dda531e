"""Finds the Redis servers of the local networks, for somebody who does not know where the registry is.

Invariant: only what was asked for is looked at, and what was is told.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any

from daosup.adapters.redis_address import DEFAULT_PORT
from daosup.adapters.redis_discovery import SMALLEST_PREFIX, local_interfaces, look_at_all
from daosup.adapters.redis_probe import Door, RedisSeen
from daosup.ctl.asking import tell
from daosup.ctl.tables import Column, Style, table
from daosup.ctl.units import UNKNOWN, count, duration, quantity
from daosup.errors import UsageError

if TYPE_CHECKING:
    from daosup.ctl.options import Options

NONE_FOUND = 69
_OWN = ipaddress.IPv4Network("127.0.0.1/32")
#: More networks than any host of an observatory is in: the rest are those of containers.
_MOST_NETWORKS = 16
_COLUMNS = (
    Column("ADDRESS"),
    Column("SERVER"),
    Column("ROLE"),
    Column("ANSWERS IN", is_number=True),
    Column("KEYS", is_number=True),
    Column("HOSTS", is_name=True),
)
_DOORS = {
    Door.PASSWORD: "asks for a password; give it by password_file in [redis]",
    Door.PROTECTED: "in protected mode: it serves programs of its own machine only",
    Door.TLS: "perhaps a Redis with TLS: it answered to nothing else",
    Door.CLOSED: "refuses to be asked",
}


def discover(options: Options) -> int:
    """Look, and tell what was found."""
    interfaces = local_interfaces()
    networks = _networks(options.name, interfaces)
    port = DEFAULT_PORT if options.port is None else options.port
    addresses = [str(address) for network in networks.values() for address in _addresses(network)]
    began_s = time.monotonic()
    own = {str(interface.ip) for interface in interfaces.values()}
    servers = _without_twins(look_at_all(addresses, port), own)
    found = {
        "networks": [{"interface": name or None, "network": str(network)} for name, network in networks.items()],
        "addresses": len(addresses),
        "port": port,
        "took_s": time.monotonic() - began_s,
        "servers": [_as_json(server) for server in servers],
    }
    tell(options, found, lambda style, width: discover_report(found, style, width))
    return 0 if servers else NONE_FOUND


def _networks(asked: str | None, interfaces: dict[str, ipaddress.IPv4Interface]) -> dict[str, ipaddress.IPv4Network]:
    """What to look at, by interface.

    Raises:
        UsageError: If what was asked for is no network, or too large.
    """
    if asked is None:
        networks = {"lo": _OWN}
        for name, interface in interfaces.items():
            if interface.network not in networks.values() and len(networks) <= _MOST_NETWORKS:
                networks[name] = interface.network
        return networks
    try:
        network = ipaddress.IPv4Network(asked, strict=False)
    except ValueError:
        raise UsageError(f"{asked!r} is not a network; write for example 192.168.64.0/24") from None
    if network.prefixlen < SMALLEST_PREFIX:
        raise UsageError(
            f"{network} has {network.num_addresses} addresses; at most a /{SMALLEST_PREFIX} is looked at at a time"
        )
    return {"": network}


def _addresses(network: ipaddress.IPv4Network) -> list[ipaddress.IPv4Address]:
    return list(network.hosts()) or [network.network_address]  # Python before 3.10 finds none in a /32


def _without_twins(servers: list[RedisSeen], own: set[str]) -> list[RedisSeen]:
    """Without the one at 127.0.0.1 if it answers at an address that others can use, too."""
    known = {server.run_id for server in servers if server.host in own and server.run_id}
    return [server for server in servers if not (server.host.startswith("127.") and server.run_id in known)]


def _as_json(server: RedisSeen) -> dict[str, Any]:
    is_open = server.door is Door.OPEN
    return {
        "host": server.host,
        "port": server.port,
        "door": server.door.value,
        "flavour": server.flavour or None,
        "version": server.version or None,
        "role": server.role or None,
        "replica_of": server.replica_of or None,
        "keys": server.keys if is_open else None,
        "hosts": None if server.hosts is None or not is_open else list(server.hosts),
        "answers_in_s": server.round_trip_s,
    }


def discover_report(found: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """The lines of ``daosupctl discover``."""
    where = ", ".join(f"{each['interface'] or ''} {each['network']}".strip() for each in found["networks"])
    what = f"{found['addresses']} addresses" if found["addresses"] != 1 else "one address"
    lines = [f"looked at port {found['port']} of {what} in {duration(found['took_s'])}: {where}"]
    servers = found["servers"]
    if not servers:
        return [*lines, "no Redis answers there; see that it runs, listens on more than 127.0.0.1, and on that port"]
    opened = [each for each in servers if each["door"] == Door.OPEN.value]
    if opened:
        lines += ["", *table(_COLUMNS, map(_row, opened), style, width)]
    closed = [each for each in servers if each["door"] != Door.OPEN.value]
    if closed:
        lines += ["", *(f"{each['host']}:{each['port']}  {_DOORS[Door(each['door'])]}" for each in closed)]
    registries = [each for each in opened if each["hosts"] and each["role"] == "master"]
    if registries:
        best = max(registries, key=lambda each: len(each["hosts"]))
        said = f'host = "{best["host"]}"{_port_too(best)}'
        lines += ["", f"to use it: {said} in [redis] of the configuration"]
    return lines


def _port_too(server: dict[str, Any]) -> str:
    return "" if server["port"] == DEFAULT_PORT else f" and port = {server['port']}"


def _row(server: dict[str, Any]) -> tuple[str, ...]:
    hosts = server["hosts"]
    role = f"replica of {server['replica_of']}" if server["replica_of"] else server["role"] or UNKNOWN
    return (
        f"{server['host']}:{server['port']}",
        f"{server['flavour'] or ''} {server['version'] or ''}".strip() or UNKNOWN,
        role,
        quantity(server["answers_in_s"], "s"),
        count(server["keys"]),
        "too many keys to look" if hosts is None else ", ".join(hosts) or "none",
    )
