"""Finding servers, on addresses of the loopback network only."""

from __future__ import annotations

import ipaddress
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daosup.adapters.redis_discovery import local_addresses, local_interfaces, look_at_all, probe
from daosup.adapters.redis_probe import Door
from daosup.adapters.redis_server import EmbeddedRedis
from tests.integration.registry_hosts import raw
from tests.schemas import check

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


def test_a_real_server_is_told_with_its_version_and_its_door(tmp_path: Path, redis_binary: Path) -> None:
    with EmbeddedRedis(tmp_path, password="secret", binary=redis_binary) as server:
        assert server.port is not None
        (locked,) = look_at_all(["127.0.0.1"], server.port)
        raw(server.address, ("CONFIG", "SET", "requirepass", ""))
        (seen,) = look_at_all(["127.0.0.1"], server.port)
    assert (locked.door, locked.version) == (Door.PASSWORD, "")
    assert (seen.door, seen.role, seen.keys, seen.hosts) == (Door.OPEN, "master", 0, ())
    assert seen.flavour in ("valkey", "redis")
    assert seen.version[0].isdigit()
    assert len(seen.run_id) == 40


def test_replicas_are_told(fresh_redis: EmbeddedRedis, tmp_path: Path, redis_binary: Path) -> None:
    with EmbeddedRedis(tmp_path / "other", binary=redis_binary) as replica:
        assert replica.port is not None
        raw(replica.address, ("REPLICAOF", "127.0.0.1", fresh_redis.port or 0))
        (seen,) = look_at_all(["127.0.0.1"], replica.port)
    assert (seen.role, seen.replica_of) == ("replica", f"127.0.0.1:{fresh_redis.port}")


def ctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daosup.ctl", "discover", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, encoding="utf-8")


def test_discover_tells_what_it_looked_at_and_what_was_there(empty_redis: EmbeddedRedis) -> None:
    raw(empty_redis.address, *(("SET", f"dao:machines:{host}:ip", "10.0.0.1") for host in ("rts", "lab")))
    done = ctl("127.0.0.0/29", "--port", str(empty_redis.port))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"looked at port {empty_redis.port} of 6 addresses" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("127.0.0.1:")]
    assert line.endswith("  lab, rts")
    assert f'host = "127.0.0.1" and port = {empty_redis.port} in [redis]' in done.stdout
    told = json.loads(ctl("127.0.0.1", "--port", str(empty_redis.port), "--json").stdout)
    check("discover", told)
    assert [each["hosts"] for each in told["servers"]] == [["lab", "rts"]]
    assert (told["addresses"], told["networks"]) == (1, [{"interface": None, "network": "127.0.0.1/32"}])


def test_discover_that_finds_nothing_says_so_and_exits_69() -> None:
    done = ctl("127.0.0.9", "--port", "1")
    assert (done.returncode, done.stderr) == (69, "")
    assert "no Redis answers there" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["10.0.0.0/8"], "10.0.0.0/8 has 16777216 addresses; at most a /24"),
        (["rts"], "'rts' is not a network; write for example"),
        (["10.0.0.1", "--port", "0"], "'0' is not a port"),
    ],
)
def test_discover_looks_at_nothing_that_is_too_large_or_no_network(arguments: list[str], told: str) -> None:
    done = ctl(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_discover_ends_at_once_on_ctrl_c(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.9", 0)) as silent:  # takes connections and says nothing
        command = [sys.executable, "-m", "daosup.ctl", "discover", "127.0.0.9", "--port", str(silent.getsockname()[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            silent.settimeout(20)
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                output = process.communicate(timeout=10)
    assert (process.returncode, output) == (130, (b"", b""))


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
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(2)
                connection.recv(4096)
                connection.sendall(b"+PONG\r\n*1\r\n*x\r\n" * 3)
                connection.recv(4096)

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
    assert all(interface.network.prefixlen >= 24 for interface in local_interfaces().values())
    assert len(set(addresses)) == len(addresses)
    assert len(addresses) <= 256 * len(socket.if_nameindex())
    assert addresses == [ipaddress.IPv4Address("127.0.0.1")] or not any(a.is_loopback for a in addresses)
