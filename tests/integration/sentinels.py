"""A Redis that fails over: a master, a replica and three sentinels, all of the one server binary."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daosup.adapters.redis_address import RedisAddress
from daosup.errors import UnavailableError
from tests.integration.registry_hosts import raw
from tests.ports import free_port
from tests.waiting import wait_until

SERVICE = "themaster"
PASSWORD, SENTINEL_PASSWORD = "of the servers", "of the sentinels"


class Sentinels:
    """The processes; each server and sentinel by its port.

    Attributes:
        folder: Where their files are.
        sentinels: Ports of the sentinels.
    """

    def __init__(self, binary: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sentinels-"))
        self._binary = binary
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.password_file = self.folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.sentinel_password_file = self.folder / "sentinel_password"
        self.sentinel_password_file.write_text(SENTINEL_PASSWORD + "\n")
        master, replica, *self.sentinels = [free_port() for _ in range(5)]
        server = f'requirepass "{PASSWORD}"\nmasterauth "{PASSWORD}"\nsave ""\nrepl-diskless-sync-delay 0\n'
        self._start(master, server)
        self._start(replica, server + f"replicaof 127.0.0.1 {master}\n")
        wait_until(lambda: b"master_link_status:up" in self.info(replica), 15.0, "the replica to follow")
        for port in self.sentinels:
            self._start(
                port,
                f'requirepass "{SENTINEL_PASSWORD}"\nsentinel monitor {SERVICE} 127.0.0.1 {master} 2\n'
                f'sentinel auth-pass {SERVICE} "{PASSWORD}"\nsentinel down-after-milliseconds {SERVICE} 1000\n'
                f'sentinel failover-timeout {SERVICE} 5000\nsentinel sentinel-pass "{SENTINEL_PASSWORD}"\n',
                "--sentinel",
            )
        for port in self.sentinels:
            wait_until(lambda: self._sees_all(port), 20.0, "the sentinels to know all")  # noqa: B023

    def _start(self, port: int, settings: str, *options: str) -> None:
        folder = self.folder / str(port)
        folder.mkdir()
        file = folder / "conf"
        file.write_text(f'port {port}\nbind 127.0.0.1\ndir "{folder}"\n{settings}')
        with (folder / "log").open("wb") as log:
            self._processes[port] = subprocess.Popen(
                [str(self._binary), str(file), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(lambda: _listens(port), 15.0, f"port {port}")

    def _sees_all(self, port: int) -> bool:
        (flat,) = self.ask(port, "SENTINEL", "MASTER", SERVICE)
        said = dict(zip(flat[::2], flat[1::2]))
        return said[b"num-other-sentinels"] == b"2" and said[b"num-slaves"] == b"1"

    def ask(self, port: int, *command: str | int) -> list[Any]:
        """Ask a server or a sentinel something."""
        password = SENTINEL_PASSWORD if port in self.sentinels else PASSWORD
        return raw(RedisAddress("127.0.0.1", port, password=password), command)

    def info(self, port: int) -> bytes:
        """What a server says of its replication; nothing if it is away."""
        try:
            reply = self.ask(port, "INFO", "replication")[0]
        except UnavailableError:
            return b""
        return reply if isinstance(reply, bytes) else b""

    @property
    def master(self) -> int:
        """The port of the server that most sentinels take for the master and that says so itself; 0 if none does."""
        named: list[int] = []
        for port in self.sentinels:
            try:
                (reply,) = self.ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            except UnavailableError:
                continue
            named += [int(reply[1])] if reply else []
        most = max(named, key=named.count, default=0)
        return most if most and b"role:master" in self.info(most) else 0

    def address(self, port: int) -> RedisAddress:
        """One of the servers."""
        return RedisAddress("127.0.0.1", port, password=PASSWORD)

    @property
    def keys(self) -> str:
        """The lines of [redis] by which a host finds the master."""
        listed = ", ".join(f'"127.0.0.1:{port}"' for port in self.sentinels)
        return (
            f'sentinels = [{listed}]\nsentinel_service = "{SERVICE}"\npassword_file = "{self.password_file}"\n'
            f'sentinel_password_file = "{self.sentinel_password_file}"'
        )

    def signal(self, port: int, number: signal.Signals) -> None:
        """Send one of the processes a signal."""
        self._processes[port].send_signal(number)

    def close(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)


@contextmanager
def sentinels(binary: Path) -> Iterator[Sentinels]:
    """A Redis that fails over, meanwhile."""
    made = None
    try:
        made = Sentinels(binary)
        yield made
    finally:
        if made is not None:
            made.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
