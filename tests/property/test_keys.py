"""Whatever is written reads back the same; whatever is read is a checked value or a ProtocolError."""

from __future__ import annotations

import json
from typing import Any, Callable

from hypothesis import example, given
from hypothesis import strategies as st

from daosup.core import keys
from daosup.core import registry_values as values
from daosup.core.types import Reader, Source, StreamRecord, check_host, check_name
from daosup.errors import ProtocolError

HOSTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)
NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Z"), exclude_characters="/:"), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and not any(c.isspace() for c in name))
SOURCES = st.builds(Source, HOSTS, NAMES)
WORDS = st.from_regex(r"[\x21-\x7e]{1,60}", fullmatch=True)
PORTS = st.integers(1, 65535)
RECORDS = st.builds(
    StreamRecord, HOSTS, PORTS, HOSTS, HOSTS, WORDS, st.booleans(), st.none() | PORTS, st.integers(1, 1000)
)
READERS = st.builds(Reader, HOSTS, HOSTS, st.integers(0, 2**63 - 1), WORDS)
REQUESTS = st.builds(values.StreamRequest, HOSTS, HOSTS, WORDS, st.booleans(), st.none() | PORTS, st.integers(1, 1000))
INSTANCES = st.builds(values.Instance, WORDS, st.integers(1, 1000), WORDS, st.integers(1, 2**31 - 1))
NOTICES = st.builds(values.Notice, st.sampled_from(values.NoticeKind), SOURCES)

DECODERS: list[Callable[[bytes], Any]] = [
    keys.parse_machine_key,
    keys.parse_reader_field,
    values.decode_records,
    values.decode_request,
    values.decode_reader,
    values.decode_instance,
    values.decode_notice,
    values.decode_dimensions,
    values.decode_dtype,
    values.decode_address,
    values.decode_word,
]
FIELDS = st.sampled_from(
    [
        "server_ip",
        "port",
        "transport",
        "client_hostname",
        "client_ip",
        "bidirectional",
        "client_pub_port",
        "protocol",
        "host",
        "ip",
        "beat",
        "instance",
        "version",
        "pid",
        "kind",
        "source",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | HOSTS
    | PORTS
    | st.sampled_from(["readers", "record", "rts:wfs", "\ud800", "a:\udfff"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(FIELDS | st.text(), inner, max_size=12)
)


@given(st.lists(RECORDS, max_size=8))
def test_records_read_back(records: list[StreamRecord]) -> None:
    assert values.decode_records(values.encode_records(records)) == (tuple(records), 0)


@given(READERS, REQUESTS, INSTANCES, NOTICES)
def test_other_values_read_back(
    reader: Reader, request: values.StreamRequest, instance: values.Instance, notice: values.Notice
) -> None:
    assert values.decode_reader(values.encode_reader(reader)) == reader
    assert values.decode_request(values.encode_request(request)) == request
    assert values.decode_instance(values.encode_instance(instance)) == instance
    assert values.decode_notice(values.encode_notice(notice)) == notice


@given(st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=16))
def test_dimensions_read_back(shape: list[int]) -> None:
    assert values.decode_dimensions(values.encode_dimensions(shape)) == tuple(shape)


@given(SOURCES, HOSTS, st.sampled_from(keys.SEGMENT_FIELDS), st.sampled_from(keys.MACHINE_FIELDS))
def test_keys_read_back_and_belong_to_their_host(source: Source, client: str, field: str, own_field: str) -> None:
    segment_key = keys.segment_key(source, field)
    machine_key = keys.machine_key(source.host, own_field)
    assert keys.parse_machine_key(segment_key) == keys.MachineKey(source.host, source.name, field)
    assert keys.parse_machine_key(machine_key) == keys.MachineKey(source.host, None, own_field)
    assert keys.parse_reader_field(keys.reader_field(source.name, client)) == (source.name, client)
    for key in (segment_key, machine_key, keys.request_key(source), keys.heartbeat_key(source, client)):
        assert keys.is_of_host(key, source.host)
        assert keys.is_of_host(key, client) == (client == source.host)


@given(SOURCES, SOURCES)
def test_different_sources_have_different_keys(one: Source, other: Source) -> None:
    for key in (keys.request_key, lambda s: keys.segment_key(s, "dtype"), lambda s: keys.heartbeat_key(s, "c")):
        assert (key(one) == key(other)) == (one == other)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b"9" * 5000)
@example(b'{"port": 1e999}')
@example(b"\xef\xbb\xbf[]")
@example(("\U000e39b6" * 240 + "|lab").encode())
def test_any_bytes_decode_or_are_a_protocol_error(raw: bytes) -> None:
    for decode in DECODERS:
        try:
            decoded = decode(raw)
        except ProtocolError as error:
            decoded = str(error)[:1000]
            is_told_shortly = decoded == str(error)
        else:
            is_told_shortly = True
        assert is_told_shortly
        # It can be shown and logged.
        repr(decoded).encode()


RECORDISH = st.fixed_dictionaries(
    {"server_ip": HOSTS | LEAVES, "port": PORTS | LEAVES},
    optional={"client_ip": HOSTS | LEAVES, "transport": WORDS | LEAVES, "protocol": PORTS | LEAVES},
)


@given(st.lists(RECORDISH | JSON, max_size=8))
def test_records_that_are_kept_can_be_connected_to(entries: list[object]) -> None:
    records, skipped = values.decode_records(json.dumps(entries).encode())
    assert len(records) + skipped == len(entries)
    for record in records:
        assert 1 <= record.port <= 65535
        assert record.endpoint.isascii()
        assert record.endpoint.isprintable()


@given(JSON | st.fixed_dictionaries(dict.fromkeys(("host", "ip", "beat", "instance"), HOSTS | PORTS | LEAVES)))
def test_readers_that_are_kept_are_hosts(entry: object) -> None:
    try:
        reader = values.decode_reader(json.dumps(entry).encode())
    except ProtocolError:
        return
    check_host(reader.host)


@given(st.binary(max_size=80))
def test_names_that_are_kept_could_be_ours(tail: bytes) -> None:
    try:
        key = keys.parse_machine_key(b"dao:machines:" + tail)
    except ProtocolError:
        return
    check_host(key.host)
    if key.name is not None:
        check_name(key.name)
