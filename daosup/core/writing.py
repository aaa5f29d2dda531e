"""Writing back: what mirrors send upstream to the owner of their source, what it answers, and who may write.

Upstream, on a connection of protocol 2 (kind ``write``) or in an ``ASK`` of a direct one, both with the writer's name
behind the header:

``write``  a frame for the source. The header has the stream's epoch and layout id, the counter that the frame has in
           the mirror, its frame id and write time.
``ask``    no frame but the writer's host: whether it may write. Sent once a second, so it is a sign of life too; with
           the flag ``leaving`` it is the last one. The header has the counter of the last frame that was sent.

Downstream, to that writer alone (the topic has its name, or it is an ``ANSWER`` to it): an answer to each, which says
how many of its frames were taken so far. So an answer that is lost, as a frame may be for a reader that is too slow, is
made up for by the next.

Invariants: of a segment with a single writer never two write: whoever comes first does, until it leaves or is silent
for ``HOLD_S``. A frame is taken only if its size, epoch and layout are those of the segment as it is now. A writer is
heard by one way at a time, so its frames are never taken in another order than it sent them.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Optional, Union

from daosup.core.header import HEADER_BYTES, VERSION, Buffer, Flag, Header, Kind, decode_header
from daosup.core.types import Writing, check_host
from daosup.errors import ProtocolError, UsageError

#: Writers ask so often, and one that is silent for so long is gone.
ASK_INTERVAL_S = 1.0
HOLD_S = 3.0
#: The way by which whoever has no direct connection is heard.
SHARED_WAY = 0
#: A segment has no more writers; whoever asks beyond that is refused.
MOST_WRITERS = 256
WRITER_BYTES = 8
#: Where the frame begins in a ``write``.
FRAME_AT = HEADER_BYTES + WRITER_BYTES
#: No ``ask`` is longer: a host's name has at most 63 bytes.
MOST_ASK_BYTES = FRAME_AT + 64

_TOPIC = b"DAOW"
#: topic, writer, version, verdict, taken, counter; the reason follows
_ANSWER = struct.Struct("<4s8sBBHQ")
_MOST_REASON_BYTES = 400
#: What is told of the number of frames that were taken; many more than may be under way.
TAKEN_MODULUS = 1 << 16


class Verdict(IntEnum):
    """What becomes of a write."""

    WRITTEN = 0
    READ_ONLY = 1
    HELD = 2
    STALE = 3
    UNWRITABLE = 4


class Ask(NamedTuple):
    """A writer asks whether it may write. ``counter``: of the last frame that it sent before."""

    writer: bytes
    host: str
    is_leaving: bool
    counter: int = 0


class Write(NamedTuple):
    """A frame to be written; it begins at ``FRAME_AT`` of its message."""

    writer: bytes
    counter: int
    frame_id: int
    write_time_ns: int


class Answer(NamedTuple):
    """What the owner says of a write or an ask. ``counter``: the writer's, as it was asked. ``reason``: why not.

    ``taken``: how many frames of the writer were taken so far, modulo `TAKEN_MODULUS`; it begins anew with each stream.
    """

    verdict: Verdict
    counter: int
    reason: str
    taken: int = 0


def writer_of(host: str) -> bytes:
    """The name by which a host's mirrors write, 8 bytes; the same after a restart."""
    return hashlib.blake2b(host.encode(), digest_size=WRITER_BYTES).digest()


def topic_of(writer: bytes) -> bytes:
    """What a writer subscribes to."""
    return _TOPIC + writer


def is_answer(message: Buffer) -> bool:
    """Whether a message of a stream is an answer to a writer."""
    return bytes(message[: len(_TOPIC)]) == _TOPIC


def ask_header(epoch: int, layout_id: int, counter: int, host: str, *, is_leaving: bool) -> tuple[int, ...]:
    """The header of an ``ask``; ``counter``: of the last frame that was sent."""
    flags = Flag.LEAVING if is_leaving else Flag.NONE
    return (Kind.WRITE, flags, epoch, 0, counter, 0, 0, 0, layout_id, WRITER_BYTES + len(host.encode()))


def write_header(
    epoch: int, layout_id: int, counter: int, frame_id: int, write_time_ns: int, send_time_ns: int, frame_bytes: int
) -> tuple[int, ...]:
    """The header of a ``write``."""
    sequence = counter  # of this writer's
    return (
        Kind.WRITE, Flag.HAS_FRAME, epoch, sequence, counter, frame_id, write_time_ns, send_time_ns, layout_id,
        WRITER_BYTES + frame_bytes,
    )  # fmt: skip


def decode_upstream(message: Buffer, frame_bytes: int) -> tuple[Header, Union[Ask, Write]]:
    """Read and check what came upstream; whether epoch and layout are right is the caller's to judge.

    Raises:
        ProtocolError: If it is neither a write of a frame of that size nor an ask.
    """
    header = decode_header(message)
    if header.kind != Kind.WRITE or header.payload_bytes < WRITER_BYTES:
        raise ProtocolError(f"message of kind {header.kind} with {header.payload_bytes} bytes from a reader")
    writer = bytes(message[HEADER_BYTES:FRAME_AT])
    if header.flags & Flag.HAS_FRAME:
        if header.payload_bytes != WRITER_BYTES + frame_bytes:
            raise ProtocolError(f"frame of {header.payload_bytes - WRITER_BYTES} bytes written, one has {frame_bytes}")
        return header, Write(writer, header.counter, header.frame_id, header.write_time_ns)
    if len(message) > MOST_ASK_BYTES:
        raise ProtocolError(f"writer's name of {len(message) - FRAME_AT} bytes")
    try:
        host = check_host(bytes(message[FRAME_AT:]).decode())
    except (UnicodeDecodeError, UsageError):
        raise ProtocolError("writer whose name is that of no host") from None
    if writer != writer_of(host):
        raise ProtocolError(f"writer {writer.hex()} calls itself {host}")
    return header, Ask(writer, host, bool(header.flags & Flag.LEAVING), header.counter)


