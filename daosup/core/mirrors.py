"""The sources that somebody on this host holds, and what the registry says of them.

Invariants: a source is in here exactly as long as it has a holder, and the configuration's and the kept ones are held
whatever others release. Its endpoint, once known, stays until another is known, so an owner that is away for a while
finds its mirrors waiting. One that is stopped is held, but neither asked for nor ordered. Of two sources whose mirrors
would have the same file, the one that was held first has it. What is asked or looked for is ordered for all sources at
once, so many quiet mirrors cost little more than one. A mirror that was found running is held for a while by nobody in
particular: whoever held it may be coming back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Generator, Hashable, Iterable, Iterator, Mapping
from typing import Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.delivery import PLAIN, Delivery
from daosup.core.desired import Desired
from daosup.core.mirror import ADOPTED, ADOPTED_S, CONFIGURED, KEPT, OPERATOR, Mirror
from daosup.core.mirror_names import MirrorNames
from daosup.core.notices import streams
from daosup.core.old_owners import followed, is_request_due
from daosup.core.places import Places
from daosup.core.readership import BEAT_INTERVAL_S
from daosup.core.standing import Standing
from daosup.core.types import DNET_PROTOCOL, PROTOCOL, Source, WorkerKey, WorkerKind

#: The fallback for a notification that got lost: for sources without a stream, and for those that have one.
POLL_INTERVAL_S = 2.0
SWEEP_INTERVAL_S = 30.0


class Mirrors(dict[Source, Mirror]):
    """All mirrors of a host, by source; ``standing`` is how the host stands with the registry.

    Attributes:
        places: What mirrors are called.
        stopped: Which sources are not to be mirrored, whoever holds them.
        foreign: Of a source whose host the registry does not know: what is known of it otherwise.
    """

    def __init__(self, host: str, names: MirrorNames, standing: Standing) -> None:
        super().__init__()
        self._host, self._standing = host, standing
        self.places = Places(names)
        self.stopped: frozenset[Source] = frozenset()
        self.foreign: Callable[[Source], Optional[e.SourceSeen]] = lambda source: None
        #: What an operator says of mirrors, and in which form frames are to come where the configuration does.
        self.desired = Desired()
        self.configured: Mapping[Source, Delivery] = {}
        self._beat = 0
        self._beat_s = 0.0
        self._remembered: tuple[set[Source], ...] = (set(), set(), set())

    def hold(
        self, source: Source, holder: str, now: float, *, is_written_back: bool = False, enough_hz: float = 0.0
    ) -> Iterator[do.Action]:
        """Somebody wants a source, and, whatever was said before, writes to it or does not, and wants so much of it."""
        mirror = self.get(source)
        if mirror is None:
            mirror = self[source] = Mirror()
            yield do.Report(streams.MIRROR_ASKED, _key(source), fields=(("holder", holder),))
        mirror.holders.add(holder)
        if enough_hz:
            mirror.enough[holder] = enough_hz
        else:
            mirror.enough.pop(holder, None)
        was_written_back = mirror.is_written_back
        (mirror.writers.add if is_written_back else mirror.writers.discard)(holder)
        if mirror.is_written_back != was_written_back:
            yield _report_writing(source, mirror)
        if source in self.stopped:
            return
        if not self._standing.is_serving:
            yield from self.look_elsewhere([] if mirror.endpoint else [source], now)
        elif not mirror.endpoint:
            yield self._ask((source,), is_news=True)
            yield from self.look((source,), now)
        elif mirror.is_followed and not was_written_back:
            yield from self.look((source,), now)

    def release(self, sources: Iterable[Source], holder: Optional[str]) -> Iterator[do.Action]:
        """A holder, or with None everybody who may, does not want these sources any more."""
        gone = []
        for source in sources:
            mirror = self.get(source)
            if mirror is None:
                continue
            was_written_back = mirror.is_written_back
            mirror.holders &= {CONFIGURED, KEPT} if holder is None else mirror.holders - {holder}
            mirror.writers &= mirror.holders
            mirror.enough = {each: enough_hz for each, enough_hz in mirror.enough.items() if each in mirror.holders}
            if not mirror.holders:
                del self[source]
                gone.append(source)
                yield do.Report(streams.MIRROR_RELEASED, _key(source))
            elif mirror.is_written_back != was_written_back:
                yield _report_writing(source, mirror)
        if gone and self._standing.is_up:
            yield do.Unask(tuple(gone))

    def release_all(self, *, is_connected: bool) -> Iterator[do.Action]:
        """Nothing is mirrored any more, whoever holds it: the end of the host."""
        gone = tuple(self)
        self.clear()
        for source in gone:
            yield do.Report(streams.MIRROR_RELEASED, _key(source))
        if gone and is_connected:
            yield do.Unask(gone)

    def hold_exactly(
        self,
        sources: Collection[Source],
        holder: str,
        now: float,
        *,
        written_back: Container[Source] = (),
    ) -> Iterator[do.Action]:
        """A holder wants these sources and no others, and writes to those of them that are ``written_back``."""
        held = [source for source, mirror in self.items() if holder in mirror.holders]
        yield from self.release((each for each in held if each not in sources), holder)
        for source in sorted(sources):
            mirror, is_written_back = self.get(source), source in written_back
            is_held = mirror is not None and holder in mirror.holders
            if mirror is None or not is_held or (holder in mirror.writers) != is_written_back:
                yield from self.hold(source, holder, now, is_written_back=is_written_back)

    def stop_exactly(self, sources: frozenset[Source], now: float) -> Iterator[do.Action]:
        """These sources are not to be mirrored, whoever holds them, and no others."""
        changed, self.stopped = self.stopped ^ sources, sources
        changed &= self.keys()
        for source in changed:
            self[source].endpoint, self[source].reason = "", "asking the registry"
        stopped, going = tuple(sorted(changed & sources)), tuple(sorted(changed - sources))
        if stopped and self._standing.is_up:
            yield do.Unask(stopped)
        if going and self._standing.is_serving:
            yield self._ask(going, is_news=True)
            yield from self.look(going, now)

    def find(self, event: e.WorkersFound, now: float) -> Iterator[do.Action]:
        """Take over what was mirrored before we began, whether a worker of it lives or not."""
        written_back = set(event.written_back)
        orders = {
            source: do.StartWorker(WorkerKey(WorkerKind.MIRROR, source), is_written_back=source in written_back)
            for source in event.by_others
        }
        for found in event.workers:
            if found.order.key.kind is WorkerKind.MIRROR:
                orders[found.order.key.source] = found.order
        self.places.take((*event.by_operator, *orders))
        if self._standing.is_leaving:
            return
        for source in event.by_operator:
            yield from self.hold(source, OPERATOR, now, is_written_back=source in written_back)
        for source, order in orders.items():
            self._adopt(source, order, now)

    def _adopt(self, source: Source, order: do.StartWorker, now: float) -> None:
        mirror = self.setdefault(source, Mirror())
        mirror.holders.add(ADOPTED)
        mirror.adopted_s = now
        if order.is_written_back:
            mirror.writers.add(ADOPTED)
        if order.enough_hz:
            mirror.enough[ADOPTED] = order.enough_hz
        if order.endpoint and not mirror.endpoint:
            mirror.endpoint, mirror.protocol, mirror.direct_port = order.endpoint, order.protocol, order.direct_port
            mirror.linked_s, mirror.reason = now, None
        if mirror.is_followed and mirror.given_port is None:
            mirror.given_port = mirror.write_port = order.port

    def tidy(self, wanted: Iterable[WorkerKey], running: Container[WorkerKey]) -> Generator[do.Action, None, bool]:
        """Remove the segments of what is not to be there any more, and have remembered what is mirrored now.

        Returns whether something was removed, whose name another may have now.
        """
        places, is_leaving = self.places, self._standing.is_leaving
        places.take(key.source for key in wanted if key.kind is WorkerKind.MIRROR)
        over = [s for s in places.over({} if is_leaving else self) if WorkerKey(WorkerKind.MIRROR, s) not in running]
        for source in over:
            del places.made[source]
            yield do.RemoveMirror(source)
        by_operator = {source for source, mirror in self.items() if OPERATOR in mirror.holders}
        written_back = {source for source, mirror in self.items() if mirror.is_remembered_as_written_back}
        remembered = by_operator, (self.keys() | places.made.keys()) - by_operator, written_back
        if remembered != self._remembered and not is_leaving:
            self._remembered = remembered
            yield do.RememberMirrors(*(tuple(sorted(each)) for each in remembered))
        return bool(over)

    def release_adopted(self, now: float) -> Iterator[do.Action]:
        """Give up what was found running and nobody came for."""
        over = [s for s, each in self.items() if ADOPTED in each.holders and now >= each.adopted_s + ADOPTED_S]
        return self.release(over, ADOPTED)

    def ask_all(self, now: float) -> Iterator[do.Action]:
        """Ask for everything, to a registry that may know nothing of it."""
        self._beat_s = now
        if self._asked:
            yield self._ask(self._asked, is_news=True)
        yield from self.look(self._going, now)

    def beat(self, now: float) -> Iterator[do.Action]:
        """Renew what is asked for.

        Due with each heartbeat of the host, too: a registry that forgot everything just before looks as if it had not.
        """
        self._beat_s = now
        if self._asked:
            yield self._ask(self._asked, is_news=False)

    def tick(self, now: float) -> Iterator[do.Action]:
        """Renew what is asked for, and look for what no message told."""
        if now >= self._beat_s + BEAT_INTERVAL_S:
            yield from self.beat(now)
        yield from self.look(tuple(source for source in self._going if now >= _due_s(self[source])), now)

    @property
    def _going(self) -> tuple[Source, ...]:
        """All that are not stopped."""
        return tuple(source for source in self if source not in self.stopped)

    @property
    def _asked(self) -> tuple[Source, ...]:
        """Those of them whose owners find out from the registry that we read them."""
        return tuple(source for source in self._going if self[source].protocol != DNET_PROTOCOL)

    def look(self, sources: Iterable[Source], now: float) -> Iterator[do.Action]:
        """Read what the registry has of those of the sources that are held."""
        held = tuple(source for source in sources if source in self)
        for source in held:
            self[source].looked_s = now
        if held:
            yield do.ReadRecords(held)

    def look_elsewhere(self, sources: Iterable[Source], now: float) -> Iterator[do.Action]:
        """Something else than the registry may know of these: follow that, unless the registry can say better."""
        held = [source for source in sources if source in self]
        if self._standing.is_serving:
            yield from self.look(held, now)
            return
        for source in held:
            seen, mirror = self.foreign(source), self[source]
            if seen is not None and (mirror.protocol == DNET_PROTOCOL or not mirror.endpoint):
                self.take(seen, now)

    def _ask(self, sources: tuple[Source, ...], *, is_news: bool) -> do.Ask:
        self._beat += 1
        return do.Ask(sources, self._beat, is_news, frozenset(each for each in sources if self[each].is_written_back))

    def ask_again(self, seen: Iterable[e.SourceSeen]) -> Iterator[do.Action]:
        """Ask once more for what we read and are not written down for (any more), as when the registry lost it."""
        forgotten = tuple(each.source for each in seen if self._is_forgotten(each))
        if forgotten:
            yield self._ask(forgotten, is_news=False)

    def _is_forgotten(self, seen: e.SourceSeen) -> bool:
        mirror = self.get(seen.source)
        is_read = mirror is not None and bool(mirror.endpoint) and mirror.protocol == PROTOCOL
        is_known = self._host in (record.client_hostname for record in seen.records)
        is_meant = is_read and seen.source not in self.stopped
        return is_meant and seen.is_segment_known and not is_known

    def links_seen(self, sources: Iterable[Source], now: float) -> None:
        """Of all sources, those whose mirrors have a link to their owner now."""
        linked = frozenset(sources)
        for source, mirror in self.items():
            mirror.is_linked = source in linked
            if mirror.is_linked:
                mirror.linked_s = now

    def request(self, seen: e.SourceSeen, write_port: int, now: float) -> Iterator[do.Action]:
        """Ask a host for a stream that runs the existing daemon, if that is due; ``write_port`` as `is_request_due`."""
        mirror = self.get(seen.source)
        if mirror is None or seen.source in self.stopped:
            return
        if is_request_due(seen, self._host, mirror.linked_s, mirror.requested_s, now, write_port):
            mirror.requested_s = now
            yield do.RequestStream(seen.source, bool(write_port), write_port or None)

    def take(self, seen: e.SourceSeen, now: float) -> bool:
        """Take in what the registry has of a source; True if its owner streams it again, or from another place."""
        source, mirror = seen.source, self.get(seen.source)
        if mirror is None or source in self.stopped:
            return False
        foreign = None if seen.is_host_known else self.foreign(source)
        seen = foreign or seen
        before = mirror.reason, mirror.endpoint, mirror.protocol, mirror.direct_port
        mirror.looks = seen.looks
        mirror.is_unknown = not (seen.is_host_known and seen.is_segment_known)
        record = followed(seen.records, self._host)
        mirror.is_unsupported = bool(seen.records) and record is None
        if record is not None:
            mirror.endpoint, mirror.protocol, mirror.reason = record.endpoint, record.protocol, None
            mirror.direct_port = (record.direct_port or 0) if record.protocol == PROTOCOL else 0
            if before[1:3] != (mirror.endpoint, mirror.protocol):
                mirror.linked_s = now
        elif not seen.is_host_known:
            mirror.reason = f"host {source.host} is not in the registry"
        elif not seen.is_segment_known:
            where = "in its catalogue" if foreign else "in the registry"
            mirror.reason = f"host {source.host} has no segment {source.name} {where}"
        elif seen.records:
            mirror.reason = f"host {source.host} streams {source.name} only in a form that this version cannot read"
        else:
            mirror.reason = f"waiting for {source.host} to publish {source.name}"
        return mirror.reason is None and before != (None, mirror.endpoint, mirror.protocol, mirror.direct_port)

    def orders(self, terms_for: Callable[..., Hashable], port_of: Callable[[Source], int]) -> Iterator[do.StartWorker]:
        """The workers that there should be; ``port_of`` those that old owners follow."""
        free = self.places.free(self)
        for source, mirror in self.items():
            if mirror.endpoint and source in free and source not in self.stopped:
                key, is_written_back = _key(source), mirror.is_written_back
                terms = self.terms_of(key, terms_for, is_written_back=is_written_back)
                port = port_of(source) if mirror.is_followed else 0
                delivery = self.delivery_of(source)
                enough_hz = mirror.enough_hz if delivery.is_plain and not is_written_back else 0.0
                yield do.StartWorker(
                    key, port, mirror.endpoint, terms, mirror.protocol, mirror.looks, is_written_back,
                    mirror.direct_port, delivery, enough_hz,
                )  # fmt: skip

    def delivery_of(self, source: Source) -> Delivery:
        """In which form a mirror's frames are to come; plain if that is not said, and of one that is written back."""
        mirror = self.get(source)
        if mirror is not None and mirror.is_written_back:
            return PLAIN
        return self.desired.deliveries.get(source) or self.configured.get(source) or PLAIN

    def terms_of(self, key: WorkerKey, terms_for: Callable[..., Hashable], *, is_written_back: bool) -> Hashable:
        """What is said of a mirror's process, by the configuration and by an operator, only to be compared."""
        told = self.desired.transports.get(key.source), self.desired.depths.get(key.source)
        terms = terms_for(key, is_written_back=is_written_back)
        return terms if told == (None, None) else (terms, *told)

    def name_of(self, source: Source) -> str:
        """What the mirror of a source is called here."""
        return self.places.name_of(source)

    def reason_of(self, source: Source) -> Optional[str]:
        """Why a source that is held is not mirrored, as far as is known here."""
        mirror = self[source]
        if source in self.stopped:
            return f"stopped here; `daosupctl start {source}` starts it"
        obstacle = self.places.obstacle(source)
        if obstacle is not None:
            return obstacle
        first = self.namesake(source) if mirror.endpoint and mirror.reason is None else None
        if first is not None:
            return f"{first} has the same file, {self.name_of(source)}; release one of the two"
        return mirror.reason

    def namesake(self, source: Source) -> Optional[Source]:
        """Another source whose mirror would have the same file: ``a_b:c`` and ``a:b_c`` are both remote_a_b_c."""
        name = self.name_of(source)
        return next((other for other in self if other != source and self.name_of(other) == name), None)


def _report_writing(source: Source, mirror: Mirror) -> do.Report:
    if not mirror.is_written_back:
        return do.Report(streams.MIRROR_NOT_WRITTEN, _key(source))
    return do.Report(streams.MIRROR_WRITTEN, _key(source), fields=(("holders", ", ".join(sorted(mirror.writers))),))


def _key(source: Source) -> WorkerKey:
    return WorkerKey(WorkerKind.MIRROR, source)


def _due_s(mirror: Mirror) -> float:
    return mirror.looked_s + (SWEEP_INTERVAL_S if mirror.endpoint and mirror.is_linked else POLL_INTERVAL_S)
