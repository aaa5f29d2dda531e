"""The sources that somebody on this host holds, and what the registry says of them.

Invariants:
- a source is in here exactly as long as it has a holder;
- its endpoint, once known, stays until another is known, so an owner that is away for a while finds its mirrors
  waiting;
- a mirror that was found running is held for a while by nobody in particular: whoever held it may be coming back.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Optional

from daosup.core import events as e
from daosup.core.readership import BEAT_INTERVAL_S
from daosup.core.types import PROTOCOL, Source, WorkerKey, WorkerKind

#: The fallback for a notification that got lost.
POLL_INTERVAL_S = 2.0
#: Holds what is asked for on the command line, until it is released there. Programs have a name of their own.
OPERATOR = "operator"
#: Holds what was found running, until the programs that hold it have found us.
ADOPTED = "adopted"
ADOPTED_S = 30.0


@dataclass
class Mirror:
    """A source that somebody here holds; times are the supervisor's monotonic clock in seconds."""

    holders: set[str] = field(default_factory=set)
    endpoint: str = ""
    reason: Optional[str] = "asking the registry"
    is_unknown: bool = False
    is_unsupported: bool = False
    asked_s: float = 0.0
    looked_s: float = 0.0
    beat: int = 0
    adopted_s: float = 0.0


class Mirrors(dict[Source, Mirror]):
    """All mirrors of a host, by source. ``is_serving``: whether the registry can be asked now."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self._made: set[Source] = set()
        self._remembered: tuple[set[Source], set[Source]] = (set(), set())

    def hold(self, source: Source, holder: str, now: float, *, is_serving: bool) -> Iterator[e.Action]:
        """Somebody wants a source."""
        mirror = self.get(source)
        if mirror is None:
            mirror = self[source] = Mirror()
            yield e.Report("info", "mirror asked for", (("source", str(source)), ("holder", holder)))
        mirror.holders.add(holder)
        if is_serving and not mirror.endpoint:
            yield from self._ask(source, now)

    def release(self, source: Source, holder: Optional[str], *, is_connected: bool) -> Iterator[e.Action]:
        """A holder, or with None everybody, does not want it any more."""
        mirror = self.get(source)
        if mirror is None:
            return
        mirror.holders -= mirror.holders if holder is None else {holder}
        if not mirror.holders:
            del self[source]
            yield e.Report("info", "mirror released", (("source", str(source)),))
            if is_connected:
                yield e.Unask(source)

    def find(self, event: e.WorkersFound, now: float, *, is_serving: bool, is_stopping: bool) -> Iterator[e.Action]:
        """Take over what was mirrored before we began, whether a worker of it lives or not."""
        endpoints = dict.fromkeys(event.by_others, "")
        for found in event.workers:
            if found.order.key.kind is WorkerKind.MIRROR:
                endpoints[found.order.key.source] = found.order.endpoint
        self._made.update(event.by_operator, endpoints)
        if is_stopping:
            return
        for source in event.by_operator:
            yield from self.hold(source, OPERATOR, now, is_serving=is_serving)
        for source, endpoint in endpoints.items():
            self._adopt(source, endpoint, now)

    def _adopt(self, source: Source, endpoint: str, now: float) -> None:
        mirror = self.setdefault(source, Mirror())
        mirror.holders.add(ADOPTED)
        mirror.adopted_s = now
        if endpoint and not mirror.endpoint:
            mirror.endpoint, mirror.reason = endpoint, None

    def tidy(
        self, wanted: Iterable[WorkerKey], running: Container[WorkerKey], *, is_stopping: bool
    ) -> Iterator[e.Action]:
        """Remove the segments of what is not held any more, and have remembered what is mirrored now."""
        self._made |= {key.source for key in wanted if key.kind is WorkerKind.MIRROR}
        for source in sorted(self._made if is_stopping else self._made - self.keys()):
            if WorkerKey(WorkerKind.MIRROR, source) not in running:
                self._made.discard(source)
                yield e.RemoveMirror(source)
        by_operator = {source for source, mirror in self.items() if OPERATOR in mirror.holders}
        remembered = by_operator, (self.keys() | self._made) - by_operator
        if remembered != self._remembered and not is_stopping:
            self._remembered = remembered
            yield e.RememberMirrors(*(tuple(sorted(each)) for each in remembered))

    def release_adopted(self, now: float, *, is_connected: bool) -> Iterator[e.Action]:
        """Give up what was found running and nobody came for."""
        for source, mirror in list(self.items()):
            if ADOPTED in mirror.holders and now >= mirror.adopted_s + ADOPTED_S:
                yield from self.release(source, ADOPTED, is_connected=is_connected)

    def ask_all(self, now: float) -> Iterator[e.Action]:
        """Ask for everything, to a registry that may know nothing of it."""
        for source in self:
            yield from self._ask(source, now)

    def tick(self, now: float) -> Iterator[e.Action]:
        """Renew what is asked for, and look for what no message told."""
        for source, mirror in self.items():
            if now >= mirror.asked_s + BEAT_INTERVAL_S:
                yield from self._ask(source, now)
            elif now >= mirror.looked_s + POLL_INTERVAL_S:
                yield from self.look(source, now)

    def look(self, source: Source, now: float) -> Iterator[e.Action]:
        """Read what the registry has of a source, if it is held."""
        if source in self:
            self[source].looked_s = now
            yield e.ReadRecords(source)

    def _ask(self, source: Source, now: float) -> Iterator[e.Action]:
        mirror = self[source]
        mirror.beat += 1
        mirror.asked_s = now
        yield e.Ask(source, mirror.beat)
        yield from self.look(source, now)

    def take(self, seen: e.RecordsSeen) -> None:
        """Take in what the registry has of a source."""
        source, mirror = seen.source, self.get(seen.source)
        if mirror is None:
            return
        mirror.is_unknown = not (seen.is_host_known and seen.is_segment_known)
        ours = [record for record in seen.records if record.protocol == PROTOCOL]
        mirror.is_unsupported = bool(seen.records) and not ours
        if ours:
            mine = [record for record in ours if record.client_hostname == self._host]
            mirror.endpoint, mirror.reason = (mine or ours)[0].endpoint, None
        elif not seen.is_host_known:
            mirror.reason = f"host {source.host} is not in the registry"
        elif not seen.is_segment_known:
            mirror.reason = f"host {source.host} has no segment {source.name} in the registry"
        elif seen.records:
            mirror.reason = f"host {source.host} streams {source.name} only in a form that this version cannot read"
        else:
            mirror.reason = f"waiting for {source.host} to publish {source.name}"

    def orders(self) -> Iterator[e.StartWorker]:
        """The workers that there should be."""
        for source, mirror in sorted(self.items()):
            if mirror.endpoint:
                yield e.StartWorker(WorkerKey(WorkerKind.MIRROR, source), 0, mirror.endpoint)

    def namesake(self, source: Source) -> Optional[Source]:
        """Another source whose mirror would have the same file: ``a_b:c`` and ``a:b_c`` are both remote_a_b_c."""
        return next((other for other in self if other != source and other.mirror_name == source.mirror_name), None)
