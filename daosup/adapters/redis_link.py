"""The link to Redis: two connections, one for commands and one for messages, that live and die together.

Invariant: a link is open or lost, and never heals by itself: no retry, no silent reconnect, no reply left over for the
next command. Every exchange ends within the address's ``timeout_s`` or the link is lost, which is told exactly once;
who wants it back opens it again. Nothing here holds the loop up: not a name that cannot be resolved, not a server that
takes a connection and falls silent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from daosup.adapters.name_lookup import NameLookup
from daosup.adapters.redis_address import RedisAddress, ServerFacts
from daosup.adapters.redis_connection import FAILURES, BlockingConnection, Command, Connection, Refusal, explained
from daosup.adapters.redis_sentinel import master_by_sentinels
from daosup.errors import UnavailableError

__all__ = ["Command", "RedisLink", "Refusal", "blocking_link", "ping"]

#: An attempt to connect that takes longer gets company: a fresh one finds a server that is just back much sooner than
#: one whose packets were lost.
COMPANY_AFTER_S = 1.0
_CHUNK = 250
_NO_FACTS = ServerFacts("unknown", "", is_replica=False)
_FACT_COMMANDS: tuple[Command, ...] = (("PING",), ("INFO", "server"), ("INFO", "replication"))


class RedisLink:
    """One link to Redis for a program that runs an asyncio loop; it belongs to that loop.

    Args:
        address: Where Redis is.
        on_message: Called with each message, after its channel, from the loop.
        on_lost: Called once with the reason each time an open link is lost, also before the failing command raises.
    """

    def __init__(
        self, address: RedisAddress, on_message: Callable[[bytes, bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        self.address = address
        self._on_message = on_message
        self._on_lost = on_lost
        self._session: Optional[_Session] = None
        self._why_closed = "it was not opened yet"
        self._names = NameLookup()
        self._attempts = 0

    @property
    def is_open(self) -> bool:
        """Whether commands can be tried; false from the moment the link is lost."""
        return self._session is not None

    async def open(self, *channels: bytes) -> ServerFacts:
        """Connect to the master, ask it who it is and subscribe to ``channels``.

        Raises:
            UnavailableError: If that did not succeed within ``timeout_s``; the message says why and what to do.
        """
        await self.close()
        try:
            session = await asyncio.wait_for(self._first_session(channels), self.address.timeout_s)
        except (*FAILURES, UnavailableError) as error:
            raise UnavailableError(explained(error, self.address)) from error
        self._session = session
        session.listener = asyncio.get_running_loop().create_task(self._listen(session))
        return session.facts

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
                return await asyncio.wait_for(session.commands.exchange(commands), self.address.timeout_s)
            except FAILURES as error:
                reason = explained(error, self.address)
                await self._lose(session, reason)
                raise UnavailableError(reason) from error
            except BaseException:
                # Replies that nobody read would be taken for those of the next command.
                await self._lose(session, f"an exchange with Redis at {self.address} was broken off")
                raise

    async def _listen(self, session: _Session) -> None:
        try:
            while True:
                message = await session.messages.message()
                if message is not None:
                    self._on_message(*message)
                # Reading from a full buffer does not yield, and a flood of messages must not stop the loop.
                await asyncio.sleep(0)
        except FAILURES as error:
            await self._lose(session, explained(error, self.address))

    async def _lose(self, session: _Session, reason: str) -> None:
        if session is not self._session:
            return
        self._session = None
        self._why_closed = reason
        await session.close()
        self._on_lost(reason)

    # -- connecting

    async def _first_session(self, channels: Sequence[bytes]) -> _Session:
        """The session of the attempt that ends first; its failure is everybody's, but one that hangs is not."""
        patient = fresh = asyncio.ensure_future(self._new_session(channels))
        winner: Optional[asyncio.Future[_Session]] = None
        try:
            while winner is None:
                done, _ = await asyncio.wait(
                    {patient, fresh}, timeout=COMPANY_AFTER_S, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    winner = done.pop()
                else:
                    if fresh is not patient:
                        await _discard(fresh)
                    fresh = asyncio.ensure_future(self._new_session(channels))
            return winner.result()
        finally:
            for task in {patient, fresh}:
                if task is not winner:
                    await _discard(task)

    async def _new_session(self, channels: Sequence[bytes]) -> _Session:
        server = self.address
        if server.sentinels:
            host, port = await master_by_sentinels(server, self._names.addresses)
            server = replace(server, host=host, port=port, sentinels=())
        addresses = [""] if server.unix_socket is not None else await self._names.addresses(server.host)
        # Each attempt begins with another of the server's addresses: some may be dead.
        self._attempts += 1
        first = self._attempts % len(addresses)
        failure: Optional[BaseException] = None
        for ip in addresses[first:] + addresses[:first]:
            session = _Session(Connection(server, ip), Connection(server, ip))
            try:
                await session.start(channels, server)
                if self.address.sentinels:
                    session.facts = replace(session.facts, at=str(server))
                return session
            except FAILURES as error:
                await session.close()
                failure = error
            except BaseException:
                await session.close()
                raise
        assert failure is not None
        raise failure


@dataclass
class _Session:
    """The two connections of an open link and who uses them."""

    commands: Connection
    messages: Connection
    facts: ServerFacts = _NO_FACTS
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    listener: Optional[asyncio.Task[None]] = None

    async def start(self, channels: Sequence[bytes], server: RedisAddress) -> None:
        await self.commands.connect()
        self.facts = _facts(await self.commands.exchange(_FACT_COMMANDS), server)
        if self.facts.is_sentinel:
            raise UnavailableError(f"{server} is a Sentinel; name it in sentinels in [redis], with sentinel_service")
        if self.facts.is_replica:
            raise UnavailableError(
                f"Redis at {server} is a replica that takes no writes of ours; [redis] must lead to the master"
            )
        await self.messages.connect()
        await self.messages.subscribe(channels)

    async def close(self) -> None:
        if self.listener is not None and self.listener is not asyncio.current_task():
            self.listener.cancel()
            await asyncio.wait({self.listener})
        for connection in (self.commands, self.messages):
            await connection.close()
        # The transports close their sockets in the loop's next turn.
        await asyncio.sleep(0)


async def _discard(attempt: asyncio.Future[_Session]) -> None:
    attempt.cancel()
    await asyncio.wait({attempt})
    if not attempt.cancelled() and attempt.exception() is None:
        await attempt.result().close()


def ping(address: RedisAddress) -> ServerFacts:
    """Ask a Redis who it is; blocks for a few times ``timeout_s`` at most, so not for the supervisor's loop.

    Raises:
        UnavailableError: If it did not answer, refused the password or is no Redis.
        ConfigError: If only sentinels know where it is.
    """
    with blocking_link(address) as run:
        return _facts(run(_FACT_COMMANDS), address)


@contextlib.contextmanager
def blocking_link(address: RedisAddress) -> Iterator[Callable[[Sequence[Command]], list[Any]]]:
    """A short-lived connection for programs without a loop; yields a function that carries out commands.

    Raises:
        UnavailableError: If Redis is away, also in the midst.
        ConfigError: If only sentinels know where it is.
    """
    connection = BlockingConnection(address)

    def run(commands: Sequence[Command]) -> list[Any]:
        try:
            return connection.exchange(commands)
        except FAILURES as error:
            raise UnavailableError(explained(error, address)) from error

    try:
        connection.connect()
    except FAILURES as error:
        connection.close()
        raise UnavailableError(explained(error, address)) from error
    try:
        yield run
    finally:
        connection.close()


def _facts(replies: list[Any], address: RedisAddress) -> ServerFacts:
    pong, *infos = replies
    if pong != b"PONG":
        raise UnavailableError(f"what answers at {address} is not Redis: to PING it said {str(pong)[:80]!r}")
    texts = [info.decode("utf-8", "replace") for info in infos if isinstance(info, bytes)]
    return ServerFacts.parse("".join(texts))
