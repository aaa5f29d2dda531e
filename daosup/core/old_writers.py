"""Readers of the old protocol that also write: where our publishers find what they have written.

Such a reader says so in its request, once and for all, and streams what is written into its mirror from a port of its
own.

Invariants: a writer is followed exactly as long as it counts as a reader. One that is gone is forgotten, although it
may come back as a reader: its port may be another mirror's by then, and an old stream does not say whose frames it
carries. For the same reason the writers of a supervisor before us are believed only for as long as a living reader may
be silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Optional

from daosup.core.actions import TellOldWriters
from daosup.core.old_readership import Pair
from daosup.core.readership import READER_TIMEOUT_S
from daosup.core.registry_values import StreamRequest
from daosup.core.types import OldWriter, check_host
from daosup.errors import ProtocolError, UsageError

#: For one segment; each costs its publisher a connection.
MOST_WRITERS = 64
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}\Z")
#: The address of nobody, those of groups, and that of all.
_NOBODY = re.compile(r"(?:0|22[4-9]|23[0-9]|24[0-9]|25[0-5])\.")


def old_writer(host: object, ip: object, port: object) -> OldWriter:
    """A writer, if these can be one's.

    Raises:
        ProtocolError: If not; it says what is wrong.
    """
    if not isinstance(ip, str) or not _IPV4.match(ip) or _NOBODY.match(ip):
        raise ProtocolError(f"{str(ip)[:80]!r} is not a host's IPv4 address")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= 65535:
        raise ProtocolError(f"{str(port)[:80]!r} is not a port")
    try:
        return OldWriter(check_host(str(host)), ip, port)
    except UsageError as error:
        raise ProtocolError(str(error)) from None


class OldWriters:
    """The old readers of one host's segments that write."""

    def __init__(self) -> None:
        self._known: dict[Pair, OldWriter] = {}
        self._told: dict[str, tuple[OldWriter, ...]] = {}
        self._presumed: set[Pair] = set()
        self._presumed_until_s = float("inf")

    def asked(self, name: str, request: StreamRequest) -> None:
        """A reader wrote a request for a segment; what it said before counts no longer.

        Raises:
            ProtocolError: If it wants to write and cannot.
        """
        pair = name, request.client_hostname
        self._known.pop(pair, None)
        self._presumed.discard(pair)
        if not request.bidirectional:
            return
        writer = old_writer(request.client_hostname, request.client_ip, request.client_pub_port)
        if sum(known == name for known, _ in self._known) >= MOST_WRITERS:
            raise ProtocolError(f"{MOST_WRITERS} others write already")
        self._known[pair] = writer

    def remembered(self, writers: Mapping[str, tuple[OldWriter, ...]]) -> None:
        """Take in those that were told of before this supervisor began; what is known by now counts more."""
        for name, listed in writers.items():
            self._told.setdefault(name, listed)
            for writer in listed:
                if self._known.setdefault((name, writer.host), writer) is writer:
                    self._presumed.add((name, writer.host))

    def forgive(self, now: float) -> None:
        """Begin the time anew of those who could not yet show that they live."""
        self._presumed_until_s = now + READER_TIMEOUT_S

    def of(self, name: str, host: str) -> Optional[OldWriter]:
        """The host as a writer to a segment."""
        return self._known.get((name, host))

    def tell(self, is_reading: Callable[[Pair], bool], now: float) -> Iterator[TellOldWriters]:
        """Have publishers told what changed, given who reads."""
        if not self._known and not self._told:
            return
        self._presumed = {pair for pair in self._presumed if now <= self._presumed_until_s and not is_reading(pair)}
        self._known = {p: each for p, each in self._known.items() if p in self._presumed or is_reading(p)}
        now_told: dict[str, tuple[OldWriter, ...]] = {}
        for (name, _), writer in sorted(self._known.items()):
            now_told[name] = (*now_told.get(name, ()), writer)
        before, self._told = self._told, now_told
        for name in sorted(before.keys() | now_told.keys()):
            if before.get(name, ()) != now_told.get(name, ()):
                yield TellOldWriters(name, now_told.get(name, ()))

    def tell_again(self, name: str) -> Iterator[TellOldWriters]:
        """A publisher begins, which may know nothing."""
        if name in self._told:
            yield TellOldWriters(name, self._told[name])
