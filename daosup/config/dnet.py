"""The table ``[dnet]``: whether and how this host takes part in DAO's own network service."""

# key() makes dataclass fields; that is what the rule asks for

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from daosup.config import kinds
from daosup.config.kinds import key, matching, whole

_LAST_PORT = 65535
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOMAIN = matching("1 to 63 letters, digits, '-', '_' or '.'", r"[A-Za-z0-9_.-]{1,63}\Z")
_GROUP = matching(
    "an IPv4 multicast address, 224.0.0.0 to 239.255.255.255", rf"(?:22[4-9]|23[0-9])(?:\.{_OCTET}){{3}}\Z"
)
_IPV4 = matching("an IPv4 address of this host", rf"{_OCTET}(?:\.{_OCTET}){{3}}\Z")


@dataclass(frozen=True)
class DnetConfig:
    """Who is listened to, and where. ``node`` None: this host's name; ``interface`` None: as the routes say."""

    enable: bool = key(kinds.YES_OR_NO, "Whether this host is a node of it, and listens to others.", False)
    domain: str = key(_DOMAIN, "Only nodes of one domain know each other.", "dao")
    data_port: int = key(whole(1, _LAST_PORT), "TCP port at which nodes find this host, its data port.", 7710)
    ttl: int = key(whole(0, 255), "How many networks the beacons may cross.", 1)
    node: Optional[str] = key(kinds.HOST, "What this host is called there.", unset="`host`")
    group: str = key(_GROUP, "Multicast group of the beacons.", "239.255.77.10")
    beacon_port: int = key(whole(1, _LAST_PORT), "UDP port of the beacons.", 7711)
    interface: Optional[str] = key(
        _IPV4, "Address of the network that the nodes are in.", unset="as the route to the group says"
    )
