"""JSON from outside, read with distrust.

Invariant: a reader here returns a value of the promised type and within its bounds, or raises :class:`ProtocolError`
with a short message; nothing a sender writes makes it raise anything else, recurse without end or repeat megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Optional

from daosup.core.types import check_host
from daosup.errors import ProtocolError, UsageError

MAX_VALUE_BYTES = 256 * 1024
"""No value of the registry needs more: a thousand connection records are about 200 kB."""

_MAX_DIGITS = 40

WORD = re.compile(r"[\x21-\x7e]{1,255}\Z")


def encode_json(value: object) -> bytes:
    """ASCII JSON."""
    return json.dumps(value).encode()


def parse_json(raw: bytes, max_bytes: int = MAX_VALUE_BYTES) -> object:
    """The JSON value in ``raw``.

    Raises:
        ProtocolError: If it is too long, too deep or no JSON.
    """
    if len(raw) > max_bytes:
        raise ProtocolError(f"a value of more than {max_bytes} bytes")
    try:
        parsed: object = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError(f"not JSON: {raw[:80]!r}") from None
    return parsed


def parse_strictly(raw: bytes, max_bytes: int) -> object:
    """As ``parse_json``, of which every number can be written as JSON again and none takes long to read.

    Raises:
        ProtocolError: If it is too long, too deep or no JSON, or holds NaN, Infinity or a number of many digits.
    """
    if len(raw) > max_bytes:
        raise ProtocolError(f"a value of more than {max_bytes} bytes")
    try:
        parsed: object = json.loads(
            raw.decode("utf-8"), parse_int=_short_int, parse_float=_finite, parse_constant=_no_number
        )
    except (ValueError, RecursionError):
        raise ProtocolError(f"not JSON, or with odd numbers: {raw[:80]!r}") from None
    return parsed


def _short_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large")
    return number


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number")


def as_object(value: object, what: str) -> Mapping[str, object]:
    """``value`` if it is a JSON object.

    Raises:
        ProtocolError: If it is not.
    """
    if not isinstance(value, dict):
        raise ProtocolError(f"a {what} is {kind_of(value)}, not a JSON object")
    return value


def string_field(
    entry: Mapping[str, object], field: str, allowed: re.Pattern[str], default: Optional[str] = None
) -> str:
    """A string field that ``allowed`` matches; ``default`` stands for one that is missing or null.

    Raises:
        ProtocolError: If it is anything else.
    """
    value = entry.get(field)
    if value is None:
        value = default
    if not isinstance(value, str) or not allowed.match(value):
        raise ProtocolError(f"{field} is {str(value)[:80]!r}, which it cannot be")
    return value


def host_field(entry: Mapping[str, object], field: str) -> str:
    """A field that names a host.

    Raises:
        ProtocolError: If no host can be called that.
    """
    try:
        return check_host(string_field(entry, field, WORD))
    except UsageError as error:
        raise ProtocolError(f"{field}: {error}") from None


def integer_field(entry: Mapping[str, object], field: str, low: int, high: int, default: Optional[int] = None) -> int:
    """An integer field from ``low`` to ``high``; ``default`` stands for one that is missing or null.

    Raises:
        ProtocolError: If it is anything else.
    """
    value = entry.get(field)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProtocolError(f"{field} is {kind_of(value)}, not an integer from {low} to {high}")
    return value


def optional_port_field(entry: Mapping[str, object], field: str) -> Optional[int]:
    """A port, or None if it is missing, null or 0.

    Raises:
        ProtocolError: If it is anything else.
    """
    # The old daemon writes null or 0 for "none".
    return None if entry.get(field) in (None, 0) else integer_field(entry, field, 1, 65535)


def flag_field(entry: Mapping[str, object], field: str) -> bool:
    """A boolean field; missing or null is False.

    Raises:
        ProtocolError: If it is anything else.
    """
    value = entry.get(field)
    if not isinstance(value, (bool, type(None))):
        raise ProtocolError(f"{field} is {kind_of(value)}, not true or false")
    return bool(value)


def matching_text(raw: bytes, allowed: re.Pattern[str], what: str) -> str:
    """``raw`` as text that ``allowed`` matches.

    Raises:
        ProtocolError: If it does not.
    """
    text = raw[:512].decode("utf-8", "replace")
    if not allowed.match(text):
        raise ProtocolError(f"{text[:80]!r} cannot be a {what}")
    return text


def kind_of(value: object) -> str:
    """What to call a JSON value in a message, without repeating it."""
    return {dict: "an object", list: "an array", str: "a string", type(None): "missing"}.get(type(value), "a scalar")
