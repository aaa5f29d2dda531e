"""The names of the registry's keys and the form of its values, byte for byte."""

from __future__ import annotations

import json

import pytest

from daosup.core import keys
from daosup.core import registry_values as values
from daosup.core.checked_json import MAX_VALUE_BYTES
from daosup.core.types import Reader, Source, StreamRecord
from daosup.errors import ProtocolError

WFS = Source("rts", "wfs")


def test_keys_are_those_of_the_schema() -> None:
    assert keys.machine_key("rts", "ip") == b"dao:machines:rts:ip"
    assert keys.segment_key(WFS, "dimensions") == b"dao:machines:rts:shm:wfs:dimensions"
    assert keys.request_key(WFS) == b"dao:connections:rts:wfs"
    assert keys.heartbeat_key(WFS, "desk") == b"dao:heartbeats:rts:wfs:desk"


def test_keys_of_our_own_stay_out_of_the_schema() -> None:
    ours = [keys.instance_key("rts"), keys.readers_key("rts"), keys.notify_channel("rts")]
    assert ours == [b"daosup:host:rts", b"daosup:readers:rts", b"daosup:notify:rts"]
    assert not any(key.startswith(b"dao:") for key in ours)


def test_machine_keys_are_taken_apart() -> None:
    assert keys.parse_machine_key(b"dao:machines:a.b-c:last_connect") == keys.MachineKey("a.b-c", None, "last_connect")
    assert keys.parse_machine_key(b"dao:machines:rts:shm:dm:dtype") == keys.MachineKey("rts", "dm", "dtype")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"dao:machines:",
        b"dao:machines:rts",
        b"dao:machines:rts:dtype",
        b"dao:machines:rts:shm:dm:ip",
        b"dao:machines:rts:shm:dm",
        b"dao:machines:rts:shm:a b:dtype",
        b"dao:machines:rts:shm:..:dtype",
        b"dao:machines:-rts:ip",
        b"dao:machines:rts:ip\n",
        b"dao:machines:\xff:ip",
        b"dao:machines:rts:shm:" + b"x" * 2000 + b":dtype",
    ],
)
def test_keys_outside_the_schema_are_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        keys.parse_machine_key(raw)


def test_a_host_s_keys_are_told_from_its_namesakes() -> None:
    assert keys.host_keys_pattern("a.b-c") == rb"dao:*:a.b\-c:*"
    for raw in (b"dao:machines:rts:ip", b"dao:connections:rts:wfs", b"dao:heartbeats:rts:wfs:desk"):
        assert keys.is_of_host(raw, "rts")
    for raw in (
        b"dao:machines:rts2:ip",
        b"dao:heartbeats:desk:rts:rts",
        b"daosup:host:rts",
        b"dao:machines:x:shm:rts:dtype",
    ):
        assert not keys.is_of_host(raw, "rts")


def test_a_reader_s_field_names_segment_and_client() -> None:
    assert keys.reader_field("a|b", "desk") == b"a|b|desk"
    assert keys.parse_reader_field(b"a|b|desk") == ("a|b", "desk")
    for raw in (b"", b"wfs", b"wfs|", b"|desk", b"w s|desk", b"wfs|de sk", b"\xff|desk"):
        with pytest.raises(ProtocolError):
            keys.parse_reader_field(raw)


def test_a_record_has_the_schema_s_fields_and_the_protocol() -> None:
    record = StreamRecord(
        "10.0.0.1", 5560, "desk", "10.0.0.2", bidirectional=True, client_pub_port=6000, direct_port=7559
    )
    assert json.loads(values.encode_records([record])) == [
        {
            "server_ip": "10.0.0.1",
            "port": 5560,
            "transport": "zmq",
            "client_hostname": "desk",
            "client_ip": "10.0.0.2",
            "bidirectional": True,
            "client_pub_port": 6000,
            "protocol": 2,
            "direct_port": 7559,
        }
    ]
    assert values.encode_records([]) == b"[]"


