"""The values of the registry's keys: records, requests, readers, notices; encoded, and decoded with distrust.

Invariant: whatever bytes Redis hands back, a decoder returns a checked value or raises :class:`ProtocolError`, never
anything else, and a list loses its bad entries one by one (they are counted), not as a whole. Nothing decoded here can
be longer than its bound, so one hostile value cannot fill the memory or the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from daosup.core.checked_json import (
    WORD,
    as_object,
    encode_json,
    flag_field,
    host_field,
    integer_field,
    kind_of,
    matching_text,
    optional_port_field,
    parse_json,
    string_field,
)
from daosup.core.types import PROTOCOL, Reader, Source, StreamRecord, check_host, check_name
from daosup.errors import ProtocolError, UsageError

_MAX_RECORDS = 1024
_MAX_DIMENSIONS = 16
_ADDRESS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})\Z")
_OPTIONAL_ADDRESS = re.compile(r"[A-Za-z0-9._:-]{0,253}\Z")
_DTYPE = re.compile(r"[<>|=]?[A-Za-z_]{1,24}[0-9]{0,4}\Z")


class NoticeKind(Enum):
    """What a message on a host's channel says has changed."""

    READERS = "readers"
    RECORD = "record"


@dataclass(frozen=True)
class Notice:
    """One message of a host's channel: the readers of our ``source``, or the record of another's, changed."""

    kind: NoticeKind
    source: Source


@dataclass(frozen=True)
class StreamRequest:
    """What a client of the old protocol writes to ``dao:connections:<host>:<name>``."""

    client_ip: str
    client_hostname: str
    transport: str = "zmq"
    bidirectional: bool = False
    client_pub_port: Optional[int] = None
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Instance:
    """The process that speaks for a host (``daosup:host:<host>``); ``instance`` differs for each start of it.

    ``started_ms`` is when it started in Redis's time; ``beat`` grows each time it writes itself down.
    ``clock_offset_ms`` is how far its host's clock is ahead of Redis's, None if it does not say so. ``questions``:
    which version of core/questions.py it answers, 0 for none.
    """

    instance: str
    protocol: int
    version: str
    pid: int
    ip: str = ""
    started_ms: int = 0
    beat: int = 0
    clock_offset_ms: Optional[int] = None
    questions: int = 0


def encode_records(records: Iterable[StreamRecord]) -> bytes:
    """A ``connections`` value."""
    return encode_json(
        [
            {
                "server_ip": record.server_ip,
                "port": record.port,
                "transport": record.transport,
                "client_hostname": record.client_hostname,
                "client_ip": record.client_ip,
                "bidirectional": record.bidirectional,
                "client_pub_port": record.client_pub_port,
                "protocol": record.protocol,
                "direct_port": record.direct_port,
            }
            for record in records
        ]
    )


def decode_records(raw: bytes) -> tuple[tuple[StreamRecord, ...], int]:
    """The records of a ``connections`` value and how many of its entries were skipped as malformed.

    Raises:
        ProtocolError: If the value as a whole is no JSON array.
    """
    entries = parse_json(raw)
    if not isinstance(entries, list):
        raise ProtocolError(f"connections is {kind_of(entries)}, not a JSON array")
    records: list[StreamRecord] = []
    for entry in entries[:_MAX_RECORDS]:
        try:
            records.append(_record(as_object(entry, "connection record")))
        except ProtocolError:
            continue
    return tuple(records), len(entries) - len(records)


def encode_request(request: StreamRequest) -> bytes:
    """The value of a request key."""
    return encode_json(
        {
            "client_ip": request.client_ip,
            "client_hostname": request.client_hostname,
            "transport": request.transport,
            "bidirectional": request.bidirectional,
            "client_pub_port": request.client_pub_port,
            "protocol": request.protocol,
        }
    )


def decode_request(raw: bytes) -> StreamRequest:
    """Read the value of a request key.

    Raises:
        ProtocolError: If it is no request.
    """
    entry = as_object(parse_json(raw), "request")
    return StreamRequest(
        client_ip=string_field(entry, "client_ip", _ADDRESS),
        client_hostname=host_field(entry, "client_hostname"),
        transport=string_field(entry, "transport", WORD, default="zmq"),
        bidirectional=flag_field(entry, "bidirectional"),
        client_pub_port=optional_port_field(entry, "client_pub_port"),
        protocol=integer_field(entry, "protocol", 1, 1000, default=1),
    )


def encode_reader(reader: Reader) -> bytes:
    """The value of one field of the readers hash."""
    return encode_json(
        {
            "host": reader.host,
            "ip": reader.ip,
            "beat": reader.beat,
            "instance": reader.instance,
            "protocol": PROTOCOL,
            "bidirectional": reader.bidirectional,
        }
    )


