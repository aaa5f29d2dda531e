"""What this host has, and what the registry is told of it: its segments, and where those that are read are streamed.

Invariants: the registry is told only while it can be asked, this host has a role, and nobody withdrew it; a stream is
told of exactly while its publisher runs and somebody is written down as its reader; what is told does not depend on
what was told before, so telling everything anew heals whatever the registry forgot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import Crew, Phase
from daosup.core.election import Election
from daosup.core.host_facts import HostFacts
from daosup.core.notices import streams
from daosup.core.readers import Readers
from daosup.core.standing import Standing
from daosup.core.types import Role, SegmentFacts, StreamRecord

#: How often the registry is looked at, whether it still knows this host and its readers.
CHECK_INTERVAL_S = 1.0


class Announcing:
    """What the registry was told of one host.

    Args:
        standing: How the host stands with the registry.
        election: Gives it its role.
        readership: Who reads its segments.
        crew: Who publishes them.

    Attributes:
        segments: Those that exist and may be published, by name.
        is_wanted: Whether the host is to be in the registry.
    """

    def __init__(self, standing: Standing, election: Election, readership: Readers, crew: Crew) -> None:
        self._standing, self._election, self._readership, self._crew = standing, election, readership, crew
        self.segments: dict[str, SegmentFacts] = {}
        self.is_wanted = True
        self._told: dict[str, tuple[StreamRecord, ...]] = {}
        self._told_s = 0.0
        self._checked_s = 0.0
        self._is_cleared = False

    @property
    def is_on(self) -> bool:
        """Whether the registry is told now."""
        return self._standing.is_serving and self._election.role is not None and self.is_wanted

    def introduce(self, facts: HostFacts, now: float) -> Iterator[do.Action]:
        """Tell a registry that may know nothing of us, or something old; and ask it who reads us."""
        if not self._standing.is_serving:
            return
        self._checked_s = now
        if not self.is_wanted:
            yield do.Withdraw()
        else:
            yield self.announce(facts, now)
            if not self._is_cleared:
                self._is_cleared = True
                yield do.DropLeftovers(tuple(self.segments))
        yield do.ReadReaders()

    def announce(self, facts: HostFacts, now: float) -> do.Announce:
        """Tell everything."""
        self._told_s = now
        records = {name: self._records_of(name, facts) for name in self.segments}
        self._told = {name: told for name, told in records.items() if told}
        return do.Announce(self._election.role or Role.MINION, dict(self.segments), records)

    def is_due(self, facts: HostFacts, now: float) -> bool:
        """Whether it is time for the next heartbeat."""
        return now >= self._told_s + facts.heartbeat_interval_s

    def check(self, now: float) -> Iterator[do.Action]:
        """Have the registry looked at, if that is due."""
        if self._election.role is not None and now >= self._checked_s + CHECK_INTERVAL_S:
            self._checked_s = now
            yield do.CheckRegistry()

    def resume(self, facts: HostFacts, now: float) -> Iterator[do.Action]:
        """The registry is to know of us (again)."""
        self.is_wanted = True
        if self.is_on:
            yield self.announce(facts, now)

    def withdraw(self) -> Iterator[do.Action]:
        """The registry is not to know of us until we are announced again."""
        self.is_wanted = False
        self._told.clear()
        if self._standing.is_up:
            yield do.Withdraw()

    def segments_changed(self, event: e.SegmentsChanged, facts: HostFacts, now: float) -> Iterator[do.Action]:
        """Segments came, are otherwise than before, or are gone; those that may not be published count as gone."""
        hidden = tuple(found.name for found in event.found if not facts.may_publish(found.name))
        for name in (*event.gone, *hidden):
            if self.segments.pop(name, None) is None:
                continue
            yield do.Report(streams.SEGMENT_GONE, name)
            if self.is_on:
                self._told.pop(name, None)
                yield do.DropSegment(name)
        for found in event.found:
            if found.name in hidden or self.segments.get(found.name) == found:
                continue
            notice = streams.SEGMENT_CHANGED if found.name in self.segments else streams.SEGMENT_FOUND
            self.segments[found.name] = found
            looks = (("shape", "x".join(map(str, found.shape))), ("dtype", found.dtype))
            yield do.Report(notice, found.name, fields=looks)
            if self.is_on:
                yield do.PutSegment(found, self._told.get(found.name, ()))
            yield from self._crew.nudge(facts.publisher_of(found.name), now, "its segment was made anew")

    def update(self, facts: HostFacts) -> Iterator[do.PutRecords]:
        """Tell what changed of any stream."""
        return self.update_some(sorted(self._readership.names | self._told.keys()), facts)

    def update_some(self, names: Iterable[str], facts: HostFacts) -> Iterator[do.PutRecords]:
        """Tell what changed of these streams."""
        for name in names:
            records = self._records_of(name, facts)
            told = self._told.get(name, ())
            if name in self.segments and records != told:
                self._told[name] = records
                # Who is not written down any more, and does not know why, asks again.
                readers = {reader.host for reader in self._readership.of(name)}
                lost = (record.client_hostname for record in told if record.client_hostname not in readers)
                yield do.PutRecords(name, records, (*(record.client_hostname for record in records), *lost))

    def _records_of(self, name: str, facts: HostFacts) -> tuple[StreamRecord, ...]:
        worker = self._crew.workers.get(facts.publisher_of(name))
        if worker is None or worker.phase is not Phase.RUNNING:
            return ()
        return tuple(
            StreamRecord(
                facts.ip,
                worker.port,
                each.host,
                each.ip,
                "zmq",
                each.bidirectional,
                each.client_pub_port,
                direct_port=worker.direct_port or None,
            )
            for each in self._readership.of(name)
        )
