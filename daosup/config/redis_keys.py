"""The keys of [redis], and how they must fit together.

Invariant: there is one address, given in one way; what belongs to a way that was not taken is a mistake, not ignored.
"""

# ruff: noqa: RUF009  # key() makes dataclass fields; that is what the rule asks for

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Optional

from daosup.config import kinds
from daosup.config.kinds import key, one_of, seconds, whole, without_password
from daosup.config.reading import Source
from daosup.config.settling import LAST_PORT
from daosup.errors import ConfigError

#: Each of these makes an address a configured one.
REDIS_ADDRESS = ("redis.url", "redis.host", "redis.port", "redis.sentinels")

_URL_PARTS = ("redis.host", "redis.port", "redis.db")
_SENTINEL_PARTS = ("redis.sentinels", "redis.sentinel_service", "redis.sentinel_password_file")
_TLS_KEYS = ("redis.ca_file", "redis.cert_file", "redis.key_file", "redis.verify")


class Embedded(Enum):
    """When to start a Redis-compatible server of our own."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


class Verify(Enum):
    """What the certificate of a Redis that speaks TLS must show."""

    FULL = "full"
    CA = "ca"
    NONE = "none"


@dataclass(frozen=True)
class RedisConfig:
    """Where the registry is. ``is_configured`` tells whether an address was given, or is the default."""

    url: Optional[str] = key(kinds.REDIS_URL, "Address of the server in one; instead of `host`, `port` and `db`.")
    host: str = key(kinds.SERVER, "The server's host.", "localhost")
    port: int = key(whole(1, LAST_PORT), "The server's port.", 6379)
    db: int = key(whole(0, 9999), "Number of the database.", 0)
    sentinels: Optional[tuple[tuple[str, int], ...]] = key(
        kinds.SENTINELS, "Sentinels that know where the master is; instead of `url`, `host` and `port`."
    )
    sentinel_service: Optional[str] = key(kinds.SERVICE, "What the sentinels call the master.")
    sentinel_password_file: Optional[Path] = key(kinds.PATH, "File that holds the password of the sentinels.")
    user: Optional[str] = key(kinds.USER, "User of Redis's access control list; without it, the default user.")
    password_file: Optional[Path] = key(
        kinds.PATH,
        "File that holds the password and nothing else; keep it mode 0600. It is read each time a connection is made.",
    )
    ca_file: Optional[Path] = key(
        kinds.PATH,
        "Certificates (PEM) of which one must have signed the server's; without it, those that this machine trusts. "
        "With it, TLS is spoken also without a `rediss://` URL.",
    )
    cert_file: Optional[Path] = key(kinds.PATH, "Certificate (PEM) that we show; with it, TLS is spoken as well.")
    key_file: Optional[Path] = key(kinds.PATH, "Its key, if that is not in `cert_file`.")
    verify: Verify = key(
        one_of(Verify),
        'What the server\'s certificate must show: "full": whom it was given to and by whom; "ca": by whom; '
        '"none": nothing, so that anybody could listen.',
        "full",
    )
    embedded: Embedded = key(
        one_of(Embedded),
        '"auto": use the configured server, else one running at localhost:6379, else start one of our own, '
        'if a server is installed; "never": do not start one; "always": start one without looking for another.',
        "auto",
    )
    timeout_s: float = key(seconds(0.05, 60), "How long to wait for an answer before Redis counts as away.", 2.0)
    is_configured: bool = False

    @property
    def display_url(self) -> str:
        """The address as it may be shown and logged: without user and password."""
        return without_password(self.url) if self.url else f"redis://{_bracketed(self.host)}:{self.port}/{self.db}"

    @property
    def has_tls(self) -> bool:
        """Whether TLS is spoken."""
        return (self.url or "").startswith("rediss:") or self.ca_file is not None or self.cert_file is not None

    def read_password(self) -> str | None:
        """The password in ``password_file``; None if there is no such key.

        Raises:
            ConfigError: If the file cannot be read.
        """
        return _secret("redis.password_file", self.password_file)

    def read_sentinel_password(self) -> str | None:
        """The password in ``sentinel_password_file``; None if there is no such key.

        Raises:
            ConfigError: If the file cannot be read.
        """
        return _secret("redis.sentinel_password_file", self.sentinel_password_file)


def settle_address(file: Source, command_line: Source) -> None:
    """An address of Redis on the command line replaces the whole address in the file, not a part of it."""
    given = command_line.values.keys()
    replaced: tuple[str, ...] = ()
    if "redis.url" in given:
        replaced = (*_URL_PARTS, *_SENTINEL_PARTS)
    elif "redis.sentinels" in given:
        replaced = ("redis.url", "redis.host", "redis.port")
    elif not given.isdisjoint({"redis.host", "redis.port"}):
        replaced = ("redis.url", *_SENTINEL_PARTS)
    elif "redis.db" in given:
        replaced = ("redis.url",)
    for dotted in replaced:
        file.values.pop(dotted, None)


def check_redis(values: Mapping[str, object], places: Mapping[str, str], mistakes: list[str]) -> None:
    """The address, the password and what TLS needs are each given once, and mean one server."""
    for dotted, what in (*_misplaced(values), *_incomplete(values), *_without_tls(values)):
        mistakes.append(f"{places[dotted]}: {dotted} {what}")


def _misplaced(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    url = str(values.get("redis.url", ""))
    if url:
        for dotted in (*_URL_PARTS, *_SENTINEL_PARTS):
            if dotted in values:
                yield dotted, "stands beside redis.url; give the address once, in one of the two"
        if "redis.password_file" in values and _has_password(url):
            yield (
                "redis.password_file",
                "stands beside a redis.url with a password; take the password out of the URL",
            )
        if "redis.user" in values and _has_user(url):
            yield "redis.user", "stands beside a redis.url with a user; take the user out of the URL"
    elif "redis.sentinels" in values:
        for dotted in ("redis.host", "redis.port"):
            if dotted in values:
                yield dotted, "stands beside redis.sentinels; they say where the server is"
    if getattr(values.get("redis.embedded"), "value", None) == "always":
        for dotted in ("redis.url", "redis.sentinels"):
            if dotted in values:
                what = "leave that out to start a server, or redis.embedded to use the one there"
                yield "redis.embedded", f"is 'always' beside {dotted}; {what}"


def _incomplete(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if "redis.sentinels" in values and "redis.sentinel_service" not in values:
        yield "redis.sentinels", "needs redis.sentinel_service, the name by which the sentinels know the master"
    for dotted in ("redis.sentinel_service", "redis.sentinel_password_file"):
        if dotted in values and "redis.sentinels" not in values and "redis.url" not in values:
            yield dotted, 'needs redis.sentinels, such as ["rts:26379", "lab:26379"]'
    if "redis.key_file" in values and "redis.cert_file" not in values:
        yield "redis.key_file", "needs redis.cert_file, the certificate that it is the key of"


def _without_tls(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    url = str(values.get("redis.url", ""))
    if url:
        if not url.startswith("rediss:"):
            for dotted in _TLS_KEYS:
                if dotted in values:
                    yield dotted, "stands beside a redis.url without TLS; begin that with rediss://"
    elif "redis.verify" in values and values.keys().isdisjoint(_TLS_KEYS[:2]):
        yield "redis.verify", "has no meaning without TLS; set redis.ca_file, or a redis.url that begins with rediss://"


def _has_password(url: str) -> bool:
    from urllib.parse import urlsplit  # only a configured URL pays for this import

    return urlsplit(url).password is not None


def _has_user(url: str) -> bool:
    from urllib.parse import urlsplit

    return bool(urlsplit(url).username)


def _secret(key: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{key}: {file} cannot be read: {why}; the service's user must be able to") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
