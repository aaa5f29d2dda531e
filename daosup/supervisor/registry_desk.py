"""Does with the registry what the host's state orders, one after the other, off the loop's way.

Invariants: orders are carried out in their order; when Redis is away those that wait are dropped, because everything is
announced and asked anew when it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Optional

from daosup.adapters.registry import Answered, Asked, HostView, Lost, Notified, Registry, RegistryEvent
from daosup.adapters.registry_events import RegistryEvents
from daosup.adapters.registry_lease import LeaseAnswer, Removal
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.delays import Delays
from daosup.core.host import HostState
from daosup.core.lease import Lease
from daosup.core.registry_values import NoticeKind, StreamRequest
from daosup.core.types import OLD_PROTOCOL, Reader
from daosup.errors import UnavailableError
from daosup.supervisor.order_queue import OrderQueue

#: Our keys live this many heartbeats; at the usual 30 s that is the 120 s after which old daemons drop a host.
LIFETIME_BEATS = 4
MIN_LIFETIME_S = 10.0
#: The list of a host's readers; each reader renews it every 10 s.
READERS_LIFETIME_S = 90.0
#: A request to an old host that is away; it takes it when it is back, unless it was asked in vain for so long.
REQUEST_LIFETIME_S = 3600.0
CLOSE_TIMEOUT_S = 3.0
#: An order that waited longer is carried out by a Redis that is too slow to be of use: what it says is old.
MOST_LAG_S = 10.0


def lifetime_s(heartbeat_interval_s: float) -> float:
    """How long our keys live without a heartbeat, in seconds."""
    return max(MIN_LIFETIME_S, LIFETIME_BEATS * heartbeat_interval_s)


class RegistryDesk:
    """The queue to the registry.

    Attributes:
        round_trip: How long Redis takes to answer one small question.
    """

    def __init__(
        self,
        registry: Registry,
        state: HostState,
        heartbeat_interval_s: float,
        instance: str,
        post: Callable[[e.Event], None],
    ) -> None:
        self._registry = registry
        self._state = state
        self._instance = instance
        self.set_heartbeat(heartbeat_interval_s)
        self._post = post
        self.round_trip = Delays()
        self._queue = OrderQueue()
        self._performers: dict[type, Callable[[Any], Awaitable[Optional[e.Event]]]] = {
            do.ConnectRegistry: self._connect,
            do.CheckRegistry: self._check,
            do.LookAtLease: lambda a: self._lease(a.asked_s, registry.lease.look()),
            do.TakeLease: lambda a: self._lease(a.asked_s, registry.lease.take(a.expected, a.above)),
            do.RenewLease: lambda a: self._lease(a.asked_s, registry.lease.renew(a.lease)),
            do.GiveUpLease: lambda a: self._lease(a.asked_s, registry.lease.give_up()),
            do.ReadHosts: self._read_hosts,
            do.Evict: self._evict,
            do.ReadReaders: self._read_readers,
            do.TakeRequests: self._take_requests,
            do.ReadHeartbeats: self._read_heartbeats,
            do.FindHeartbeats: self._find_heartbeats,
            do.RequestStream: self._request_stream,
            do.ReadRecords: self._read_records,
            do.Announce: self._announce,
            do.PutSegment: lambda a: registry.put_segment(a.facts, a.records, self._ttl_s),
            do.DropSegment: lambda a: registry.drop_segment(a.name),
            do.DropLeftovers: self._drop_leftovers,
            do.PutRecords: lambda a: registry.put_records(a.name, a.records, self._ttl_s, a.notify),
            do.DropReaders: lambda a: registry.drop_readers(a.pairs),
            do.Ask: self._ask,
            do.Unask: lambda a: registry.unask(a.sources, state.facts.host),
            do.Withdraw: lambda a: registry.withdraw(),
        }
        self._task = asyncio.get_running_loop().create_task(self._work())

    @staticmethod
    def events_to(
        post: Callable[[e.Event], None], asked: Callable[[bytes], None], answered: Callable[[bytes], None]
    ) -> Callable[[RegistryEvent], None]:
        """Translate what the registry tells by itself into events; questions and answers are none."""

        def take(told: RegistryEvent) -> None:
            if isinstance(told, Asked):
                asked(told.raw)
            elif isinstance(told, Answered):
                answered(told.raw)
            elif isinstance(told, Lost):
                post(e.RegistryLost(told.reason))
            elif isinstance(told, Notified):
                is_record = told.kind is NoticeKind.RECORD
                post(e.RecordNotified(told.source) if is_record else e.ReadersNotified())

        return take

    def set_heartbeat(self, interval_s: float) -> None:
        """Have what is written from now on live as long as this interval needs."""
        self._ttl_s = lifetime_s(interval_s)

    @property
    def unreadable(self) -> int:
        """How many values and messages did not decode."""
        return self._registry.skipped

    def put(self, action: do.Action) -> None:
        """Order something."""
        self._queue.put(action)

    def on_failure(self, fail: Callable[[BaseException], None]) -> None:
        """Call ``fail`` if the work ends by an exception, which is a bug."""

        def look(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                fail(error)

        self._task.add_done_callback(look)

    async def settle(self) -> None:
        """Wait until everything ordered so far was carried out."""
        marker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(marker)
        await marker

    async def machines(self) -> tuple[Any, ...]:
        """All hosts of the registry."""
        return tuple(await self._registry.machines())

    @property
    def events(self) -> RegistryEvents:
        """The stream of events, which has no place in the queue: what is told of late is told all the same."""
        return self._registry.events

    async def host_views(self, hosts: Optional[Collection[str]]) -> dict[str, HostView]:
        """What the registry knows of hosts; of all if none are named."""
        return await self._registry.host_views(hosts)

    async def send(self, channel: bytes, message: bytes) -> int:
        """Send a message at once; returns how many listen."""
        return await self._registry.send(channel, message)

    @property
    def redis_now_s(self) -> float:
        """What Redis's clock shows now, as far as it was asked lately: seconds since 1970."""
        return self._registry.clock.now_s()

    async def redis_s(self) -> float:
        """Redis's time: seconds since 1970."""
        await self._registry.lease.look()
        return self._registry.clock.now_s()

    async def remove_host(self, lease: Lease, host: str, last_connect: str = "") -> Removal:
        """Remove another host from the registry, as master; with ``last_connect`` only if that is its last sign."""
        removal = await self._registry.lease.remove_host(lease, host, last_connect)
        if removal is Removal.NOT_MASTER:
            self._post(e.ActRefused(f"remove {host}", lease.epoch))
        return removal

    async def close(self) -> None:
        """Carry out what waits, if that takes no longer than a stop may, then disconnect."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.settle(), CLOSE_TIMEOUT_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._registry.close()

    async def _work(self) -> None:
        while True:
            lag_s, item = await self._queue.take()
            if isinstance(item, asyncio.Future):
                if not item.done():
                    item.set_result(None)
                continue
            try:
                if lag_s > MOST_LAG_S and self._registry.is_connected:
                    await self._registry.close()
                    raise UnavailableError(f"Redis is too slow: what is to be done there waits for {lag_s:.0f} s")
                event = await self._performers[type(item)](item)
            except UnavailableError as error:
                self._queue.drop_orders()
                event = e.RegistryLost(str(error))
            if event is not None:
                self._post(event)

    async def _connect(self, action: do.ConnectRegistry) -> e.Event:
        facts = await self._registry.connect()
        return e.RegistryConnected(str(facts), self._registry.started_ms)

    async def _lease(self, asked_s: float, asking: Awaitable[LeaseAnswer]) -> e.Event:
        answer = await asking
        self.round_trip.add(answer.comparison.round_trip_s, time.monotonic())
        self._post(e.ClockCompared(answer.comparison.offset_s, answer.comparison.round_trip_s))
        return e.LeaseSeen(asked_s, answer.value, answer.holder, answer.left_s)

    async def _read_hosts(self, action: do.ReadHosts) -> e.Event:
        return e.HostsSeen(*await self._registry.hosts())

    async def _evict(self, action: do.Evict) -> Optional[e.Event]:
        removal = await self.remove_host(action.lease, action.host, action.last_connect)
        return e.HostEvicted(action.host) if removal is Removal.DONE else None

    async def _read_readers(self, action: do.ReadReaders) -> e.Event:
        view = await self._registry.readers()
        is_announced = view.speaker is not None and view.speaker.instance == self._instance
        return e.ReadersSeen(view.readers, is_announced, None if is_announced else view.speaker, view.entry_count)

    async def _check(self, action: do.CheckRegistry) -> e.Event:
        instance, entry_count = await self._registry.check()
        return e.RegistryChecked(instance == self._instance, entry_count)

    async def _read_records(self, action: do.ReadRecords) -> e.Event:
        views = await self._registry.records(action.sources)
        return e.RecordsSeen(
            tuple(
                e.SourceSeen(
                    source, view.is_host_known, view.is_segment_known, view.records, view.owner is None, view.looks
                )
                for source, view in views.items()
            )
        )

    async def _take_requests(self, action: do.TakeRequests) -> Optional[e.Event]:
        requests = await self._registry.take_requests(action.names)
        return e.RequestsTaken(requests) if requests else None

    async def _read_heartbeats(self, action: do.ReadHeartbeats) -> e.Event:
        return e.HeartbeatsSeen(await self._registry.heartbeats(action.pairs))

    async def _find_heartbeats(self, action: do.FindHeartbeats) -> e.Event:
        return e.HeartbeatsSeen(await self._registry.find_heartbeats())

    async def _request_stream(self, action: do.RequestStream) -> None:
        facts = self._state.facts
        request = StreamRequest(facts.ip, facts.host, "zmq", action.bidirectional, action.client_pub_port, OLD_PROTOCOL)
        await self._registry.request(action.source, request, REQUEST_LIFETIME_S)

    async def _announce(self, action: do.Announce) -> Optional[e.Event]:
        other = await self._registry.announce(
            self._state.facts.ip, action.role, action.segments, action.records, self._ttl_s
        )
        return None if other is None else e.ReplacedInstance(other)

    async def _drop_leftovers(self, action: do.DropLeftovers) -> None:
        await self._registry.remove_leftovers(action.names)

    async def _ask(self, action: do.Ask) -> None:
        facts = self._state.facts
        for is_writing in (False, True):
            sources = [each for each in action.sources if (each in action.written_back) is is_writing]
            if sources:
                reader = Reader(facts.host, facts.ip, action.beat, self._instance, bidirectional=is_writing)
                await self._registry.ask(sources, reader, READERS_LIFETIME_S, is_news=action.is_news)
