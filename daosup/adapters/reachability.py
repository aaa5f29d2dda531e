"""Whether a publisher can be reached at its endpoint, as a mirror would.

An endpoint is ``tcp://HOST:PORT``, or ``direct://HOST:PORT`` where frames are offered without ZeroMQ: who listens there
says nothing before it is asked.

Invariant: each look takes two seconds at most, sends nothing, and ends before a subscription could be made.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Optional

CONNECT_S = 1.0
_GREETING_S = 1.0
_MOST_AT_ONCE = 32
#: How each side of a ZeroMQ connection begins.
_SIGNATURE_BYTES = 10

#: What a look at an endpoint finds.
ANSWERS, REFUSED, SILENT, UNROUTED, UNNAMED, STRANGER = (
    "answers",
    "refused",
    "silent",
    "no route",
    "name not found",
    "something else answers",
)
DIRECT = "direct"
_OF_ERRNO = {errno.ECONNREFUSED: REFUSED, errno.EHOSTUNREACH: UNROUTED, errno.ENETUNREACH: UNROUTED}


def look_at_endpoints(endpoints: Iterable[str]) -> dict[str, str]:
    """What each endpoint answers: one of the words above."""
    wanted = sorted(set(endpoints))
    if not wanted:
        return {}
    with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="doctor") as pool:
        return dict(zip(wanted, pool.map(_look, wanted)))


def accepts(host: str, port: int) -> bool:
    """Whether anybody takes connections there."""
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError:
        return False
    return True


def _look(endpoint: str) -> str:
    scheme, _, place = endpoint.partition("://")
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
            if scheme == DIRECT:
                return ANSWERS
            connection.settimeout(_GREETING_S)
            greeting = b""
            while len(greeting) < _SIGNATURE_BYTES:
                received = connection.recv(64)
                if not received:
                    break
                greeting += received
    except ValueError:
        return UNNAMED
    except socket.gaierror:
        return UNNAMED
    except OSError as error:
        is_late = isinstance(error, (socket.timeout, TimeoutError))
        return SILENT if is_late else _OF_ERRNO.get(error.errno or 0, SILENT)
    return ANSWERS if greeting[:1] == b"\xff" and greeting[9:10] == b"\x7f" else STRANGER


def address_of(name: str) -> Optional[str]:
    """The IPv4 address that ``name`` is or has; None if it cannot be found."""
    with suppress(OSError):
        return socket.gethostbyname(name)
    return None


def is_own_address(address: str) -> bool:
    """Whether an interface of this machine has an IPv4 address: only such a one can be bound to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches itself at an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
