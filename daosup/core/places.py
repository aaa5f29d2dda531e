"""Which mirror may have which name on this host.

Invariants: a mirror never has the name of a segment of this host, nor of one with the same semaphores; of the mirrors
that would have one name, the source that was held first has it, and not before the mirror that had it is removed; a
mirror that is to be called otherwise is removed first and then made under its new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Optional

from daosup.core.mirror_names import MirrorNames, check_mirror_name, semaphore_base_of
from daosup.core.types import Source
from daosup.errors import UsageError


class Places:
    """The names of one host's mirrors.

    Attributes:
        made: What those are called that were made and not yet removed.
    """

    def __init__(self, names: MirrorNames) -> None:
        self.rename(names)
        self.made: dict[Source, str] = {}
        self._local: set[str] = set()
        self._by_base: Optional[dict[str, str]] = None

    def rename(self, names: MirrorNames) -> None:
        """Mirrors are to be called like this from now on."""
        self.name_of = lru_cache(maxsize=None)(names.of)  # asked for all mirrors whenever anything happens

    def segments_changed(self, found: Iterable[str], gone: Iterable[str]) -> None:
        """There are, or are no more, segments of this host's own, to be published or not."""
        before = len(self._local)
        self._local.update(found)
        if len(self._local) != before or not self._local.isdisjoint(gone):
            self._local.difference_update(gone)
            self._by_base = None

    def take(self, sources: Iterable[Source]) -> None:
        """Mirrors of these sources may be made from now on, or are made."""
        for source in sources:
            self.made.setdefault(source, self.name_of(source))

    def claims(self, held: Iterable[Source]) -> dict[str, Source]:
        """Who is to have each name."""
        claims: dict[str, Source] = {}
        for source in held:
            claims.setdefault(self.name_of(source), source)
        return claims

    def free(self, held: Iterable[Source]) -> set[Source]:
        """Those of the sources that are held whose mirrors may be there now."""
        owners = {name: source for source, name in self.made.items()}
        return {
            source
            for name, source in self.claims(held).items()
            if owners.get(name, source) == source
            and self.made.get(source, name) == name
            and self.obstacle(source) is None
        }

    def over(self, held: Mapping[Source, object]) -> list[Source]:
        """Those that were made and are not to be there any more, or not under their name; sorted."""
        claims = self.claims(held)
        return sorted(source for source, name in self.made.items() if claims.get(name) != source)

    def obstacle(self, source: Source) -> Optional[str]:
        """Why the mirror of a source cannot have its name, whatever is mirrored beside; None if it can."""
        name = self.name_of(source)
        mistake = _mistake_in(name)
        if mistake is not None:
            return mistake
        if self._by_base is None:
            self._by_base = {semaphore_base_of(each): each for each in sorted(self._local, reverse=True)}
        local = self._by_base.get(semaphore_base_of(name))
        if local is None:
            return None
        what = "has that name" if local == name else "has the semaphores of that name"
        return f"it would be called {name}, and segment {local} of this host {what}; rename one of the two"


@lru_cache(maxsize=4096)
def _mistake_in(name: str) -> Optional[str]:
    try:
        check_mirror_name(name)
    except UsageError as error:
        return f"it would be called {name!r}, which {error}; give it another name in the configuration"
    return None
