"""Which hosts came and which were lost, as the one that holds the lease sees them in the registry.

Invariants: what is there at the first look is no news. A host is lost if it is gone and what it wrote had run out by
then, by Redis's clock; one whose entries went earlier took them back or was removed, and that is told where it is done.
Hosts of old daemons do not run out, so they are never lost here (core/silence.py evicts them).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Optional

from daosup.core.actions import Report
from daosup.core.notices import fleet
from daosup.core.types import HostSign

#: So much later than it was read the time may have been taken that says when something runs out.
SLACK_S = 2.0
#: Somebody who fills the registry with hosts is not to fill the log as well.
MOST_TOLD = 50


class Presence:
    """What the holder of the lease remembers of the hosts.

    Args:
        host: This one, of which nothing is told.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._ends_s: Optional[dict[str, float]] = None

    def begin_anew(self) -> None:
        """Forget: nobody could look for a while, or the registry was emptied."""
        self._ends_s = None

    def look(self, signs: Sequence[HostSign], redis_s: float) -> Iterator[Report]:
        """Take in all hosts' last signs of life as they stood at ``redis_s``; reports who came and who was lost."""
        before = self._ends_s
        now = {sign.host: float("inf") if sign.is_lasting else redis_s + sign.left_s for sign in signs}
        now.pop(self._host, None)
        self._ends_s = now
        if before is None:
            return
        seen = sorted(now.keys() - before.keys())
        lost = sorted(host for host in before.keys() - now.keys() if redis_s >= before[host] - SLACK_S)
        for notice, hosts in ((fleet.HOST_LOST, lost), (fleet.HOST_SEEN, seen)):
            for host in islice(hosts, MOST_TOLD):
                yield Report(notice, fields=(("peer", host),))
