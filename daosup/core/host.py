"""All decisions of a host's supervisor: events in, actions out.

Invariants:
- a segment is published exactly while somebody reads it, and workers are looked at only as need be
  (core/reconciling.py);
- a source is mirrored from when its owner has a stream of ours for somebody here who holds it until nobody holds it, or
  it is stopped; and only while its name is nobody else's;
- what was found running goes on as long as it may be wanted: a publisher until its readers are known, a mirror until
  those who held it had the time to come back;
- a configuration read anew replaces just the workers of which it says something else;
- losing the registry, or what it knew, stops nothing: what runs goes on, and is announced anew when it is back;
- after StopAsked nothing is started, announced or asked for, and Finish comes once every worker has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar, Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.announcing import Announcing
from daosup.core.clock import Clock
from daosup.core.crew import Crew
from daosup.core.dnet_nodes import Nodes
from daosup.core.dnet_sources import ForeignSources
from daosup.core.election import Election
from daosup.core.host_facts import HostFacts
from daosup.core.mirror import CONFIGURED, KEPT
from daosup.core.mirrors import Mirrors
from daosup.core.namesakes import Namesakes
from daosup.core.notices import fleet
from daosup.core.readers import Readers
from daosup.core.reconciling import Reconciling
from daosup.core.registry_values import Instance
from daosup.core.standing import Standing
from daosup.core.types import Role, Source, WorkerKey, WorkerKind


class HostState:
    """The state of one host; ``handle`` is the only way in."""

    def __init__(self, facts: HostFacts) -> None:
        self.facts = facts
        self.election = Election(facts.host, facts.instance, facts.role, is_takeover=facts.is_takeover)
        self.clock = Clock()
        self.standing = Standing()
        self.namesakes = Namesakes(facts.host, facts.instance)
        self.readership = Readers()
        self.mirrors = Mirrors(facts.host, facts.names, self.standing)
        self.foreign = ForeignSources(Nodes(facts.node or facts.host, facts.domain), self.mirrors)
        self.stopped_segments: frozenset[str] = frozenset()
        self.is_gate_stopped = False
        self.mirror_names: Mapping[Source, str] = {}
        self.crew = Crew()
        self.announcing = Announcing(self.standing, self.election, self.readership, self.crew)
        self.segments = self.announcing.segments
        self.reconciling = Reconciling(self.segments, self.readership, self.mirrors, self.crew, self.standing)
        self._is_finished = False
        self._error: Optional[str] = None
        self._told_role = self.role

    def handle(self, event: e.Event, now: float) -> list[do.Action]:
        """Take in an event at ``now`` (seconds, monotonic) and say what is to be done."""
        self.reconciling.notice(event)
        actions = list(self._handlers[type(event)](self, event, now))
        actions += self._follow_election(now)
        actions += self._reconcile(getattr(event, "key", None), now)
        return actions

    @property
    def role(self) -> Optional[Role]:
        """What this host is now; None if that is not known yet."""
        return self.election.role

    @property
    def is_stopping(self) -> bool:
        """Whether this host ends."""
        return self.standing.is_leaving

    def is_stopped(self, key: WorkerKey) -> bool:
        """Whether operators stopped a worker for good."""
        if key.kind is WorkerKind.PUBLISHER:
            return key.source.name in self.stopped_segments
        return key.source in self.mirrors.stopped if key.kind is WorkerKind.MIRROR else self.is_gate_stopped

    def own_worker(self, name: str) -> WorkerKey:
        """Whom a NAME of this host means: the publisher of its segment, or if there is none, the gate called so."""
        publisher, gate = self.facts.publisher_of(name), self.facts.gate
        is_segment = name in self.segments or self.is_stopped(publisher)
        return gate if gate is not None and name == gate.source.name and not is_segment else publisher

    # -- the registry

    def _registry_connected(self, event: e.RegistryConnected, now: float) -> Iterator[do.Action]:
        yield from self.standing.connected(event.server, now)
        self.readership.forgive(now)
        self.namesakes.started_ms = event.started_ms
        self.reconciling.presumed.interrupt()
        if self.is_stopping:
            return
        yield from self.election.connected(now)
        if self.role is not None:
            yield from self.announcing.introduce(self.facts, now)
        yield from self.mirrors.ask_all(now)

    def _registry_lost(self, event: e.RegistryLost, now: float) -> Iterable[do.Action]:
        return self.standing.lost(event.reason, now)

    def _registry_checked(self, event: e.RegistryChecked, now: float) -> Iterator[do.Action]:
        is_forgotten = self.announcing.is_on and not event.is_announced
        if is_forgotten or self.readership.is_due(event, now):
            yield from self._readers_notified(e.ReadersNotified(), now)

    def _follow_election(self, now: float) -> Iterator[do.Action]:
        """The registry says what our role is; one that cannot be had ends us, and stops nothing."""
        yield from self.election.expire(now)
        if self.election.refusal and not self.is_stopping:
            self.standing.is_leaving = self._is_finished = True
            yield from self.election.give_up(now, is_connected=True)
            yield do.Finish(self.election.refusal)
        elif self.role is not self._told_role:
            is_first, self._told_role = self._told_role is None, self.role
            self.reconciling.is_settled = False
            yield do.Report(fleet.ROLE_CHANGED, fields=(("role", self.role.value if self.role else None),))
            if is_first:
                yield from self.announcing.introduce(self.facts, now)
            elif self.announcing.is_on:
                yield self.announcing.announce(self.facts, now)
                yield from self.mirrors.beat(now)

    # -- what we own

    def _segments_changed(self, event: e.SegmentsChanged, now: float) -> Iterator[do.Action]:
        self.mirrors.places.segments_changed((facts.name for facts in event.found), event.gone)
        yield from self.announcing.segments_changed(event, self.facts, now)

    def _readers_notified(self, event: e.ReadersNotified, now: float) -> Iterator[do.Action]:
        if self.standing.is_serving:
            yield do.ReadReaders()

    def _readers_seen(self, event: e.ReadersSeen, now: float) -> Iterator[do.Action]:
        is_forgotten = self.announcing.is_on and not event.is_announced
        report = do.Report(fleet.HOST_FORGOTTEN)
        if is_forgotten and event.other is not None:
            yield from self._namesake_met(event.other, now)
            about_it = (("peer_pid", event.other.pid), ("peer_ip", event.other.ip))
            report = do.Report(fleet.HOST_NAME_SHARED, fields=about_it)
            is_forgotten = not self.is_stopping and self.namesakes.may_answer(now)
        if is_forgotten:
            self.readership.forgive(now)
        yield from self.readership.seen(event, now)
        self.reconciling.presumed.readers_told(self.readership.names, now)
        if is_forgotten:
            yield report
            yield self.announcing.announce(self.facts, now)
            yield from self.mirrors.ask_all(now)
            if event.other is None:
                yield from self.election.forgotten(now)

    def _heartbeats_seen(self, event: e.HeartbeatsSeen, now: float) -> Iterable[do.Action]:
        return self.reconciling.unsettling(self.readership.heartbeats_seen(event, now))

    def _namesake_met(self, other: Instance, now: float) -> Iterator[do.Action]:
        reason = self.namesakes.met(other)
        if reason and not self.is_stopping:
            self._error = reason
            yield from self._stop_asked(e.StopAsked(), now)

    # -- what we mirror

    def _mirror_asked(self, event: e.MirrorAsked, now: float) -> Iterable[do.Action]:
        return self.mirrors.hold(
            event.source, event.holder, now, is_written_back=event.is_written_back, enough_hz=event.enough_hz
        )

    def _record_notified(self, event: e.RecordNotified, now: float) -> Iterable[do.Action]:
        return self.mirrors.look((event.source,), now) if self.standing.is_serving else ()

    def _records_seen(self, event: e.RecordsSeen, now: float) -> Iterator[do.Action]:
        for seen in event.sources:
            if self.mirrors.take(seen, now):
                self.reconciling.is_settled = False
                yield from self.crew.nudge(WorkerKey(WorkerKind.MIRROR, seen.source), now, "its owner is back")
            if self.standing.is_serving:
                yield from self.mirrors.request(seen, self.reconciling.write_port(seen, self.facts), now)
        if self.standing.is_serving:
            yield from self.mirrors.ask_again(event.sources)

    # -- what is configured, and what operators want to last

    def _config_changed(self, event: e.ConfigChanged, now: float) -> Iterator[do.Action]:
        before = self.facts
        self.facts = event.facts.as_begun(before)
        self.mirrors.places.rename(self.facts.names.and_own(self.mirror_names))
        if self.is_stopping:
            return
        if self.announcing.is_on and _introduction(before) != _introduction(event.facts):
            yield self.announcing.announce(self.facts, now)
        facts = event.facts
        self.mirrors.configured = facts.deliveries
        yield from self.mirrors.hold_exactly(facts.mirrors, CONFIGURED, now, written_back=facts.written_back)

    def _desired_changed(self, event: e.DesiredChanged, now: float) -> Iterator[do.Action]:
        if self.is_stopping:
            return
        desired = event.desired
        self.stopped_segments, self.mirror_names = desired.stopped_segments, desired.mirror_names
        self.is_gate_stopped = desired.is_gate_stopped
        self.mirrors.places.rename(self.facts.names.and_own(self.mirror_names))
        self.mirrors.desired = desired
        yield from self.mirrors.stop_exactly(desired.stopped_mirrors, now)
        yield from self.mirrors.hold_exactly(desired.kept_mirrors, KEPT, now, written_back=desired.written_back)

    # -- workers

    def _workers_found(self, event: e.WorkersFound, now: float) -> Iterator[do.Action]:
        yield from self.mirrors.find(event, now)
        yield from self.reconciling.found(event.workers, self.facts, now)

    def _old_writers_remembered(self, event: e.OldWritersRemembered, now: float) -> Iterable[do.Action]:
        self.readership.writers.remembered(event.writers)
        return ()

    def _worker_began(self, event: e.WorkerBegan, now: float) -> Iterable[do.Action]:
        self.crew.began(event.key, event.pid)
        return ()

    def _worker_exited(self, event: e.WorkerExited, now: float) -> Iterable[do.Action]:
        return self.crew.exited(event.key, event.pid, event.cause, now, event.details)

    def _worker_hung(self, event: e.WorkerHung, now: float) -> Iterable[do.Action]:
        return self.crew.hung(event.key, event.pid, event.beat_age_s, now)

    def _worker_grown(self, event: e.WorkerGrown, now: float) -> Iterable[do.Action]:
        return self.crew.grown(event.key, event.pid, event.memory_bytes, event.limit_bytes, now)

    # -- time and the end

    def _ticked(self, event: e.Ticked, now: float) -> Iterator[do.Action]:
        if self.is_stopping:
            return
        yield from self.reconciling.unsettling(self.reconciling.renewal.step(now))
        yield from self.reconciling.unsettling(self.mirrors.release_adopted(now))
        yield from self.reconciling.ports.tick()
        self.reconciling.tick(now)
        yield from self.standing.tick(now)
        yield from self.foreign.nodes.tick(now)
        if not self.standing.is_up:
            return
        if self.announcing.is_on and self.announcing.is_due(self.facts, now):
            yield self.announcing.announce(self.facts, now)
            yield from self.mirrors.beat(now)
        yield from self.announcing.check(now)
        yield from self.election.tick(now)
        yield from self.mirrors.tick(now)
        if self.announcing.is_on:
            yield from self.readership.tick(self.segments, now)

    def _stop_asked(self, event: e.StopAsked, now: float) -> Iterator[do.Action]:
        self.standing.is_leaving = True
        yield from self.election.give_up(now, is_connected=self.standing.is_up)
        # Who ends for a namesake's sake leaves what is written down of the host's readings to that one.
        yield from self.mirrors.release_all(is_connected=self.standing.is_up and self._error is None)

    def _reconcile(self, key: Optional[WorkerKey], now: float) -> Iterator[do.Action]:
        """Bring what runs nearer to what is wanted, and tell the registry: of all, or of the one with ``key`` alone."""
        if self._is_finished:
            return
        gate = None if self.is_gate_stopped else self.facts.gate
        is_all = yield from self.reconciling.reconcile(self.facts, self.stopped_segments, gate, now)
        if self.announcing.is_on:
            if is_all:
                yield from self.announcing.update(self.facts)
            elif key is not None:
                yield from self.announcing.update_some((key.source.name,), self.facts)
        if is_all and self.is_stopping and not self.crew.workers:
            self._is_finished = True
            if self.standing.is_up:
                yield do.Withdraw()
            yield do.Finish(self._error)

    _handlers: ClassVar[dict[type, Callable[..., Iterable[do.Action]]]] = {
        e.RegistryConnected: _registry_connected,
        e.RegistryLost: _registry_lost,
        e.RegistryChecked: _registry_checked,
        e.LeaseSeen: lambda self, event, now: self.election.lease_seen(event, now),
        e.HostsSeen: lambda self, event, now: self.election.hosts_seen(event, now),
        e.HostEvicted: lambda self, event, now: self.election.evicted(event),
        e.ActRefused: lambda self, event, now: self.election.refused(event, now),
        e.ClockCompared: lambda self, event, now: self.clock.compared(event),
        e.ReplacedInstance: lambda self, event, now: self._namesake_met(event.other, now),
        e.ReadersSeen: _readers_seen,
        e.RequestsTaken: lambda self, event, now: self.readership.requests_taken(event, now),
        e.HeartbeatsSeen: _heartbeats_seen,
        e.RecordsSeen: _records_seen,
        e.ReadersNotified: _readers_notified,
        e.RecordNotified: _record_notified,
        e.SegmentsChanged: _segments_changed,
        e.MirrorAsked: _mirror_asked,
        e.MirrorReleased: lambda self, event, now: self.mirrors.release([event.source], event.holder),
        e.HolderGone: lambda self, event, now: self.mirrors.release(list(self.mirrors), event.holder),
        e.PortsRemembered: lambda self, event, now: self.reconciling.ports.remembered(event.ports),
        e.OldWritersRemembered: _old_writers_remembered,
        e.LinksSeen: lambda self, event, now: self.reconciling.links_seen(event, now),
        e.WorkerStarted: lambda self, event, now: self.reconciling.started(event, now),
        e.WorkerBegan: _worker_began,
        e.WorkerReady: lambda self, event, now: self.reconciling.ready(event, now),
        e.WorkerExited: _worker_exited,
        e.ConfigChanged: _config_changed,
        e.DesiredChanged: _desired_changed,
        e.WorkerHung: _worker_hung,
        e.WorkerGrown: _worker_grown,
        e.WorkersFound: _workers_found,
        e.RestartAsked: lambda self, event, now: self.crew.restart(event.key, now),
        e.RenewAsked: lambda self, event, now: self.reconciling.renew(event.keys, now),
        e.AnnounceAsked: lambda self, event, now: self.announcing.resume(self.facts, now),
        e.WithdrawAsked: lambda self, event, now: self.announcing.withdraw(),
        e.BeaconHeard: lambda self, event, now: self.foreign.nodes.heard(event.beacon, event.address, now),
        e.CatalogueRead: lambda self, event, now: self.foreign.read(event, now),
        e.CatalogueFailed: lambda self, event, now: self.foreign.failed(event, now),
        e.NodeAsked: lambda self, event, now: self.reconciling.asked(event.name, now),
        e.Ticked: _ticked,
        e.StopAsked: _stop_asked,
    }


def _introduction(facts: HostFacts) -> tuple[object, ...]:
    """What the registry is told of a host, and for how long it holds."""
    return facts.ip, facts.heartbeat_interval_s
