"""At which address other hosts reach this one."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

#: Reserved for documentation (RFC 5737): connecting a UDP socket to it sends nothing but shows the default route.
_ANYWHERE = ("192.0.2.1", 9)
LOOPBACK = "127.0.0.1"


def own_address(towards: str | None) -> str:
    """The IPv4 address from which this host speaks to ``towards``, or to others if that is this machine itself.

    Where there is no way out to the world, others are those of the first network that this host is in.
    """
    for target in ((towards, 9) if towards else _ANYWHERE, _ANYWHERE, *_networks()):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Older kernels take a network's own address for one of all its hosts.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            try:
                probe.connect(target)
            except OSError:
                continue
            address = str(probe.getsockname()[0])
        if not address.startswith("127."):
            return address
    return LOOPBACK


def _networks() -> Iterator[tuple[str, int]]:
    """The networks that the kernel has a route to: hosts that keep to themselves have no other ones."""
    with contextlib.suppress(OSError), open("/proc/net/route", encoding="ascii") as routes:
        for line in routes.readlines()[1:]:
            # The kernel prints the address as a number of this machine's byte order.
            yield socket.inet_ntoa(struct.pack("=I", int(line.split()[1], 16))), 9