def decode_reader(raw: bytes) -> Reader:
    """Read one field's value of the readers hash.

    Raises:
        ProtocolError: If it is no reader.
    """
    entry = as_object(parse_json(raw), "reader")
    return Reader(
        host=host_field(entry, "host"),
        ip=string_field(entry, "ip", _ADDRESS),
        beat=integer_field(entry, "beat", 0, 2**63 - 1),
        instance=string_field(entry, "instance", WORD),
        bidirectional=flag_field(entry, "bidirectional"),
    )


def encode_instance(instance: Instance) -> bytes:
    """The value of ``daosup:host:<host>``."""
    return encode_json(
        {
            "instance": instance.instance,
            "protocol": instance.protocol,
            "version": instance.version,
            "pid": instance.pid,
            "ip": instance.ip,
            "started_ms": instance.started_ms,
            "beat": instance.beat,
            "clock_offset_ms": instance.clock_offset_ms,
            "questions": instance.questions,
        }
    )


def decode_instance(raw: bytes) -> Instance:
    """Read the value of ``daosup:host:<host>``.

    Raises:
        ProtocolError: If it names no instance.
    """
    entry = as_object(parse_json(raw), "instance")
    return Instance(
        instance=string_field(entry, "instance", WORD),
        protocol=integer_field(entry, "protocol", 1, 1000),
        version=string_field(entry, "version", WORD),
        pid=integer_field(entry, "pid", 1, 2**31 - 1),
        ip=string_field(entry, "ip", _OPTIONAL_ADDRESS, default=""),
        started_ms=integer_field(entry, "started_ms", 0, 2**53, default=0),
        beat=integer_field(entry, "beat", 0, 2**53, default=0),
        clock_offset_ms=(
            None if entry.get("clock_offset_ms") is None else integer_field(entry, "clock_offset_ms", -(2**53), 2**53)
        ),
        questions=integer_field(entry, "questions", 0, 1000, default=0),
    )


def encode_notice(notice: Notice) -> bytes:
    """A message for a host's channel."""
    return encode_json({"kind": notice.kind.value, "source": str(notice.source)})


def decode_notice(raw: bytes) -> Notice:
    """Read a message of a host's channel.

    Raises:
        ProtocolError: If it is none.
    """
    entry = as_object(parse_json(raw), "notice")
    kind, source = entry.get("kind"), entry.get("source")
    if not isinstance(source, str):
        raise ProtocolError(f"a notice's source is {kind_of(source)}, not a string")
    host, _, name = source.partition(":")
    try:
        # UTF-8 cannot hold the lone surrogates that JSON's escapes can spell; they would break every later print.
        name.encode()
        return Notice(NoticeKind(kind), Source(check_host(host), check_name(name)))
    except (UsageError, ValueError) as error:
        raise ProtocolError(f"a notice that says nothing known: {str(error)[:200]!r}") from None


def encode_dimensions(shape: Iterable[int]) -> bytes:
    """A ``dimensions`` value, e.g. ``[512, 512]``."""
    return encode_json(list(shape))


def decode_dimensions(raw: bytes) -> tuple[int, ...]:
    """Read a ``dimensions`` value.

    Raises:
        ProtocolError: If it is not a JSON array of 1 to 16 sizes.
    """
    sizes = parse_json(raw)
    if not isinstance(sizes, list) or not 1 <= len(sizes) <= _MAX_DIMENSIONS:
        raise ProtocolError(f"dimensions is {kind_of(sizes)}, not a JSON array of 1 to {_MAX_DIMENSIONS} sizes")
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**40:
            raise ProtocolError("dimensions has an entry that is no size")
    return tuple(sizes)


def decode_dtype(raw: bytes) -> str:
    """Read a ``dtype`` value, a NumPy dtype string.

    Raises:
        ProtocolError: If no dtype looks like it.
    """
    return matching_text(raw, _DTYPE, "dtype")


def decode_address(raw: bytes) -> str:
    """Read an ``ip`` value: an IPv4 address, or a name that resolves to one.

    Raises:
        ProtocolError: If it can be neither.
    """
    return matching_text(raw, _ADDRESS, "ip")


def decode_word(raw: bytes) -> str:
    """Read a value that is one word: a role, a hostname, a time stamp.

    Raises:
        ProtocolError: If it is empty, longer than 255 characters, or not printable ASCII.
    """
    return matching_text(raw, WORD, "word")


def _record(entry: Mapping[str, object]) -> StreamRecord:
    return StreamRecord(
        server_ip=string_field(entry, "server_ip", _ADDRESS),
        port=integer_field(entry, "port", 1, 65535),
        client_hostname=string_field(entry, "client_hostname", _OPTIONAL_ADDRESS, default=""),
        client_ip=string_field(entry, "client_ip", _OPTIONAL_ADDRESS, default=""),
        transport=string_field(entry, "transport", WORD, default="zmq"),
        bidirectional=flag_field(entry, "bidirectional"),
        client_pub_port=optional_port_field(entry, "client_pub_port"),
        protocol=integer_field(entry, "protocol", 1, 1000, default=1),
        direct_port=optional_port_field(entry, "direct_port"),
    )
