"""Patterns of segments, as a shell has them for files: ``rts*:wfs*``, or ``wfs*`` of every host."""

from __future__ import annotations

from fnmatch import fnmatchcase


def fits(pattern: str, host: str, name: str) -> bool:
    """Whether a segment is one of those meant."""
    _, colon, of_name = pattern.rpartition(":")
    return fnmatchcase(name, of_name or "*") and (not colon or fits_host(pattern, host))


def fits_host(pattern: str, host: str) -> bool:
    """Whether segments of a host can be meant."""
    of_host, colon, _ = pattern.rpartition(":")
    return not colon or fnmatchcase(host, of_host or "*")
