"""The connection to Redis; the only module that knows the client library.

Invariant: a link is open or lost, and never heals by itself: no retry, no silent reconnect, no reply left over for the
next command. Every exchange ends within the address's ``timeout_s`` or the link is lost, which is told exactly once;
who wants it back opens it again. Commands go over one connection, messages come over another, both die together.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from redis import connection as blocking
from redis.asyncio import connection as nonblocking
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from daosup.adapters.redis_address import RedisAddress, ServerFacts
from daosup.adapters.redis_packing import pack_commands
from daosup.errors import ConfigError, UnavailableError

Command = tuple[Union[bytes, str, int], ...]

_CHUNK = 250
_URL_OPTIONS = {"host", "port", "db", "username", "password", "path"}
_FACT_COMMANDS: tuple[Command, ...] = (("PING",), ("INFO", "server"), ("INFO", "replication"))
# What talking to a server can raise; the library's parser lets ValueError and RecursionError through on garbage.
_FAILURES = (RedisError, OSError, asyncio.TimeoutError, ValueError, RecursionError)
# A dead network is noticed within about 20 s even while nothing is sent.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 3, socket.TCP_KEEPCNT: 3}


@dataclass(frozen=True)
class Refusal:
    """Redis's answer to a command it did not carry out, e.g. ``WRONGTYPE …``; stands in the place of the reply."""

    text: str


