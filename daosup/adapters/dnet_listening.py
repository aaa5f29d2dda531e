"""Hears the beacons of nodes of DAO's network service, and fetches their catalogues, from an event loop.

Invariants: nothing here waits; of what is sent to the group no more than ``_MOST_AT_ONCE`` datagrams are taken at a
turn of the loop; a fetch ends within its time, with a bounded answer, whatever the node does.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Optional

from daosup.core.dnet_catalogue import (
    ASK,
    MOST_BEACON_BYTES,
    MOST_CATALOGUE_BYTES,
    Beacon,
    Catalogue,
    decode_beacon,
    decode_catalogue,
)
from daosup.errors import ProtocolError, UnavailableError

CONNECT_S = 2.0
ANSWER_S = 2.0
_MOST_AT_ONCE = 64
_ANY = "0.0.0.0"  # which interface it is is left to the routes


def open_channel(group: str, port: int, interface: Optional[str]) -> socket.socket:
    """A socket that gets what is sent to a multicast group.

    Raises:
        OSError: If the group cannot be joined now.
    """
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # Other programs of this host listen there, too; each gets its own copy of a multicast.
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind((group, port))
        join(channel, interface)
    except BaseException:
        channel.close()
        raise
    return channel


def join(channel: socket.socket, interface: Optional[str]) -> bool:
    """Have a socket get what is sent to the group that it is bound to; False if it does already.

    The kernel forgets with an interface who listened there, and knows nothing of it when that is made anew.

    Raises:
        OSError: If the group cannot be joined now.
    """
    member = socket.inet_aton(channel.getsockname()[0]) + socket.inet_aton(interface or _ANY)
    try:
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    return True


class BeaconListener:
    """Hears beacons until it is closed.

    Attributes:
        unreadable: How many datagrams were no beacons.
        channel: Where they come.

    Args:
        channel: As `open_channel` makes it.
        on_beacon: Called with each beacon and the address that it came from.
    """

    def __init__(self, channel: socket.socket, on_beacon: Callable[[Beacon, str], None]) -> None:
        self.unreadable = 0
        self.channel, self._on_beacon = channel, on_beacon
        asyncio.get_running_loop().add_reader(channel.fileno(), self._read)

    def _read(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                datagram, (address, _) = self.channel.recvfrom(MOST_BEACON_BYTES + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # the network is down; what comes when it is up again is heard
                return
            try:
                beacon = decode_beacon(datagram)
            except ProtocolError:
                self.unreadable += 1
                continue
            self._on_beacon(beacon, address)

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self.channel.fileno())
        self.channel.close()


async def fetch_catalogue(address: str, port: int) -> Catalogue:
    """What a node has.

    Raises:
        UnavailableError: If it does not answer in time, or not with a catalogue.
    """
    where = f"{address}:{port}"
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), CONNECT_S)
        try:
            writer.write(ASK)
            return decode_catalogue(await asyncio.wait_for(_read_all(reader), ANSWER_S))
        finally:
            writer.transport.abort()
    except asyncio.TimeoutError:
        raise UnavailableError(f"{where} does not answer") from None
    except OSError as error:
        raise UnavailableError(f"{where}: {error.strerror or error}") from error
    except ProtocolError as error:
        raise UnavailableError(f"{where} answered with no catalogue: {error}") from error


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    parts, count = [], 0
    while part := await reader.read(1 << 16):
        parts.append(part)
        count += len(part)
        if count > MOST_CATALOGUE_BYTES:
            raise ProtocolError(f"it is longer than {MOST_CATALOGUE_BYTES} bytes")
    return b"".join(parts)
