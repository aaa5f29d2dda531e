"""What all mirrors do alike: run, tell of obstacles and of their link, say how fresh they are, and end.

Invariants: what is told is told once, when it changes; a mirror that ends says that it is stale, unless its file is
somebody else's by then. One that goes on with what another one had (the same source, over another connection) counts on
where that one stopped, and its readers notice nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Optional

from daosup.core.gaps import GapTracker
from daosup.core.header import Description
from daosup.errors import SegmentLostError, UnavailableError
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.statistics import StatisticsPage

#: How often the mirror's own file and its keywords are looked after.
TEND_INTERVAL_S = 0.25
#: A mirror that could not be made (the file system is full, another's file lies there) is tried again so often.
RETRY_INTERVAL_S = 0.25
#: How often the statistics page is stamped while each frame passes through Python.
STAMP_INTERVAL_S = 0.05


class LinkLostError(UnavailableError):
    """The connection to the owner is over for good, and says why; only another one can go on."""


class Mirroring(ABC):
    """Mirrors one source.

    Args:
        order: What to mirror.
        tell: Called with an event's name and its facts.
        before: What mirrored it until now, over another connection, and was unlinked.
    """

    def __init__(self, order: MirrorOrder, tell: Callable[..., None], before: Optional[Mirroring] = None) -> None:
        self._order = order
        self._tell = tell
        self._page: StatisticsPage = StatisticsPage(order.page) if before is None else before._page
        self._replica: Optional[Replica] = None if before is None else before._replica
        # What the source looks like, and which of its frames were taken; the old protocol says neither.
        self._description: Optional[Description] = None if before is None else before._description
        self._tracker: GapTracker = GapTracker() if before is None else before._tracker
        self._obstacle: Optional[str] = None if before is None else before._obstacle
        # When the owner was heard last; not before the first word.
        self._heard: float = 0.0 if before is None else before._heard
        self._tended = self._stamped = self._retry_s = 0.0

    @property
    def page(self) -> StatisticsPage:
        """Where it says how it is."""
        return self._page

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
    def unlink(self) -> None:
        """Close the connection alone: another one goes on with the mirror."""

    def close(self) -> None:
        """Leave the mirror as it is, and say that it is stale from now on."""
        self.unlink()
        if self._replica is not None:
            self._leave(self._replica)

    def note_lost(self, reason: str) -> None:
        """There is no connection, and none can be had for now."""
        self._note_link(reason)
        if self._replica is not None:
            with suppress(SegmentLostError):
                self._say_how_fresh(self._replica)

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


class Unlinked(Mirroring):
    """A mirror that has no connection yet."""

    def turn(self) -> None:
        """Nothing comes."""

    def unlink(self) -> None:
        """There is nothing to close."""
