"""Where a Redis is, how to speak to it and what answered there; plain facts, without the client library.

Invariant: no text made from an address holds its password. A password that is in a file is read when it is needed, so
what is in the file at that moment counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional
from urllib.parse import parse_qs, unquote, urlsplit

from daosup.adapters.redis_tls import Tls, tls_context
from daosup.config import RedisConfig
from daosup.errors import ConfigError, UnavailableError

DEFAULT_PORT = 6379

_OLDEST_VERSION = (6, 2)


@dataclass(frozen=True)
class RedisAddress:
    """How to reach one Redis: by ``sentinels``, else by a ``unix_socket``, else at ``host`` and ``port``.

    ``timeout_s`` bounds each exchange with it: connecting and subscribing, or one batch of commands.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    unix_socket: Optional[str] = None
    db: int = 0
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    password_file: Optional[Path] = None
    tls: Optional[Tls] = None
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_service: str = ""
    sentinel_password_file: Optional[Path] = None
    timeout_s: float = 2.0

    @property
    def has_password(self) -> bool:
        """Whether a password is sent when connecting."""
        return self.password is not None or self.password_file is not None

    @property
    def server_host(self) -> Optional[str]:
        """The host that Redis, or its first sentinel, runs on; None if it is reached through a Unix socket."""
        if self.sentinels:
            return self.sentinels[0][0]
        return None if self.unix_socket is not None else self.host

    def read_password(self) -> Optional[str]:
        """The password as it is now.

        Raises:
            UnavailableError: If its file cannot be read; the message says why.
        """
        return self.password if self.password_file is None else _secret_in(self.password_file)

    def of_sentinel(self, host: str, port: int) -> RedisAddress:
        """One of the sentinels, as a server to connect to.

        Raises:
            UnavailableError: If the file with its password cannot be read.
        """
        file = self.sentinel_password_file
        password = None if file is None else _secret_in(file)
        return RedisAddress(host, port, password=password, tls=self.tls, timeout_s=self.timeout_s)

    def __str__(self) -> str:
        if self.sentinels:
            where = ",".join(f"{_bracketed(host)}:{port}" for host, port in self.sentinels)
            return f"sentinel://{where}/{self.sentinel_service}"
        if self.unix_socket is not None:
            return f"unix://{self.unix_socket}"
        return f"{'rediss://' if self.tls else ''}{_bracketed(self.host)}:{self.port}"


def of_url(url: str) -> RedisAddress:
    """The address that a ``redis://``, ``rediss://`` or ``unix://`` URL means.

    Raises:
        ConfigError: If it is none of these, or says more than an address.
    """
    parts = urlsplit(url)
    said = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    db = said.pop("db", "") if parts.scheme == "unix" else parts.path.strip("/")
    try:
        port, number = parts.port or DEFAULT_PORT, int(db or "0")
    except ValueError:
        said["port or db"] = ""
        port, number = 0, 0
    if said or parts.scheme not in ("redis", "rediss", "unix"):
        why = f"it has {', '.join(said)}" if said else "it begins otherwise"
        raise ConfigError(f"[redis] url is not redis://, rediss:// or unix:// with an address alone: {why}")
    user, password = (unquote(text) if text else None for text in (parts.username, parts.password))
    if parts.scheme == "unix":
        return RedisAddress(unix_socket=unquote(parts.path), db=number, username=user, password=password)
    tls = Tls() if parts.scheme == "rediss" else None
    host = unquote(parts.hostname or "localhost")
    return RedisAddress(host, port, db=number, username=user, password=password, tls=tls)


def address_of(config: RedisConfig) -> RedisAddress:
    """The address that the configuration names, or its default.

    Raises:
        ConfigError: If a file with a password or a certificate cannot be read, or does not hold one.
    """
    config.read_password()
    config.read_sentinel_password()
    tls = Tls(config.ca_file, config.cert_file, config.key_file, config.verify) if config.has_tls else None
    if tls is not None:
        try:
            tls_context(tls)
        except UnavailableError as error:
            raise ConfigError(str(error)) from error
    plain = RedisAddress(config.host, config.port, db=config.db) if config.url is None else of_url(config.url)
    return RedisAddress(
        host=plain.host,
        port=plain.port,
        unix_socket=plain.unix_socket,
        db=plain.db,
        username=config.user or plain.username,
        password=plain.password,
        password_file=config.password_file,
        tls=tls,
        sentinels=config.sentinels or (),
        sentinel_service=config.sentinel_service or "",
        sentinel_password_file=config.sentinel_password_file,
        timeout_s=config.timeout_s,
    )


@dataclass(frozen=True)
class ServerFacts:
    """What a Redis says of itself; ``flavour`` is ``redis``, ``valkey`` or, if it keeps that secret, ``unknown``.

    ``at``: where it is, if sentinels had to be asked for that.
    """

    flavour: str
    version: str
    is_replica: bool
    is_sentinel: bool = False
    at: str = ""

    @classmethod
    def parse(cls, info: str) -> ServerFacts:
        """Read the answer to INFO; what it does not say is empty, since INFO can be forbidden to us.

        Raises:
            UnavailableError: If the server is too old.
        """
        said = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        flavour = "valkey" if "valkey_version" in said else "redis" if "redis_version" in said else "unknown"
        version = said.get(f"{flavour}_version", "")[:40]
        numbers = re.match(r"(\d{1,4})\.(\d{1,4})", version)
        if numbers and (int(numbers[1]), int(numbers[2])) < _OLDEST_VERSION:
            raise UnavailableError(f"{flavour} {version} is too old: Redis 6.2 or newer, or any Valkey, is needed")
        is_sentinel = said.get("redis_mode", said.get("server_mode")) == "sentinel"
        return cls(flavour, version, said.get("role") == "slave", is_sentinel)

    def __str__(self) -> str:
        return f"{self.flavour} {self.version}".strip() + (f" at {self.at}" if self.at else "")


def _secret_in(file: Path) -> str:
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UnavailableError(f"the password in {file} cannot be read: {why}; see [redis]") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
