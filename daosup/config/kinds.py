"""What a value in the configuration may be, in words and as a check.

Invariant: a kind given any object at all either returns a checked value or raises `Refused`, nothing else;
and the words in `Kind.allowed` say all that the check accepts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from daosup.core.delivery import MOST_RATE_HZ, RATES, Delivery, roi_text, stride_text
from daosup.core.mirror_names import check_pattern
from daosup.core.types import SEGMENT_SUFFIX, Source, check_host
from daosup.errors import ProtocolError, UsageError

SHOWN_CHARACTERS = 80

# Patterns are text, compiled when first used: most of them check keys that are rarely set.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = rf"(?=.{{1,253}}\Z)(?![0-9.]+\Z){_LABEL}(?:\.{_LABEL})*\Z"
_GROUP = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z"
_GLOB = r"[^\s/:\x00-\x1f\x7f]{1,120}\Z"
_GLOB_WORDS = "segment names (* ? [abc] match; no '/', ':' or blanks)"


class Refused(Exception):
    """The value is not allowed.

    Attributes:
        hint: What to do instead, where the kind's own words are not enough.
        item: Index of the item at fault within an array, else None.
    """

    def __init__(self, hint: str = "", item: int | None = None) -> None:
        self.hint = hint
        self.item = item
        super().__init__(hint)


def _as_written(value: object) -> object:
    """What most kinds write: words for names and members of an Enum, an array for a tuple."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (Path, Source)):
        return str(value)
    return [_as_written(item) for item in value] if isinstance(value, tuple) else value


class Kind(NamedTuple):
    """One kind of value: ``allowed`` in words, ``read`` from what TOML gives to what the program uses.

    ``item_allowed`` is said of an item of an array; of a value that ``is_secret``, no password is ever shown. ``write``
    is the reverse of ``read``: it gives what would be read as the same value.
    """

    allowed: str
    read: Callable[[object], object]
    item_allowed: str = ""
    is_secret: bool = False
    write: Callable[[Any], object] = _as_written


class Key(NamedTuple):
    """One key of the configuration; ``default`` is in words, as the reference shows it.

    One that is ``is_live`` takes effect when the configuration is read anew, any other when the supervisor is started.
    """

    kind: Kind
    doc: str
    default: str
    is_live: bool = False


def key(
    kind: Kind,
    doc: str,
    default: object = None,
    *,
    derived: str = "",
    is_required: bool = False,
    unset: str = "none",
    is_live: bool = False,
) -> Any:
    """A dataclass field that is a key of the configuration.

    Args:
        kind: What is allowed.
        doc: What the key does, for the reference.
        default: As an operator would write it; None if the key may be absent.
        derived: If the default is found out at start: how, in words. Such a field is required by its class.
        is_required: If it must be given; only in arrays of tables.
        unset: What it means to leave out a key without a default, in words.
        is_live: If a running supervisor takes a new value when it reads its configuration anew.
    """
    if derived or is_required:
        return field(metadata={"key": Key(kind, doc, derived or "must be set", is_live)})
    value = None if default is None else kind.read(default)
    words = unset if default is None else f"`{as_toml(default)}`"
    return field(default=value, repr=not kind.is_secret, metadata={"key": Key(kind, doc, words, is_live)})


def as_toml(value: object) -> str:
    """A value as it would stand in the file."""
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return found(value)
    if isinstance(value, str):
        return '"' + "".join(map(_in_toml, value)) + '"'
    return str(value)


