"""Ports for tests that say beforehand where something is to listen."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A TCP port that nobody has, outside the range from which the kernel gives ports to whoever asks for any."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        try:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
