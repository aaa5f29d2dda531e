"""Who reads our segments.

Invariant: a reader counts as long as its beat changes within the time allowed, measured by our own clock from the
moments we looked; while Redis cannot be asked nobody's time runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daosup.core.types import Reader

#: A reader beats every 10 s and is dropped 25 s after its last beat, as the existing daemons have it.
BEAT_INTERVAL_S = 10.0
READER_TIMEOUT_S = 25.0


@dataclass
class _Seen:
    reader: Reader
    changed_s: float


class Readership:
    """The readers of one host's segments, by segment name and host."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, _Seen]] = {}

    def update(self, readers: Mapping[str, Mapping[str, Reader]], now: float) -> tuple[tuple[str, str], ...]:
        """Take in what the registry says; returns the pairs (name, host) that vanished without a word."""
        vanished = []
        before, self._seen = self._seen, {}
        for name, by_host in readers.items():
            for host, reader in by_host.items():
                seen = before.get(name, {}).get(host)
                if seen is None or seen.reader != reader:
                    seen = _Seen(reader, now)
                elif now - seen.changed_s > READER_TIMEOUT_S:
                    vanished.append((name, host))
                    continue
                self._seen.setdefault(name, {})[host] = seen
        return tuple(vanished)

    def forgive(self, now: float) -> None:
        """Begin everybody's time anew: we could not have heard them."""
        for by_host in self._seen.values():
            for seen in by_host.values():
                seen.changed_s = now

    def of(self, name: str) -> tuple[Reader, ...]:
        """The readers of a segment, in the order of their hosts."""
        return tuple(seen.reader for _, seen in sorted(self._seen.get(name, {}).items()))

    @property
    def names(self) -> set[str]:
        """The segments that are read."""
        return set(self._seen)
