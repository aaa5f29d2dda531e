"""Worker processes: started through a clean fork server, watched, ended.

Invariants: a process that was started is reported as exited exactly once, with its cause; nothing here decides whether
another is started. The fork server is single-threaded and has everything imported before it forks.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from daosup.adapters.control_protocol import MAX_PATH_BYTES

_MAX_LINE_BYTES = 65536
#: NumPy's linear algebra would start threads in the fork server, and a process with threads must not be forked.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
#: How much longer the path of the fork server's socket is than that of the folder.
_SOCKET_BYTES = len("/listener-12345678")
#: What multiprocessing gives as the exit code of a process whose fork server is gone.
_SERVER_GONE = 255


@dataclass
class _Running:
    key: Hashable
    process: ForkServerProcess
    channel: Connection
    unread: bytes = b""
    reason: str = field(default="")


class Processes:
    """The worker processes of one supervisor; belongs to one asyncio loop.

    Args:
        preload: Module that imports everything a worker needs.
        folder: Where the fork server's own socket lies, unless its path is too long for a socket.
        on_message: Called with key, pid and the message (a dict with ``event``) of a worker.
        on_exit: Called with key, pid and cause.
    """

    def __init__(
        self,
        preload: str,
        folder: Path,
        on_message: Callable[[Any, int, dict[str, Any]], None],
        on_exit: Callable[[Any, int, str], None],
    ) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._on_message = on_message
        self._on_exit = on_exit
        self._running: dict[int, _Running] = {}
        for variable in _ONE_THREAD:
            os.environ.setdefault(variable, "1")
        if len(os.fsencode(folder)) + _SOCKET_BYTES <= MAX_PATH_BYTES:
            # Where multiprocessing looks before it makes a folder of its own, which a killed supervisor would leave.
            multiprocessing.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]
        self._context.set_forkserver_preload([preload])

    def prepare(self) -> None:
        """Start the fork server and let it import everything; takes some 100 ms and blocks.

        Raises:
            OSError: If it cannot be started.
        """
        process = self._context.Process(target=os.getpid)
        with _forking():
            process.start()
        process.join()
        process.close()

    def start(self, key: Hashable, target: Callable[..., None], order: object) -> int:
        """Start a process that runs ``target(order, channel)``.

        Returns:
            Its pid.

        Raises:
            OSError: If the system has no room for another, or the fork server is just ending.
        """
        channel, workers_end = self._context.Pipe(duplex=False)
        try:
            process = self._context.Process(target=target, args=(order, workers_end), daemon=True)
            with _forking():
                process.start()
        except BaseException:
            channel.close()
            raise
        finally:
            workers_end.close()
        pid = process.pid or 0
        os.set_blocking(channel.fileno(), False)
        self._running[pid] = _Running(key, process, channel)
        loop = asyncio.get_running_loop()
        loop.add_reader(channel.fileno(), self._read, pid)
        loop.add_reader(process.sentinel, self._reap, pid)
        return pid

    def stop(self, pid: int, *, is_forced: bool) -> None:
        """Ask a process to end, or end it."""
        if pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if is_forced else signal.SIGTERM)

    def close(self) -> None:
        """End what is left, and the fork server with it."""
        for pid, running in list(self._running.items()):
            self.stop(pid, is_forced=True)
            running.process.join()
            self._forget(pid)
        _stop_fork_server()

    def _read(self, pid: int) -> None:
        running = self._running[pid]
        try:
            piece = os.read(running.channel.fileno(), _MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            asyncio.get_running_loop().remove_reader(running.channel.fileno())
            return
        *lines, running.unread = (running.unread + piece).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["event"] == "failed":
                running.reason = message["reason"]
            self._on_message(running.key, pid, message)

    def _reap(self, pid: int) -> None:
        running = self._running[pid]
        self._read(pid)
        running.process.join()
        code = running.process.exitcode or 0
        self._forget(pid)
        if code == _SERVER_GONE:
            with suppress(ProcessLookupError):  # it may be about to end; the next one must not meet it
                os.kill(pid, signal.SIGKILL)
            cause = "ended with the fork server, which was killed"
        elif code < 0:
            cause = f"killed by {_signal_name(-code)}"
        elif running.reason:
            cause = running.reason
        else:
            cause = f"exited with code {code}"
        self._on_exit(running.key, pid, cause)

    def _forget(self, pid: int) -> None:
        running = self._running.pop(pid)
        loop = asyncio.get_running_loop()
        loop.remove_reader(running.process.sentinel)
        loop.remove_reader(running.channel.fileno())
        running.channel.close()
        running.process.close()


@contextmanager
def _forking() -> Iterator[None]:
    """While a process is forked, or the fork server started.

    Ctrl-C and a terminal's end reach its whole process group, also those that do not ignore them yet: they inherit them
    blocked. So a hang-up that is sent to the whole service only has the supervisor read its configuration.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    except EOFError:
        raise OSError("the fork server ended") from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _stop_fork_server() -> None:
    """End the fork server and the resource tracker now: not later, by themselves, seen by whoever waits for us."""
    from multiprocessing import forkserver, resource_tracker

    for helper in (forkserver._forkserver, resource_tracker._resource_tracker):
        stop = getattr(helper, "_stop", None)
        if stop is not None:
            stop()
