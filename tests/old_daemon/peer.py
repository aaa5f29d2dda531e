"""An old daemon's process, and how tests speak to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

from tests.waiting import wait_until

STOP_S = 20.0
#: As fast as a test likes it, in the same proportions. Where ours and an old one meet, ours keeps its own times.
QUICK = {
    "request_poll_s": 0.1,
    "segment_poll_s": 0.05,
    "client_check_s": 0.75,
    "client_timeout_s": 2.5,
    "machine_heartbeat_s": 1.0,
    "machine_timeout_s": 6.0,
    "client_heartbeat_s": 0.5,
    "client_heartbeat_ttl_s": 7.5,
    "connect_poll_s": 0.05,
    "machine_check_s": 0.5,
}


class OldPeer:
    """One old daemon.

    Args:
        host: Its name in the registry.
        folder: Its segments lie there.
        redis_port: Where its registry is, on this machine.
        options: Other options of ``python -m tests.old_daemon``, by their names with underscores.
    """

    def __init__(self, host: str, folder: Path, redis_port: int, **options: object) -> None:
        self.host = host
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        arguments = {"host_name": host, "folder": folder, "redis_port": redis_port, **options}
        flags = [text for name, value in arguments.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        self._process: Optional[subprocess.Popen[str]] = subprocess.Popen(
            [sys.executable, "-m", "tests.old_daemon", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[2],
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_there(self) -> bool:
        """Whether it was not ended."""
        return self._process is not None

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.im.shm"

    def tell(self, do: str, **order: object) -> dict[str, Any]:
        """Have it do something, and return its answer.

        Raises:
            RuntimeError: If it could not.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"do": do, **order}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"{self.host} ended with {self._process.wait(5)} while it was to {do}"
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise RuntimeError(f"{self.host}: {answer['error']}\n{answer['trace']}")
        return answer

    def status(self) -> dict[str, Any]:
        return self.tell("status")

    def create(self, name: str, shape: tuple[int, ...], dtype: str, **options: object) -> None:
        self.tell("create", name=name, shape=list(shape), dtype=dtype, **options)

    def write(self, name: str, value: float, **options: object) -> None:
        self.tell("write", name=name, value=value, **options)

    def read(self, name: str) -> dict[str, Any]:
        return self.tell("read", name=name)

    def mirror(self, source: str, *, bidirectional: bool = False, timeout_s: float = 20.0) -> str:
        """Have it mirror; the mirror's name, once frames may come."""
        self.tell("mirror", source=source, bidirectional=bidirectional)

        def is_streaming() -> bool:
            state = self.status()["mirrored"][source]["state"]
            assert state != "failed"
            return bool(state == "streaming")

        wait_until(is_streaming, timeout_s, f"{self.host} to mirror {source}")
        return f"remote_{source.replace(':', '_')}"

    def release(self, source: str) -> None:
        self.tell("release", source=source)

    def wait_for_value(self, name: str, value: float, timeout_s: float = 10.0) -> None:
        """Wait until the newest frame of a segment has ``value`` everywhere."""
        wait_until(lambda: self.read(name)["value"] == value, timeout_s, f"{value} in {name} of {self.host}")

    def check_well(self) -> None:
        """None of its threads had an error."""
        errors = self.status()["errors"]
        assert not errors, "\n".join(f"{name}: {error}" for name, error in errors.items())

    def kill(self) -> None:
        """End it without a word, as a power cut would; what it made lies there."""
        self._end(is_killed=True)

    def close(self) -> None:
        """End it in order."""
        self._end(is_killed=False)

    def _end(self, *, is_killed: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if is_killed:
            process.kill()
        try:
            process.communicate(None if is_killed else '{"do": "stop"}\n', STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
