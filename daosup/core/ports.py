"""Which port each segment was published on last.

Readers of the old protocol learn a port once and for all, and their streams do not say whose frames they are. So:

Invariants: a segment is published where it was before, also after a restart, unless another program has that port by
now; a port that one segment had is given to another only if there is no other port left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from daosup.core.events import Action, RememberPorts
from daosup.core.host_facts import HostFacts

#: Segments that are remembered; those that were published longest ago are forgotten first.
MOST_REMEMBERED = 5000


class Ports:
    """The ports of one host's segments."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._is_told = True

    def remembered(self, ports: Mapping[str, int]) -> None:
        """Take in what was written down; what is known by now counts more."""
        self._last = {**ports, **self._last}

    def note(self, name: str, port: int) -> None:
        """A segment is published on ``port``."""
        if self._last.get(name) == port:
            return
        # Whoever had that port before must not come back to it.
        self._last = {other: each for other, each in self._last.items() if other != name and each != port}
        self._last[name] = port
        while len(self._last) > MOST_REMEMBERED:
            del self._last[next(iter(self._last))]
        self._is_told = False

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
        free = [port for port in range(facts.base_port, facts.base_port + facts.port_count) if port not in taken]
        others = set(self._last.values())
        return next((port for port in free if port not in others), free[0] if free else 0)
