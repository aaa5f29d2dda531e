"""What keeps a mirror from being made, and how that is told."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Optional

from tests.integration.fleet import Host
from tests.waiting import wait_until

#: Root may open what nobody else may, unless it lacks these capabilities; a user other than root never has them.
WITHOUT_OVERRIDE = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


def row(host: Host, source: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = host.status()["workers"]
    return next((each for each in rows if each["source"] == source), {"reason": "no worker", "state": "none"})


def wait_for_reason(host: Host, source: str, *words: str) -> str:
    def reason() -> Optional[str]:
        said = str(row(host, source)["reason"])
        return said if all(word in said for word in words) else None

    try:
        return str(wait_until(reason, 5.0, f"a reason with {words}"))
    except AssertionError as error:
        raise AssertionError(f"{error}; the reason is {row(host, source)['reason']!r}") from None


def ask_without_waiting(host: Host, source: str) -> subprocess.Popen[bytes]:
    """Hold a mirror that cannot be made yet."""
    command = [sys.executable, "-m", "daosup.ctl", "--socket", str(host.socket), "mirror", "--wait", "60", source]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)
