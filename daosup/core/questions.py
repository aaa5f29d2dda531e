"""Questions that hosts ask each other through the registry, and the answers, as bytes.

    daosup:ask:<host>       1 SIGNATURE ID {"from", "to", "instance", "time_ms", "wait_s", "command", "arguments"}
    daosup:answer:<host>    1 SIGNATURE ID deflated {"from", "to", "kind": "ack" | "result" | "error", "value"}

Invariants: the signature, HMAC-SHA256 in hexadecimal or ``-`` for none, is over all that follows it and over which of
the two it is, so a question is never taken for an answer, nor an answer for that to another question. Whatever bytes
come, a decoder returns what it promises or raises :class:`ProtocolError`, and unpacks no more than its bound.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from daosup.core.checked_json import (
    WORD,
    as_object,
    encode_json,
    host_field,
    integer_field,
    parse_strictly,
    string_field,
)
from daosup.core.json_pieces import json_pieces
from daosup.errors import ProtocolError

#: What a host that takes questions says of itself in the registry.
VERSION = 1
MAX_QUESTION_BYTES = 256 * 1024
#: Packed; well below what Redis keeps for a subscriber that is slow (8 MB for a minute).
MAX_ANSWER_BYTES = 4 << 20
MAX_UNPACKED_BYTES = 8 << 20
MAX_WAIT_S = 3600

_ENVELOPE = re.compile(rb"1 (-|[0-9a-f]{64}) ([0-9a-f]{32}) ")
_COMMAND = re.compile(r"[a-z_]{1,40}\Z")
_QUICK = 1  # of zlib's levels: a status of many workers is a twelfth then, and no other level is worth its time


class Purpose(Enum):
    """What a message is."""

    QUESTION = b"daosup question 1\n"
    ANSWER = b"daosup answer 1\n"


class Kind(Enum):
    """What an answer says: that the question has come, what was asked for, or why it cannot be had."""

    ACK = "ack"
    RESULT = "result"
    ERROR = "error"


@dataclass(frozen=True)
class Question:
    """What ``asker`` wants of ``host``, whose supervisor it knows as ``instance``.

    ``ident``: 128 random bits in hexadecimal, never used again. ``time_ms``: when, by Redis's clock. ``wait_s``: how
    long the answer may take after it was acknowledged.
    """

    ident: str
    asker: str
    host: str
    instance: str
    time_ms: int
    wait_s: int
    command: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    """What ``host`` says to a question of ``asker``.

    ``value``: the result, or an error's kind and message. ``size_bytes``: of one that was decoded, its JSON's.
    """

    ident: str
    host: str
    asker: str
    kind: Kind
    value: object = None
    size_bytes: int = 0


@dataclass(frozen=True)
class Sealed:
    """A message of which nothing is believed yet."""

    purpose: Purpose
    signature: Optional[bytes]
    ident: str
    body: bytes

    def is_signed_by(self, secret: bytes) -> bool:
        """Whether who wrote it knows ``secret``."""
        if self.signature is None:
            return False
        return hmac.compare_digest(self.signature, _signature(self.purpose, self.ident, self.body, secret))


def unseal(purpose: Purpose, raw: bytes) -> Sealed:
    """Take a message's envelope off.

    Raises:
        ProtocolError: If it has none, or is too long.
    """
    most = MAX_QUESTION_BYTES if purpose is Purpose.QUESTION else MAX_ANSWER_BYTES
    match = _ENVELOPE.match(raw[:200])
    if len(raw) > most or match is None:
        raise ProtocolError(f"{len(raw)} bytes that are no {purpose.name.lower()}")
    signature = None if match[1] == b"-" else match[1]
    return Sealed(purpose, signature, match[2].decode(), raw[match.end() :])


def encode_question(question: Question, secret: Optional[bytes]) -> bytes:
    """A message for the channel of the host that is asked, signed if there is a secret."""
    body = {
        "from": question.asker,
        "to": question.host,
        "instance": question.instance,
        "time_ms": question.time_ms,
        "wait_s": question.wait_s,
        "command": question.command,
        "arguments": question.arguments,
    }
    return _sealed(Purpose.QUESTION, question.ident, encode_json(body), secret)


def decode_question(sealed: Sealed) -> Question:
    """Read a question.

    Raises:
        ProtocolError: If it is none.
    """
    entry = as_object(parse_strictly(sealed.body, MAX_QUESTION_BYTES), "question")
    return Question(
        ident=sealed.ident,
        asker=host_field(entry, "from"),
        host=host_field(entry, "to"),
        instance=string_field(entry, "instance", WORD),
        time_ms=integer_field(entry, "time_ms", 0, 2**53),
        wait_s=integer_field(entry, "wait_s", 0, MAX_WAIT_S),
        command=string_field(entry, "command", _COMMAND),
        arguments=as_object(entry.get("arguments"), "question's arguments"),
    )


def encode_answer(answer: Answer, secret: Optional[bytes]) -> bytes:
    """A message for the channel of the host that asked, signed if there is a secret.

    Raises:
        ProtocolError: If there is too much to say, or something that JSON does not have.
    """
    told = {"from": answer.host, "to": answer.asker, "kind": answer.kind.value, "value": answer.value}
    try:
        # In pieces, between which other threads have their turn.
        body = "".join(json_pieces(told)).encode()
    except ValueError as error:
        raise ProtocolError(f"the answer cannot be told: {error}") from None
    packed = zlib.compress(body, _QUICK)
    if len(body) > MAX_UNPACKED_BYTES or len(packed) > MAX_ANSWER_BYTES - 200:
        raise ProtocolError(f"the answer would have {len(body)} bytes, {len(packed)} of them packed; too many")
    return _sealed(Purpose.ANSWER, answer.ident, packed, secret)


def decode_answer(sealed: Sealed) -> Answer:
    """Read an answer.

    Raises:
        ProtocolError: If it is none.
    """
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(sealed.body, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise ProtocolError(f"an answer that cannot be unpacked: {error}") from None
    if not unpacking.eof:
        raise ProtocolError("an answer that is cut off, or too long")
    entry = as_object(parse_strictly(body, MAX_UNPACKED_BYTES), "answer")
    try:
        kind = Kind(entry.get("kind"))
    except ValueError:
        raise ProtocolError("an answer of no known kind") from None
    asker, value = host_field(entry, "to"), entry.get("value")
    return Answer(sealed.ident, host_field(entry, "from"), asker, kind, value, len(body))


def _sealed(purpose: Purpose, ident: str, body: bytes, secret: Optional[bytes]) -> bytes:
    signature = b"-" if secret is None else _signature(purpose, ident, body, secret)
    return b"1 %b %b %b" % (signature, ident.encode(), body)


def _signature(purpose: Purpose, ident: str, body: bytes, secret: bytes) -> bytes:
    signed = hmac.new(secret, purpose.value + ident.encode() + b" ", hashlib.sha256)
    signed.update(body)
    return signed.hexdigest().encode()
