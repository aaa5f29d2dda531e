"""What a node of DAO's network service tells of itself: its beacon, and the catalogue of its segments, as text.

Both are hostile until decoded: lengths are bounded, names are such that a mirror can have them, and of a catalogue's
segments one that cannot be is passed over and counted, for the others are no worse for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from daosup.core.dnet import checked_geometry
from daosup.core.layout import ELEMENT_TYPES, MAX_AXES, MAX_DEPTH, MAX_KEYWORDS, Geometry
from daosup.core.types import check_host, check_name
from daosup.errors import ProtocolError, UsageError

VERSION = 1
MOST_BEACON_BYTES = 512
#: A catalogue of more is not read to its end.
MOST_CATALOGUE_BYTES = 4 * 1024 * 1024
MOST_SEGMENTS = 10_000
ASK = b"CATALOG\n"

_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,63}\Z")
_WHOLE = re.compile(r"[0-9]{1,20}\Z")
_LAST_PORT = 65535
_LAST_VERSION = 2**64 - 1


class Beacon(NamedTuple):
    """What a node says each second. ``catalogue``: the version of its catalogue."""

    domain: str
    node: str
    port: int
    catalogue: int


class Listed(NamedTuple):
    """A segment in a catalogue; ``geometry`` has neither its layout nor its keywords."""

    name: str
    geometry: Geometry
    keyword_count: int = 0
    depth: int = 1


class Catalogue(NamedTuple):
    """What a node has. ``unreadable``: so many segments more are in it that cannot be, or be named."""

    node: str
    version: int
    domain: str
    segments: tuple[Listed, ...]
    unreadable: int = 0


def check_domain(domain: str) -> str:
    """Return ``domain`` if it can be one.

    Raises:
        UsageError: If it cannot.
    """
    if not _DOMAIN.match(domain):
        raise UsageError(f"{domain!r} cannot be a domain: 1 to 63 letters, digits, '-', '_', '.'")
    return domain


def encode_beacon(beacon: Beacon) -> bytes:
    """The datagram."""
    said = f"domain={beacon.domain} node={beacon.node} port={beacon.port} catalog={beacon.catalogue}"
    return f"DAONET {VERSION} {said}\n".encode()


def decode_beacon(datagram: bytes) -> Beacon:
    """Read a beacon.

    Raises:
        ProtocolError: If it is none.
    """
    if len(datagram) > MOST_BEACON_BYTES:
        raise ProtocolError(f"beacon of more than {MOST_BEACON_BYTES} bytes")
    words = _text(datagram).split()
    if words[:2] != ["DAONET", str(VERSION)]:
        raise ProtocolError(f"datagram {datagram[:40]!r} is no beacon")
    said = dict(word.partition("=")[::2] for word in words[2:])
    try:
        port = _whole(said.get("port", ""), 1, _LAST_PORT)
        catalogue = _whole(said.get("catalog", ""), 0, _LAST_VERSION)
        return Beacon(check_domain(said.get("domain", "")), check_host(said.get("node", "")), port, catalogue)
    except UsageError as error:
        raise ProtocolError(f"beacon of nobody: {error}") from None


def encode_catalogue(catalogue: Catalogue) -> bytes:
    """The whole answer to ``ASK``."""
    lines = [f"NODE {catalogue.node} {catalogue.version} {catalogue.domain}"]
    for name, geometry, keyword_count, depth in catalogue.segments:
        sizes = (*geometry.shape, 0, 0)[:MAX_AXES]
        words = (name, len(geometry.shape), *sizes, geometry.atype, keyword_count, depth, 0)
        lines.append("SHM " + " ".join(map(str, words)))
    return "".join(f"{line}\n" for line in (*lines, "END")).encode()


def decode_catalogue(answer: bytes) -> Catalogue:
    """Read a whole catalogue.

    Raises:
        ProtocolError: If it is none, or is cut off.
    """
    first, *lines = _text(answer).rstrip("\r\n").split("\n")
    verb, *about = first.split() or [""]
    if verb != "NODE" or len(about) != 3:
        raise ProtocolError(f"catalogue begins with {first[:60]!r}, expected NODE <node> <version> <domain>")
    if not answer.endswith(b"\n") or [line.strip() for line in lines[-1:]] != ["END"]:
        raise ProtocolError("catalogue without an end")
    if len(lines) - 1 > MOST_SEGMENTS:
        raise ProtocolError(f"catalogue of {len(lines) - 1} segments, allowed are {MOST_SEGMENTS}")
    node, version, domain = about
    segments, unreadable = _segments(lines[:-1])
    try:
        return Catalogue(
            check_host(node), _whole(version, 0, _LAST_VERSION), check_domain(domain), segments, unreadable
        )
    except UsageError as error:
        raise ProtocolError(f"catalogue of nobody: {error}") from None


def _segments(lines: Iterable[str]) -> tuple[tuple[Listed, ...], int]:
    found: dict[str, Listed] = {}
    unreadable = 0
    for line in lines:
        try:
            listed = _listed(line.split())
        except (ProtocolError, UsageError):
            unreadable += 1
        else:
            unreadable += listed.name in found
            found.setdefault(listed.name, listed)
    return tuple(found.values()), unreadable


def _listed(words: Sequence[str]) -> Listed:
    """One line; what follows the words that are known is for later versions."""
    if len(words) < 10 or words[0] != "SHM":
        raise ProtocolError("line of a catalogue that is no segment's")
    axes, *sizes, atype, keyword_count, depth = (_whole(word, 0, 2**32 - 1) for word in words[2:9])
    if not 1 <= axes <= MAX_AXES or atype not in ELEMENT_TYPES or keyword_count > MAX_KEYWORDS:
        raise ProtocolError(f"segment of {axes} axes, element type {atype}, {keyword_count} keywords")
    geometry = checked_geometry(tuple(sizes[:axes]), ELEMENT_TYPES[atype][0])
    return Listed(check_name(words[1]), geometry, keyword_count, min(max(1, depth), MAX_DEPTH))


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ProtocolError("text that is not UTF-8") from None


def _whole(word: str, least: int, most: int) -> int:
    if not _WHOLE.match(word) or not least <= int(word) <= most:
        raise ProtocolError(f"{word[:40]!r} is no whole number from {least} to {most}")
    return int(word)
