"""The lines of text with which a connection of DAO's network protocol begins: who wants what, and the answer.

A reader says ``SUBSCRIBE <name> <its host>``; one of ours adds ``daosup=1``, ``write=1`` if it writes back, and how it
wants its frames. The owner answers ``OK``, or ``ERR`` and why. Whatever else comes is a ProtocolError, whose words fit
into an ``ERR``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from daosup.core.delivery import PLAIN, Delivery
from daosup.errors import ProtocolError

#: No line is longer, its end included, and none takes longer to come.
MOST_LINE_BYTES = 1024
LINE_S = 3.0
#: Of what is between ours alone.
OWN_VERSION = 1
#: Who says so asks and writes; an owner that cannot be asked so does not know it, and refuses.
_WRITING = "write=1"

_WORD = re.compile(r"[^\s\x00-\x1f\x7f]{1,255}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Subscription:
    """What a reader wants.

    Attributes:
        name: The segment.
        reader: The reader's host.
        is_ours: Whether the rest may be asked for, and messages between ours may be sent.
        delivery: How.
        is_writing: Whether it writes back, too.
    """

    name: str
    reader: str
    is_ours: bool = False
    delivery: Delivery = PLAIN
    is_writing: bool = False


class Answered(NamedTuple):
    """What an owner says to a subscription; ``reason``: why not."""

    is_accepted: bool
    is_ours: bool
    reason: str


def encode_subscribe(wanted: Subscription) -> bytes:
    """The line of a subscription."""
    words = ["SUBSCRIBE", wanted.name, wanted.reader]
    if wanted.is_ours:
        words.append(f"daosup={OWN_VERSION}")
        words += [_WRITING] * wanted.is_writing + wanted.delivery.words()
    return " ".join(words).encode() + b"\n"


def decode_subscribe(line: bytes) -> Subscription:
    """Read a subscription, with or without the line's end.

    Raises:
        ProtocolError: If it is none, or wants what is not known here.
    """
    verb, *words = _words_of(line)
    if verb != "SUBSCRIBE" or len(words) < 2:
        raise ProtocolError("expected SUBSCRIBE <name> <host>")
    name, reader, *options = words
    if not options:
        return Subscription(name, reader)
    if options[0] != f"daosup={OWN_VERSION}":
        raise ProtocolError(f"{options[0][:40]!r} is not known here, daosup={OWN_VERSION} is")
    is_writing = options[1:2] == [_WRITING]
    delivery = Delivery.parse(options[1 + is_writing :])
    return Subscription(name, reader, is_ours=True, delivery=delivery, is_writing=is_writing)


def encode_answer(answered: Answered) -> bytes:
    """The line of an answer."""
    if not answered.is_accepted:
        line = f"ERR {_plain(answered.reason)}".encode(errors="replace")[: MOST_LINE_BYTES - 1]
        return line.decode(errors="ignore").encode() + b"\n"
    return f"OK daosup={OWN_VERSION}\n".encode() if answered.is_ours else b"OK\n"


def decode_answer(line: bytes) -> Answered:
    """Read an answer, with or without the line's end.

    Raises:
        ProtocolError: If it is none.
    """
    if line[:4].rstrip() == b"ERR":
        reason = _plain(line[4:MOST_LINE_BYTES].decode(errors="replace"))
        return Answered(False, False, reason or "no reason given")
    verb, *words = _words_of(line)
    if verb == "OK" and words in ([], [f"daosup={OWN_VERSION}"]):
        return Answered(True, bool(words), "")
    raise ProtocolError(f"answer {line[:60]!r}, expected OK or ERR")


def _plain(text: str) -> str:
    """A text on one line, without what terminals act upon."""
    return _CONTROL.sub("?", " ".join(text.split()))


def _words_of(line: bytes) -> list[str]:
    """The words of a line, at least one."""
    if len(line) > MOST_LINE_BYTES:
        raise ProtocolError(f"line of more than {MOST_LINE_BYTES} bytes")
    try:
        words = line.rstrip(b"\r\n").decode().split(" ")
    except UnicodeDecodeError:
        raise ProtocolError("line that is not UTF-8") from None
    words = [word for word in words if word]
    if not words or not all(map(_WORD.match, words)):
        raise ProtocolError(f"line {line[:60]!r} is not of words with blanks between them")
    return words
