"""What mirrors are called: the one place that makes a mirror's name of its source.

Invariants: two sources are never confused because of their names alone: who wants to know whether a file is the mirror
of a source asks for its mark (``mark_of``), not for its name. A name that passes ``check_mirror_name`` is a file of the
segment folder itself, which programs can list and open.

Semaphores are called after a segment's name up to its first dot, on the whole machine. So a name other than the usual
ones, ``remote_...``, has no dot: what is called alike but for what follows a dot would be woken for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from daosup.core.types import MIRROR_PREFIX, SEGMENT_SUFFIX, Source
from daosup.errors import UsageError

USUAL_PATTERN = MIRROR_PREFIX + "{host}_{name}"
#: The keywords that a mirror has beside those of its source; the first one says that it is a mirror. The first six are
#: those of DAO's own network service, the others tell writers what became of their frames.
FRESHNESS = (
    "NET_REPLICA", "NET_LINK", "NET_AGE_US", "NET_DROPPED", "NET_SRC_CNT", "NET_SRC_TIME", "NET_WRITTEN", "NET_REFUSED",
)  # fmt: skip

#: What a file system allows for a name, less what ``create_file`` puts around it while the file is unfinished.
MAX_NAME_BYTES = 255 - len(f".{SEGMENT_SUFFIX}.01234567.new")
#: Of a mark: what a keyword's comment has room for.
_MARK_BYTES = 80

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("host", "name")
_FORBIDDEN = re.compile(r"[\s/:\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class MirrorNames:
    """How mirrors are named: by ``pattern``, or some by one of their own.

    In a pattern, ``{host}`` stands for the owner's name and ``{name}`` for the segment's.
    """

    pattern: str = USUAL_PATTERN
    own: Mapping[Source, str] = field(default_factory=dict)

    def and_own(self, own: Mapping[Source, str]) -> MirrorNames:
        """The same with more of them; who has one already keeps it."""
        return replace(self, own={**own, **self.own})

    def of(self, source: Source) -> str:
        """The name of the mirror of ``source``, right or not: see ``check_mirror_name``."""
        parts = {"host": source.host, "name": source.name}
        return _PLACEHOLDER.sub(lambda match: parts.get(match[1], match[0]), self.own.get(source, self.pattern))


def check_pattern(pattern: str) -> str:
    """Return ``pattern`` if it makes names at least of short hosts and segments.

    Raises:
        UsageError: If it does not; in the words that follow "it".
    """
    unknown = [match[0] for match in _PLACEHOLDER.finditer(pattern) if match[1] not in _PLACEHOLDERS]
    if unknown:
        raise UsageError(f"has {unknown[0]}, and only {{host}} and {{name}} stand for something")
    if set("{}") & set(_PLACEHOLDER.sub("", pattern)):
        raise UsageError("has a brace without its other one; write {host} and {name}")
    check_mirror_name(_PLACEHOLDER.sub("x", pattern))
    return pattern


def check_mirror_name(name: str) -> str:
    """Return ``name`` if a mirror can be called so.

    Raises:
        UsageError: If none can; in the words that follow the name.
    """
    if not name:
        raise UsageError("is empty")
    if _FORBIDDEN.search(name):
        raise UsageError("has a '/', ':', blank or control character, which no segment's name has")
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise UsageError(f"is longer than {MAX_NAME_BYTES} bytes")
    if name.startswith("."):
        raise UsageError("begins with a dot, so nobody would find it")
    if not is_usual(name) and "." in name:
        raise UsageError(
            f"has a dot, so it would share its semaphores with all that is called {name.partition('.')[0]}; "
            "only names that begin with remote_ may"
        )
    return name


def is_usual(name: str) -> bool:
    """Whether only mirrors are called like this, so that a file of that name cannot be a segment of this host."""
    return name.startswith(MIRROR_PREFIX)


def semaphore_base_of(name: str) -> str:
    """What the semaphores of a segment ``name`` are called after."""
    return name.partition(".")[0]


def mark_of(name: str, source: str) -> str:
    """What the mirror ``name`` of ``source`` says of itself in the comment of its keyword NET_REPLICA.

    Keywords may be copied from one segment to another, and other services have one of that name: they do not say this.
    """
    return f"{name} mirrors {source}".encode(errors="replace")[:_MARK_BYTES].decode(errors="ignore")


def is_mark_of(mark: str, name: str) -> bool:
    """Whether this is what a mirror ``name`` says, of whichever source."""
    return mark.startswith(mark_of(name, ""))
