"""What a worker process is told when it is started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Union

from daosup.core.types import PROTOCOL, WorkerKey, Writing
from daosup.workers.limits import Limits

#: In an order, but of no account when it is asked whether a running worker is told the same: a publisher keeps the
#: port that its readers know, a mirror the one that its owner does, and what a source looked like matters until its
#: first frame only.
_HARMLESS = ("port", "write_port", "shape", "dtype")


@dataclass(frozen=True)
class PublisherOrder:
    """Publish the segment at ``path`` on ``port`` (0: any) of the address ``bind``, or on another one that is allowed.

    Allowed are ``port_count`` ports from ``first_port`` on (0: any port). ``writing`` is a `Writing` as text: which
    mirrors may write into the segment.
    """

    key: WorkerKey
    path: str
    page: Path
    bind: str
    port: int
    first_port: int
    port_count: int
    semaphore: int
    limits: Limits = field(default_factory=Limits)
    writing: str = Writing.OPEN.value

    @property
    def ports(self) -> Iterator[int]:
        """The preferred port first, then whatever else is allowed."""
        yield self.port
        if not self.first_port:
            if self.port:
                yield 0
            return
        last = self.first_port + self.port_count
        yield from range(self.port + 1, last)
        yield from range(self.first_port, min(self.port, last))


@dataclass(frozen=True)
class MirrorOrder:
    """Keep the segment at ``path`` like the one streamed from ``endpoint`` in this ``protocol``.

    The old one says nothing before its first frame; until then ``shape`` and ``dtype``, if known, are as the registry
    has them.

    If ``is_written_back``, what programs of this host write into the mirror goes to its source, to which this ``host``
    is known by that name; they are waited for on ``semaphore``. A source that speaks the old protocol follows it on
    ``write_port`` (0: any) of the address ``bind``; which it really is goes to the statistics page with `stamp_ready`.
    """

    key: WorkerKey
    path: str
    page: Path
    endpoint: str
    mode: int
    layout: str
    limits: Limits = field(default_factory=Limits)
    protocol: int = PROTOCOL
    shape: tuple[int, ...] = ()
    dtype: str = ""
    is_written_back: bool = False
    host: str = ""
    semaphore: int = 9
    write_port: int = 0
    bind: str = "*"


Order = Union[PublisherOrder, MirrorOrder]


def fields_of(order: Order) -> dict[str, Any]:
    """An order as JSON has it."""
    fields = {**asdict(order), "key": key_fields(order.key)}
    plain: dict[str, Any] = json.loads(json.dumps(fields, default=str))
    return plain


def key_fields(key: WorkerKey) -> list[str]:
    """A key as JSON has it."""
    return [key.kind.value, key.source.host, key.source.name]


def is_same(order: Order, fields: dict[str, Any]) -> bool:
    """Whether a worker with these fields does what ``order`` asks for."""
    mine = fields_of(order)
    return {**mine, **dict.fromkeys(_HARMLESS)} == {**fields, **dict.fromkeys(_HARMLESS)}