def encode_answer(writer: bytes, answer: Answer) -> bytes:
    """An answer on the wire."""
    reason = answer.reason.encode()[:_MOST_REASON_BYTES]
    return _ANSWER.pack(_TOPIC, writer, VERSION, answer.verdict, answer.taken, answer.counter) + reason


def decode_answer(message: Buffer, writer: bytes) -> Answer:
    """Read and check an answer.

    Raises:
        ProtocolError: If it is none, or not for that writer.
    """
    if not _ANSWER.size <= len(message) <= _ANSWER.size + _MOST_REASON_BYTES:
        raise ProtocolError(f"answer of {len(message)} bytes")
    topic, to, version, verdict, taken, counter = _ANSWER.unpack_from(message)
    if (topic, to, version) != (_TOPIC, writer, VERSION):
        raise ProtocolError("answer that is for another writer, or in another version")
    try:
        return Answer(Verdict(verdict), counter, bytes(message[_ANSWER.size :]).decode(errors="replace"), taken)
    except ValueError:
        raise ProtocolError(f"answer with unknown verdict {verdict}") from None


@dataclass
class _Writer:
    host: str
    heard_s: float
    taken: int = 0


class Writers:
    """Who writes to one segment of this host.

    Args:
        source: The segment, ``HOST:NAME``, for people.
        writing: What its owner allows.
    """

    def __init__(self, source: str, writing: Writing) -> None:
        self._source = source
        self._writing = writing
        self._writers: dict[bytes, _Writer] = {}
        self._holder: Optional[bytes] = None
        self._ways: dict[bytes, int] = {}

    def connected(self, host: str, way: int) -> None:
        """A writer has a direct connection, numbered ``way``: it is heard by no other until that is over."""
        self._ways[writer_of(host)] = way

    def disconnected(self, way: int) -> None:
        """That connection is over."""
        self._ways = {writer: other for writer, other in self._ways.items() if other != way}

    def is_heard(self, writer: bytes, way: int) -> bool:
        """Whether that writer is heard that way now; else it is of before, or somebody else's."""
        return self._ways.get(writer, SHARED_WAY) == way

    def asked(self, ask: Ask, now: float) -> Answer:
        """Somebody asks whether it may write; times are of any monotonic clock, in seconds."""
        if ask.is_leaving:
            self._writers.pop(ask.writer, None)
            if self._holder == ask.writer:
                self._holder = None
            return Answer(Verdict.WRITTEN, ask.counter, "")
        writer = self._writers.get(ask.writer)
        if writer is None:
            self.expire(now)
            if len(self._writers) >= MOST_WRITERS:
                return Answer(Verdict.UNWRITABLE, ask.counter, f"{self._source} has {MOST_WRITERS} writers already")
            writer = self._writers[ask.writer] = _Writer(ask.host, now)
        writer.heard_s = now
        return self._judge(ask.writer, ask.counter, now)

    def wrote(self, write: Write, now: float) -> Answer:
        """Somebody sent a frame; WRITTEN: it may be written."""
        writer = self._writers.get(write.writer)
        if writer is not None:
            writer.heard_s = now
        elif self._writing is Writing.SINGLE_WRITER:
            return Answer(Verdict.STALE, write.counter, f"{self._source}: its owner does not know you yet")
        return self._judge(write.writer, write.counter, now)

    def _judge(self, writer: bytes, counter: int, now: float) -> Answer:
        if self._writing is Writing.READ_ONLY:
            return Answer(Verdict.READ_ONLY, counter, f"{self._source} is read-only: its owner takes no writes")
        if self._writing is Writing.SINGLE_WRITER:
            self.expire(now)
            if self._holder is None:
                self._holder = writer
            elif self._holder != writer:
                return Answer(
                    Verdict.HELD, counter, f"{self._source} has a single writer, at present {self.holder}; ask there"
                )
        return Answer(Verdict.WRITTEN, counter, "")

    def took(self, writer: bytes) -> None:
        """A frame of a writer was written."""
        if writer in self._writers:
            self._writers[writer].taken = (self._writers[writer].taken + 1) % TAKEN_MODULUS

    def taken_of(self, writer: bytes) -> int:
        """How many of its frames were written so far, modulo `TAKEN_MODULUS`."""
        return self._writers[writer].taken if writer in self._writers else 0

    def expire(self, now: float) -> None:
        """Forget whoever fell silent."""
        for writer in [each for each, seen in self._writers.items() if now >= seen.heard_s + HOLD_S]:
            del self._writers[writer]
            if self._holder == writer:
                self._holder = None

    @property
    def holder(self) -> Optional[str]:
        """The host of the single writer."""
        return None if self._holder is None else self._writers[self._holder].host

    @property
    def hosts(self) -> tuple[str, ...]:
        """All who write, or ask to."""
        return tuple(sorted(writer.host for writer in self._writers.values()))
