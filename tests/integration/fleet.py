"""Whole hosts on one machine: each a real daemon with its own folders, and one registry for all of them.

Every daemon leads a session of its own, so whatever it started is found by the session's number, orphans too.
Two hosts here share ``/dev/shm``: what one owns needs another name than what the other owns.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from daosup.adapters.control_client import ControlClient
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_server import EmbeddedRedis
from daosup.errors import NotFoundError, UnavailableError
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from tests.integration.processes_seen import processes_of_session
from tests.waiting import wait_until

START_S = 40.0
STOP_S = 10.0
_TAIL_BYTES = 6000
#: Has a daemon write each entry of its log, however often one repeats: for ``Host.before``.
TELLING_ALL = "from daosup.core import repeats; repeats.MOST_WRITTEN = 1000"
_MAIN = """
import sys
from daosup.daosupd import main
if __name__ == "__main__":
    sys.exit(main())
"""


class Host:
    """One host: folders that stay, and a daemon that comes and goes.

    Args:
        name: Its name in the registry.
        folder: Everything of it lies here.
        redis: Where the registry is.
        base_port: First port of its publishers, 0 for any.
        port_count: How many.
        advertise: Address at which others are told to reach them.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        redis: RedisAddress,
        *,
        base_port: int = 0,
        port_count: int = 0,
        advertise: str = "127.0.0.1",
    ) -> None:
        self.name = name
        self.folder = folder
        self.program = "daosup.daosupd"
        self.segments = folder / "segments"
        self.runtime = folder / "run"
        self.state = folder / "state"
        self.config = folder / f"{name}.toml"
        self.log_file = folder / "log"
        #: A command that runs the daemon's command, which follows.
        self.launcher: list[str] = []
        #: Python that its daemons run first, unless they are started with another.
        self.before = ""
        self.socket = self.runtime / f"{name}.sock"
        self.segments.mkdir(parents=True)
        self.runtime.mkdir()
        ports = f"base_pub_port = {base_port}\n" + (f"port_count = {port_count}\n" if port_count else "")
        self.config.write_text(
            f'host = "{name}"\nsegment_folder = "{self.segments}"\nruntime_folder = "{self.runtime}"\n'
            f'state_folder = "{self.state}"\n'
            f'[redis]\nhost = "{redis.host}"\nport = {redis.port}\n'
            f'[network]\nbind = "127.0.0.1"\nadvertise = "{advertise}"\n{ports}'
        )
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._sessions: set[int] = set()
        self._client = ControlClient(self.socket, timeout_s=30.0)

    # -- the daemon

    @property
    def pid(self) -> int:
        """Of its daemon."""
        assert self._process is not None
        return self._process.pid

    def spawn(self, *options: str, before: str = "") -> None:
        """Start the daemon and wait for nothing; ``before`` is Python that its process runs first."""
        self._process = self.spawn_another(*options, before=before or self.before)
        self._sessions.add(self._process.pid)

    def take_over(self, process: subprocess.Popen[bytes]) -> None:
        """Have one that was spawned beside be the daemon from now on."""
        self._process = process
        self._sessions.add(process.pid)

    def spawn_another(self, *options: str, before: str = "") -> subprocess.Popen[bytes]:
        """Start a daemon beside the one that there may be; it is the caller's."""
        program = ["-c", before + _MAIN] if before else ["-m", self.program]
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [*self.launcher, sys.executable, *program, "--config", str(self.config), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self, *options: str) -> None:
        """Start the daemon and wait until it serves."""
        self.spawn(*options)
        self.wait_up()

    def wait_up(self) -> None:
        """Wait until it answers and has its registry and its role."""
        wait_until(self._is_up, START_S, f"the daemon of {self.name} to be up")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the daemon of {self.name} ended:\n{self.log}"
        try:
            status = self.status()
        except UnavailableError:
            return False
        return status["registry"]["state"] == "up" and status["role"] is not None

    def reexec(self, **options: object) -> None:
        """Have another supervisor take its place, and wait until that serves."""
        before_s = time.monotonic()
        assert self.call("reexec", **options)["pid"] == self.pid
        wait_until(lambda: self._began_s() > before_s, START_S, f"the new daemon of {self.name} to answer")
        self.wait_up()

    def _began_s(self) -> float:
        """When the daemon that answers began, by the monotonic clock and at the latest; -inf if none answers."""
        asked_s = time.monotonic()
        try:
            return asked_s - float(self.status()["uptime_s"])
        except UnavailableError:
            return float("-inf")

    def signal(self, number: int) -> int:
        """Send its daemon a signal that ends it; returns the exit code."""
        os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Wait until the daemon has ended; returns the exit code."""
        assert self._process is not None
        self._client.close()
        return self._process.wait(STOP_S)

    def close(self) -> None:
        """End what still runs, however."""
        self._client.close()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.kill_all()
        self._process = None

    def after_stop(self, result: str) -> int:
        """Do what systemd does when the service has ended with a result; returns the exit code."""
        return subprocess.run(
            [sys.executable, "-m", self.program, "--config", str(self.config), "--after-stop"],
            env={**os.environ, "SERVICE_RESULT": result},
            timeout=20,
        ).returncode

    def kill_all(self) -> None:
        """End the daemon and all workers at once, as when the power fails."""
        while pids := self.processes():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(STOP_S)
        self._client.close()

    def configure(self, text: str) -> None:
        """Add to the configuration of the daemons to come."""
        with self.config.open("a") as file:
            file.write(text)

    @property
    def log(self) -> str:
        """What its daemon said so far."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    # -- what it is asked

    def call(self, command: str, **arguments: object) -> Any:
        """Ask the daemon something."""
        return self._client.call(command, **arguments)

    def status(self) -> Any:
        """As ``daosupctl status``."""
        return self.call("status")

    def mirror(self, source: str) -> Segment:
        """Ask for a mirror and open it for reading."""
        return Segment.open(self.call("mirror", source=source, wait_s=20)["path"], writable=False)

    def release(self, source: str) -> None:
        """Give a mirror back."""
        self.call("release", source=source)

    def mirrored(self) -> list[str]:
        """What it mirrors or would like to."""
        return [row["source"] for row in self.status()["workers"] if row["kind"] == "mirror"]

    def worker(self, source: str) -> Optional[dict[str, Any]]:
        """Its running worker for a source, publisher or mirror."""
        rows: list[dict[str, Any]] = self.status()["workers"]
        return next((row for row in rows if row["source"] == source and row["state"] == "running"), None)

    def worker_pid(self, source: str, other_than: int = 0) -> int:
        """The pid of that worker, once it runs."""

        def pid() -> int:
            worker = self.worker(source)
            found: int = worker["pid"] if worker else 0
            return found if found != other_than else 0

        return wait_until(pid, 10.0, f"a worker of {self.name} for {source}")

    # -- its files

    def path(self, name: str) -> Path:
        """Where one of its segments lies."""
        return self.segments / f"{name}.im.shm"

    def create(self, name: str, shape: tuple[int, ...] = (16, 16), dtype: str = "uint16", **options: Any) -> Segment:
        """Make a segment of this host; the daemon has seen it on return if it runs."""
        segment = Segment.create(self.path(name), shape, dtype, **options)
        if self._process is not None:
            self.wait_for_segment(name)
        return segment

    def wait_for_segment(self, name: str) -> None:
        """Have a segment announced, and wait until the registry knows it."""

        def is_known() -> bool:
            self.call("register")
            return any(each["name"] == name for each in self.status()["segments"])

        wait_until(is_known, 5.0, f"{self.name} to announce {name}")

    def processes(self) -> list[int]:
        """The daemons, as long as they run, and everything they started."""
        return [pid for session in self._sessions for pid in processes_of_session(session)]

    def left_behind(self) -> list[str]:
        """What its daemon should have taken along: files, semaphores of mirrors, processes."""
        files = [str(path) for path in (*self.runtime.rglob("*"), *self.segments.glob("remote_*"))]
        hidden = [str(path) for path in self.segments.glob(".*")]
        semaphores = [name for name in os.listdir("/dev/shm") if name.startswith("sem.remote_")]
        return files + hidden + semaphores + [f"process {pid}" for pid in self.processes()]


