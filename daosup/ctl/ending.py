"""How a living view, or the demonstration, learns that it shall end.

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
_SIGNALLED = 128


class Ended(Exception):
    """Somebody asked the program to end, or it has run for as long as it should.

    Attributes:
        exit_code: As a shell tells it: 128 and the signal, 0 without one.
    """

    def __init__(self, number: int = 0) -> None:
        super().__init__()
        self.exit_code = _SIGNALLED + number if number else 0


class Ending:
    """While entered, notes the signals; all waiting and writing of the program is done here."""

    def __init__(self) -> None:
        self._signal = 0
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
        if self._signal or (self._deadline_s is not None and time.monotonic() >= self._deadline_s):
            raise Ended(self._signal)

    def wake(self) -> None:
        """Let the ``pause`` of now, or the next one, end at once; for other threads."""
        try:
            os.write(self._writing, b"\0")
        except OSError:
            pass  # it is full, which wakes as well; or it has ended

    def pause(self, seconds: float, files: Sequence[int] = ()) -> list[int]:
        """Wait ``seconds``, or until one of ``files`` can be read, a signal comes or somebody wakes us.

        Returns:
            Those of the files that can be read.

        Raises:
            Ended: As ``check``, at once.
        """
        self.check()
        if self._deadline_s is not None:
            seconds = min(seconds, max(0.0, self._deadline_s - time.monotonic()))
        readable, _, _ = select.select([self._reading, *files], [], [], seconds)
        if self._reading in readable:
            os.read(self._reading, 4096)
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
            readable, writable, _ = select.select([self._reading], [file], [])
            if readable:
                os.read(self._reading, 4096)
                self.check()
            if not writable:
                continue
            try:
                left = left[os.write(file, left[:_CHUNK_BYTES]) :]
            except OSError:
                raise Ended(signal.SIGHUP) from None

    def __enter__(self) -> Ending:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
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
        reading, writing = self._reading, self._writing
        self._reading = self._writing = -1
        os.close(reading)
        os.close(writing)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._signal = self._signal or number
