"""Hosts on one machine, ``rts`` and ``lab`` and perhaps more, each with its real daemon, and a registry of their own.

Everything lives in one temporary folder and every segment's name begins with a tag of this process, so that nothing
is left behind: what a killed process could not remove is swept by that tag.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from bench import interrupts
from bench.children import BenchError, last_lines, running, wait_until
from daosup.adapters.control_client import ControlClient
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_server import EmbeddedRedis, find_server_binary
from daosup.errors import UnavailableError
from daosup.server import DaoServer

TAG = f"bench{os.getpid()}"
_START_TIMEOUT_S = 20.0


@contextmanager
def temporary_place() -> Iterator[Path]:
    """A folder for segments and logs, removed afterwards together with the semaphores of this run."""
    with ExitStack() as stack:
        with interrupts.held():
            folder = Path(tempfile.mkdtemp(prefix="daosup-bench-"))
            stack.callback(_sweep, folder)
        yield folder


def _sweep(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for semaphore in Path("/dev/shm").glob(f"sem.*{TAG}_*"):
        semaphore.unlink(missing_ok=True)


def segment_name(what: str) -> str:
    """A segment's name that no other run uses: semaphores are named after it, machine-wide."""
    return f"{TAG}_{what}"


@dataclass(frozen=True)
class Worker:
    """A running worker as ``status`` tells of it."""

    kind: str
    source: str
    pid: Optional[int]
    state: str


class Host:
    """One daemon of the bench and its control socket."""

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.segment_folder = folder / "segments"
        self.log = folder / "daemon.log"
        self._socket = folder / "control.sock"
        self._client = ControlClient(self._socket, timeout_s=35.0)
        self._process = process

    def call(self, command: str, **arguments: object) -> Any:
        """Ask the daemon something over its control socket; one connection, for what it holds for us ends with it."""
        if self._process.poll() is not None:
            raise BenchError(f"the daemon of {self.name} ended:\n{last_lines(self.log)}")
        return self._client.call(command, timeout_s=None, **arguments)

    def close(self) -> None:
        """End the connection to the daemon."""
        self._client.close()

    @property
    def control_socket(self) -> Path:
        """Where its daemon listens."""
        return self._socket

    @property
    def pid(self) -> int:
        """Of its daemon."""
        return self._process.pid

    def is_up(self) -> bool:
        """Whether the daemon answers and has its registry."""
        try:
            return bool(self.call("status")["registry"]["state"] == "up")
        except UnavailableError:
            return False

    def file(self, name: str) -> Path:
        """Where a segment of this host lies."""
        return self.segment_folder / f"{name}.im.shm"

    def knows(self, name: str) -> bool:
        """Whether the daemon has seen a local segment."""
        return any(segment["name"] == name for segment in self.call("status")["segments"])

    def workers(self, source: str) -> list[Worker]:
        """The workers of this host for one source."""
        return [
            Worker(entry["kind"], entry["source"], entry["pid"], entry["state"])
            for entry in self.call("status")["workers"]
            if entry["source"] == source
        ]

    def running_pid(self, source: str) -> Optional[int]:
        """The process id of the one worker for ``source``, once it runs."""
        return next((worker.pid for worker in self.workers(source) if worker.state == "running"), None)