class Fleet:
    """The hosts and their registry.

    Attributes:
        redis: The registry's server.
        hosts: By name.
    """

    def __init__(self) -> None:
        # Not pytest's own folder: a socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="fleet-"))
        self.redis = EmbeddedRedis(self.folder / "redis")
        self.hosts: dict[str, Host] = {}
        self.redis.start()

    def add(self, name: str, **options: Any) -> Host:
        """Make a host, with options as ``Host`` has them; its daemon is not started."""
        host = self.hosts[name] = Host(name, self.folder / name, self.redis.tcp_address, **options)
        return host

    def start(self, *names: str) -> None:
        """Make hosts if need be and start their daemons, all at once."""
        hosts = [self.hosts.get(name) or self.add(name) for name in names]
        for host in hosts:
            host.spawn()
        for host in hosts:
            host.wait_up()

    @property
    def rts(self) -> Host:
        """The owner."""
        return self.hosts["rts"]

    @property
    def lab(self) -> Host:
        """The one that mirrors."""
        return self.hosts["lab"]

    @property
    def desk(self) -> Host:
        """A third one."""
        return self.hosts["desk"]

    def remove(self, source: str, *segments: Segment) -> None:
        """Release a mirror everywhere, remove its source, and wait until nobody works for it."""
        for host in self.hosts.values():
            if source in host.mirrored():
                with suppress(NotFoundError):  # its worker is just ending
                    host.release(source)

        def is_unattended() -> bool:
            rows = [row for host in self.hosts.values() for row in host.status()["workers"]]
            return all(row["source"] != source for row in rows)

        wait_until(is_unattended, 10.0, f"all workers for {source} to end")
        for segment in segments:
            segment.unlink()
            segment.close()

    def clear(self) -> None:
        """Remove what a test that failed left on its way."""
        for source in {source for host in self.hosts.values() for source in host.mirrored()}:
            self.remove(source)
        for host in self.hosts.values():
            for path in host.segments.glob("*.im.shm"):
                unlink_segment(path)

    def logs(self) -> list[tuple[str, str]]:
        """The last lines of every daemon."""
        return [(f"daemon of {name}", host.log[-_TAIL_BYTES:]) for name, host in self.hosts.items()]

    def close(self) -> None:
        """End everything."""
        for host in self.hosts.values():
            host.close()
        self.redis.stop()
        shutil.rmtree(self.folder)
