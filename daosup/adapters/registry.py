"""One host's view of the registry: what it writes of itself, what it reads of others.

Invariant: every key of this host carries a TTL and can be written again at any time with the same effect, so one
:meth:`Registry.announce` heals whatever was lost. Nothing here decides: no retry, no eviction, no timer; a value that
does not decode is skipped and counted in :attr:`Registry.skipped`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional, TypeVar

from daosup.adapters.redis_address import RedisAddress, ServerFacts
from daosup.adapters.redis_link import Command, RedisLink, Refusal, ping
from daosup.adapters.registry_asking import drop_reader, read_sources, write_reader
from daosup.adapters.registry_clock import RegistryClock
from daosup.adapters.registry_commands import (
    check_accepted,
    is_writable,
    milliseconds,
    read,
    tell,
    unlink_segment,
    write,
    write_segment,
)
from daosup.adapters.registry_events import RegistryEvents
from daosup.adapters.registry_heartbeats import find_heartbeats, read_heartbeats
from daosup.adapters.registry_hosts import read_views
from daosup.adapters.registry_lease import RegistryLease
from daosup.adapters.registry_scan import read_hosts, read_machines, remove_leftovers
from daosup.adapters.registry_views import (
    Answered,
    Asked,
    HostView,
    Lost,
    Notified,
    OwnView,
    RegistryEvent,
    SourceView,
)
from daosup.core import keys
from daosup.core.checked_json import MAX_VALUE_BYTES
from daosup.core.registry_values import (
    Instance,
    NoticeKind,
    StreamRequest,
    decode_instance,
    decode_notice,
    decode_reader,
    decode_request,
    encode_instance,
    encode_records,
    encode_request,
)
from daosup.core.types import HostSign, Machine, Reader, Role, SegmentFacts, Source, StreamRecord
from daosup.errors import ProtocolError, UnavailableError

__all__ = [
    "Answered",
    "Asked",
    "HostView",
    "Instance",
    "Lost",
    "Notified",
    "OwnView",
    "RedisAddress",
    "Registry",
    "RegistryEvent",
    "SourceView",
    "ping",
]

T = TypeVar("T")


class Registry:
    """The registry as one host uses it; belongs to one asyncio loop.

    Every coroutine raises :class:`UnavailableError` if Redis is away, cannot serve or refuses (out of memory, rights).

    Args:
        address: Where Redis is.
        host: This host's name.
        instance: The process that speaks for the host.
        on_event: Called from the loop with each :data:`RegistryEvent`.
    """

    def __init__(
        self, address: RedisAddress, host: str, instance: Instance, on_event: Callable[[RegistryEvent], None]
    ) -> None:
        self._link = RedisLink(address, self._take_message, lambda reason: on_event(Lost(reason)))
        self._host = host
        self._instance = instance
        self._on_event = on_event
        self.clock = RegistryClock()
        self.lease = RegistryLease(self._run, host, instance, self.clock)
        self.events = RegistryEvents(self._link.run, self.server)
        # Names that may have keys in Redis, also those whose removal did not get through.
        self._written_names: set[str] = set()
        self.skipped = 0
        """How many values and messages were skipped because they did not decode."""

    @property
    def server(self) -> str:
        """Where Redis is, in words."""
        return str(self._link.address)

    @property
    def is_connected(self) -> bool:
        """Whether calls can be tried."""
        return self._link.is_open

    async def connect(self) -> ServerFacts:
        """Connect, listen to what this host is told, see whether Redis takes writes, and learn its time.

        Raises:
            UnavailableError: If that did not succeed within the address's ``timeout_s``, or Redis refuses to write.
        """
        channels = (keys.notify_channel, keys.question_channel, keys.answer_channel)
        facts = await self._link.open(*(channel(self._host) for channel in channels))
        try:
            await self._run([is_writable(self._host)])
            await self.lease.look()
        except UnavailableError:
            await self._link.close()
            raise
        if not self._instance.started_ms:
            self._instance = replace(self._instance, started_ms=self.clock.began_ms())
        return facts

    @property
    def started_ms(self) -> int:
        """When this process started, by Redis's clock in milliseconds; 0 before the first connection."""
        return self._instance.started_ms

    async def check(self) -> tuple[Optional[str], int]:
        """See whether Redis still takes writes; one small round trip.

        Returns:
            The instance that speaks for this host, None if its key is gone; and how many readers are written down.
        """
        _, raw, count = await self._run(
            [is_writable(self._host), read(keys.instance_key(self._host)), ("HLEN", keys.readers_key(self._host))]
        )
        speaker = self._decoded(decode_instance, raw)
        return speaker.instance if speaker else None, count if isinstance(count, int) else 0

    async def close(self) -> None:
        """Disconnect; what is written stays until it expires."""
        await self._link.close()

    async def announce(
        self,
        ip: str,
        role: Role,
        segments: Mapping[str, SegmentFacts],
        records: Mapping[str, Sequence[StreamRecord]],
        ttl_s: float,
    ) -> Optional[Instance]:
        """Write everything of this host, and remove the keys of segments it had before; the heartbeat does this too.

        Another process that spoke for this host until now is told, if it lives.

        Args:
            ip: Address at which other hosts reach this one.
            role: This host's role.
            segments: All its segments, by name.
            records: The connection records of those that are read, by segment name.
            ttl_s: After this time without another call the keys are gone.

        Returns:
            The other instance that the registry named for this host before, if there was one.
        """
        self._instance = replace(self._instance, beat=self._instance.beat + 1, clock_offset_ms=self.clock.offset_ms)
        commands: list[Command] = [
            read(keys.instance_key(self._host)),
            # First: a host that is there without this key runs the existing daemon.
            write(keys.instance_key(self._host), encode_instance(self._instance), ttl_s),
            write(keys.machine_key(self._host, "ip"), ip.encode(), ttl_s),
            write(keys.machine_key(self._host, "hostname"), self._host.encode(), ttl_s),
            write(keys.machine_key(self._host, "role"), role.value.encode(), ttl_s),
            write(keys.machine_key(self._host, "last_connect"), self.clock.stamp(), ttl_s),
        ]
        for name, facts in segments.items():
            commands += write_segment(self._host, facts, tuple(records.get(name, ())), ttl_s)
        gone = self._written_names - segments.keys()
        commands += [unlink_segment(self._host, name) for name in gone]
        self._written_names |= segments.keys()
        replies = await self._run(commands)
        self._written_names -= gone
        before = self._decoded(decode_instance, replies[0])
        if before is None or before.instance == self._instance.instance:
            return None
        await self._run([tell(self._host, NoticeKind.READERS, Source(self._host, "any"))])
        return before

    async def put_segment(self, facts: SegmentFacts, records: Sequence[StreamRecord], ttl_s: float) -> None:
        """Write one segment of this host."""
        self._written_names.add(facts.name)
        await self._run(write_segment(self._host, facts, tuple(records), ttl_s))

    async def drop_segment(self, name: str) -> None:
        """Remove one segment of this host."""
        await self._run([unlink_segment(self._host, name)])
        self._written_names.discard(name)

    async def put_records(
        self, name: str, records: Sequence[StreamRecord], ttl_s: float, notify: Collection[str]
    ) -> None:
        """Write the connection records of a segment of this host and tell the hosts in ``notify``."""
        source = Source(self._host, name)
        commands = [write(keys.segment_key(source, "connections"), encode_records(records), ttl_s)]
        commands += [tell(host, NoticeKind.RECORD, source) for host in notify]
        self._written_names.add(name)
        await self._run(commands)

    async def withdraw(self) -> None:
        """Remove every key this host wrote, unless another instance speaks for it by now.

        Its readers stay written down until they leave or expire, so that after a restart they are known at once.
        """
        (raw,) = await self._run([read(keys.instance_key(self._host))])
        speaker = self._decoded(decode_instance, raw)
        if speaker is not None and speaker.instance != self._instance.instance:
            return
        commands = [unlink_segment(self._host, name) for name in self._written_names]
        commands.append(("UNLINK", *(keys.machine_key(self._host, field) for field in keys.MACHINE_FIELDS)))
        commands.append(("UNLINK", keys.instance_key(self._host)))
        await self._run(commands)
        self._written_names.clear()

    async def readers(self) -> OwnView:
        """Who reads this host's segments, and whether its own key is there; one round trip."""
        raw, fields = await self._run([read(keys.instance_key(self._host)), ("HGETALL", keys.readers_key(self._host))])
        readers: dict[str, dict[str, Reader]] = {}
        decoded: dict[bytes, Reader] = {}
        flat = fields if isinstance(fields, list) else []
        self.skipped += isinstance(fields, Refusal)
        for field, value in zip(flat[::2], flat[1::2]):
            place = self._decoded(keys.parse_reader_field, field)
            # A host writes the same into all its fields.
            reader = decoded.get(value) or self._decoded(decode_reader, value)
            if place is not None and reader is not None:
                decoded[value] = reader
                readers.setdefault(place[0], {})[place[1]] = reader
        return OwnView(readers, self._decoded(decode_instance, raw), len(flat) // 2)

    async def drop_readers(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Forget readers of this host, given as segment name and reading host."""
        fields = [keys.reader_field(name, client) for name, client in pairs]
        if fields:
            await self._run([("HDEL", keys.readers_key(self._host), *fields)])

    async def take_requests(self, names: Iterable[str]) -> dict[str, StreamRequest]:
        """Requests of old clients for these segments of this host, removed from Redis as they are read.

        Which key to look at is known, so the cost grows with our own segments only.
        """
        sources = [Source(self._host, name) for name in names]
        if not sources or (await self._run([("EXISTS", *map(keys.request_key, sources))])) == [0]:
            return {}
        sizes = await self._run([("STRLEN", keys.request_key(source)) for source in sources])
        present = [source for source, size in zip(sources, sizes) if size != 0]
        fit = [s for s, size in zip(sources, sizes) if isinstance(size, int) and 0 < size <= MAX_VALUE_BYTES]
        unfit = [s for s in present if s not in fit]
        self.skipped += len(unfit)
        commands: list[Command] = [("GETDEL", keys.request_key(source)) for source in fit]
        commands += [("UNLINK", keys.request_key(source)) for source in unfit]
        replies = await self._run(commands)
        decoded = {source.name: self._decoded(decode_request, raw) for source, raw in zip(fit, replies)}
        return {name: request for name, request in decoded.items() if request is not None}

    async def heartbeats(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """What the heartbeats say of these readers, given as segment name of ours and client; some may be missing."""
        asked = [(pair, keys.heartbeat_key(Source(self._host, pair[0]), pair[1])) for pair in pairs]
        found, skipped = await read_heartbeats(self._run, asked)
        self.skipped += skipped
        return found

    async def find_heartbeats(self) -> dict[tuple[str, str], str]:
        """All heartbeats of readers of this host's segments; by segment name and client.

        Walks over all keys of Redis in small steps: when there is a reader that nothing else tells of.
        """
        found, skipped = await find_heartbeats(self._run, self._host)
        self.skipped += skipped
        return found

    async def ask(self, sources: Iterable[Source], reader: Reader, ttl_s: float, *, is_news: bool = True) -> None:
        """Write down that ``reader`` wants these segments; repeat it as the heartbeat, with a larger ``beat``.

        Args:
            sources: Segments of other hosts.
            reader: This host as a reader.
            ttl_s: Lifetime of the owner's whole list of readers; each reader's call renews it.
            is_news: Whether to tell the owners at once; a mere heartbeat need not.
        """
        now = self.clock.stamp()
        self.skipped += await write_reader(self._link.run, self.server, sources, reader, ttl_s, now, is_news=is_news)

    async def unask(self, sources: Iterable[Source], reader_host: str) -> None:
        """Take back what :meth:`ask` wrote and tell the owners."""
        await self._run(drop_reader(sources, reader_host))

    async def request(self, source: Source, request: StreamRequest, ttl_s: float) -> bool:
        """Ask an old daemon for a stream, as its own clients do.

        Returns:
            Whether it was written; False if another client's request waits there, which must not be overwritten.
        """
        (reply,) = await self._run(
            [("SET", keys.request_key(source), encode_request(request), "PX", milliseconds(ttl_s), "NX")]
        )
        return reply is not None

    async def records(self, sources: Iterable[Source]) -> dict[Source, SourceView]:
        """What is known of segments of other hosts."""
        return await read_sources(self._run, sources, self._decoded, self._skip)

    async def machines(self) -> list[Machine]:
        """All hosts of the registry with their segments, sorted; also those of old daemons.

        Walks over all keys of Redis in small steps: for an operator who asks, not for a timer.
        """
        machines, skipped = await read_machines(self._run)
        self.skipped += skipped
        return machines

    async def hosts(self) -> tuple[tuple[HostSign, ...], float]:
        """The last signs of life of all hosts, and Redis's time at which they were read (seconds since 1970).

        Walks over all keys of Redis in small steps: for the one that holds the lease.
        """
        signs = await read_hosts(self._run)
        return signs, self.clock.now_s()

    async def host_views(self, hosts: Optional[Collection[str]] = None) -> dict[str, HostView]:
        """What is known of hosts, without their segments; of all if none are named. Unknown ones are not in it."""
        return await read_views(self._run, hosts, self.clock.now_s(), self._decoded)

    async def send(self, channel: bytes, message: bytes) -> int:
        """Send a message; returns how many listen."""
        (count,) = await self._run([("PUBLISH", channel, message)])
        return count if isinstance(count, int) else 0

    async def remove_leftovers(self, names: Collection[str]) -> int:
        """Remove keys of this host's segments that are not in ``names``: an old daemon's keys never expire.

        Walks over all keys of Redis in small steps: once after the start, not on a timer.

        Returns:
            How many keys were removed.
        """
        return await remove_leftovers(self._run, self._host, names, encode_instance(self._instance))

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        replies = await self._link.run(commands)
        check_accepted(replies, self.server)
        return replies

    def _skip(self, count: int) -> None:
        self.skipped += count

    def _take_message(self, channel: bytes, raw: bytes) -> None:
        if channel == keys.question_channel(self._host):
            self._on_event(Asked(raw))
            return
        if channel == keys.answer_channel(self._host):
            self._on_event(Answered(raw))
            return
        notice = self._decoded(decode_notice, raw)
        if notice is not None:
            self._on_event(Notified(notice.kind, notice.source))

    def _decoded(self, decode: Callable[[bytes], T], reply: object) -> Optional[T]:
        """What a reply holds; None if the key is missing (``b""``) or, which is counted, if it does not decode."""
        if reply == b"":
            return None
        try:
            if isinstance(reply, bytes):
                return decode(reply)
        except ProtocolError:
            pass
        self.skipped += 1
        return None
