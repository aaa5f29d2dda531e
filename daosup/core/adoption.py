"""The publishers that ran already when this supervisor began.

Invariant: such a publisher counts as read until the registry has told of a reader of its segment, or has told of none
for as long as a living reader may be silent. By then every living one is known by itself, also if Redis was flushed
meanwhile: each writes itself down again within its beat. Time without the registry does not count.
"""

from __future__ import annotations

from typing import Optional

from daosup.core.readership import READER_TIMEOUT_S


class Presumed:
    """Names of the segments that are presumed to be read."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._told_s: Optional[float] = None

    def add(self, name: str) -> None:
        """A publisher was found alive."""
        self.names.add(name)
        self._told_s = None

    def interrupt(self) -> None:
        """The registry was away, and readers could not say that they live."""
        self._told_s = None

    def readers_told(self, names: set[str], now: float) -> None:
        """The registry told of our readers: those of the segments ``names``."""
        self.names -= names
        if self._told_s is None:
            self._told_s = now
        elif now > self._told_s + READER_TIMEOUT_S:
            self.names.clear()
