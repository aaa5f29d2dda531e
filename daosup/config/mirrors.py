"""What the configuration says of mirrors: how all are made and called, and which come up by themselves.

Invariant: no two mirrors that are configured have the same file, each is called as a segment can be, and none is of a
segment of this host.
"""

# ruff: noqa: RUF009  # key() makes dataclass fields; that is what the rule asks for

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Optional

from daosup.config import kinds
from daosup.config.kinds import found, key, one_of
from daosup.core.delivery import COMPRESSIONS, MODES, PLAIN, Delivery
from daosup.core.layout import MAX_DEPTH
from daosup.core.mirror_names import USUAL_PATTERN, MirrorNames, check_mirror_name
from daosup.core.types import Source, Transport
from daosup.errors import UsageError


class MirrorLayout(Enum):
    """The layout a mirror's segment is made in."""

    SOURCE = "source"
    V0 = "v0"
    FIFO = "fifo"
    SEMREG = "semreg"

    @property
    def is_of_one_frame(self) -> bool:
        """Whether no segment of this layout keeps more than its newest frame."""
        return self in (MirrorLayout.V0, MirrorLayout.SEMREG)


class MirrorMaking(NamedTuple):
    """How a mirror's segment is made; ``mode`` is the permission bits, a ``depth`` of None is the source's."""

    mode: int
    layout: MirrorLayout
    depth: Optional[int]


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
    depth: Optional[int] = key(
        kinds.whole(1, MAX_DEPTH),
        "How many frames mirror segments keep; with more than one their layout is fifo. A large frame that comes "
        "directly is written into such a mirror while it comes, beside the one before, not only when it is whole: that "
        "spares a copy, and time. A change makes new files: programs that have a mirror open must open it again.",
        unset="as at the owner",
        is_live=True,
    )
    name: str = key(
        kinds.MIRROR_NAMES,
        'What mirrors are called; `"{name}"`: as their sources. A segment of this host comes before a mirror that '
        "would have its name.",
        USUAL_PATTERN,
        is_live=True,
    )
    transport: Transport = key(
        one_of(Transport),
        'How frames come: "direct", by a TCP connection of this mirror alone (which takes the least time); "zmq", by '
        'ZeroMQ; "auto", directly where the owner offers that and can be reached so, else by ZeroMQ. What is written '
        "back goes the same way.",
        "auto",
        is_live=True,
    )


@dataclass(frozen=True)
class MirrorConfig:
    """A mirror that comes up by itself. What is None is as in ``MirrorsConfig``."""

    source: Source = key(kinds.SOURCE, "What is mirrored, whenever its host is there.", is_required=True)
    mode: Optional[int] = key(kinds.MODE, "Permissions of this mirror.", unset="as in `[mirrors]`")
    layout: Optional[MirrorLayout] = key(one_of(MirrorLayout), "Layout of this mirror.", unset="as in `[mirrors]`")
    depth: Optional[int] = key(
        kinds.whole(1, MAX_DEPTH), "How many frames this mirror keeps.", unset="as in `[mirrors]`"
    )
    name: Optional[str] = key(kinds.MIRROR_NAME, "What this mirror is called.", unset="as in `[mirrors]`")
    transport: Optional[Transport] = key(
        one_of(Transport), "How frames of this mirror come.", unset="as in `[mirrors]`"
    )
    frames: Optional[str] = key(
        one_of(MODES),
        'Which frames come: "newest", of several that wait only the newest one; "every", each of them, as long as '
        'network and host keep up on average (for recorders). "every", and each of the next four keys, needs a direct '
        "connection: without one the mirror waits.",
        unset='`"newest"`',
    )
    rate: Optional[float] = key(kinds.RATE, "At most so many frames a second come, for displays.", unset="all")
    roi: Optional[tuple[tuple[int, int], ...]] = key(
        kinds.ROI, "Which part of each frame comes; the mirror has that shape.", unset="all of it"
    )
    stride: Optional[tuple[int, ...]] = key(
        kinds.STRIDE, "Every how manyth element of each axis comes, of that part.", unset="each"
    )
    compress: Optional[str] = key(
        one_of(COMPRESSIONS), "How frames are packed for the way, for slow lines.", unset='`"none"`'
    )
    write_back: bool = key(
        kinds.YES_OR_NO, "Whether what is written into this mirror goes to its source, if the owner allows it.", False
    )

    @property
    def delivery(self) -> Delivery:
        """In which form its frames are to come."""
        return Delivery(
            self.frames or PLAIN.mode,
            self.rate or 0.0,
            self.roi or (),
            self.stride or (),
            self.compress or PLAIN.compress,
        )


