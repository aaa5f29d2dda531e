"""The daemon: what it writes to Redis, what it looks for there, and when."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Optional

import redis

from tests.old_daemon.segments import SUFFIX, Segment, create, remove
from tests.old_daemon.streams import Publisher, Subscriber, Thread, Written

MIRROR_PREFIX = "remote_"

Record = dict[str, Any]


@dataclass(frozen=True)
class Times:
    """All of them in seconds; as they are in the existing daemon, where that is known."""

    counter_poll_s: float = 0.001
    request_poll_s: float = 2.0
    segment_poll_s: float = 1.0
    client_check_s: float = 15.0
    client_timeout_s: float = 25.0
    machine_heartbeat_s: float = 30.0
    machine_timeout_s: float = 120.0
    client_heartbeat_s: float = 10.0
    client_heartbeat_ttl_s: float = 75.0
    connect_timeout_s: float = 30.0
    #: Not known: how often a client looks for its connection, and a master for machines that are gone.
    connect_poll_s: float = 0.5
    machine_check_s: float = 15.0


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def age_s(stamp: Optional[str]) -> float:
    """How long ago that was; for ever if it is none."""
    if stamp is None:
        return float("inf")
    return (datetime.now(timezone.utc) - datetime.fromisoformat(stamp)).total_seconds()


def segment_name(file_name: str) -> str:
    return file_name[: -len(SUFFIX)].lstrip("/").replace(" ", "_")


@dataclass
class Published:
    """A segment that is published, and the first writing client's frames."""

    publisher: Publisher
    received: Written
    writer: Optional[Subscriber] = None
    written_by: str = ""


@dataclass
class Mirrored:
    """A mirror, or one that is asked for; ``state`` is one of asking, streaming, failed."""

    host: str
    name: str
    path: str
    is_bidirectional: bool
    received: Written
    state: str = "asking"
    asked_at: str = ""
    has_asked: bool = False
    port: int = 0
    subscriber: Optional[Subscriber] = None
    publisher: Optional[Publisher] = None