class Fleet:
    """The hosts: ``rts`` owns the sources, ``lab`` mirrors them, and so do more ``readers`` if there are any."""

    def __init__(self, rts: Host, readers: list[Host], redis: RedisAddress, redis_flavour: str) -> None:
        self.redis = redis
        self.rts = rts
        self.readers = readers
        self.lab = readers[0]
        self.redis_flavour = redis_flavour

    def source_file(self, what: str) -> Path:
        """Where to create a source of ``rts``."""
        return self.rts.file(segment_name(what))

    def source(self, what: str) -> str:
        """The same source as HOST:NAME."""
        return f"{self.rts.name}:{segment_name(what)}"

    def await_known(self, what: str) -> None:
        """Until the owner has seen the source."""
        wait_until(lambda: self.rts.knows(segment_name(what)), 10.0, f"rts to see {segment_name(what)}")

    def mirror(self, what: str, transport: str = "", keeping: int = 0, reader: Optional[Host] = None) -> Path:
        """Have lab or another reader mirror a source, by ``transport`` if one is named; returns the mirror's file.

        It is ``keeping`` so many frames (0: as many as its source).
        """
        how = {key: value for key, value in (("transport", transport), ("depth", keeping)) if value}
        return Path((reader or self.lab).call("mirror", source=self.source(what), wait_s=30.0, **how)["path"])

    def release(self, what: str) -> None:
        """Give a mirror back and wait until neither end has a worker for it any more."""
        self.lab.call("release", source=self.source(what))
        self.await_released(what)

    def await_released(self, what: str) -> None:
        """Until neither end has a worker for a source any more."""
        source = self.source(what)
        wait_until(lambda: not self.lab.workers(source), 30.0, f"the mirror of {source} to end")
        wait_until(lambda: not self.rts.workers(source), 90.0, f"the publisher of {source} to end")

    @contextmanager
    def programs_server(self) -> Iterator[DaoServer]:
        """What a program on ``lab`` works with: DaoServer, with lab's daemon."""
        os.environ["DAOSUP_SOCKET"] = os.fspath(self.lab.control_socket)
        server = DaoServer(self.redis.host, self.redis.port)
        try:
            yield server
        finally:
            server.stop()
            del os.environ["DAOSUP_SOCKET"]

    def worker_pids(self, what: str) -> tuple[int, int]:
        """The process ids of publisher and mirror, once both run."""
        source = self.source(what)
        return (
            wait_until(lambda: self.rts.running_pid(source), 10.0, f"the publisher of {source} to run"),
            wait_until(lambda: self.lab.running_pid(source), 10.0, f"the mirror of {source} to run"),
        )


@contextmanager
def fleet(
    lab_config: str = "", rts_config: str = "", *, is_waiting: bool = True, more_readers: int = 0
) -> Iterator[Fleet]:
    """Registry and two daemons or more, up unless nobody ``is_waiting``; their files have these texts, too."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_place())
        with interrupts.held():
            redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        redis_url = f"unix://{redis.socket_path}"
        more = {"rts": rts_config, "lab": lab_config, **{f"lab{number + 2}": "" for number in range(more_readers)}}
        hosts = [stack.enter_context(_host(name, folder / name, redis_url, more[name])) for name in more]
        for host in hosts if is_waiting else ():
            wait_until(host.is_up, _START_TIMEOUT_S, f"the daemon of {host.name} ({last_lines(host.log)})")
        yield Fleet(hosts[0], hosts[1:], redis.tcp_address, redis_flavour())


def redis_flavour() -> str:
    """As the server that was found says itself: ``Valkey server v=9.1.2``."""
    found = find_server_binary()
    assert found is not None  # it was just started
    said = subprocess.run([found[0], "--version"], capture_output=True, text=True, check=True).stdout
    return " ".join(said.split()[:3])


@contextmanager
def _host(name: str, folder: Path, redis_url: str, more: str) -> Iterator[Host]:
    (folder / "segments").mkdir(parents=True)
    config = folder / "daosup.toml"
    config.write_text(
        f'host = "{name}"\nsegment_folder = "{folder}/segments"\nruntime_folder = "{folder}"\n'
        f'state_folder = "{folder}"\n'
        f'[redis]\nurl = "{redis_url}"\n[control]\nsocket = "{folder}/control.sock"\n'
        f'[network]\nbase_pub_port = 0\nbind = "127.0.0.1"\nadvertise = "127.0.0.1"\n{more}'
    )
    arguments = ["-m", "daosup.daosupd", "--config", str(config)]
    with ExitStack() as stack:
        process = stack.enter_context(running(arguments, folder / "daemon.log", is_talking=False))
        yield stack.enter_context(closing(Host(name, folder, process)))
