"""A program that is run for an event: started, fed, listened to and ended without the loop waiting for it.

Invariants: the program itself is started by ``timeout`` of coreutils, so that a file system that hangs holds up that
process and not us, and so that the program ends in time even if we do not live to see to it. What it writes is read at
a bounded rate (who writes faster waits), and kept as far as `MAX_KEPT_BYTES`. Its end is told exactly once. No shell
sees any of its words.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from daosup.adapters.process_handle import ProcessHandle
from daosup.adapters.processes import status_text

#: Of what it writes, so much of the beginning and of the end.
MAX_KEPT_BYTES = 4096
#: After it was asked to end, it is killed.
KILL_AFTER_S = 2.0
_CHUNK_BYTES = 65536
_PAUSE_S = 0.02
_POLL_S = 0.1


@dataclass(frozen=True)
class HookEnd:
    """How a program ended: why that is a failure, if it is one; what it wrote, and how much of it was left out."""

    failure: Optional[str]
    output: str
    cut_bytes: int


class HookProcess:
    """One run of a program; belongs to one asyncio loop.

    Args:
        command: The program, an absolute path, and its arguments.
        given: What it finds on its standard input.
        environment: All its variables.
        timeout_s: After this time it is ended.
        on_end: Called once when it has ended, not before this returns.

    Raises:
        OSError: If nothing can be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        given: bytes,
        environment: Mapping[str, str],
        timeout_s: float,
        on_end: Callable[[HookProcess, HookEnd], None],
    ) -> None:
        self._timeout_s, self._on_end = timeout_s, on_end
        self._began_s = time.monotonic()
        self._output = _Kept()
        self._timer: Optional[asyncio.TimerHandle] = None
        self._handle: Optional[ProcessHandle] = None
        self._fd, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = _start(command, given, environment, timeout_s, theirs)
        except BaseException:
            os.close(self._fd)
            raise
        finally:
            os.close(theirs)
        os.set_blocking(self._fd, False)
        self._read_later(0.0)
        with suppress(ProcessLookupError):  # it has ended already
            self._handle = ProcessHandle(self._process.pid)
        if self._handle is not None and self._handle.fd is not None:
            asyncio.get_running_loop().add_reader(self._handle.fd, self._look)
            self._poll = None
        else:
            self._poll = asyncio.get_running_loop().call_later(_POLL_S, self._look)

    def kill(self) -> None:
        """End it and all that it started in its process group, at once."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _read_later(self, pause_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(pause_s, loop.add_reader, self._fd, self._read)

    def _read(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        if self._take():
            self._read_later(_PAUSE_S)
        else:
            self._timer = None

    def _take(self) -> bool:
        """Take what is there; False at its end."""
        try:
            chunk = os.read(self._fd, _CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._output.add(chunk)
        return bool(chunk)

    def _look(self) -> None:
        if self._process.poll() is None:
            if self._poll is not None:
                self._poll = asyncio.get_running_loop().call_later(_POLL_S, self._look)
            return
        loop = asyncio.get_running_loop()
        if self._handle is not None:
            if self._handle.fd is not None:
                loop.remove_reader(self._handle.fd)
            self._handle.close()
        if self._timer is not None:
            self._timer.cancel()
        loop.remove_reader(self._fd)
        self._take()  # one that goes on in the background may hold the pipe open, and is listened to no longer
        os.close(self._fd)
        self._on_end(self, HookEnd(self._failure(), *self._output.text()))

    def _failure(self) -> Optional[str]:
        code = self._process.returncode
        took_s = time.monotonic() - self._began_s
        if code == 0:
            return None
        if took_s >= self._timeout_s and code in (124, 137, -signal.SIGKILL):
            return f"it was ended after {self._timeout_s:g} s"
        return status_text(-code if code < 0 else code << 8)


class _Kept:
    """The beginning and the end of what was written."""

    def __init__(self) -> None:
        self._first = self._last = b""
        self._count = 0

    def add(self, chunk: bytes) -> None:
        self._count += len(chunk)
        room = MAX_KEPT_BYTES - len(self._first)
        self._first += chunk[:room]
        self._last = (self._last + chunk[room:])[-MAX_KEPT_BYTES:]

    def text(self) -> tuple[str, int]:
        """What was kept, and how many bytes between beginning and end were not."""
        cut_bytes = self._count - len(self._first) - len(self._last)
        kept = self._first + (b"\n" if cut_bytes else b"") + self._last
        return kept.decode("utf-8", "replace").rstrip("\n"), cut_bytes


def _start(
    command: Sequence[str], given: bytes, environment: Mapping[str, str], timeout_s: float, output: int
) -> subprocess.Popen[bytes]:
    # Not a pipe: how much that holds while nobody reads is not ours to say.
    memory = os.memfd_create("event")
    try:
        os.write(memory, given)
        os.lseek(memory, 0, os.SEEK_SET)
        return subprocess.Popen(
            ["timeout", f"--kill-after={KILL_AFTER_S:g}", f"{timeout_s:g}", *command],
            stdin=memory,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(memory)
