"""A short look at whatever answers at an address, which may be a Redis, somebody else's, or anything at all.

Invariant: one connection, few and cheap commands (PING, INFO, and only where there are not many keys SCAN), nothing
written; the whole look ends within its time, and takes in at most ``_MOST_BYTES``, whatever the other side sends.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Optional, Union

from daosup.core import keys
from daosup.errors import ProtocolError

#: Beyond so many keys a SCAN would keep a server busy that may have nothing to do with us.
MOST_KEYS = 100_000
_SCAN_COUNT = 1000
_MOST_BYTES = 4 << 20
_MOST_DEPTH = 3
_LOOK_S = 2.0
_TLS_ALERT = b"\x15\x03"
_WORD = re.compile(r"[A-Za-z0-9_.:+~-]{1,60}\Z")


class Door(Enum):
    """Whether a server lets us in."""

    OPEN = "open"
    PASSWORD = "password"
    PROTECTED = "protected"  # only for programs of its own machine
    TLS = "tls"
    CLOSED = "closed"  # it answers as a Redis does, and refuses


@dataclass(frozen=True)
class RedisSeen:
    """A Redis at an address.

    Attributes:
        host: Its address.
        port: Its port.
        door: Whether it lets us in; what follows is known only if it does.
        flavour: ``redis`` or ``valkey``.
        version: Its version.
        role: ``master``, ``replica`` or ``sentinel``.
        replica_of: Where its master is, if it is a replica: ``host:port``.
        run_id: Names this start of it.
        keys: How many it holds in its first database.
        hosts: Those that are registered there; None if it holds too many keys to look.
        round_trip_s: How long it took to answer, seconds.
    """

    host: str
    port: int
    door: Door
    flavour: str = ""
    version: str = ""
    role: str = ""
    replica_of: str = ""
    run_id: str = ""
    keys: int = 0
    hosts: Optional[tuple[str, ...]] = ()
    round_trip_s: float = 0.0


def look_at_redis(host: str, port: int, timeout_s: float) -> Optional[RedisSeen]:
    """See what is at an address; None if nothing answers there, or something else than a Redis.

    Args:
        host: Where.
        port: Its TCP port.
        timeout_s: How long a connection may take, and the first answer.
    """
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            line = _Line(connection, timeout_s)
            asked_s = time.monotonic()
            door = _door_of(line)
            round_trip_s = time.monotonic() - asked_s
            if door is None:
                return None
            seen = RedisSeen(host, port, door, round_trip_s=round_trip_s)
            line.allow(_LOOK_S)
            if door is Door.OPEN:
                with suppress(OSError, ProtocolError):  # it is a Redis, which just says no more
                    return _looked_into(line, seen)
            return seen
    except (OSError, ProtocolError):
        return None


def _door_of(line: _Line) -> Optional[Door]:
    """What is said to a PING."""
    try:
        reply = line.ask("PING")
    except ProtocolError:
        return Door.TLS if line.received.startswith(_TLS_ALERT) else None
    if reply == b"PONG":
        return Door.OPEN
    if not isinstance(reply, _Refusal):
        return None
    word = reply.text.partition(" ")[0]
    if word == "DENIED":
        return Door.PROTECTED
    return Door.PASSWORD if word == "NOAUTH" else Door.CLOSED if word.isupper() else None


def _looked_into(line: _Line, seen: RedisSeen) -> RedisSeen:
    """With what the server says of itself, and of its keys."""
    said = _said(line.ask("INFO"))
    flavour = "valkey" if "valkey_version" in said else "redis" if "redis_version" in said else ""
    is_sentinel = said.get("redis_mode", said.get("server_mode")) == "sentinel"
    role = "sentinel" if is_sentinel else {"slave": "replica"}.get(said.get("role", ""), said.get("role", ""))
    master = f"{said.get('master_host', '')}:{said.get('master_port', '')}" if role == "replica" else ""
    count = re.match(r"keys=(\d{1,15})", said.get("db0", ""))
    key_count = int(count[1]) if count else 0
    seen = replace(
        seen,
        flavour=flavour,
        version=_word(said.get(f"{flavour}_version", "")),
        role=_word(role),
        replica_of=_word(master),
        run_id=_word(said.get("run_id", "")),
        keys=key_count,
        hosts=None if key_count > MOST_KEYS else (),
    )
    if is_sentinel or seen.hosts is None or not key_count:
        return seen
    with suppress(OSError, ProtocolError):
        return replace(seen, hosts=_registered_hosts(line))
    return seen


def _registered_hosts(line: _Line) -> tuple[str, ...]:
    hosts: set[str] = set()
    cursor = b"0"
    for _ in range(2 * MOST_KEYS // _SCAN_COUNT):
        reply = line.ask("SCAN", cursor, "MATCH", keys.ALL_MACHINES, "COUNT", str(_SCAN_COUNT))
        if not (isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], list)):
            break
        cursor, page = reply
        for raw in page:
            with suppress(ProtocolError):
                hosts.add(keys.parse_machine_key(raw if isinstance(raw, bytes) else b"").host)
        if cursor == b"0" or not isinstance(cursor, bytes):
            break
    return tuple(sorted(hosts))


def _said(reply: object) -> Mapping[str, str]:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _word(text: str) -> str:
    """What is said, if it can be what it should."""
    return text if _WORD.match(text) else ""


class _Refusal:
    """Redis's answer to a command that it does not carry out."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Line:
    """A connection on which one thing after the other is asked."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self.received = bytearray()
        self._at = 0
        self.allow(timeout_s)

    def allow(self, seconds: float) -> None:
        """All that follows is to take no longer."""
        self._deadline_s = time.monotonic() + seconds

    def ask(self, *words: Union[str, bytes]) -> Any:
        """The reply to a command: bytes, int, None, a list, or ``_Refusal``.

        Raises:
            OSError: If the other side is gone, or too slow.
            ProtocolError: If it says what no Redis says.
        """
        raw = [word if isinstance(word, bytes) else word.encode() for word in words]
        parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in raw]
        self._await()
        self._connection.sendall(b"*%d\r\n%b" % (len(parts), b"".join(parts)))
        return self._reply(0)

    def _reply(self, depth: int) -> Any:
        head = self._until_newline()
        kind, text = head[:1], head[1:]
        if kind == b"+":
            return text
        if kind == b"-":
            return _Refusal(text.decode("utf-8", "replace"))
        if kind not in (b":", b"$", b"*") or not re.match(rb"-?\d{1,18}\Z", text):
            raise ProtocolError(f"no Redis says {bytes(head[:40])!r}")
        number = int(text)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            whole = self._take(number + 2)
            return whole[:-2]
        if depth >= _MOST_DEPTH or number > _MOST_BYTES // 4:
            raise ProtocolError("more than any answer has")
        return [self._reply(depth + 1) for _ in range(number)]

    def _until_newline(self) -> bytes:
        while (end := self.received.find(b"\r\n", self._at)) < 0:
            if len(self.received) - self._at > 4096:
                raise ProtocolError("a line without an end")
            self._receive()
        found = bytes(self.received[self._at : end])
        self._at = end + 2
        return found

    def _take(self, count: int) -> bytes:
        if count > _MOST_BYTES:
            raise ProtocolError(f"{count} bytes are more than any answer has")
        while len(self.received) - self._at < count:
            self._receive()
        found = bytes(self.received[self._at : self._at + count])
        self._at += count
        return found

    def _receive(self) -> None:
        if len(self.received) > _MOST_BYTES:
            raise ProtocolError("more than any look needs")
        self._await()
        chunk = self._connection.recv(1 << 16)
        if not chunk:
            # Said at the end, too: a server with TLS sends an alert, and closes.
            raise ProtocolError("it closed the connection")
        self.received += chunk

    def _await(self) -> None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
