"""What systemd is told; away from systemd nobody listens and nothing happens."""

from __future__ import annotations

import os
from typing import Optional

from sdnotify import SystemdNotifier


class Systemd:
    """The notification socket of the service."""

    def __init__(self) -> None:
        self._notifier = SystemdNotifier()

    def ready(self, status: str) -> None:
        """The service serves."""
        self._notifier.notify(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The service ends."""
        self._notifier.notify("STOPPING=1")

    def feed_watchdog(self) -> None:
        """The service lives."""
        self._notifier.notify("WATCHDOG=1")


def watchdog_interval_s() -> Optional[float]:
    """How often the watchdog must be fed, in seconds; None if there is none."""
    interval_us = os.environ.get("WATCHDOG_USEC", "")
    watched_pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not interval_us.isdigit() or watched_pid != str(os.getpid()):
        return None
    return int(interval_us) / 1e6
