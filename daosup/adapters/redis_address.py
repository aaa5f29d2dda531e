"""Where a Redis is and what answered there; plain facts, without the client library.

Invariant: no text made from an address holds its password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import urlsplit

from daosup.config import RedisConfig
from daosup.errors import UnavailableError

DEFAULT_PORT = 6379

_OLDEST_VERSION = (6, 2)


@dataclass(frozen=True)
class RedisAddress:
    """How to reach one Redis: a ``url``, else a ``unix_socket``, else ``host`` and ``port``.

    ``timeout_s`` bounds each exchange with it: connecting and subscribing, or one batch of commands.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    unix_socket: Optional[str] = None
    url: Optional[str] = field(default=None, repr=False)
    db: int = 0
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    timeout_s: float = 2.0

    @property
    def has_password(self) -> bool:
        """Whether a password is sent when connecting."""
        return self.password is not None or (self.url is not None and "@" in urlsplit(self.url).netloc)

    @property
    def server_host(self) -> Optional[str]:
        """The host that Redis runs on; None if it is reached through a Unix socket."""
        if self.url is not None:
            return urlsplit(self.url).hostname
        return None if self.unix_socket is not None else self.host

    def __str__(self) -> str:
        if self.url is not None:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if self.unix_socket is not None:
            return f"unix://{self.unix_socket}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(config: RedisConfig) -> RedisAddress:
    """The address that the configuration names, or its default; reads the password's file.

    Raises:
        ConfigError: If that file cannot be read.
    """
    return RedisAddress(
        host=config.host,
        port=config.port,
        url=config.url,
        db=config.db,
        password=config.read_password(),
        timeout_s=config.timeout_s,
    )


@dataclass(frozen=True)
class ServerFacts:
    """What a Redis says of itself; ``flavour`` is ``redis``, ``valkey`` or, if it keeps that secret, ``unknown``."""

    flavour: str
    version: str
    is_replica: bool

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
        return cls(flavour, version, is_replica=said.get("role") == "slave")

    def __str__(self) -> str:
        return f"{self.flavour} {self.version}".strip()
