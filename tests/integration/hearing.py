"""Somebody who listens to a channel of Redis, as anybody can who may connect to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_connection import BlockingConnection
from tests.integration.fleet import Host


class Hearing:
    """Listens from when it is entered; waits no longer for a message than the address's ``timeout_s``, some seconds."""

    def __init__(self, address: RedisAddress, channel: bytes) -> None:
        self._connection: Any = BlockingConnection(address)._connection
        self._channel = channel

    def __enter__(self) -> Hearing:
        self._connection.connect()
        self._connection.send_command("SUBSCRIBE", self._channel)
        assert self._connection.read_response()[0] == b"subscribe"
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()

    def next(self) -> bytes:
        """The next message."""
        kind, _, raw = self._connection.read_response()
        assert kind == b"message"
        return bytes(raw)

    def while_asking(self, host: Host, request: dict[str, Any], answer: Callable[[bytes], None]) -> Any:
        """Have a host ask rts something, and ``answer`` what is heard of it; returns what the host is told."""
        told: list[Any] = []
        asking = threading.Thread(
            target=lambda: told.append(host.call("ask", hosts=["rts"], request=request, wait_s=1))
        )
        asking.start()
        answer(self.next())
        asking.join(20.0)
        return told[0]
