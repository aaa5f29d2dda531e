"""What systemd is told; away from systemd nobody listens and nothing happens."""

from __future__ import annotations

import time

from sdnotify import SystemdNotifier


class Systemd:
    """The notification socket of the service."""

    def __init__(self) -> None:
        self._notifier = SystemdNotifier()

    def ready(self, status: str) -> None:
        """The service serves."""
        self._notifier.notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The service reads its configuration anew; ``ready`` ends that."""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._notifier.notify("STOPPING=1")

    def feed_watchdog(self) -> None:
        """The service lives."""
        self._notifier.notify("WATCHDOG=1")
