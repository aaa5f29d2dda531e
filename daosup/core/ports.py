"""Which port each segment was published on last, and from which each mirror wrote back to an old owner.

Readers of the old protocol learn a port once and for all, and their streams do not say whose frames they are. So:

Its frames can also be had directly, at a second port, which needs no memory of its own: it follows from the first.

Invariants: a segment is published where it was before, also after a restart, unless another program has that port by
now; a port that one segment had is given to another only if there is no other port left. The same holds for mirrors
that old owners follow; they are called HOST:NAME here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Optional

from daosup.core.actions import NO_PORT, Action, RememberPorts
from daosup.core.host_facts import HostFacts

#: Segments that are remembered; those that were published longest ago are forgotten first.
MOST_REMEMBERED = 5000


class Ports:
    """The ports of one host's segments, and of mirrors."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._names: dict[int, str] = {}  # the same the other way round
        self._is_told = True

    def remembered(self, ports: Mapping[str, int]) -> Iterator[Action]:
        """Take in what was written down; what is known by now counts more."""
        for name, port in (*ports.items(), *tuple(self._last.items())):
            self.note(name, port)
        self._is_told = self._last == ports
        yield from ()

    def note(self, name: str, port: int) -> None:
        """A segment is published on ``port``; whoever had that before must not come back to it."""
        if self._last.get(name) == port:
            return
        self._forget(name)
        self._forget(self._names.get(port))
        self._last[name], self._names[port] = port, name
        if len(self._last) > MOST_REMEMBERED:
            self._forget(next(iter(self._last)))
        self._is_told = False

    def _forget(self, name: Optional[str]) -> None:
        if name in self._last:
            del self._names[self._last.pop(name)]

    def tick(self) -> Iterator[Action]:
        """Have written down what changed."""
        if not self._is_told:
            self._is_told = True
            yield RememberPorts(dict(self._last))

    def choose(self, name: str, facts: HostFacts, taken: Collection[int]) -> int:
        """The port to publish a segment on (0: any), given those that publishers of ours have."""
        last = self._last.get(name, 0)
        if last and last not in taken and facts.may_use(last):
            return last
        if not facts.base_port:
            return 0
        free = (port for port in range(facts.base_port, facts.base_port + facts.port_count) if port not in taken)
        first = next(free, 0)
        return first if first not in self._names else next((port for port in free if port not in self._names), first)


def direct_port(port: int, facts: HostFacts, segment_count: int) -> int:
    """Where a publisher at ``port`` offers its frames directly: `NO_PORT` if nowhere, 0 if at any port.

    First ports are given from the begin of the range on, so that these are taken from its end; only as long as all
    segments of the host, which are ``segment_count``, find room in the other half.
    """
    if not facts.base_port:
        return 0
    place = port - facts.base_port
    half = facts.port_count // 2
    return facts.base_port + facts.port_count - 1 - place if segment_count <= half and 0 <= place < half else NO_PORT
