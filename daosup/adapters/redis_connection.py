"""One connection to a Redis server; the only module that knows the client library.

Invariant: a connection never heals by itself: no retry, no silent reconnect, no reply left over for the next command.
Whatever goes wrong is one of FAILURES, and :func:`explained` says it in words that tell what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
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

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_tls import tls_context
from daosup.errors import ConfigError, UnavailableError

Command = tuple[Union[bytes, str, int], ...]

#: What talking to a server can raise; the library's parser lets ValueError and RecursionError through on garbage.
FAILURES = (RedisError, OSError, asyncio.TimeoutError, ValueError, RecursionError)
# A dead network is noticed within about 20 s even while nothing is sent.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 3, socket.TCP_KEEPCNT: 3}


@dataclass(frozen=True)
class Refusal:
    """Redis's answer to a command it did not carry out, e.g. ``WRONGTYPE …``; stands in the place of the reply."""

    text: str


class Connection:
    """A connection for a program that runs an asyncio loop; nothing here is bounded in time, so the caller does that.

    Args:
        address: Where the server is, and how it wants to be spoken to; not by sentinels.
        ip: The IP address to connect to, in place of the address's host.
    """

    def __init__(self, address: RedisAddress, ip: str) -> None:
        self._address = address
        self._ip = ip
        self._connection: Any = None

    async def connect(self) -> None:
        """Connect, say who we are and choose the database."""
        address = self._address
        options = _options(address)
        if address.unix_socket is None:
            context = None if address.tls is None else tls_context(address.tls)
            self._connection = _Tcp(self._ip, address.port, address.host, context, **options)
        else:
            unix: Any = nonblocking.UnixDomainSocketConnection
            self._connection = unix(path=address.unix_socket, **options)
        await self._connection.connect()

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands and read as many replies: bytes, int, None, list, or :class:`Refusal`."""
        await self._send(commands)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await self._connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return _refusals_marked(replies)

    async def subscribe(self, channels: Sequence[bytes]) -> None:
        """From now on this connection only has messages of ``channels``."""
        await self._send([("SUBSCRIBE", *channels)])
        for _ in channels:
            await self._connection.read_response()

    async def _send(self, commands: Sequence[Command]) -> None:
        try:
            await self._connection.send_packed_command([packed(commands)], check_health=False)
        except (TypeError, AttributeError) as error:
            # What asyncio of 3.12 and 3.13 raises on writing to what the other side has just closed (redis-py #4287).
            raise OSError("the connection was closed by the other side") from error

    async def message(self) -> Optional[tuple[bytes, bytes]]:
        """The next message, after its channel; None if what came is something else."""
        reply = await self._connection.read_response()
        is_message = isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message"
        return (reply[1], reply[2]) if is_message and isinstance(reply[2], bytes) else None

    async def close(self) -> None:
        """Let go of it at once: TLS would wait for a farewell that a dead network never brings."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # On an error the library lets go of its writer by itself, politely: TLS would then linger.
        for transport in (getattr(connection, "transport", None), connection._writer and connection._writer.transport):
            if transport is not None:
                transport.abort()
        with contextlib.suppress(*FAILURES):
            await connection.disconnect(nowait=True)


