"""How the keys of [redis] must fit together.

Invariant: there is one address, given in one way; what belongs to a way that was not taken is a mistake, not ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from daosup.config.reading import Source

#: Each of these makes an address a configured one.
REDIS_ADDRESS = ("redis.url", "redis.host", "redis.port", "redis.sentinels")

_URL_PARTS = ("redis.host", "redis.port", "redis.db")
_SENTINEL_PARTS = ("redis.sentinels", "redis.sentinel_service", "redis.sentinel_password_file")
_TLS_KEYS = ("redis.ca_file", "redis.cert_file", "redis.key_file", "redis.verify")


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
