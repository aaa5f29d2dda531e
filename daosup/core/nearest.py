"""What was meant by a name that nobody knows: the end of a sentence that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice

from daosup.core.types import Source

#: A typo does not change more than half of a name.
LIKENESS = 0.5
#: Among more, nobody is offered one: to compare them all would hold up whoever asks.
_MOST_NAMES = 5000


def nearest(word: str, known: Iterable[str], likeness: float = LIKENESS) -> str | None:
    """The one of the names known that is most like ``word``; None if none is as like it as ``likeness`` (0 to 1)."""
    names = list(islice(known, _MOST_NAMES))
    same = [name for name in names if name.lower() == word.lower()]
    near = same or get_close_matches(word, names, 1, likeness)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'wfs'?``, or nothing."""
    near = nearest(word, known)
    return "" if near is None else f"; did you mean {near!r}?"


def did_you_mean_source(wanted: Source, known: Mapping[str, Iterable[str]]) -> str:
    """As ``did_you_mean``, among the segments of each host.

    What has that very name comes first: on a host that is called alike, then on any other.
    """
    names = {host: set(islice(segments, _MOST_NAMES)) for host, segments in islice(known.items(), _MOST_NAMES)}
    host = wanted.host if wanted.host in names else nearest(wanted.host, names)
    with_it = sorted(
        (each for each, segments in names.items() if wanted.name in segments), key=lambda each: each != host
    )
    if with_it:
        return _quoted(Source(with_it[0], wanted.name))
    if host is None:
        return ""
    name = nearest(wanted.name, sorted(names[host]))
    if name is not None:
        return _quoted(Source(host, name))
    return "" if host == wanted.host else f"; did you mean host {host!r}?"


def _quoted(source: Source) -> str:
    return f"; did you mean {str(source)!r}?"
