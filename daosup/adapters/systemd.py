"""What systemd is told; away from systemd nobody listens and nothing happens."""

from __future__ import annotations

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
