"""Nodes of DAO's network service that are heard of, and what they have.

Invariants:
- a node that was not heard of for ``FORGET_S`` on the monotonic clock is forgotten, and not before;
- a catalogue is fetched when a version is announced other than the one that is here; once at a time for each node, and
  at most so often, whatever the node says;
- of two that call themselves by one name the first has it, until it was silent for ``YIELD_S``; a node that is started
  anew at another port so has its name back;
- whatever strangers say, no more than ``MOST_NODES`` are kept, and nothing is told twice of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from daosup.core.actions import FetchCatalogue, Report
from daosup.core.dnet_catalogue import Beacon, Catalogue, Listed
from daosup.core.notices import dnet as notices

FORGET_S = 6.0
YIELD_S = 2.5
MOST_NODES = 256
#: Between two fetches from one node; after one that failed it grows up to the second.
_FETCH_PAUSES_S = (0.9, 15.0)
#: A fetch that nothing was heard of for so long is taken for failed.
FETCH_S = 10.0
_MOST_AT_ONCE = 8

Place = tuple[str, int]


@dataclass
class Node:
    """One node; times are seconds, monotonic.

    Attributes:
        place: Its address and data port.
        announced: The version of its catalogue, as it said last.
        heard_s: When that was.
        catalogue: The last one that was fetched.
        error: Why the last fetch failed.
    """

    place: Place
    announced: int
    heard_s: float
    catalogue: Optional[Catalogue] = None
    error: Optional[str] = None
    fetch_began_s: Optional[float] = None
    next_fetch_s: float = float("-inf")
    pause_s: float = _FETCH_PAUSES_S[0]
    rival: Optional[Place] = None
    told: set[Place] = field(default_factory=set)

    @property
    def segments(self) -> Mapping[str, Listed]:
        """What it has, by name."""
        return {} if self.catalogue is None else {each.name: each for each in self.catalogue.segments}


class Nodes(dict[str, Node]):
    """All nodes that are heard of, by name.

    Args:
        own: What this host is called, whose beacon is no news.
        domain: Whose nodes are listened to.
    """

    def __init__(self, own: str, domain: str) -> None:
        super().__init__()
        self._own, self.domain = own, domain
        self._is_full = False

    def heard(self, beacon: Beacon, address: str, now: float) -> Iterator[FetchCatalogue | Report]:
        """A beacon came."""
        if beacon.domain != self.domain or beacon.node == self._own:
            return
        place = address, beacon.port
        node = self.get(beacon.node)
        if node is None:
            if len(self) >= MOST_NODES:
                if not self._is_full:
                    self._is_full = True
                    yield Report(notices.NODES_TOO_MANY, fields=(("peer", beacon.node), ("most", MOST_NODES)))
                return
            node = self[beacon.node] = Node(place, beacon.catalogue, now)
            yield Report(notices.NODE_HEARD, fields=(("peer", beacon.node), ("peer_ip", address)))
        elif node.place != place:
            if now < node.heard_s + YIELD_S:
                is_same = (node.place[1], node.announced) == (beacon.port, beacon.catalogue)
                node.rival = node.rival if is_same else place  # it may have two addresses
                return
            node.place, node.next_fetch_s, node.fetch_began_s, node.catalogue = place, now, None, None
            node.rival = None
        elif node.rival is not None:
            # Both are there, so it was not started anew.
            rival, node.rival = node.rival, None
            if rival not in node.told and len(node.told) < MOST_NODES:
                node.told.add(rival)
                about = (("peer", beacon.node), ("peer_ip", node.place[0]), ("other_ip", rival[0]))
                yield Report(notices.NODE_NAME_SHARED, fields=about)
        node.announced, node.heard_s = beacon.catalogue, now
        yield from self._fetch(beacon.node, node, now)

    def catalogue_read(self, name: str, place: Place, catalogue: Catalogue, now: float) -> bool:
        """A catalogue came; whether something is otherwise than before."""
        node = self._fetched(name, place, now)
        if node is None:
            return False
        if (catalogue.node, catalogue.domain) != (name, self.domain):
            self._failed(node, f"it is that of {catalogue.node} in domain {catalogue.domain}", now)
            return False
        before, node.catalogue = node.catalogue, catalogue
        node.error, node.pause_s = None, _FETCH_PAUSES_S[0]
        return before is None or before.segments != catalogue.segments

    def catalogue_failed(self, name: str, place: Place, reason: str, now: float) -> None:
        """A catalogue could not be had."""
        node = self._fetched(name, place, now)
        if node is not None:
            self._failed(node, reason, now)

    def _fetched(self, name: str, place: Place, now: float) -> Optional[Node]:
        node = self.get(name)
        if node is None or node.place != place or node.fetch_began_s is None:
            return None
        node.fetch_began_s, node.next_fetch_s = None, now + node.pause_s
        return node

    def _failed(self, node: Node, reason: str, now: float) -> None:
        node.error, node.pause_s = reason, min(_FETCH_PAUSES_S[1], 2 * node.pause_s)
        node.next_fetch_s = now + node.pause_s

    def tick(self, now: float) -> Iterator[FetchCatalogue | Report]:
        """Forget who is not heard of any more, and fetch what is due."""
        for name in [name for name, node in self.items() if now > node.heard_s + FORGET_S]:
            del self[name]
            self._is_full = False
            yield Report(notices.NODE_LOST, fields=(("peer", name),))
        for name, node in self.items():
            yield from self._fetch(name, node, now)

    def _fetch(self, name: str, node: Node, now: float) -> Iterator[FetchCatalogue]:
        if node.fetch_began_s is not None and now > node.fetch_began_s + FETCH_S:
            node.fetch_began_s = None
        has_it = node.catalogue is not None and node.catalogue.version == node.announced
        if has_it or node.fetch_began_s is not None or now < node.next_fetch_s:
            return
        if sum(each.fetch_began_s is not None for each in self.values()) < _MOST_AT_ONCE:
            node.fetch_began_s = now
            yield FetchCatalogue(name, *node.place)
