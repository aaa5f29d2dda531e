"""What a program asked for lasts as long as the program: held over a connection, and over the supervisor's restarts.

Invariant: as long as the program runs and there is a supervisor, it knows what the program holds, without the program's
doing; the mirrors meanwhile go on by themselves. When the connection ends for good, so does what it held.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Optional

from daosup.adapters.control_client import ControlClient
from daosup.errors import DaosupError

CALL_TIMEOUT_S = 10.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_JOIN_S = 2.0


class Holding:
    """Holds sources for this program.

    Args:
        reach: Returns the path of the supervisor's control socket, or raises a DaosupError. With True it is our own
            thread that asks, and nobody waits for it.

    Attributes:
        holder: The name under which this program asks.
        sources: What is held, ``HOST:NAME``, and whether it is written back.
        rates: Of these, how many frames a second are enough; 0 or none: all are wanted.
    """

    def __init__(self, reach: Callable[[bool], str]) -> None:
        self.holder = uuid.uuid4().hex
        self.sources: dict[str, bool] = {}
        self.rates: dict[str, float] = {}
        self._reach = reach
        self._lock = threading.RLock()
        self._client: Optional[ControlClient] = None
        self._thread: Optional[threading.Thread] = None
        self._closing = threading.Event()

    def ensure(self) -> None:
        """See to it that the supervisor of now knows us.

        Raises:
            DaosupError: If there is none, as ``reach`` tells.
        """
        with self._lock:
            self._closing.clear()
            if self._client is None or self._client.wait_for_end(0):
                self._connect(is_in_background=False)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="daosup-holding", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Let go of everything."""
        self._closing.set()
        with self._lock:
            self.sources.clear()
            self.rates.clear()
            client, self._client = self._client, None
            thread, self._thread = self._thread, None
        if client is not None:
            client.close()
        if thread is not None:
            thread.join(_JOIN_S)

    def _connect(self, *, is_in_background: bool) -> None:
        before, self._client = self._client, None
        if before is not None:
            before.close()
        client = ControlClient(self._reach(is_in_background), CALL_TIMEOUT_S)
        try:
            written_back = [source for source, is_written_back in self.sources.items() if is_written_back]
            rates = {source: enough_hz for source, enough_hz in self.rates.items() if source in self.sources}
            client.call("hold", holder=self.holder, sources=[*self.sources], written_back=written_back, rates=rates)
        except BaseException:
            client.close()
            raise
        self._client = client

    def _watch(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closing.is_set():
            client = self._client
            if client is not None and not client.wait_for_end(None):
                continue
            try:
                with self._lock:
                    if self._client is client and not self._closing.is_set():
                        self._connect(is_in_background=True)
                pause_s = _FIRST_PAUSE_S
            except (DaosupError, OSError):
                self._closing.wait(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
