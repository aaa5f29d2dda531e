"""What tests of the names of mirrors have in common: a host's configuration, sources, and mirrors under any name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np

from daosup.errors import SegmentError
from daosup.shm import Segment
from tests.integration.fleet import Fleet, Host
from tests.integration.streams import wait_for_value
from tests.waiting import wait_until

NOTICED_S = 10.0
FRAME = np.zeros((16, 16), "uint16")


def configure(host: Host, tables: str = "") -> None:
    """Write a host's configuration with more in it than it began with."""
    original = host.folder / "original.toml"
    if not original.exists():
        original.write_text(host.config.read_text())
    host.config.write_text(f"{original.read_text()}\n{tables}")


def reconfigure(host: Host, tables: str = "") -> Any:
    """Do so, and have it read."""
    configure(host, tables)
    return host.call("reload")


@contextmanager
def owned(hosts: Fleet, *names: str) -> Iterator[list[Segment]]:
    """Segments of rts, mirrored or not; taken away afterwards."""
    segments = [hosts.rts.create(name) for name in names]
    for number, segment in enumerate(segments):
        segment.write(FRAME + number + 1)
    try:
        yield segments
    finally:
        for name, segment in zip(names, segments):
            hosts.remove(f"rts:{name}", segment)


def opened(host: Host, name: str) -> Segment:
    """A mirror, as soon as it is there."""

    def there() -> Optional[Segment]:
        try:
            return Segment.open(host.path(name), writable=False)
        except SegmentError:
            return None

    return wait_until(there, NOTICED_S, f"{name} on {host.name}")


def check_mirrored(host: Host, name: str, segment: Segment, value: int) -> None:
    """A frame that is written now is in the mirror of that name."""
    segment.write(FRAME + value)
    with opened(host, name) as mirror:
        wait_for_value(mirror, value)
        assert mirror.keywords["NET_REPLICA"] == 1


def semaphores_of(name: str) -> set[str]:
    """Those of all segments of that name."""
    return {each for each in os.listdir("/dev/shm") if each.startswith(f"sem.{name}_")}


def ctl(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What daosupctl does beside a host's daemon."""
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(host.socket), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=40)
