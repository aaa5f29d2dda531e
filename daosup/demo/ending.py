"""How the demonstration learns that it shall end.

Invariant: SIGINT, SIGTERM and SIGHUP interrupt nothing; they are noted, and raise ``Ended`` where the program asks. So
no signal falls between the start of a process and the note of who has to stop it, nor into the clearing up.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Optional

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHUNK_BYTES = 512


class Ended(Exception):
    """Somebody asked the demonstration to end, or it has run for as long as it should."""


class Ending:
    """While entered, notes the signals; all waiting and writing of the demonstration is done here."""

    def __init__(self) -> None:
        self._is_asked = False
        self._deadline_s: Optional[float] = None
        self._before: dict[signal.Signals, Any] = {}
        self._reading = self._writing = -1

    def end_after(self, seconds: float) -> None:
        """End by itself, ``seconds`` from now."""
        self._deadline_s = time.monotonic() + seconds

    def check(self) -> None:
        """Raise Ended if it is time.

        Raises:
            Ended: If a signal came or the time is over.
        """
        if self._is_asked or (self._deadline_s is not None and time.monotonic() >= self._deadline_s):
            raise Ended

    def pause(self, seconds: float, files: Sequence[int] = ()) -> list[int]:
        """Wait ``seconds`` or until one of ``files`` can be read; returns those that can.

        Raises:
            Ended: As ``check``, at once.
        """
        self.check()
        if self._deadline_s is not None:
            seconds = min(seconds, max(0.0, self._deadline_s - time.monotonic()))
        readable, _, _ = select.select([self._reading, *files], [], [], seconds)
        self.check()
        return [file for file in readable if file != self._reading]

    def write(self, file: int, text: str) -> None:
        """Write to a pipe or terminal; a reader that stands still does not keep us from ending.

        Raises:
            Ended: As ``check``, or if nobody reads any more.
        """
        left = memoryview(text.encode("utf-8", "replace"))
        while left:
            self.check()
            select.select([self._reading], [file], [])
            self.check()
            try:
                left = left[os.write(file, left[:_CHUNK_BYTES]) :]
            except OSError:
                raise Ended from None

    def __enter__(self) -> Ending:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], at: Optional[TracebackType]
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._reading)
        os.close(self._writing)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._is_asked = True
