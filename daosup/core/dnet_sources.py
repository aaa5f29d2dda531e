"""Nodes of DAO's network service as owners of what we mirror.

Invariants: what the registry knows is believed before what a node says, so a host of ours is mirrored as ever whoever
else uses its name; what only a node has is mirrored from there, also while the registry is away. A node that is not
heard of any more stays the source's owner: its stream may go on, and if it does not, it is tried again for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.dnet_nodes import Nodes
from daosup.core.mirrors import Mirrors
from daosup.core.types import DNET_PROTOCOL, DNET_TRANSPORT, Source, StreamRecord


class ForeignSources:
    """What the nodes that are heard have for this host's mirrors.

    Args:
        nodes: Those that are heard.
        mirrors: Of this host.
    """

    def __init__(self, nodes: Nodes, mirrors: Mirrors) -> None:
        self.nodes, self._mirrors = nodes, mirrors
        mirrors.foreign = self.seen

    def seen(self, source: Source) -> Optional[e.SourceSeen]:
        """A source as its node has it; None if there is no such node, or its catalogue did not come yet."""
        node = self.nodes.get(source.host)
        if node is None or node.catalogue is None:
            return None
        if source.name not in node.segments:
            return e.SourceSeen(source, True, False, ())
        address, port = node.place
        record = StreamRecord(address, port, "", "", DNET_TRANSPORT, protocol=DNET_PROTOCOL)
        return e.SourceSeen(source, True, True, (record,))

    def read(self, event: e.CatalogueRead, now: float) -> Iterable[do.Action]:
        """A catalogue came: have mirrors of the node's segments follow it where it is now."""
        if not self.nodes.catalogue_read(event.node, (event.address, event.port), event.catalogue, now):
            return ()
        return self._mirrors.look_elsewhere([each for each in self._mirrors if each.host == event.node], now)

    def failed(self, event: e.CatalogueFailed, now: float) -> Iterable[do.Action]:
        """A catalogue did not come."""
        self.nodes.catalogue_failed(event.node, (event.address, event.port), event.reason, now)
        return ()
