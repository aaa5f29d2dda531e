"""What a worker tells its supervisor: datagrams to a path, so that they reach whichever supervisor is there.

Invariant: telling never waits and never fails, whether nobody listens or nobody has time; what must not be lost is on
the statistics page as well.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path

from daosup.core.types import WorkerKey
from daosup.workers.orders import key_fields

#: In the folder of the workers' files.
SOCKET_NAME = "told"
MAX_TOLD_BYTES = 4096
_MAX_TEXT_LENGTH = 500


class Teller:
    """Speaks for one worker.

    Args:
        folder: The folder of the workers' files.
        key: Who speaks.
    """

    def __init__(self, folder: Path, key: WorkerKey) -> None:
        self._path = str(folder / SOCKET_NAME)
        self._who = {"key": key_fields(key), "pid": os.getpid()}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def tell(self, event: str, **facts: object) -> None:
        """Say what happened."""
        short = {name: fact[:_MAX_TEXT_LENGTH] if isinstance(fact, str) else fact for name, fact in facts.items()}
        with suppress(OSError):
            self._socket.sendto(json.dumps({**self._who, "event": event, "facts": short}).encode(), self._path)
