"""What mirrors of both protocols do alike: run, tell of obstacles and of their link, say how fresh they are, and end.

Invariant: what is told is told once, when it changes; a mirror that ends says that it is stale, unless its file is
somebody else's by then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Optional

from daosup.errors import SegmentLostError
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage

#: How often the mirror's own file and its keywords are looked after.
TEND_INTERVAL_S = 0.25
#: A mirror that could not be made (the file system is full, another's file lies there) is tried again so often.
RETRY_INTERVAL_S = 0.25
#: How often the statistics page is stamped while frames flow.
STAMP_INTERVAL_S = 0.05


class Mirroring(ABC):
    """Mirrors one source; ``tell`` is called with an event's name and its facts."""

    def __init__(self, order: MirrorOrder, tell: Callable[..., None]) -> None:
        self._order = order
        self._tell = tell
        self._page = StatisticsPage(order.page)
        self._replica: Optional[Replica] = None
        self._obstacle: Optional[str] = None
        self._tended = self._stamped = self._retry_s = 0.0

    def run(self) -> None:
        """Mirror until stopped. A mirror that cannot be made is tried again, and the reason is told."""
        try:
            while True:
                self.turn()
        finally:
            self.close()

    @abstractmethod
    def turn(self) -> None:
        """Take what comes, for a moment."""

    @abstractmethod
    def close(self) -> None:
        """Leave the mirror as it is, and say that it is stale from now on."""

    def _note_obstacle(self, reason: Optional[str]) -> None:
        if reason != self._obstacle:
            self._obstacle = reason
            self._tell("blocked" if reason else "made", reason=reason)

    def _note_link(self, silence: Optional[str]) -> None:
        """``silence``: why there is no link, if there is none."""
        has_link = silence is None
        if has_link != bool(self._page.has_link):
            self._page.has_link = int(has_link)
            self._tell("link", is_up=has_link, reason=self._obstacle or silence)

    def _say_how_fresh(self, replica: Replica) -> None:
        page = self._page
        replica.put_freshness(bool(page.has_link), page.skipped, page.source_counter, page.write_time_utc_ns)

    def _leave(self, replica: Replica) -> None:
        self._page.has_link = 0
        with suppress(SegmentLostError):  # then nobody takes it for a mirror that is up to date
            self._say_how_fresh(replica)
        replica.close()
