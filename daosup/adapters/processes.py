"""Worker processes: started through the fork server, or found alive; watched, and told to end.

Invariants: a process that was started or adopted is reported as ended exactly once, with its wait status if anybody
knows it; nothing here decides whether another is started, and nothing waits. Each costs one file descriptor.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from daosup.adapters.fork_server import ForkServer
from daosup.adapters.process_handle import ProcessHandle

#: The kernel tells of an end at once; the fork server, which knows how it was, a moment later.
STATUS_WITHIN_S = 0.5
#: Where there are no pidfds, processes are looked at so often.
POLL_INTERVAL_S = 0.25
_END_S = 1.0


@dataclass
class _Running:
    key: Hashable
    handle: Optional[ProcessHandle]  # None: it had ended before we could look
    is_ours: bool
    timer: Optional[asyncio.TimerHandle] = None


class Processes:
    """The worker processes of one supervisor; belongs to one asyncio loop.

    Args:
        module: What the fork server runs.
        on_started: Called with key and pid.
        on_failed: Called with key and reason, when there is no process.
        on_ended: Called with key, pid and wait status (None: not known).
        output: Where the fork server, and each process that it forks, writes its standard output and error.
    """

    def __init__(
        self,
        module: str,
        on_started: Callable[[Any, int], None],
        on_failed: Callable[[Any, str], None],
        on_ended: Callable[[Any, int, Optional[int]], None],
        output: Path,
    ) -> None:
        self._on_started, self._on_failed, self._on_ended = on_started, on_failed, on_ended
        self._server = ForkServer(module, self._forked, self._not_forked, self._status_told, self._server_lost, output)
        self._tokens = itertools.count(1)
        self._asked: dict[int, Hashable] = {}
        self._running: dict[int, _Running] = {}
        self._poll: Optional[asyncio.TimerHandle] = None

    @property
    def fork_server_pid(self) -> int:
        """Of the present fork server; 0 if there is none."""
        return self._server.pid

    def prepare(self) -> None:
        """Start the fork server; errors as ``ForkServer.prepare``."""
        self._server.prepare()

    def start(self, key: Hashable, request: object) -> None:
        """Start a process that does ``request``; ``on_started`` or ``on_failed`` tell what became of it."""
        token = next(self._tokens)
        self._asked[token] = key
        self._server.fork(token, request)

    def adopt(self, key: Hashable, pid: int, start_time: int) -> None:
        """Watch a process that another supervisor started.

        Raises:
            ProcessLookupError: If there is none.
        """
        self._watch(key, ProcessHandle(pid, start_time), is_ours=False)

    def is_running(self, key: Hashable, pid: int) -> bool:
        """Whether there is such a process."""
        running = self._running.get(pid)
        return running is not None and running.key == key

    def stop(self, pid: int, *, is_forced: bool) -> None:
        """Ask a process to end, or end it."""
        running = self._running.get(pid)
        if running is not None and running.handle is not None:
            running.handle.signal(signal.SIGKILL if is_forced else signal.SIGTERM)

    def close(self) -> None:
        """End what is left, and the fork server with it."""
        for pid in self._running:
            self.stop(pid, is_forced=True)
        for running in self._running.values():
            if running.handle is not None:
                running.handle.wait(_END_S)
        self.leave()

    def leave(self) -> None:
        """Let the processes go on without us; the fork server ends."""
        for pid in list(self._running):
            self._forget(pid)
        if self._poll is not None:
            self._poll.cancel()
        self._server.close()

    # -- what the fork server tells

    def _forked(self, token: int, pid: int, start_time: int) -> None:
        key = self._asked.pop(token)
        try:
            self._watch(key, ProcessHandle(pid, start_time), is_ours=True)
        except ProcessLookupError:
            self._running[pid] = _Running(key, None, is_ours=True)
            self._ended(pid)
        self._on_started(key, pid)

    def _not_forked(self, token: int, reason: str) -> None:
        self._on_failed(self._asked.pop(token), reason)

    def _status_told(self, pid: int, status: int) -> None:
        running = self._running.get(pid)
        if running is not None and running.is_ours:
            self._end(pid, status)

    def _server_lost(self) -> None:
        for pid, running in list(self._running.items()):
            running.is_ours = False
            if running.timer is not None:  # its end was seen, and nobody will tell how it was
                self._end(pid, None)

    # -- what the kernel tells

    def _watch(self, key: Hashable, handle: ProcessHandle, *, is_ours: bool) -> None:
        self._running[handle.pid] = _Running(key, handle, is_ours)
        if handle.fd is not None:
            asyncio.get_running_loop().add_reader(handle.fd, self._ended, handle.pid)
        elif self._poll is None:
            self._look()

    def _look(self) -> None:
        for pid, running in list(self._running.items()):
            if running.timer is None and running.handle is not None and not running.handle.is_alive():
                self._ended(pid)
        is_needed = any(each.handle is not None and each.handle.fd is None for each in self._running.values())
        self._poll = asyncio.get_running_loop().call_later(POLL_INTERVAL_S, self._look) if is_needed else None

    def _ended(self, pid: int) -> None:
        running = self._running[pid]
        loop = asyncio.get_running_loop()
        if running.handle is not None and running.handle.fd is not None:
            loop.remove_reader(running.handle.fd)
        if running.is_ours:
            running.timer = loop.call_later(STATUS_WITHIN_S, self._end, pid, None)
        else:
            self._end(pid, None)

    def _end(self, pid: int, status: Optional[int]) -> None:
        self._on_ended(self._forget(pid), pid, status)

    def _forget(self, pid: int) -> Hashable:
        running = self._running.pop(pid)
        if running.timer is not None:
            running.timer.cancel()
        if running.handle is not None:
            if running.handle.fd is not None:
                asyncio.get_running_loop().remove_reader(running.handle.fd)
            running.handle.close()
        return running.key


def status_text(status: Optional[int]) -> str:
    """How a process ended, in words."""
    if status is None:
        return "ended; how is not known, because another process started it"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with suppress(ValueError):
            return f"killed by {signal.Signals(number).name}"
        return f"killed by signal {number}"
    return f"exited with code {os.WEXITSTATUS(status)}"


def allow_many_files() -> None:
    """Raise the limit of open files to what the system allows us: each worker costs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
