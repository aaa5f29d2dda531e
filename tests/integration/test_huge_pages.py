"""Workers that are to have large frames in huge pages, on a machine that gives them, and on one that does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

import pytest

from tests.integration.fleet import Fleet, Host
from tests.integration.streams import filming, stream, wait_for_frames
from tests.waiting import wait_until

CONFIG = '[[worker]]\nmatch = "huge"\nhuge_pages = true\n'
#: Of several huge pages, whatever lies at their ends.
LARGE = (2048, 2048)
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def mode() -> str:
    """To whom the kernel gives huge pages: ``always``, ``madvise`` (who wishes for them) or ``never``."""
    found = re.search(r"\[(\w+)\]", _ENABLED.read_text()) if _ENABLED.exists() else None
    return found[1] if found else "never"


@pytest.fixture(scope="module")
def hosts_config() -> str:
    """As everywhere, but with workers that wish for huge pages."""
    return CONFIG


def smaps(host: Host, source: str) -> str:
    """What the kernel tells of the memory of a source's worker."""
    return Path(f"/proc/{host.worker_pid(source)}/smaps").read_text()


def huge_kb(host: Host, source: str) -> int:
    """How much of a worker's own memory is in huge pages."""
    return sum(map(int, re.findall(r"^AnonHugePages:\s+(\d+) kB", smaps(host, source), re.MULTILINE)))


def test_large_frames_are_in_huge_pages_of_who_wishes_for_them_or_it_is_told(hosts: Fleet) -> None:
    with stream(hosts, "huge", LARGE) as huge, filming(huge.segment, 0.02):
        wait_for_frames(huge.mirror)
        for host in (hosts.rts, hosts.lab):
            if mode() != "never":
                wait_until(lambda: huge_kb(host, "rts:huge") >= 2048, 10.0, f"huge pages on {host.name}")  # noqa: B023
                continue

            def warning() -> Optional[str]:
                row = host.worker("rts:huge")  # noqa: B023
                return row["warning"] if row else None

            assert "huge_pages" in wait_until(warning, 10.0, "it to be told")


def test_nobody_else_wishes_for_them(hosts: Fleet) -> None:
    with stream(hosts, "small", LARGE) as small, filming(small.segment, 0.02):
        wait_for_frames(small.mirror)
        for host in (hosts.rts, hosts.lab):
            flags = re.findall(r"^VmFlags:(.*)$", smaps(host, "rts:small"), re.MULTILINE)
            assert flags
            assert not any("hg" in each.split() for each in flags)
