"""Readers of the old protocol: who of them reads our segments.

They say so in two ways: by a request, which only one that finds no connection writes, and by a heartbeat, which each
renews every 10 s and nobody takes back. Whoever finds a connection just subscribes to it.

Invariants: an old reader counts from its request on, or, if it wrote none, from when its heartbeat was seen to change,
until that has not changed for as long as a reader may be silent, by our own clock. While Redis cannot be asked nobody's
time runs. A host that is written down as a reader of protocol 2 is none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from daosup.core.readership import READER_TIMEOUT_S
from daosup.core.types import OLD_PROTOCOL, Reader

#: So many heartbeats are followed at most, whatever lies in the registry.
MOST_HEARD = 5000

Pair = tuple[str, str]
"""The name of a segment of ours, and a host that reads it."""


@dataclass
class _Heard:
    """``stamp`` is what the heartbeat says, ``changed_s`` when it last was something else, by our clock."""

    reader: Reader
    stamp: str
    changed_s: float
    is_reading: bool


class OldReadership:
    """The old readers of one host's segments."""

    def __init__(self) -> None:
        self._heard: dict[Pair, _Heard] = {}

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Those whose heartbeats are to be looked at."""
        return tuple(self._heard)

    def asked(self, name: str, host: str, ip: str, now: float) -> bool:
        """A reader wrote a request for a segment; False if it was known."""
        before = self._heard.get((name, host))
        stamp = before.stamp if before is not None else ""
        self._heard[name, host] = _Heard(Reader(host, ip, 0, "", OLD_PROTOCOL), stamp, now, True)
        return before is None or not before.is_reading

    def heard(
        self, stamps: Mapping[Pair, str], now: float, is_ours: Callable[[str, str], bool]
    ) -> tuple[list[Pair], list[Pair]]:
        """Take in heartbeats.

        Args:
            stamps: What they say; one that is missing has not changed.
            now: When they were looked at.
            is_ours: Whether a host is known to read a segment by protocol 2.

        Returns:
            Who turned out to be a reader, and who is none any more.
        """
        # Hosts of ours keep these heartbeats too, and say when they leave.
        for pair in [pair for pair in self._heard if is_ours(*pair)]:
            del self._heard[pair]
        come = [pair for pair, stamp in stamps.items() if not is_ours(*pair) and self._is_news(pair, stamp, now)]
        silent = {pair for pair, each in self._heard.items() if now - each.changed_s > READER_TIMEOUT_S}
        gone = [pair for pair in silent if self._heard[pair].is_reading]
        for pair in silent:
            del self._heard[pair]
        return come, gone

    def _is_news(self, pair: Pair, stamp: str, now: float) -> bool:
        """Take in one heartbeat; whether its host turned out to be a reader by it."""
        heard = self._heard.get(pair)
        if heard is None:
            # It may be what a reader left that is gone: who lives will say so again.
            if len(self._heard) < MOST_HEARD:
                self._heard[pair] = _Heard(Reader(pair[1], "", 0, "", OLD_PROTOCOL), stamp, now, False)
            return False
        if stamp == heard.stamp:
            return False
        is_news = not heard.is_reading
        heard.stamp, heard.changed_s, heard.is_reading = stamp, now, True
        return is_news

    def forgive(self, now: float) -> None:
        """Begin everybody's time anew: we could not have heard them."""
        for each in self._heard.values():
            each.changed_s = now

    def of(self, name: str) -> Iterator[Reader]:
        """The old readers of a segment."""
        return (each.reader for (known, _), each in self._heard.items() if known == name and each.is_reading)

    def is_reading(self, pair: Pair) -> bool:
        """Whether a host is an old reader of a segment."""
        heard = self._heard.get(pair)
        return heard is not None and heard.is_reading

    @property
    def names(self) -> set[str]:
        """The segments that they read."""
        return {name for (name, _), each in self._heard.items() if each.is_reading}