def making_of(mirrors: MirrorsConfig, own: Optional[MirrorConfig]) -> MirrorMaking:
    """How a mirror is made, of which nothing (None) or its ``own`` table says more than is said of all.

    What its table says goes before: a layout of one frame before the depth of all, and a depth, which makes a FIFO,
    before the layout of all.
    """
    if own is None:
        return MirrorMaking(mirrors.mode, mirrors.layout, mirrors.depth)
    is_of_one_frame = own.layout is not None and own.layout.is_of_one_frame
    depth = mirrors.depth if own.depth is None and not is_of_one_frame else own.depth
    return MirrorMaking(mirrors.mode if own.mode is None else own.mode, own.layout or mirrors.layout, depth)


def names_of(pattern: str, mirrors: Iterable[MirrorConfig]) -> MirrorNames:
    """What mirrors are called."""
    return MirrorNames(pattern, {each.source: each.name for each in mirrors if each.name is not None})


def check_making(values: Mapping[str, Any], places: Mapping[str, str], mistakes: list[str]) -> None:
    """What ``[mirrors]`` must be in itself.

    Args:
        values: What is set, by dotted key, each right in itself.
        places: Where each stands.
        mistakes: Takes what is wrong.
    """
    why_not = _why_not_made(values.get("mirrors.layout"), values.get("mirrors.depth"))
    if why_not is not None:
        mistakes.append(f"{places['mirrors.depth']}: [mirrors] cannot be so: {why_not}")


def _why_not_made(layout: Optional[MirrorLayout], depth: Optional[int]) -> Optional[str]:
    """Why there is no mirror of that layout and depth, of which None says nothing; None if there is."""
    if layout is None or not layout.is_of_one_frame or (depth or 1) == 1:
        return None
    return f'layout "{layout.value}" has one frame, not {depth}; take out layout or depth'


def check_mirrors(mirrors: Any, pattern: str, host: object, place: Callable[[str], str], mistakes: list[str]) -> None:
    """What ``[[mirror]]`` tables must be together.

    Args:
        mirrors: A tuple of `MirrorConfig`, each right in itself.
        pattern: What mirrors are called that say nothing else.
        host: This host's name.
        place: Says where a dotted key stands.
        mistakes: Takes what is wrong.
    """
    names = names_of(pattern, mirrors)
    first_of: dict[str, int] = {}
    seen: dict[Source, int] = {}
    for index, mirror in enumerate(mirrors):
        source, name = mirror.source, names.of(mirror.source)
        dotted = f"mirror[{index}].source"
        where = f"{place(dotted)}: {dotted} is {found(str(source))}"
        first, same = first_of.setdefault(name, index), seen.setdefault(source, index)
        if source.host == host:
            mistakes.append(f"{where}, a segment of this host itself; name one of another host, or take it out")
        elif same != index:
            mistakes.append(f"{where}, as mirror[{same}].source is already; give each source once")
        elif (why_not := _why_not_so(mirror)) is not None:
            mistakes.append(f"{where}, whose {why_not}")
        elif first != index:
            mistakes.append(
                f"{where}, which would be mirrored as {name} just as mirror[{first}].source, "
                f"{found(str(mirrors[first].source))}; take out one of the two, or give it another name"
            )
        else:
            try:
                check_mirror_name(name)
            except UsageError as error:
                mistakes.append(f"{where}, which would be mirrored as {found(name)}, and that {error}; give it a name")


def _why_not_so(mirror: MirrorConfig) -> Optional[str]:
    """What of a mirror's making or delivery does not fit together, and what to do; None if all does."""
    delivery = mirror.delivery
    if (why_not := _why_not_made(mirror.layout, mirror.depth)) is not None:
        return why_not
    if delivery.rate_hz and delivery.mode == "every":
        return 'rate and frames = "every" exclude each other; take out one of the two'
    if delivery.is_plain:
        return None
    if mirror.write_back:
        return f"write_back needs whole frames, so take it out, or {delivery.text}"
    if mirror.transport is Transport.ZMQ:
        return f'transport is "zmq", by which {delivery.text} cannot be had; take out one of the two'
    return None
