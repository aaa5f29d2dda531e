"""Finding servers, on addresses of the loopback network only."""

from __future__ import annotations

import ipaddress
import socket
import threading
from pathlib import Path

from daosup.adapters.redis_discovery import local_addresses, probe
from daosup.adapters.redis_server import EmbeddedRedis
from tests.integration.registry_hosts import raw

LOOPBACK = [f"127.0.0.{i}" for i in range(1, 6)]


def test_the_one_server_among_many_addresses_is_found(empty_redis: EmbeddedRedis) -> None:
    assert empty_redis.port is not None
    # It listens on 127.0.0.1; moving it to .3 shows that each address is tried as itself.
    raw(empty_redis.address, ("CONFIG", "SET", "bind", "127.0.0.3"))
    try:
        empty = {"host": "127.0.0.3", "port": empty_redis.port, "dao": False, "machines": []}
        assert probe(LOOPBACK, empty_redis.port, 0.3, 64) == [empty]
        hosts = ("rts", "bench", "rts")
        raw(empty_redis.address, *(("SET", f"dao:machines:{host}:ip", "10.0.0.1") for host in hosts))
        raw(empty_redis.address, ("SET", b"dao:machines:\xff:ip", "10.0.0.1"))
        assert probe(LOOPBACK, empty_redis.port, 0.3, 2) == [{**empty, "dao": True, "machines": ["bench", "rts"]}]
    finally:
        raw(empty_redis.address, ("CONFIG", "SET", "bind", "127.0.0.1"))


def test_a_server_with_a_password_is_found_but_not_read(tmp_path: Path, redis_binary: Path) -> None:
    with EmbeddedRedis(tmp_path, password="secret", binary=redis_binary) as server:
        assert server.port is not None
        raw(server.address, ("SET", "dao:machines:rts:ip", "10.0.0.1"))
        assert probe(["127.0.0.1"], server.port, 0.3, 64) == [
            {"host": "127.0.0.1", "port": server.port, "dao": False, "machines": []}
        ]


def test_what_is_not_redis_is_not_listed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        server = threading.Thread(target=greet)
        server.start()
        assert probe(LOOPBACK, listener.getsockname()[1], 0.3, 64) == []
        server.join()


def test_what_lies_about_being_redis_does_no_harm() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def lie() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(2)
                    connection.recv(4096)
                    connection.sendall(b"+PONG\r\n*1\r\n*x\r\n" * 3)

        server = threading.Thread(target=lie)
        server.start()
        port = listener.getsockname()[1]
        assert probe(["127.0.0.1"], port, 0.3, 64) == [
            {"host": "127.0.0.1", "port": port, "dao": False, "machines": []}
        ]
        server.join()


def test_addresses_that_cannot_be_reached_are_no_error() -> None:
    assert probe(["255.255.255.255", "0.0.0.0", "127.0.0.9"], 1, 0.1, 64) == []


def test_only_this_machine_s_small_networks_are_looked_at() -> None:
    addresses = [ipaddress.IPv4Address(address) for address in local_addresses()]
    assert addresses
    assert len(set(addresses)) == len(addresses)
    assert len(addresses) <= 256 * len(socket.if_nameindex())
    assert addresses == [ipaddress.IPv4Address("127.0.0.1")] or not any(a.is_loopback for a in addresses)
