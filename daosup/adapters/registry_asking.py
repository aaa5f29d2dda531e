"""What a host asks of others: the segments it reads, and what the registry says of them.

Invariant: many sources cost few commands, in steps between which the loop does other things; the number of round trips
grows with the number of owners and steps, not of sources.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from daosup.adapters.redis_link import Command
from daosup.adapters.registry_commands import check_accepted, is_wrong_type, milliseconds, read, tell, write
from daosup.adapters.registry_views import SourceView
from daosup.core import keys
from daosup.core.registry_values import (
    NoticeKind,
    decode_dimensions,
    decode_dtype,
    decode_instance,
    decode_records,
    encode_reader,
)
from daosup.core.types import Looks, Reader, Source

Run = Callable[[Sequence[Command]], Awaitable[list[Any]]]

_STEP = 100


async def write_reader(
    run: Run, server: str, sources: Iterable[Source], reader: Reader, ttl_s: float, now: bytes, *, is_news: bool
) -> int:
    """Write ``reader`` down for the sources, and tell their owners if that ``is_news``.

    Args:
        run: Carries out commands; a refusal is a reply.
        server: Redis, as it is called in errors.
        sources: Segments of other hosts.
        reader: This host as a reader.
        ttl_s: Lifetime of each owner's whole list of readers.
        now: The time as the schema wants it.
        is_news: Whether the owners are to know at once.

    Returns:
        How many keys held something of another type, and were made anew.

    Raises:
        UnavailableError: If Redis refuses.
    """
    spoilt_count = 0
    for owner, step in _steps(sources):
        commands = _writing(owner, step, reader, ttl_s, now)
        replies = await run(commands)
        spoilt = {command[1] for command, reply in zip(commands, replies) if is_wrong_type(reply)}
        if spoilt:
            # Nobody can read what belongs there, so it makes room.
            spoilt_count += len(spoilt)
            replies = await run([("UNLINK", key) for key in spoilt] + commands)
        check_accepted(replies, server)
        if is_news:
            check_accepted(await run([tell(owner, NoticeKind.READERS, step[0])]), server)
    return spoilt_count


def drop_reader(sources: Iterable[Source], reader_host: str) -> list[Command]:
    """Take back what :func:`write_reader` wrote, and tell the owners."""
    commands: list[Command] = []
    for owner, step in _steps(sources):
        fields = [keys.reader_field(source.name, reader_host) for source in step]
        commands.append(("HDEL", keys.readers_key(owner), *fields))
        commands.append(("UNLINK", *(keys.heartbeat_key(source, reader_host) for source in step)))
        commands.append(tell(owner, NoticeKind.READERS, step[0]))
    return commands


async def read_sources(
    run: Run, sources: Iterable[Source], decoded: Callable[..., Any], skip: Callable[[int], None]
) -> dict[Source, SourceView]:
    """What the registry says of sources.

    Args:
        run: Carries out commands.
        sources: Segments of other hosts.
        decoded: Decodes a reply, or counts it as skipped.
        skip: Told how many records within a value did not decode.
    """
    views: dict[Source, SourceView] = {}
    for owner, step in _steps(sources):
        commands: list[Command] = [("EXISTS", keys.machine_key(owner, "ip")), read(keys.instance_key(owner))]
        for source in step:
            commands.append(("EXISTS", keys.segment_key(source, "dimensions")))
            commands.append(read(keys.segment_key(source, "connections")))
        host, named, *replies = await run(commands)
        instance = decoded(decode_instance, named)
        looks = {} if instance is not None or host != 1 else await _read_looks(run, step, decoded)
        for source, segment, raw in zip(step, replies[::2], replies[1::2]):
            records, bad = decoded(decode_records, raw) or ((), 0)
            skip(bad)
            views[source] = SourceView(host == 1, segment == 1, records, instance, looks.get(source))
    return views


async def _read_looks(run: Run, sources: Sequence[Source], decoded: Callable[..., Any]) -> dict[Source, Looks]:
    """What old daemons say of their segments, as far as it can be read."""
    commands = [read(keys.segment_key(source, field)) for source in sources for field in ("dimensions", "dtype")]
    replies = await run(commands)
    found = {}
    for source, shape_raw, dtype_raw in zip(sources, replies[::2], replies[1::2]):
        shape, dtype = decoded(decode_dimensions, shape_raw), decoded(decode_dtype, dtype_raw)
        if shape is not None and dtype is not None:
            found[source] = Looks(shape, dtype)
    return found


def _writing(owner: str, sources: Sequence[Source], reader: Reader, ttl_s: float, now: bytes) -> list[Command]:
    value, hash_key = encode_reader(reader), keys.readers_key(owner)
    fields = [word for source in sources for word in (keys.reader_field(source.name, reader.host), value)]
    heartbeats = [write(keys.heartbeat_key(source, reader.host), now, keys.HEARTBEAT_TTL_S) for source in sources]
    return [("HSET", hash_key, *fields), ("PEXPIRE", hash_key, milliseconds(ttl_s)), *heartbeats]


def _steps(sources: Iterable[Source]) -> Iterator[tuple[str, list[Source]]]:
    owners: dict[str, list[Source]] = {}
    for source in sources:
        owners.setdefault(source.host, []).append(source)
    for owner, asked in owners.items():
        for start in range(0, len(asked), _STEP):
            yield owner, asked[start : start + _STEP]