def test_a_record_of_an_old_daemon_reads_as_protocol_1() -> None:
    old = b'[{"server_ip": "10.0.0.1", "port": 5560, "client_hostname": "d", "client_ip": "", "extra": [1]}]'
    ((record,), skipped) = values.decode_records(old)
    assert (record.protocol, record.transport, record.bidirectional, record.client_pub_port) == (1, "zmq", False, None)
    assert record.direct_port is None
    assert skipped == 0


@pytest.mark.parametrize(
    "field",
    [
        {"server_ip": "*"},
        {"server_ip": "tcp://h"},
        {"server_ip": "1.2.3.4:5;x"},
        {"server_ip": ""},
        {"server_ip": None},
        {"port": 0},
        {"port": 65536},
        {"port": "5560"},
        {"port": True},
        {"port": 5560.0},
        {"bidirectional": 1},
        {"client_pub_port": -1},
        {"direct_port": -1},
        {"direct_port": "7559"},
        {"client_hostname": "a b"},
        {"client_hostname": "\x1b[31m"},
        {"transport": "x" * 256},
        {"protocol": 0},
    ],
)
def test_a_bad_record_is_skipped_and_counted(field: dict[str, object]) -> None:
    good: dict[str, object] = {
        "server_ip": "10.0.0.1",
        "port": 5560,
        "client_hostname": "desk",
        "client_ip": "10.0.0.2",
    }
    records, skipped = values.decode_records(json.dumps([good, {**good, **field}]).encode())
    assert (len(records), skipped) == (1, 1)


def test_too_many_records_are_cut_off_and_counted() -> None:
    good = {"server_ip": "h", "port": 1}
    records, skipped = values.decode_records(json.dumps([good] * 2000).encode())
    assert (len(records), skipped) == (1024, 976)


def test_values_that_are_too_long_are_refused() -> None:
    assert values.decode_records(b"[" + b" " * (MAX_VALUE_BYTES - 2) + b"]") == ((), 0)
    with pytest.raises(ProtocolError, match="more than"):
        values.decode_records(b"[" + b" " * (MAX_VALUE_BYTES - 1) + b"]")


def test_a_reader_is_written_with_its_protocol() -> None:
    reader = Reader("desk", "10.0.0.2", 7, "abc", bidirectional=True)
    raw = values.encode_reader(reader)
    written = {"host": "desk", "ip": "10.0.0.2", "beat": 7, "instance": "abc", "protocol": 2, "bidirectional": True}
    assert json.loads(raw) == written
    assert values.decode_reader(raw) == reader
    before = {name: value for name, value in written.items() if name != "bidirectional"}
    assert values.decode_reader(json.dumps(before).encode()) == Reader("desk", "10.0.0.2", 7, "abc")


def test_dimensions_are_a_json_array() -> None:
    assert values.encode_dimensions((512, 512)) == b"[512, 512]"
    assert values.decode_dimensions(b"[512,512]") == (512, 512)
    for raw in (b"[]", b"512", b"[true]", b"[1.0]", b"[-1]", b"[1099511627776]", b"[" + b"1," * 16 + b"1]", b"(1, 2)"):
        with pytest.raises(ProtocolError):
            values.decode_dimensions(raw)


def test_plain_values_are_checked_words() -> None:
    assert values.decode_dtype(b"<f4") == "<f4"
    assert values.decode_dtype(b"complex64") == "complex64"
    assert values.decode_address(b"10.0.0.1") == "10.0.0.1"
    assert values.decode_word(b"2026-01-01T00:00:00+00:00") == "2026-01-01T00:00:00+00:00"
    for raw in (b"", b"a b", b"\x1b[2J", b"\xff", b"x" * 600, b"x\n"):
        for decode in (values.decode_dtype, values.decode_address, values.decode_word):
            with pytest.raises(ProtocolError):
                decode(raw)