class Daemon:
    """One old host."""

    def __init__(self, host: str, ip: str, role: str, folder: str, server: redis.Redis, times: Times) -> None:
        self.host, self.ip, self.role, self.folder, self.redis, self.times = host, ip, role, folder, server, times
        self.published: dict[str, Published] = {}
        self.mirrored: dict[str, Mirrored] = {}
        self._announced: dict[str, tuple[tuple[int, ...], str]] = {}
        self._own: set[str] = set()
        self._say_who_we_are()
        #: The parts of one daemon do not meet in the middle of something.
        self._lock = threading.RLock()
        self.threads = {
            "machine": self._each(times.machine_heartbeat_s, self._say_we_live),
            "segments": self._each(times.segment_poll_s, self._announce_segments),
            "requests": self._each(times.request_poll_s, self._look_for_requests),
            "clients": self._each(times.client_check_s, self._look_after_clients),
            "heartbeats": self._each(times.client_heartbeat_s, self._beat),
            "connecting": self._each(times.connect_poll_s, self._look_for_connections),
        }
        if role == "master":
            self.threads["machines"] = self._each(times.machine_check_s, self._evict_machines)

    def _each(self, period_s: float, turn: Callable[[], None]) -> Thread:
        def locked() -> None:
            with self._lock:
                turn()

        return Thread(locked, period_s)

    # -- the machine

    def _machine_key(self, field: str) -> str:
        return f"dao:machines:{self.host}:{field}"

    def _say_who_we_are(self) -> None:
        for field, value in (("ip", self.ip), ("hostname", self.host), ("role", self.role)):
            self.redis.set(self._machine_key(field), value)

    def _say_we_live(self) -> None:
        self.redis.set(self._machine_key("last_connect"), now())

    def _evict_machines(self) -> None:
        for key in self.redis.keys("dao:machines:*:last_connect"):
            if age_s(self.redis.get(key)) > self.times.machine_timeout_s:
                host = key.split(":")[2]
                self.redis.delete(*self.redis.keys(f"dao:machines:{host}:*"))

    # -- its segments

    def path_of(self, name: str) -> str:
        return os.path.join(self.folder, name + SUFFIX)

    def _announce_segments(self) -> None:
        there = {}
        for file_name in os.listdir(self.folder):
            if file_name.endswith(SUFFIX) and not file_name.startswith(MIRROR_PREFIX):
                segment = Segment(os.path.join(self.folder, file_name))
                there[segment_name(file_name)] = (tuple(segment.shape), segment.dtype)
                segment.close()
        for name, (shape, dtype) in there.items():
            if self._announced.get(name) != (shape, dtype):
                self.redis.set(self._machine_key(f"shm:{name}:dimensions"), json.dumps(list(shape)))
                self.redis.set(self._machine_key(f"shm:{name}:dtype"), dtype)
            self.redis.setnx(self._machine_key(f"shm:{name}:connections"), "[]")
        for name in self._announced.keys() - there.keys():
            self._unpublish(name)
            for field in ("dimensions", "dtype", "connections"):
                self.redis.delete(self._machine_key(f"shm:{name}:{field}"))
        self._announced = there

    # -- its clients

    def _connections_key(self, host: str, name: str) -> str:
        return f"dao:machines:{host}:shm:{name}:connections"

    def connections(self, host: str, name: str) -> list[Record]:
        found: list[Record] = json.loads(self.redis.get(self._connections_key(host, name)) or "[]")
        return found

    def _put_connections(self, host: str, name: str, records: list[Record]) -> None:
        self.redis.set(self._connections_key(host, name), json.dumps(records))

    def _look_for_requests(self) -> None:
        for name in list(self._announced):
            key = f"dao:connections:{self.host}:{name}"
            raw = self.redis.get(key)
            if raw is None:
                continue
            request = json.loads(raw)
            published = self._publish(name)
            record = {
                "server_ip": self.ip,
                "port": published.publisher.port,
                "transport": "zmq",
                "client_hostname": request["client_hostname"],
                "client_ip": request["client_ip"],
                "bidirectional": request["bidirectional"],
                "client_pub_port": request["client_pub_port"],
            }
            self._put_connections(self.host, name, [*self.connections(self.host, name), record])
            self.redis.delete(key)
            self._follow_first_writer(name)

    def _publish(self, name: str) -> Published:
        if name not in self.published:
            received = Written()
            publisher = Publisher(self.path_of(name), self.times.counter_poll_s, received=received)
            self.published[name] = Published(publisher, received)
        return self.published[name]

    def _follow_first_writer(self, name: str) -> None:
        published = self.published[name]
        writing = [record for record in self.connections(self.host, name) if record["bidirectional"]]
        if writing and published.writer is None:
            first = writing[0]
            published.written_by = first["client_hostname"]
            published.writer = Subscriber(
                self.path_of(name), first["client_ip"], first["client_pub_port"], published.received
            )

    def _unpublish(self, name: str) -> None:
        published = self.published.pop(name, None)
        if published is not None:
            published.publisher.stop()
            if published.writer is not None:
                published.writer.stop()

    def _look_after_clients(self) -> None:
        for name, published in list(self.published.items()):
            records = self.connections(self.host, name)
            alive = [record for record in records if self._is_alive(name, record["client_hostname"])]
            if len(alive) < len(records):
                self._put_connections(self.host, name, alive)
            if not alive:
                self._unpublish(name)
            elif published.writer is not None and published.written_by not in [
                record["client_hostname"] for record in alive
            ]:
                published.writer.stop()
                published.writer = None
                self._follow_first_writer(name)

    def _is_alive(self, name: str, client: str) -> bool:
        return age_s(self.redis.get(f"dao:heartbeats:{self.host}:{name}:{client}")) <= self.times.client_timeout_s

    # -- as a client

    def mirror(self, host: str, name: str, *, is_bidirectional: bool) -> None:
        """Ask for a mirror; what becomes of it is seen in ``mirrored``."""
        with self._lock:
            self._mirror(host, name, is_bidirectional)

    def _mirror(self, host: str, name: str, is_bidirectional: bool) -> None:
        path = self.path_of(f"{MIRROR_PREFIX}{host}_{name}")
        mirrored = Mirrored(host, name, path, is_bidirectional, Written(), asked_at=now())
        self.mirrored[f"{host}:{name}"] = mirrored
        records = self.connections(host, name)
        if not records:
            self._ask(mirrored)
        self._beat_for(mirrored)
        if records:
            self._connect(mirrored, records[0])

    def _ask(self, mirrored: Mirrored) -> None:
        if mirrored.is_bidirectional:
            self._make(mirrored)
            mirrored.publisher = Publisher(mirrored.path, self.times.counter_poll_s, received=mirrored.received)
        request = {
            "client_ip": self.ip,
            "client_hostname": self.host,
            "transport": "zmq",
            "bidirectional": mirrored.is_bidirectional,
            "client_pub_port": mirrored.publisher.port if mirrored.publisher else None,
        }
        self.redis.set(f"dao:connections:{mirrored.host}:{mirrored.name}", json.dumps(request))
        mirrored.has_asked = True

    def _make(self, mirrored: Mirrored) -> None:
        key = f"dao:machines:{mirrored.host}:shm:{mirrored.name}"
        shape, dtype = self.redis.get(f"{key}:dimensions"), self.redis.get(f"{key}:dtype")
        if shape is None or dtype is None:
            raise LookupError(f"{mirrored.host} has no {mirrored.name}")
        create(mirrored.path, tuple(json.loads(shape)), dtype)
        self._own.add(mirrored.path)

    def _look_for_connections(self) -> None:
        for mirrored in list(self.mirrored.values()):
            if mirrored.state != "asking":
                continue
            records = self.connections(mirrored.host, mirrored.name)
            if records:
                self._connect(mirrored, records[0])
            elif age_s(mirrored.asked_at) > self.times.connect_timeout_s:
                mirrored.state = "failed"

    def _connect(self, mirrored: Mirrored, record: Record) -> None:
        mirrored.port = record["port"]
        if mirrored.publisher is None:
            self._make(mirrored)
        mirrored.subscriber = Subscriber(mirrored.path, record["server_ip"], record["port"], mirrored.received)
        mirrored.state = "streaming"

    def _beat(self) -> None:
        for mirrored in list(self.mirrored.values()):
            self._beat_for(mirrored)

    def _beat_for(self, mirrored: Mirrored) -> None:
        key = f"dao:heartbeats:{mirrored.host}:{mirrored.name}:{self.host}"
        self.redis.set(key, now(), px=int(self.times.client_heartbeat_ttl_s * 1000))

    def release(self, host: str, name: str) -> None:
        """Give a mirror back. Its heartbeat expires by itself."""
        with self._lock:
            self._release(host, name)

    def _release(self, host: str, name: str) -> None:
        mirrored = self.mirrored.pop(f"{host}:{name}")
        for part in (mirrored.subscriber, mirrored.publisher):
            if part is not None:
                part.stop()
        records = self.connections(host, name)
        others = [record for record in records if record["client_hostname"] != self.host]
        if len(others) < len(records):
            self._put_connections(host, name, others)

    # -- its end

    def create(self, name: str, shape: tuple[int, ...], dtype: str, layout: str, depth: int) -> None:
        """Make a segment of this host, over the one that there may be."""
        with self._lock:  # what is only half made is not announced
            create(self.path_of(name), shape, dtype, layout=layout, depth=depth)
        self._own.add(self.path_of(name))

    def stop(self) -> None:
        """End everything in order, and remove the segments that were made here."""
        for thread in self.threads.values():
            thread.stop()
        for mirrored in list(self.mirrored.values()):
            self.release(mirrored.host, mirrored.name)
        for name in list(self.published):
            self._unpublish(name)
        keys = self.redis.keys(f"dao:machines:{self.host}:*")
        if keys:
            self.redis.delete(*keys)
        for path in self._own:
            if os.path.exists(path):
                remove(path)
