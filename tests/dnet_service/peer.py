"""A node's process, and how tests speak to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.told_process import ToldProcess
from tests.waiting import wait_until


class DnetPeer(ToldProcess):
    """One node.

    Args:
        node: Its name.
        folder: Its segments lie there.
        beacon_port: Where beacons go; nodes of one test have one that no other test has.
        options: Other options of ``python -m tests.dnet_service``, by their names with underscores.
    """

    def __init__(self, node: str, folder: Path, beacon_port: int, **options: object) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        told = {"node": node, "folder": folder, "beacon_port": beacon_port, "port": 0, **options}
        super().__init__(node, "tests.dnet_service", told)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.im.shm"

    def create(self, name: str, shape: tuple[int, ...], dtype: str, **options: object) -> None:
        self.tell("create", name=name, shape=list(shape), dtype=dtype, **options)

    def write(self, name: str, value: float, **options: object) -> None:
        self.tell("write", name=name, value=value, **options)

    def read(self, name: str) -> dict[str, Any]:
        return self.tell("read", name=name)

    def mirror(self, source: str, timeout_s: float = 30.0) -> None:
        """Have it mirror, and wait until there is a link."""
        self.tell("mirror", source=source)
        wait_until(lambda: self.status()["mirrored"][source]["has_link"], timeout_s, f"{self.name} to mirror {source}")

    def release(self, source: str) -> None:
        self.tell("release", source=source)

    def reader_of(self, name: str) -> dict[str, Any]:
        """What it says of its one reader of a segment; empty if there is none."""
        return next((each for each in self.status()["readers"] if each["name"] == name), {})

    def wait_for_value(self, name: str, value: float, timeout_s: float = 30.0) -> None:
        """Wait until the newest frame of a segment has ``value`` everywhere; it may be just being made, too."""

        def is_there() -> bool:
            try:
                return self.path(name).exists() and self.read(name)["value"] == value
            except RuntimeError as error:
                if "is no segment" in str(error):
                    return False
                raise

        wait_until(is_there, timeout_s, f"{value} in {name} of {self.name}")

    def check_well(self) -> None:
        """None of its threads had an error."""
        assert self.status()["error"] is None, self.status()["error"]
