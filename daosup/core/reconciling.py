"""Brings the workers of a host in line with what is wanted, and says when that takes a look at all of them.

Invariants:
- a segment is published exactly while it exists here, may be published, is not stopped and somebody reads it: is
  written down as its reader in the registry, or is subscribed to what is published already;
- a publisher that was found running goes on until its readers are known;
- an event that concerns one worker, or none, costs no look at the others; once it is handled, such a look at all would
  find nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.adoption import Presumed
from daosup.core.crew import Crew
from daosup.core.host_facts import HostFacts
from daosup.core.mirrors import Mirrors
from daosup.core.notices.workers import WORKER_READY
from daosup.core.ports import Ports
from daosup.core.readers import Readers
from daosup.core.renewal import Renewal
from daosup.core.standing import Standing
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.core.wanted import given_port, wanted_workers

#: Somebody who is in no registry has so long to subscribe to what is published for him.
ASKED_S = 10.0

#: What happens often, and concerns one worker or none; if it changes more than that, it says so.
_NARROW = (
    e.Ticked, e.RecordsSeen, e.LinksSeen, e.RegistryChecked, e.LeaseSeen, e.ClockCompared, e.HostsSeen, e.HostEvicted,
    e.ActRefused, e.HeartbeatsSeen, e.WorkerStarted, e.WorkerBegan, e.WorkerReady, e.WorkerExited, e.WorkerHung,
    e.WorkerGrown, e.RestartAsked, e.BeaconHeard, e.CatalogueFailed, e.NodeAsked,
)  # fmt: skip


class Reconciling:
    """What is wanted of one host's workers against what runs.

    Args:
        segments: Those of the host, by name.
        readership: Who reads them.
        mirrors: What is mirrored.
        crew: The workers.
        standing: How the host stands with the registry.

    Attributes:
        is_settled: Whether nothing is wanted otherwise than at the last look at all workers.
        presumed: Which publishers were found running, and may be read.
        ports: Which each segment, and each mirror that an old owner follows, was given last.
        renewal: Which workers are to be replaced, one after the other.
        subscribed: The segments whose publishers have subscribers.
    """

    def __init__(
        self, segments: Collection[str], readership: Readers, mirrors: Mirrors, crew: Crew, standing: Standing
    ) -> None:
        self._segments, self._readership, self._mirrors, self._crew = segments, readership, mirrors, crew
        self._standing = standing
        self.is_settled = False
        self.presumed = Presumed()
        self.ports = Ports()
        self.renewal = Renewal(crew)
        self.subscribed: frozenset[str] = frozenset()
        self._asked_s: dict[str, float] = {}
        self._wanted: dict[WorkerKey, do.StartWorker] = {}
        self._count = 0

    # -- when to look at all

    def notice(self, event: e.Event) -> None:
        """This is about to be handled."""
        self.is_settled &= isinstance(event, _NARROW)

    def unsettling(self, actions: Iterable[do.Action]) -> Iterator[do.Action]:
        """Actions that, if there are any, concern more workers than the event does."""
        for action in actions:
            self.is_settled = False
            yield action

    def reconcile(
        self, facts: HostFacts, stopped: Collection[str], gate: Optional[WorkerKey], now: float
    ) -> Generator[do.Action, None, bool]:
        """Bring what runs nearer to what is wanted: all workers, or where that must do, those in motion.

        Args:
            facts: Of the host.
            stopped: The segments that are not to be published, whoever reads them.
            gate: The gate that there is to be, if any.
            now: Seconds, monotonic.

        Returns whether it was all.
        """
        if self.is_settled:
            yield from self._crew.go_on(self._wanted, now)
            self.is_settled = len(self._crew.workers) == self._count  # what is gone may leave room, or a file
        if self.is_settled:
            return False
        self.is_settled = True
        is_name_free = True
        while is_name_free:
            self._wanted = {} if self._standing.is_leaving else self._wanted_now(facts, stopped, gate)
            yield from self._crew.reconcile(self._wanted, now)
            self._count, workers = len(self._crew.workers), self._crew.workers.keys()
            is_name_free = yield from self._mirrors.tidy(self._wanted.keys(), workers)
        return True

    def _wanted_now(
        self, facts: HostFacts, stopped: Collection[str], gate: Optional[WorkerKey]
    ) -> dict[WorkerKey, do.StartWorker]:
        # A host that cannot reach the registry cannot say that it reads us; that it is subscribed says it too.
        kept = {name for name in self.subscribed if facts.publisher_of(name) in self._crew.workers}
        read = self._readership.names | self.presumed.names | self._asked_s.keys() | kept
        published = {name for name in read if name in self._segments and name not in stopped}
        wanted = wanted_workers(facts, published, len(self._segments), self._mirrors, self._crew, self.ports)
        if gate is not None:
            wanted[gate] = do.StartWorker(gate, terms=facts.terms_of(gate))
        return wanted

    def asked(self, name: str, now: float) -> Iterable[do.Action]:
        """Somebody who is in no registry comes for a segment: have it published, until it is subscribed to or not."""
        if name in self._segments:
            self.is_settled &= name in self._asked_s
            self._asked_s[name] = now
        return ()

    def tick(self, now: float) -> None:
        """Who came and did not subscribe keeps no publisher."""
        for name in [name for name, asked_s in self._asked_s.items() if now > asked_s + ASKED_S]:
            del self._asked_s[name]
            self.is_settled = False

    # -- what becomes of workers

    def found(self, workers: Iterable[e.FoundWorker], facts: HostFacts, now: float) -> Iterator[do.Action]:
        """These ran already when we began."""
        for found in workers:
            key = found.order.key
            if key.kind is WorkerKind.PUBLISHER:
                self.presumed.add(key.source.name)
                if found.is_ready:
                    self.ports.note(key.source.name, found.order.port)
            elif found.order.port and key.kind is WorkerKind.MIRROR:
                self.ports.note(str(key.source), found.order.port)
            is_written_back = found.order.is_written_back
            terms = self._mirrors.terms_of(key, facts.terms_for, is_written_back=is_written_back)
            order = replace(found.order, terms=terms)
            yield from self._crew.adopt(replace(found, order=order), now)

    def renew(self, keys: Iterable[WorkerKey], now: float) -> Iterable[do.Action]:
        """These are to be replaced by new ones of another version."""
        self.renewal.ask(keys)
        return self.renewal.step(now)

    def started(self, event: e.WorkerStarted, now: float) -> Iterator[do.Action]:
        """A process exists now."""
        yield from self._crew.started(event.key, event.pid, now)
        if event.key.kind is WorkerKind.PUBLISHER:
            yield from self._readership.writers.tell_again(event.key.source.name)

    def ready(self, event: e.WorkerReady, now: float) -> Iterator[do.Action]:
        """A process does its work."""
        if self._crew.ready(event.key, event.pid, event.port, event.direct_port):
            if event.key.kind is WorkerKind.PUBLISHER:
                self.ports.note(event.key.source.name, event.port)
            elif event.port:
                yield from self._writes_from(event.key.source, event.port, now)
            port = (("port", event.port),) if event.port else ()
            yield do.Report(WORKER_READY, event.key, event.pid, port)
            yield from self.unsettling(self.renewal.step(now))

    def links_seen(self, event: e.LinksSeen, now: float) -> Iterable[do.Action]:
        """Who is connected to our publishers, and which mirrors to their owners."""
        self._mirrors.links_seen(event.linked, now)
        self._readership.connected(event.connected)
        if event.subscribed != self.subscribed:
            self.subscribed, self.is_settled = event.subscribed, False
        return ()

    # -- the ports from which mirrors write back to old owners

    def write_port(self, seen: e.SourceSeen, facts: HostFacts) -> int:
        """Where the old owner of a source finds what is written back; 0 if nothing is, or that is not known yet."""
        mirror = self._mirrors.get(seen.source)
        # Its protocol is not known before there is a record.
        if mirror is None or not seen.is_old or not mirror.is_written_back:
            return 0
        given_port(seen.source, facts, self._mirrors, self._crew, self.ports)
        return mirror.write_port

    def _writes_from(self, source: Source, port: int, now: float) -> Iterator[do.Action]:
        """A mirror took another port than it was given: its old owner has to be told."""
        mirror = self._mirrors.get(source)
        if mirror is not None and mirror.is_followed and mirror.write_port != port:
            mirror.write_port = port
            self.ports.note(str(source), port)
            if self._standing.is_serving:
                yield from self._mirrors.look((source,), now)
