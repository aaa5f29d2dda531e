"""Who reads our segments.

Invariant: a reader counts as long as its beat changes within the time allowed, measured by our own clock from the
moments we looked; one that fell silent counts again only when its beat changes. While Redis cannot be asked nobody's
time runs, and what it forgot meanwhile is nobody's farewell: each has a moment to write itself down again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daosup.core.types import Reader

#: A reader of either protocol beats every 10 s and is dropped 25 s after its last beat, as existing daemons have it.
BEAT_INTERVAL_S = 10.0
READER_TIMEOUT_S = 25.0
#: A reader that a registry forgot is asked to write itself down again, and needs its own connection for that. Whoever
#: takes longer is still served as long as it is subscribed.
EXCUSE_S = 5.0


@dataclass
class _Seen:
    reader: Reader
    changed_s: float
    excused_until_s: float = 0.0
    is_silent: bool = False


class Readership:
    """The readers of one host's segments, by segment name and host."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, _Seen]] = {}

    def update(self, readers: Mapping[str, Mapping[str, Reader]], now: float) -> tuple[tuple[str, str], ...]:
        """Take in what the registry says; returns the pairs (name, host) that vanished without a word.

        A pair is returned again as long as the registry still has it.
        """
        before, self._seen = self._seen, {}
        for name, by_host in readers.items():
            for host, reader in by_host.items():
                seen = before.get(name, {}).pop(host, None)
                if seen is None or seen.reader != reader:
                    seen = _Seen(reader, now)
                seen.excused_until_s = 0.0
                self._seen.setdefault(name, {})[host] = seen
        for name, missing in before.items():
            for host, seen in missing.items():
                if now < seen.excused_until_s and not seen.is_silent:
                    self._seen.setdefault(name, {})[host] = seen
        vanished = []
        for name, known in self._seen.items():
            for host, seen in known.items():
                if now - seen.changed_s > READER_TIMEOUT_S:
                    seen.is_silent = True
                if seen.is_silent:
                    vanished.append((name, host))
        return tuple(vanished)

    def forgive(self, now: float) -> None:
        """Begin everybody's time anew: we could not have heard them, or the registry forgot them.

        For a moment they also count if the registry does not know them.
        """
        for by_host in self._seen.values():
            for seen in by_host.values():
                seen.changed_s, seen.excused_until_s = now, now + EXCUSE_S

    def of(self, name: str) -> tuple[Reader, ...]:
        """The readers of a segment, in the order of their hosts."""
        return tuple(seen.reader for _, seen in sorted(self._seen.get(name, {}).items()) if not seen.is_silent)

    def knows(self, name: str, host: str) -> bool:
        """Whether a host is written down as a reader of a segment, silent or not."""
        return host in self._seen.get(name, {})

    def count(self, name: str) -> int:
        """How many readers of a segment are written down."""
        return len(self._seen.get(name, ()))

    @property
    def names(self) -> set[str]:
        """The segments that are read."""
        return {name for name in self._seen if self.of(name)}
