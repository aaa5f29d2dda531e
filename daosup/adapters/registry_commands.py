"""The Redis commands the registry is made of, as plain tuples.

Invariant: every SET carries an expiry, and every read is bounded: GETRANGE instead of GET, so that a huge value is
never transferred. One byte more than allowed is asked for, by which the decoder sees that a value is too long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from daosup.adapters.redis_link import Command, Refusal
from daosup.core import keys
from daosup.core.checked_json import MAX_VALUE_BYTES
from daosup.core.registry_values import (
    Notice,
    NoticeKind,
    encode_dimensions,
    encode_notice,
    encode_records,
)
from daosup.core.types import SegmentFacts, Source, StreamRecord
from daosup.errors import UnavailableError


def read(key: bytes) -> Command:
    """Read a string; the reply to a missing key is ``b""``."""
    return ("GETRANGE", key, 0, MAX_VALUE_BYTES)


def write(key: bytes, value: bytes, ttl_s: float) -> Command:
    """Write a string that expires, whatever was there before."""
    return ("SET", key, value, "PX", milliseconds(ttl_s))


def tell(host: str, kind: NoticeKind, source: Source) -> Command:
    """Send a notice to a host."""
    return ("PUBLISH", keys.notify_channel(host), encode_notice(Notice(kind, source)))


def is_writable(host: str) -> Command:
    """Fails as a real write would, and changes nothing: not even a missing key comes to be."""
    return ("SETRANGE", keys.instance_key(host), 0, b"")


@lru_cache(maxsize=4096)  # the heartbeat writes what hardly ever changes
def write_segment(
    host: str, facts: SegmentFacts, records: tuple[StreamRecord, ...], ttl_s: float
) -> tuple[Command, ...]:
    """Write the three keys of a segment of ``host``."""
    source = Source(host, facts.name)
    return (
        write(keys.segment_key(source, "dimensions"), encode_dimensions(facts.shape), ttl_s),
        write(keys.segment_key(source, "dtype"), facts.dtype.encode(), ttl_s),
        write(keys.segment_key(source, "connections"), encode_records(records), ttl_s),
    )


def unlink_segment(host: str, name: str) -> Command:
    """Remove the three keys of a segment of ``host``."""
    return ("UNLINK", *(keys.segment_key(Source(host, name), field) for field in keys.SEGMENT_FIELDS))


def milliseconds(seconds: float) -> int:
    """At least 1, which is the shortest expiry Redis takes."""
    return max(1, math.ceil(seconds * 1000))


def is_wrong_type(reply: Any) -> bool:
    """Whether the key holds another type than the schema says: a bad value, not a failure of Redis."""
    return isinstance(reply, Refusal) and reply.text.startswith("WRONGTYPE")


def check_accepted(replies: Sequence[Any], server: str) -> None:
    """Make sure that Redis carried the commands out.

    Raises:
        UnavailableError: If it refused one, for want of memory or rights for instance.
    """
    for reply in replies:
        if isinstance(reply, Refusal) and not is_wrong_type(reply):
            raise UnavailableError(f"Redis at {server} refused a command: {reply.text}")