class BlockingConnection:
    """A connection for a program without a loop; each of its reads and writes is bounded by ``timeout_s``.

    Raises:
        ConfigError: If the address needs sentinels to be asked.
        UnavailableError: If a file with a password or a certificate cannot be read.
    """

    def __init__(self, address: RedisAddress) -> None:
        if address.sentinels:
            raise ConfigError(f"{address} is known to sentinels only; name a Redis server")
        library: Any = blocking
        options = _options(address, address.timeout_s)
        if address.unix_socket is not None:
            self._connection: Any = library.UnixDomainSocketConnection(path=address.unix_socket, **options)
            return
        options |= {"host": address.host, "port": address.port}
        if address.tls is None:
            self._connection = library.Connection(**options)
        else:
            self._connection = _BlockingTls(tls_context(address.tls), **options)

    def connect(self) -> None:
        """Connect, say who we are and choose the database."""
        self._connection.connect()

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """As :meth:`Connection.exchange`."""
        self._connection.send_packed_command([packed(commands)], check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(self._connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return _refusals_marked(replies)

    def close(self) -> None:
        """Let go of it."""
        self._connection.disconnect()


class _Tcp(nonblocking.Connection):
    """The library's connection, to an IP address that is known already, with or without TLS."""

    def __init__(self, ip: str, port: int, name: str, context: Optional[ssl.SSLContext], **options: Any) -> None:
        super().__init__(host=name, port=port, socket_keepalive=True, socket_keepalive_options=_KEEPALIVE, **options)
        self.transport: Optional[asyncio.WriteTransport] = None
        self._arguments: dict[str, Any] = {"host": ip, "port": port}
        if context is not None:
            self._arguments |= {"ssl": context, "server_hostname": name}

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]  # the library is not typed here
        assert self._writer is not None
        self.transport = self._writer.transport

    def _connection_arguments(self) -> dict[str, Any]:
        return self._arguments


class _BlockingTls(blocking.Connection):
    """The library's connection with TLS; its own would trust this machine's authorities beside ours."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # the library is not typed here
        self._context = context

    def _connect(self) -> socket.socket:
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        try:
            return self._context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _options(address: RedisAddress, timeout_s: Optional[float] = None) -> dict[str, Any]:
    return {
        "db": address.db,
        "username": address.username,
        "password": address.read_password(),
        "protocol": 2,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    }


def packed(commands: Sequence[Command]) -> bytes:
    """Commands as Redis takes them; several times as fast as the library does it."""
    parts: list[bytes] = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            raw = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def _refusals_marked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        # A replica stays one and a server without its password stays so; only a new connection can find the master.
        if isinstance(reply, (ReadOnlyError, MasterDownError)):
            raise reply
    return [Refusal(str(r)[:200]) if isinstance(r, ResponseError) else r for r in replies]


def explained(error: BaseException, address: RedisAddress) -> str:
    """One of FAILURES in words that say what to do."""
    where = f"Redis at {address}"
    said = str(error)[:200] or type(error).__name__
    tls_error = _tls_error_in(error)
    if isinstance(error, UnavailableError):
        return str(error)
    if isinstance(error, AuthenticationError):
        if address.has_password:
            return f"{where} refused the user or password ({said}); check password_file and user in [redis]"
        return f"{where} asks for a password ({said}); set password_file in [redis]"
    if isinstance(tls_error, ssl.SSLCertVerificationError):
        return (
            f"{where} showed a certificate that does not fit ({tls_error.verify_message}); check ca_file in [redis], "
            'and that the certificate is for this host, or set verify = "ca"'
        )
    if tls_error is not None:
        return f"{where} does not agree on TLS ({tls_error.reason or said}); check url and cert_file in [redis]"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError, socket.timeout)):
        perhaps = "does it speak TLS, " if address.tls is not None else ""
        return (
            f"{where} did not answer within {address.timeout_s:g} s; {perhaps}is it running, overloaded or behind a "
            "firewall?"
        )
    if isinstance(error, BusyLoadingError):
        return f"{where} is still loading its data ({said}); it answers when that is done"
    if isinstance(error, ReadOnlyError):
        return f"{where} is a replica that takes no writes ({said}); [redis] must lead to the master"
    if isinstance(error, (InvalidResponse, ValueError, RecursionError)):
        return f"what answers at {address} is not Redis ({said}); check [redis]"
    if isinstance(error, (ConnectionError, OSError)):
        return f"{where} cannot be reached ({said}); start it there, or correct [redis]"
    return f"{where} refused ({said})"


def _tls_error_in(error: Optional[BaseException]) -> Optional[ssl.SSLError]:
    """The library wraps errors of TLS into others."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None