def _in_toml(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def found(value: object) -> str:
    """What was found, short and on one line, whatever it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return "an array"
    try:
        text = repr(value)
    except Exception:  # an integer of more than 4300 digits has no repr
        return f"a very long {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def without_password(url: str) -> str:
    """``url`` as it may be logged: user and password replaced by ``***``."""
    without_user = re.sub(r"^([A-Za-z]+://)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"(password=)[^&]*", r"\1***", without_user, flags=re.IGNORECASE)


def _text(value: object, hint: str = "put it in quotes") -> str:
    if not isinstance(value, str):
        raise Refused(hint)
    return value


def whole(low: int, high: int, *, zero_means: str = "") -> Kind:
    """A whole number from ``low`` to ``high``, or 0 if that means something."""

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused("write it without quotes" if isinstance(value, str) else "")
        if not (low <= value <= high or (zero_means and value == 0)):
            raise Refused
        return value

    return Kind(f"a whole number from {low} to {high}" + (f", or 0: {zero_means}" if zero_means else ""), read)


def seconds(low: float, high: float) -> Kind:
    """A number of seconds, fractions allowed."""

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused("write it without quotes" if isinstance(value, str) else "")
        if not low <= value <= high:  # also refuses nan
            raise Refused
        return float(value)

    return Kind(f"a number of seconds from {low:g} to {high:g}", read)


def one_of(choices: type[Enum] | Sequence[str]) -> Kind:
    """One of the values of an Enum (read as its member), or one of a few words."""
    meanings: dict[str, object] = (
        {str(member.value): member for member in choices}
        if isinstance(choices, type)
        else {word: word for word in choices}
    )

    def read(value: object) -> object:
        if not isinstance(value, str) or value not in meanings:
            raise Refused
        return meanings[value]

    return Kind("one of " + ", ".join(f'"{word}"' for word in meanings), read)


def _read_path(value: object) -> Path:
    text = _text(value)
    if not text.startswith("/"):
        raise Refused("begin it with /")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise Refused from None
    if not text.isprintable():
        raise Refused("take out the control characters")
    return Path(text)


def _read_mode(value: object) -> int:
    text = _text(value)
    if not re.match(r"0?[0-7]{3}\Z", text):
        raise Refused
    mode = int(text, 8)
    if mode & 0o600 != 0o600:
        raise Refused("its first digit must be 6 or 7")
    return mode


def _read_host(value: object) -> str:
    try:
        return check_host(_text(value))
    except UsageError:
        raise Refused from None


def _read_server(value: object) -> str:
    text = _text(value)
    if not _is_ip(text) and not re.match(_DNS_NAME, text):
        raise Refused
    return text


def _read_bind(value: object) -> str:
    text = _text(value)
    if text != "*" and not _is_ipv4(text):
        raise Refused("frames go by IPv4 alone" if _is_ip(text) else "a name or an interface is not enough")
    return text


def _read_advertise(value: object) -> str:
    text = _text(value)
    if text == "0.0.0.0":
        raise Refused("other hosts cannot connect to it")
    if not _is_ipv4(text) and not re.match(_DNS_NAME, text):
        raise Refused
    return text


def _read_source(value: object) -> Source:
    try:
        return Source.parse(_text(value))
    except UsageError:
        raise Refused('for example "rts:wfs"') from None


def _read_mirror_name(value: object) -> str:
    text = _text(value)
    if text.endswith(SEGMENT_SUFFIX):
        raise Refused(f"leave out {SEGMENT_SUFFIX}")
    try:
        return check_pattern(text)
    except UsageError as error:
        raise Refused(f"it {error}") from None


def _read_mirror_names(value: object) -> str:
    text = _read_mirror_name(value)
    if "{name}" not in text:
        raise Refused("without {name} all would have one file")
    return text


def _is_ip(text: str) -> bool:
    import ipaddress  # only a configured address pays for this import

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv4(text: str) -> bool:
    return _is_ip(text) and ":" not in text


def _read_rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("write it without quotes" if isinstance(value, str) else "")
    return _of_line(f"rate={value:.6f}" if abs(value) < MOST_RATE_HZ + 1 else "rate=").rate_hz


def _read_roi(value: object) -> tuple[tuple[int, int], ...]:
    return _of_line(f"roi={_text(value)}").roi


def _read_stride(value: object) -> tuple[int, ...]:
    return _of_line(f"stride={_text(value)}").stride


def _of_line(option: str) -> Delivery:
    """An option as it is said to the owner."""
    try:
        return Delivery.parse([option])
    except ProtocolError:
        raise Refused from None


def _read_group(value: object) -> str:
    text = _text(value)
    if not re.match(_GROUP, text):
        raise Refused
    return text


def _read_globs(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise Refused("put it in brackets: [...]")
    for index, item in enumerate(value):
        if isinstance(item, str) and item.endswith(SEGMENT_SUFFIX):
            raise Refused(f"leave out {SEGMENT_SUFFIX}", index)
        if not isinstance(item, str) or not re.match(_GLOB, item):
            raise Refused("", index)
    return tuple(value)


def _read_yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused("write it without quotes" if value in ("true", "false") else "")
    return value


def _read_redis_url(value: object) -> str:
    from urllib.parse import urlsplit  # only a configured URL pays for this import

    text = _text(value)
    try:
        parts = urlsplit(text)
        is_port_fine = parts.port != 0
    except ValueError:
        raise Refused from None
    is_tcp = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and is_port_fine
    is_tcp = is_tcp and re.match(r"(/[0-9]{0,4})?\Z", parts.path) is not None
    is_unix = parts.scheme == "unix" and len(parts.path) > 1
    if not text.isprintable() or not (is_tcp or is_unix):
        raise Refused
    if not re.match(r"(db=[0-9]{1,4})?\Z" if is_unix else r"\Z", parts.query):
        raise Refused("leave out what follows '?'; user, certificates and time-out have keys of their own")
    return text


def _read_sentinels(value: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, (list, tuple)):
        raise Refused("put it in brackets: [...]")
    if not value:
        raise Refused("name at least one")
    return tuple(_read_sentinel(item, index) for index, item in enumerate(value))


def _read_sentinel(item: object, index: int) -> tuple[str, int]:
    host, port = _host_and_port(item) or ("", 0)
    if not (_is_ip(host) or re.match(_DNS_NAME, host)):
        raise Refused("", index)
    return host, port


def _read_listen(value: object) -> tuple[str, int]:
    host, port = _host_and_port(_text(value)) or ("", 0)
    if host != "*" and not _is_ip(host):
        raise Refused("a name or an interface is not enough" if port else "")
    return host, port


def _host_and_port(value: object) -> tuple[str, int] | None:
    """Of ``host:port``, an IPv6 address in brackets; None if it is something else."""
    match = re.match(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})\Z", value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[3]) <= 65535:
        return None
    return match[1] or match[2], int(match[3])


def address_text(address: tuple[str, int]) -> str:
    """Host and port as one text, an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def matching(allowed: str, pattern: str) -> Kind:
    """A text that ``pattern`` matches as a whole."""

    def read(value: object) -> object:
        text = _text(value)
        if not re.match(pattern, text):
            raise Refused
        return text

    return Kind(allowed, read)


PATH = Kind("an absolute path", _read_path)
MODE = Kind(
    'an octal mode in quotes such as "0660", with reading and writing for the owner',
    _read_mode,
    write=lambda mode: f"{mode:04o}",
)
HOST = Kind("1 to 63 letters, digits, '-', '_' or '.', beginning with a letter or digit", _read_host)
SERVER = Kind("an IP address or a host name", _read_server)
BIND = Kind('an IPv4 address of this host, or "*" for all', _read_bind)
LISTEN = Kind(
    '"ADDRESS:PORT" with an IP address of this host, an IPv6 one in brackets, or "*" for all',
    _read_listen,
    write=address_text,
)
ADVERTISE = Kind("an IPv4 address or a host name", _read_advertise)
SOURCE = Kind("a segment of another host as HOST:NAME", _read_source)
MIRROR_NAME = Kind("a segment's name, in which {host} and {name} stand for its owner and source", _read_mirror_name)
MIRROR_NAMES = Kind("a segment's name with {name}, and {host} if need be", _read_mirror_names)
RATE = Kind(
    RATES,
    _read_rate,
    write=lambda rate_hz: int(rate_hz) if rate_hz == int(rate_hz) else rate_hz,
)
ROI = Kind('the first of each axis and the one behind its last, as "Y0:Y1,X0:X1"', _read_roi, write=roi_text)
STRIDE = Kind('whole numbers from 1 on, one for each axis, as "SY,SX"', _read_stride, write=stride_text)
GROUP = Kind("the name of a group", _read_group)
GLOBS = Kind(f"an array of patterns for {_GLOB_WORDS}", _read_globs, f"a pattern for {_GLOB_WORDS}")
YES_OR_NO = Kind("true or false", _read_yes_or_no)
REDIS_URL = Kind(
    "redis://[user:password@]host[:port][/db], rediss://... (TLS), or unix://[user:password@]/path[?db=n]",
    _read_redis_url,
    is_secret=True,
)
SENTINELS = Kind(
    'an array of "host:port", an IPv6 address in brackets',
    _read_sentinels,
    '"host:port", an IPv6 address in brackets',
    write=lambda sentinels: [address_text(each) for each in sentinels],
)
SERVICE = matching("1 to 128 letters, digits, '.', '-' or '_'", r"[A-Za-z0-9._-]{1,128}\Z")
USER = matching("1 to 128 characters without blanks", r"[^\s\x00-\x1f\x7f]{1,128}\Z")
