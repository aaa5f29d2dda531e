"""The server of our own: it comes up, goes down with its parent however that ends, and says why it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daosup.adapters import redis_server as module
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_server import EmbeddedRedis, answer_to_ping, find_server_binary, resolve
from daosup.adapters.registry import ping
from daosup.config import Embedded, RedisConfig
from daosup.errors import ConfigError, UnavailableError
from tests.integration.registry_hosts import raw
from tests.ports import free_port
from tests.waiting import wait_until

PARENT = """
import sys, threading
from pathlib import Path
from daosup.adapters.redis_server import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
if sys.argv[2] == "thread":
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
else:
    server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_serves_on_both_and_leaves_nothing(tmp_path: Path, redis_binary: Path) -> None:
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server:
        assert ping(server.address) == ping(server.tcp_address)
        assert stat.S_IMODE(server.socket_path.stat().st_mode) == 0o700
        pid = server.pid
        assert pid is not None
        raw(server.address, ("SET", "a", "b"))
    assert not is_alive(pid)
    assert server.pid is None
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def test_without_a_port_it_listens_on_its_socket_only(tmp_path: Path, redis_binary: Path) -> None:
    with EmbeddedRedis(tmp_path, port=None, binary=redis_binary) as server:
        assert raw(server.address, ("CONFIG", "GET", "port")) == [[b"port", b"0"]]
        with pytest.raises(ConfigError, match="Unix socket only"):
            _ = server.tcp_address


def test_only_this_machine_reaches_it(redis_server: EmbeddedRedis) -> None:
    assert raw(redis_server.address, ("CONFIG", "GET", "bind")) == [[b"bind", b"127.0.0.1"]]
    assert raw(redis_server.address, ("CONFIG", "GET", "save")) == [[b"save", b""]]


@pytest.mark.parametrize("starter", ["main", "thread"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent_and_not_before(tmp_path: Path, starter: str, end: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), starter]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # The thread that started it, if it was one, is gone by now; the server must not be.
        assert answer_to_ping(str(tmp_path / "redis.sock"), 2.0) == "PONG"
        assert is_alive(pid)
        parent.send_signal(end)
        parent.wait()
        wait_until(lambda: not is_alive(pid), what="the server's end")
    # What a killed one left behind is no obstacle to the next.
    with EmbeddedRedis(tmp_path) as server:
        ping(server.address)


def test_stop_ends_even_a_frozen_one(tmp_path: Path, redis_binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOPPED_WITHIN_S", 0.1)
    server = EmbeddedRedis(tmp_path, binary=redis_binary)
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    server.stop()
    assert not is_alive(pid)
    server.stop()


def test_it_keeps_its_port_over_a_restart(fresh_redis: EmbeddedRedis) -> None:
    address = fresh_redis.tcp_address
    fresh_redis.stop()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        ping(address)
    fresh_redis.start()
    fresh_redis.start()
    ping(address)


def test_one_started_in_a_thread_leaves_no_thread(tmp_path: Path, redis_binary: Path) -> None:
    server = EmbeddedRedis(tmp_path, binary=redis_binary)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    ping(server.address)
    server.stop()
    wait_until(lambda: all(t.name != "embedded-redis" for t in threading.enumerate()), what="the thread's end")


def test_a_port_that_is_taken_is_said_so(tmp_path: Path, redis_server: EmbeddedRedis, redis_binary: Path) -> None:
    with pytest.raises(UnavailableError, match=r"ended with status 1: .*in use"):
        EmbeddedRedis(tmp_path, port=redis_server.port, binary=redis_binary).start()


def test_a_free_port_that_is_taken_meanwhile_is_replaced(
    tmp_path: Path, redis_server: EmbeddedRedis, redis_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = free_port()
    offered = [redis_server.port, redis_server.port, free]
    monkeypatch.setattr(module, "_free_port", lambda: offered.pop(0))
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server:
        assert server.port == free
        assert offered == []


def test_a_socket_that_another_one_serves_is_left_alone(redis_server: EmbeddedRedis) -> None:
    with pytest.raises(UnavailableError, match="another Redis already serves"):
        EmbeddedRedis(redis_server.socket_path.parent).start()
    ping(redis_server.address)


def test_a_binary_that_ends_is_quoted(tmp_path: Path) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\necho I have no luck today\nexit 3\n")
    binary.chmod(0o755)
    with pytest.raises(UnavailableError, match="ended with status 3: I have no luck today"):
        EmbeddedRedis(tmp_path / "redis", binary=binary).start()


def test_a_folder_too_deep_for_a_socket_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 107 bytes"):
        EmbeddedRedis(tmp_path / ("x" * 100)).start()


def test_the_distribution_s_server_comes_before_a_package_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    packaged = find_server_binary()
    assert packaged is not None
    assert packaged[1].startswith("the Python package valkey")
    for command in ("redis-server", "valkey-server"):
        (tmp_path / command).write_text("#!/bin/sh\n")
        (tmp_path / command).chmod(0o755)
        assert find_server_binary() == (tmp_path / command, f"{command} on PATH")


def test_without_any_binary_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "_PACKAGED", ())
    with pytest.raises(UnavailableError, match=r"install valkey-server.*daosup\[embedded-redis\]"):
        EmbeddedRedis(tmp_path).start()


def test_without_any_binary_the_usual_one_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "_PACKAGED", ())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        config = RedisConfig(port=taken.getsockname()[1])
        address, server = resolve(config, tmp_path)
        assert server is None
        assert (address.host, address.port) == ("localhost", config.port)
        with pytest.raises(UnavailableError, match="no Redis server here"):
            resolve(replace(config, embedded=Embedded.ALWAYS), tmp_path)


def test_which_redis_is_used(tmp_path: Path, redis_server: EmbeddedRedis) -> None:
    assert redis_server.port is not None
    free = free_port()
    configured = RedisConfig(host="elsewhere", port=free, timeout_s=1.5, is_configured=True, embedded=Embedded.AUTO)
    assert resolve(configured, tmp_path) == (RedisAddress("elsewhere", free, timeout_s=1.5), None)

    running = RedisConfig(port=redis_server.port, embedded=Embedded.AUTO)
    assert resolve(running, tmp_path) == (RedisAddress(port=redis_server.port), None)

    nowhere = RedisConfig(port=free, embedded=Embedded.NEVER)
    assert resolve(nowhere, tmp_path) == (RedisAddress(port=free), None)

    for config, port in (
        (replace(nowhere, embedded=Embedded.AUTO), free),
        (replace(running, embedded=Embedded.ALWAYS), 0),
    ):
        address, server = resolve(config, tmp_path / "own")
        assert server is not None
        with server:
            ping(address)
            assert server.port == port or (port == 0 and server.port != redis_server.port)
