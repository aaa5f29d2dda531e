"""Listens to nodes of DAO's network service where the configuration says so, and tells the host's state.

Invariants: that the group cannot be joined concerns nothing else; it is told once, and tried again until it can be. Who
was in it may not be any more, without a word: as long as this host does not hear even its own gate, it joins again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.dnet_listening import BeaconListener, fetch_catalogue, join, open_channel
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.dnet_catalogue import Beacon
from daosup.core.notices import dnet as notices
from daosup.errors import UnavailableError
from daosup.workers.gate import write_listed

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]
AGAIN_S = 2.0
#: What such a node is, among the roles of hosts.
ROLE = "dnet"


class DnetDesk:
    """What one supervisor has to do with that service.

    Args:
        supervisor: Whose.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._config = supervisor.config.dnet  # it takes another start to have another one in force
        self._listener: Optional[BeaconListener] = None
        self._error: Optional[str] = None
        self._retry_s = self._retry_writing_s = 0.0
        self._there: Optional[tuple[tuple[str, str], ...]] = None
        self._fetches: set[asyncio.Task[None]] = set()

    def tick(self, now: float) -> None:
        """Listen, if that is to be and is not, and have the gate know what there is."""
        if self._config.enable:
            self._tell_gate(now)
            if now >= self._retry_s:
                self._listen(now)

    def _listen(self, now: float) -> None:
        """Be in the group, also after the interface was made anew."""
        config, before = self._config, self._listener
        self._retry_s = now + AGAIN_S
        try:
            if before is None or join(before.channel, config.interface):
                channel = open_channel(config.group, config.beacon_port, config.interface)
                self._listener = BeaconListener(channel, self._heard)
                if before is not None:  # of which the kernel still keeps what it was a member of
                    before.close()
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._error:
                self._error = reason
                self._supervisor.journal.tell(notices.NODES_UNHEARD, group=config.group, reason=reason)
            return
        self._error = None

    def _heard(self, beacon: Beacon, ip: str) -> None:
        own = self._config.domain, self._supervisor.state.facts.node
        if (beacon.domain, beacon.node) == own and self._error is None:  # while its gate is heard, all is well
            self._retry_s = time.monotonic() + AGAIN_S
        self._supervisor.post(e.BeaconHeard(beacon, ip))

    def _tell_gate(self, now: float) -> None:
        """Write down which segments of this host others may have, if they are otherwise than before."""
        supervisor = self._supervisor
        there = tuple((name, facts.identity) for name, facts in supervisor.state.segments.items())
        if there == self._there or now < self._retry_writing_s:
            return
        paths = {name: supervisor.folder.path_of(name) for name, _ in sorted(there)}
        try:
            # Grows also over restarts, so that who knew an earlier one fetches this one.
            write_listed(supervisor.workers_folder.path, time.time_ns() // 1_000_000, paths)
        except OSError as error:
            self._retry_writing_s = now + AGAIN_S
            supervisor.journal.tell(notices.NODES_UNTOLD, reason=error.strerror or str(error))
        else:
            self._there = there

    def fetch(self, action: do.FetchCatalogue) -> None:
        """Fetch a catalogue."""
        task = asyncio.get_running_loop().create_task(self._fetch(action))
        self._fetches.add(task)
        task.add_done_callback(self._fetched)

    async def _fetch(self, action: do.FetchCatalogue) -> None:
        post: Callable[[e.Event], None] = self._supervisor.post
        place = action.node, action.address, action.port
        try:
            catalogue = await fetch_catalogue(action.address, action.port)
        except UnavailableError as error:
            post(e.CatalogueFailed(*place, str(error)))
        else:
            post(e.CatalogueRead(*place, catalogue))

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetches.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._supervisor.fail(error)

    async def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for task in self._fetches:
            task.cancel()
        await asyncio.gather(*self._fetches, return_exceptions=True)

    def machines(self, is_meant: Callable[[str, str], bool]) -> list[Object]:
        """The nodes that are heard, as hosts are told of, with those of their segments that are meant."""
        now, now_utc = time.monotonic(), datetime.now(timezone.utc)
        return [
            {
                "hostname": name,
                "ip": node.place[0],
                "role": ROLE,
                "last_connect": (now_utc - timedelta(seconds=now - node.heard_s)).isoformat(),
                "error": node.error,
                "segments": [
                    {
                        "name": each.name,
                        "shape": list(each.geometry.shape),
                        "dtype": each.geometry.dtype,
                        "depth": each.depth,
                        "nbytes": each.geometry.frame_bytes,
                    }
                    for each in node.segments.values()
                    if is_meant(name, each.name)
                ],
            }
            for name, node in sorted(self._supervisor.state.foreign.nodes.items())
        ]

    def status(self, now: float) -> Optional[Object]:
        """Which nodes are heard, and why none can be; None if nobody listens."""
        if not self._config.enable:
            return None
        nodes, config = self._supervisor.state.foreign.nodes, self._config
        return {
            "domain": nodes.domain,
            "node": self._supervisor.state.facts.node,
            "group": config.group,
            "beacon_port": config.beacon_port,
            "data_port": config.data_port,
            "interface": config.interface,
            "error": self._error,
            "nodes": [
                {
                    "node": name,
                    "address": node.place[0],
                    "port": node.place[1],
                    "heard_s": now - node.heard_s,
                    "segments": len(node.segments),
                    "unreadable": node.catalogue.unreadable if node.catalogue else 0,
                    "error": node.error,
                }
                for name, node in sorted(nodes.items())
            ],
        }
