"""At which address other hosts reach this one."""

from __future__ import annotations

import socket

#: Reserved for documentation (RFC 5737): connecting a UDP socket to it sends nothing but shows the default route.
_ANYWHERE = ("192.0.2.1", 9)
LOOPBACK = "127.0.0.1"


def own_address(towards: str | None) -> str:
    """The IPv4 address from which this host speaks to ``towards``, or to the world if that is this machine itself."""
    for target in ((towards, 9) if towards else _ANYWHERE, _ANYWHERE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(target)
            except OSError:
                continue
            address = str(probe.getsockname()[0])
        if not address.startswith("127."):
            return address
    return LOOPBACK
