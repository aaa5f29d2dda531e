"""What the configuration says of mirrors: how all are made, and which come up by themselves.

Invariant: no two mirrors that are configured have the same file, and none is of a segment of this host.
"""

# ruff: noqa: RUF009  # key() makes dataclass fields; that is what the rule asks for

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

from daosup.config import kinds
from daosup.config.kinds import found, key, one_of
from daosup.core.types import Source


class MirrorLayout(Enum):
    """The layout a mirror's segment is made in."""

    SOURCE = "source"
    V0 = "v0"
    FIFO = "fifo"
    SEMREG = "semreg"


@dataclass(frozen=True)
class MirrorsConfig:
    """How mirrors are made. ``mode`` is the permission bits as a number."""

    mode: int = key(
        kinds.MODE,
        "Permissions of mirror segments and their semaphores (libdao makes its segments 0600, its semaphores 0644).",
        "0660",
        is_live=True,
    )
    layout: MirrorLayout = key(
        one_of(MirrorLayout), 'Layout of mirror segments; "source": as at the owner.', "source", is_live=True
    )


@dataclass(frozen=True)
class MirrorConfig:
    """A mirror that comes up by itself. ``mode`` and ``layout`` of None are those of ``MirrorsConfig``."""

    source: Source = key(kinds.SOURCE, "What is mirrored, whenever its host is there.", is_required=True)
    mode: Optional[int] = key(kinds.MODE, "Permissions of this mirror.", unset="as in `[mirrors]`")
    layout: Optional[MirrorLayout] = key(one_of(MirrorLayout), "Layout of this mirror.", unset="as in `[mirrors]`")


def check_mirrors(mirrors: Any, host: object, place: Callable[[str], str], mistakes: list[str]) -> None:
    """What ``[[mirror]]`` tables must be together.

    Args:
        mirrors: A tuple of `MirrorConfig`, each right in itself.
        host: This host's name.
        place: Says where a dotted key stands.
        mistakes: Takes what is wrong.
    """
    first_of: dict[str, int] = {}
    for index, source in enumerate(each.source for each in mirrors):
        dotted = f"mirror[{index}].source"
        where = f"{place(dotted)}: {dotted} is {found(str(source))}"
        first = first_of.setdefault(source.mirror_name, index)
        if source.host == host:
            mistakes.append(f"{where}, a segment of this host itself; name one of another host, or take it out")
        elif first != index and mirrors[first].source == source:
            mistakes.append(f"{where}, as mirror[{first}].source is already; give each source once")
        elif first != index:
            mistakes.append(
                f"{where}, which would be mirrored as {source.mirror_name} just as mirror[{first}].source, "
                f"{found(str(mirrors[first].source))}; take out one of the two"
            )