class RedisLink:
    """One link to Redis for a program that runs an asyncio loop; it belongs to that loop.

    Args:
        address: Where Redis is.
        on_message: Called with each message of the channel, from the loop.
        on_lost: Called once with the reason each time an open link is lost, also before the failing command raises.
    """

    def __init__(
        self, address: RedisAddress, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        self.address = address
        self._on_message = on_message
        self._on_lost = on_lost
        self._session: Optional[_Session] = None
        self._why_closed = "it was not opened yet"

    @property
    def is_open(self) -> bool:
        """Whether commands can be tried; false from the moment the link is lost."""
        return self._session is not None

    async def open(self, channel: bytes) -> ServerFacts:
        """Connect, ask the server who it is and subscribe to ``channel``.

        Raises:
            UnavailableError: If that did not succeed within ``timeout_s``; the message says why and what to do.
            ConfigError: If the URL is not one.
        """
        await self.close()
        session = _Session(_new_connection(nonblocking, self.address), _new_connection(nonblocking, self.address))
        try:
            facts = await asyncio.wait_for(session.start(channel, self.address), self.address.timeout_s)
        except _FAILURES as error:
            await session.close()
            raise UnavailableError(_explained(error, self.address)) from error
        except BaseException:
            await session.close()
            raise
        self._session = session
        session.listener = asyncio.get_running_loop().create_task(self._listen(session))
        return facts

    async def close(self) -> None:
        """Close the link without calling it lost."""
        session, self._session = self._session, None
        self._why_closed = "it was closed"
        if session is not None:
            await session.close()

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands in order, a few hundred in each round trip; no transaction.

        Returns:
            One reply for each command: bytes, int, None, list, or :class:`Refusal`.

        Raises:
            UnavailableError: If the link is or gets lost, or the server cannot serve now (loading, a replica).
        """
        session = self._session
        if session is None:
            raise UnavailableError(f"no connection to Redis at {self.address}: {self._why_closed}")
        replies: list[Any] = []
        for start in range(0, len(commands), _CHUNK):
            replies += await self._exchange(session, commands[start : start + _CHUNK])
        return replies

    async def _exchange(self, session: _Session, commands: Sequence[Command]) -> list[Any]:
        async with session.lock:
            if session is not self._session:
                raise UnavailableError(f"no connection to Redis at {self.address}: {self._why_closed}")
            try:
                return await asyncio.wait_for(session.exchange(commands), self.address.timeout_s)
            except _FAILURES as error:
                reason = _explained(error, self.address)
                await self._lose(session, reason)
                raise UnavailableError(reason) from error
            except BaseException:
                # Replies that nobody read would be taken for those of the next command.
                await self._lose(session, f"an exchange with Redis at {self.address} was broken off")
                raise

    async def _listen(self, session: _Session) -> None:
        try:
            while True:
                reply = await session.messages.read_response()
                if isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message":
                    self._on_message(reply[2])
                # Reading from a full buffer does not yield, and a flood of messages must not stop the loop.
                await asyncio.sleep(0)
        except _FAILURES as error:
            await self._lose(session, _explained(error, self.address))

    async def _lose(self, session: _Session, reason: str) -> None:
        if session is not self._session:
            return
        self._session = None
        self._why_closed = reason
        await session.close()
        self._on_lost(reason)


@dataclass
class _Session:
    """The two connections of an open link and who uses them."""

    commands: Any
    messages: Any
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    listener: Optional[asyncio.Task[None]] = None

    async def start(self, channel: bytes, address: RedisAddress) -> ServerFacts:
        await self.commands.connect()
        facts = _facts(await self.exchange(_FACT_COMMANDS), address)
        await self.messages.connect()
        await self.messages.send_command("SUBSCRIBE", channel)
        await self.messages.read_response()
        return facts

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        await self.commands.send_packed_command(pack_commands(commands), check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await self.commands.read_response())
            except ResponseError as error:
                replies.append(error)
        return _refusals_marked(replies)

    async def close(self) -> None:
        if self.listener is not None and self.listener is not asyncio.current_task():
            self.listener.cancel()
            await asyncio.wait({self.listener})
        for connection in (self.commands, self.messages):
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
        # The transports close their sockets in the loop's next turn.
        await asyncio.sleep(0)


def ping(address: RedisAddress) -> ServerFacts:
    """Ask a Redis who it is; blocks for a few times ``timeout_s`` at most, so not for the supervisor's loop.

    Raises:
        UnavailableError: If it did not answer, refused the password or is no Redis.
        ConfigError: If the URL is not one.
    """
    with blocking_link(address) as run:
        return _facts(run(_FACT_COMMANDS), address)


@contextlib.contextmanager
def blocking_link(address: RedisAddress) -> Iterator[Callable[[Sequence[Command]], list[Any]]]:
    """A short-lived connection for programs without a loop; yields a function that carries out commands.

    Raises:
        UnavailableError: If Redis is away, also in the midst.
        ConfigError: If the URL is not one.
    """
    connection = _new_connection(blocking, address)

    def run(commands: Sequence[Command]) -> list[Any]:
        replies: list[Any] = []
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except ResponseError as error:
                    replies.append(error)
            return _refusals_marked(replies)
        except _FAILURES as error:
            raise UnavailableError(_explained(error, address)) from error

    try:
        connection.connect()
    except _FAILURES as error:
        connection.disconnect()
        raise UnavailableError(_explained(error, address)) from error
    try:
        yield run
    finally:
        connection.disconnect()


def _new_connection(flavour: Any, address: RedisAddress) -> Any:
    """A connection, not yet connected, of the client library's blocking or nonblocking kind."""
    options: dict[str, Any] = {"db": address.db, "username": address.username, "password": address.password}
    if address.url is not None:
        try:
            from_url = dict(flavour.parse_url(address.url))
        except ValueError as error:
            raise ConfigError(f"[redis] url {address} is not redis://, rediss:// or unix://: {error}") from None
        kind = from_url.pop("connection_class", flavour.Connection)
        unknown = {name for name in from_url if name not in _URL_OPTIONS and not name.startswith("ssl_")}
        if unknown:
            raise ConfigError(f"[redis] url {address} has options that are not allowed here: {', '.join(unknown)}")
        options.update(from_url)
    elif address.unix_socket is not None:
        kind = flavour.UnixDomainSocketConnection
        options["path"] = address.unix_socket
    else:
        kind = flavour.Connection
        options.update(host=address.host, port=address.port)
    # The blocking kind can only bound each read; the other one is bounded from outside, as a whole.
    timeout_s = address.timeout_s if flavour is blocking else None
    options.update(protocol=2, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    if "path" not in options:
        options.update(socket_keepalive=True, socket_keepalive_options=_KEEPALIVE)
    try:
        return kind(**options)
    except (TypeError, ValueError, RedisError) as error:
        raise ConfigError(f"[redis] url {address} cannot be used: {error}") from None


def _refusals_marked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        # A replica stays one and a server without its password stays so; only a new connection can find the master.
        if isinstance(reply, (ReadOnlyError, MasterDownError)):
            raise reply
    return [Refusal(str(r)[:200]) if isinstance(r, ResponseError) else r for r in replies]


def _facts(replies: list[Any], address: RedisAddress) -> ServerFacts:
    pong, *infos = replies
    if pong != b"PONG":
        raise UnavailableError(f"what answers at {address} is not Redis: to PING it said {str(pong)[:80]!r}")
    texts = [info.decode("utf-8", "replace") for info in infos if isinstance(info, bytes)]
    return ServerFacts.parse("".join(texts))


def _explained(error: BaseException, address: RedisAddress) -> str:
    where = f"Redis at {address}"
    said = str(error)[:200] or type(error).__name__
    if isinstance(error, AuthenticationError):
        if address.has_password:
            return f"{where} refused the user or password ({said}); check password_file in [redis]"
        return f"{where} asks for a password ({said}); set password_file in [redis]"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError, socket.timeout)):
        return f"{where} did not answer within {address.timeout_s:g} s; is it running, overloaded or behind a firewall?"
    if isinstance(error, BusyLoadingError):
        return f"{where} is still loading its data ({said}); it answers when that is done"
    if isinstance(error, ReadOnlyError):
        return f"{where} is a replica that takes no writes ({said}); [redis] must lead to the master"
    if isinstance(error, (InvalidResponse, ValueError, RecursionError)):
        return f"what answers at {address} is not Redis ({said}); check [redis]"
    if isinstance(error, (ConnectionError, OSError)):
        return f"{where} cannot be reached ({said}); start it there, or correct [redis]"
    return f"{where} refused ({said})"
