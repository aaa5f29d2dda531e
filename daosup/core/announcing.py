"""What the registry is told of this host: its segments, and where those that are read are streamed.

Invariants: a stream is told of exactly while its publisher runs and somebody is written down as its reader; what is
told does not depend on what was told before, so telling everything anew heals whatever the registry forgot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from daosup.core import events as e
from daosup.core.crew import Crew, Phase
from daosup.core.host_facts import HostFacts
from daosup.core.readers import Readers
from daosup.core.types import Role, SegmentFacts, StreamRecord


class Announcing:
    """What the registry was told of one host.

    Args:
        segments: Those of the host, by name.
        readership: Who reads them.
        crew: Who publishes them.

    Attributes:
        is_wanted: Whether the host is to be in the registry.
    """

    def __init__(self, segments: Mapping[str, SegmentFacts], readership: Readers, crew: Crew) -> None:
        self.is_wanted = True
        self._segments, self._readership, self._crew = segments, readership, crew
        self._told: dict[str, tuple[StreamRecord, ...]] = {}
        self._told_s = 0.0
        self._is_cleared = False

    def introduce(self, facts: HostFacts, role: Role, now: float) -> Iterator[e.Action]:
        """Tell a registry that may know nothing of us, or something old."""
        if not self.is_wanted:
            yield e.Withdraw()
            return
        yield self.announce(facts, role, now)
        if not self._is_cleared:
            self._is_cleared = True
            yield e.DropLeftovers(tuple(self._segments))

    def announce(self, facts: HostFacts, role: Role, now: float) -> e.Announce:
        """Tell everything."""
        self._told_s = now
        records = {name: self._records_of(name, facts) for name in self._segments}
        self._told = {name: told for name, told in records.items() if told}
        return e.Announce(role, dict(self._segments), records)

    def is_due(self, facts: HostFacts, now: float) -> bool:
        """Whether it is time for the next heartbeat."""
        return now >= self._told_s + facts.heartbeat_interval_s

    def withdraw(self) -> None:
        """The registry is not to know of us until we are announced again."""
        self.is_wanted = False
        self._told.clear()

    def put(self, facts: SegmentFacts) -> e.PutSegment:
        """A segment came, or is otherwise than before."""
        return e.PutSegment(facts, self._told.get(facts.name, ()))

    def drop(self, name: str) -> e.DropSegment:
        """A segment is gone."""
        self._told.pop(name, None)
        return e.DropSegment(name)

    def update(self, facts: HostFacts) -> Iterator[e.PutRecords]:
        """Tell what changed of any stream."""
        return self.update_some(sorted(self._readership.names | self._told.keys()), facts)

    def update_some(self, names: Iterable[str], facts: HostFacts) -> Iterator[e.PutRecords]:
        """Tell what changed of these streams."""
        for name in names:
            records = self._records_of(name, facts)
            told = self._told.get(name, ())
            if name in self._segments and records != told:
                self._told[name] = records
                # Who is not written down any more, and does not know why, asks again.
                readers = {reader.host for reader in self._readership.of(name)}
                lost = (record.client_hostname for record in told if record.client_hostname not in readers)
                yield e.PutRecords(name, records, (*(record.client_hostname for record in records), *lost))

    def _records_of(self, name: str, facts: HostFacts) -> tuple[StreamRecord, ...]:
        worker = self._crew.workers.get(facts.publisher_of(name))
        if worker is None or worker.phase is not Phase.RUNNING:
            return ()
        return tuple(
            StreamRecord(facts.ip, worker.port, each.host, each.ip, "zmq", each.bidirectional, each.client_pub_port)
            for each in self._readership.of(name)
        )
