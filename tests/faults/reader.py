"""``python -m tests.faults.reader ADDRESS PORT NAME``: a program that reads a segment directly, until it is killed.

What it reads is of no interest to it; it reads all there is, and says each second that it is there.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress

from daosup.core.dnet import HEARTBEAT, HEARTBEAT_S
from daosup.core.dnet_lines import Subscription
from daosup.core.transport import TRY_S
from daosup.stream.direct_connecting import DirectConnecting

_PIECE_BYTES = 1 << 20


def main() -> None:
    """Read until the owner closes the connection."""
    address, port, name = sys.argv[1:]
    connection = DirectConnecting(address, int(port), Subscription(name, "reader", is_ours=True)).step(TRY_S)
    assert connection is not None
    connection.settimeout(HEARTBEAT_S / 2)
    said_s = 0.0
    while True:
        with suppress(TimeoutError):
            if not connection.recv(_PIECE_BYTES):
                return
        if time.monotonic() >= said_s + HEARTBEAT_S:
            said_s = time.monotonic()
            connection.sendall(HEARTBEAT)


if __name__ == "__main__":
    main()
