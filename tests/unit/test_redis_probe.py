"""A look at what answers at an address: servers that say what a Redis says, lie, send without end, or say nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daosup.adapters.redis_discovery import look_at_all
from daosup.adapters.redis_probe import Door, RedisSeen, look_at_redis
from daosup.ctl.discover import discover_report
from daosup.ctl.tables import Style

INFO = (
    "# Server\r\nvalkey_version:8.1.1\r\nredis_version:7.2.4\r\nserver_mode:standalone\r\nrun_id:abc\r\n"
    "role:master\r\ndb0:keys=12,expires=3\r\n"
)
HOSTS = b"*2\r\n$1\r\n0\r\n*3\r\n$19\r\ndao:machines:rts:ip\r\n$19\r\ndao:machines:lab:ip\r\n$3\r\nxyz\r\n"


def bulk(text: str) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text.encode())


@contextmanager
def answering(*replies: bytes) -> Iterator[int]:
    """A server at a port that says the next reply to whatever it is asked, and then nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        is_over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for reply in replies:
                    if not connection.recv(4096):
                        return
                    connection.sendall(reply)
                is_over.wait(10)

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            is_over.set()
            server.join()


def look(*replies: bytes) -> RedisSeen | None:
    with answering(*replies) as port:
        return look_at_redis("127.0.0.1", port, 0.3)


def test_a_registry_is_told_with_its_hosts() -> None:
    seen = look(b"+PONG\r\n", bulk(INFO), HOSTS)
    assert seen is not None
    assert (seen.door, seen.flavour, seen.version, seen.role) == (Door.OPEN, "valkey", "8.1.1", "master")
    assert (seen.keys, seen.hosts, seen.run_id) == (12, ("lab", "rts"), "abc")


@pytest.mark.parametrize(
    ("said", "role", "replica_of"),
    [
        (INFO.replace("master", "slave\r\nmaster_host:10.0.0.2\r\nmaster_port:6379"), "replica", "10.0.0.2:6379"),
        (INFO.replace("standalone", "sentinel"), "sentinel", ""),
    ],
)
def test_replicas_and_sentinels_are_told_as_such(said: str, role: str, replica_of: str) -> None:
    seen = look(b"+PONG\r\n", bulk(said), HOSTS)
    assert seen is not None
    assert (seen.role, seen.replica_of) == (role, replica_of)


@pytest.mark.parametrize(
    ("reply", "door"),
    [
        (b"-NOAUTH Authentication required.\r\n", Door.PASSWORD),
        (b"-DENIED Redis is running in protected mode\r\n", Door.PROTECTED),
        (b"-LOADING Redis is loading the dataset in memory\r\n", Door.CLOSED),
    ],
)
def test_one_that_keeps_us_out_is_told(reply: bytes, door: Door) -> None:
    seen = look(reply)
    assert seen is not None
    assert (seen.door, seen.hosts) == (door, ())


def test_who_answers_with_a_tls_alert_may_be_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def alert() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")

        server = threading.Thread(target=alert)
        server.start()
        seen = look_at_redis("127.0.0.1", listener.getsockname()[1], 0.3)
        server.join()
    assert seen is not None
    assert seen.door is Door.TLS


@pytest.mark.parametrize(
    "reply", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-\r\n", b"+OK\r\n"]
)
def test_what_is_no_redis_is_none(reply: bytes) -> None:
    assert look(reply) is None


def test_in_a_large_one_nobody_looks_for_hosts() -> None:
    seen = look(b"+PONG\r\n", bulk(INFO.replace("keys=12", "keys=100001")), HOSTS)
    assert seen is not None
    assert (seen.keys, seen.hosts) == (100001, None)


@pytest.mark.parametrize(
    "reply",
    [
        b"$999999999\r\n",
        b"*999999999\r\n",
        b"*1\r\n" * 50,
        b"*1\r\n*x\r\n",
        b"x" * 10000,
        b"$-5\r\n",
        b":1\r\n",
        b"$5\r\n\xff\xff\xff\xff\xff\r\n",
        bulk("valkey_version:\033[31m\r\nredis_version:\x07\r\ndb0:keys=9x\r\n"),
    ],
)
def test_hostile_answers_do_no_harm(reply: bytes) -> None:
    began_s = time.monotonic()
    seen = look(b"+PONG\r\n", reply)
    assert seen is not None
    assert (seen.door, seen.version, seen.hosts) == (Door.OPEN, "", ())
    assert time.monotonic() - began_s < 5


def test_one_that_sends_without_end_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def flood() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"+PONG\r\n")
                connection.recv(4096)
                try:
                    connection.sendall(b"$4000000\r\n" + b"x" * 4_000_002)
                    while True:
                        connection.recv(4096)
                        connection.sendall(b"*1000000\r\n" + b":1\r\n" * 1_000_000)
                except OSError:
                    return

        server = threading.Thread(target=flood)
        server.start()
        assert look_at_redis("127.0.0.1", listener.getsockname()[1], 0.3) is not None
        server.join(10)
        assert not server.is_alive()


def test_nobody_there_is_no_error() -> None:
    assert look_at_all(["255.255.255.255", "0.0.0.0", "127.0.0.9"], 1, 0.1) == []


def test_the_report_says_what_was_looked_at_and_what_to_do() -> None:
    server = {
        "host": "10.0.0.2", "port": 6380, "door": "open", "flavour": "valkey", "version": "8.1.1", "role": "master",
        "replica_of": None, "keys": 12, "hosts": ["lab", "rts"], "answers_in_s": 0.0003,
    }  # fmt: skip
    large = {**server, "host": "10.0.0.3", "hosts": None, "keys": 10**7}
    shut = {**server, "host": "10.0.0.4", "door": "password"}
    found = {
        "networks": [{"interface": "eth0", "network": "10.0.0.0/24"}],
        "addresses": 254,
        "port": 6380,
        "took_s": 1.31,
        "servers": [server, large, shut],
    }
    lines = discover_report(found, Style(False), 80)
    assert lines[0] == "looked at port 6380 of 254 addresses in 1.31 s: eth0 10.0.0.0/24"
    assert lines[3].split() == ["10.0.0.2:6380", "valkey", "8.1.1", "master", "300", "µs", "12", "lab,", "rts"]
    assert lines[4].endswith("too many keys to look")
    assert lines[6] == "10.0.0.4:6380  asks for a password; give it by password_file in [redis]"
    assert lines[-1] == 'to use it: host = "10.0.0.2" and port = 6380 in [redis] of the configuration'
    assert max(map(len, lines)) <= 80
    assert "no Redis answers there" in discover_report({**found, "servers": []}, Style(False), 80)[-1]
