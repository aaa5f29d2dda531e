"""All who read our segments: those of protocol 2, which write themselves down, and those of the old one.

Invariants: a host reads a segment by one protocol at a time, and the newer one counts. To find old readers that wrote
no request takes a walk over the whole registry; so it is made once in the beginning, and then only while more is
subscribed to a segment than readers of it are known, ever more rarely.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.notices import streams
from daosup.core.notices.notice import Notice
from daosup.core.old_readership import OldReadership
from daosup.core.old_writers import OldWriters
from daosup.core.readership import Readership
from daosup.core.types import Reader
from daosup.errors import ProtocolError

#: How often all our readers are read, although nothing seems to have changed.
READ_INTERVAL_S = 5.0
#: How often requests of old readers are taken, and the heartbeats of those that are known looked at.
REQUEST_INTERVAL_S = 2.0
HEARTBEAT_INTERVAL_S = 5.0
#: The first pause between two searches, and the longest.
SEARCH_PAUSE_S = 5.0
LONGEST_PAUSE_S = 320.0
_LONG_AGO_S = float("-inf")


class Readers:
    """The readers of one host's segments.

    Attributes:
        ours: Those of protocol 2.
        old: Those of the old protocol.
        writers: Those of them that write, too.
    """

    def __init__(self) -> None:
        self.ours = Readership()
        self.old = OldReadership()
        self.writers = OldWriters()
        self._took_s = self._looked_s = self._searched_s = _LONG_AGO_S
        self._pause_s = SEARCH_PAUSE_S
        self._read_s = 0.0
        self._entry_count = 0
        self._strangers: dict[str, int] = {}

    def of(self, name: str) -> tuple[Reader, ...]:
        """The readers of a segment, in the order of their hosts."""
        ours = self.ours.of(name)
        old = [self._written(name, reader) for reader in self.old.of(name) if not self.ours.knows(name, reader.host)]
        return tuple(sorted((*ours, *old), key=lambda reader: reader.host)) if old else ours

    def _written(self, name: str, reader: Reader) -> Reader:
        writer = self.writers.of(name, reader.host)
        return reader if writer is None else replace(reader, bidirectional=True, client_pub_port=writer.port)

    @property
    def names(self) -> set[str]:
        """The segments that are read."""
        return self.ours.names | self.old.names

    def is_due(self, event: e.RegistryChecked, now: float) -> bool:
        """Whether it is time to read all our readers, given a look at how many are written down."""
        return now >= self._read_s + READ_INTERVAL_S or event.entry_count != self._entry_count

    def seen(self, event: e.ReadersSeen, now: float) -> Iterator[do.Action]:
        """All our readers were read."""
        self._read_s, self._entry_count = now, event.entry_count
        vanished = self.ours.update(event.readers, now)
        yield from self.tell_writers(now)
        if vanished:
            yield do.DropReaders(vanished)
            for name, host in vanished:
                yield do.Report(streams.READER_VANISHED, name, fields=(("peer", host),))

    def forgive(self, now: float) -> None:
        """Begin everybody's time anew."""
        self.ours.forgive(now)
        self.old.forgive(now)
        self.writers.forgive(now)

    def requests_taken(self, event: e.RequestsTaken, now: float) -> Iterator[do.Action]:
        """Old readers asked for segments."""
        for name, request in event.requests.items():
            if self.old.asked(name, request.client_hostname, request.client_ip, now):
                yield _report(streams.OLD_READER_ASKS, name, request.client_hostname)
            try:
                self.writers.asked(name, request)
            except ProtocolError as error:
                reason = str(error)
                yield _report(streams.OLD_READER_REFUSED, name, request.client_hostname, reason)
            else:
                if request.bidirectional:
                    yield _report(streams.OLD_READER_WRITES, name, request.client_hostname)
        yield from self.tell_writers(now)

    def heartbeats_seen(self, event: e.HeartbeatsSeen, now: float) -> Iterator[do.Action]:
        """Heartbeats of old readers were looked at, or found."""
        come, gone = self.old.heard(event.stamps, now, self.ours.knows)
        for name, host in come:
            yield _report(streams.OLD_READER_FOUND, name, host)
        for name, host in gone:
            yield _report(streams.READER_VANISHED, name, host)
        yield from self.tell_writers(now)

    def tell_writers(self, now: float) -> Iterator[do.Action]:
        """Have publishers told which old readers write, if that changed."""
        return self.writers.tell(lambda pair: self.old.is_reading(pair) and not self.ours.knows(*pair), now)

    def connected(self, counts: Mapping[str, int]) -> None:
        """So much is subscribed to each segment now."""
        old = Counter(name for name, _ in self.old.pairs)
        strangers = {name: count - self.ours.count(name) - old[name] for name, count in counts.items()}
        before, self._strangers = self._strangers, {name: count for name, count in strangers.items() if count > 0}
        if any(count > before.get(name, 0) for name, count in self._strangers.items()):
            self._pause_s = SEARCH_PAUSE_S

    def tick(self, names: Collection[str], now: float) -> Iterator[do.Action]:
        """Look for what old readers write about our segments ``names``."""
        if names and now >= self._took_s + REQUEST_INTERVAL_S:
            self._took_s = now
            yield do.TakeRequests(tuple(names))
        if self.old.pairs and now >= self._looked_s + HEARTBEAT_INTERVAL_S:
            self._looked_s = now
            yield do.ReadHeartbeats(self.old.pairs)
        is_first = self._searched_s == _LONG_AGO_S
        if is_first or (self._strangers and now >= self._searched_s + self._pause_s):
            self._searched_s = now
            self._pause_s = SEARCH_PAUSE_S if is_first else min(LONGEST_PAUSE_S, 2 * self._pause_s)
            yield do.FindHeartbeats()
        yield from self.tell_writers(now)


def _report(notice: Notice, name: str, host: str, reason: str = "") -> do.Report:
    why = (("reason", reason),) if reason else ()
    return do.Report(notice, name, fields=(("peer", host), ("protocol", 1), *why))
