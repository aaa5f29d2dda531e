"""An old daemon's process, and how tests speak to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.told_process import ToldProcess
from tests.waiting import wait_until

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


class OldPeer(ToldProcess):
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
        super().__init__(
            host, "tests.old_daemon", {"host_name": host, "folder": folder, "redis_port": redis_port, **options}
        )

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.im.shm"

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
