"""What systemd is told; away from systemd nobody listens and nothing happens.

Invariant: no text from outside adds a line to a message, for each line is an assignment.
"""

from __future__ import annotations

import time

from sdnotify import SystemdNotifier


class Systemd:
    """The notification socket of the service."""

    def __init__(self) -> None:
        self._notifier = SystemdNotifier()

    def ready(self, status: str) -> None:
        """The service serves."""
        self._notifier.notify(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """How the service is, in one line for people."""
        self._notifier.notify(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The service reads its configuration anew; ``ready`` ends that."""
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._notifier.notify("STOPPING=1")

    def failed(self, status: str, number: int) -> None:
        """The service ends because of the error ``number``, as in errno."""
        self._notifier.notify(f"STATUS={_line(status)}\nERRNO={number}")

    def extend_timeout(self, patience_s: float) -> None:
        """What goes on takes up to ``patience_s`` seconds more from now on."""
        self._notifier.notify(f"EXTEND_TIMEOUT_USEC={int(patience_s * 1e6)}")

    def feed_watchdog(self) -> None:
        """The service lives."""
        self._notifier.notify("WATCHDOG=1")


def _line(text: str) -> str:
    return " ".join(text.split())
