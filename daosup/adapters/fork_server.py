"""The supervisor's side of the fork server, which forks worker processes from a clean process of one thread.

Invariants: every fork that was asked for is answered exactly once, by ``on_forked`` or ``on_failed``; nothing here
waits for the fork server, not even if it is stopped or hangs: one that says nothing for a while is killed, and another
is started. Its end costs no worker anything, only that nobody knows how those that it forked will end.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Optional

from daosup.adapters.interpreter import same_python
from daosup.adapters.process_handle import is_stopped

#: How long it may be silent while something is asked of it; longer the first time, when it imports everything.
SILENCE_S = 5.0
FIRST_SILENCE_S = 30.0
#: One that lived this long is followed by another at once, so that the next fork need not wait for its imports.
LIVED_S = 2.0
MAX_MESSAGE_BYTES = 65536
_MAX_ASKED = 16
_END_S = 1.0
#: NumPy's linear algebra would start threads in the fork server, and a process with threads must not be forked.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
#: Not -m, which would let a file of the current folder stand in for one of ours.
_COMMAND = (
    "import sys; sys.path[:] = sys.argv[3:]; import importlib as i; i.import_module(sys.argv[1]).serve(sys.argv[2])"
)


class ForkServer:
    """Forks processes; belongs to one asyncio loop.

    Args:
        module: What the fork server runs: its function ``serve`` is given the number of the socket.
        on_forked: Called with token, pid and start time.
        on_failed: Called with token and reason.
        on_ended: Called with the pid of a process it forked, and its wait status.
        on_lost: Called when the fork server is gone.
        output: Where it writes its standard output and error.
    """

    def __init__(
        self,
        module: str,
        on_forked: Callable[[int, int, int], None],
        on_failed: Callable[[int, str], None],
        on_ended: Callable[[int, int], None],
        on_lost: Callable[[], None],
        output: Path,
    ) -> None:
        self._module, self._output = module, output
        self._on_forked, self._on_failed, self._on_ended, self._on_lost = on_forked, on_failed, on_ended, on_lost
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._socket: Optional[socket.socket] = None
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._asked: set[int] = set()
        self._silence: Optional[asyncio.TimerHandle] = None
        self._is_ready = False
        self._began_s = 0.0

    @property
    def pid(self) -> int:
        """Its process; 0 if there is none."""
        return self._process.pid if self._process is not None else 0

    def prepare(self) -> None:
        """Start it, so that it has imported everything when it is needed.

        Raises:
            OSError: If it cannot be started.
        """
        if self._process is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, open(self._output, "ab") as output, _terminal_blocked():
                self._process = subprocess.Popen(
                    [*same_python(), "-c", _COMMAND, self._module, str(theirs.fileno()), *sys.path],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    env={**dict.fromkeys(_ONE_THREAD, "1"), **os.environ},
                )
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        self._socket, self._is_ready, self._began_s = ours, False, time.monotonic()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read)

    def fork(self, token: int, request: object) -> None:
        """Ask for a process that does ``request``."""
        if self._process is not None and not self._asked and is_stopped(self._process.pid):
            self._lose("it was stopped")
        self._waiting.append((token, pickle.dumps((token, request))))
        try:
            self.prepare()
        except OSError as error:
            for each in self._forget_asked():
                self._on_failed(each, f"the fork server cannot be started: {error.strerror or error}")
            return
        self._send()

    def close(self) -> None:
        """End it; what waits is not answered any more."""
        self._end()
        self._forget_asked()

    def _send(self) -> None:
        while self._waiting and len(self._asked) < _MAX_ASKED and self._socket is not None:
            token, request = self._waiting[0]
            try:
                self._socket.send(request)
            except BlockingIOError:
                break  # it has so much to read that an answer will come
            except OSError as error:
                self._lose(str(error.strerror))
                return
            self._waiting.popleft()
            self._asked.add(token)
        self._listen_for_silence(is_anew=False)

    def _listen_for_silence(self, *, is_anew: bool) -> None:
        if self._silence is not None and (is_anew or not self._asked):
            self._silence.cancel()
            self._silence = None
        if self._silence is None and self._asked:
            silence_s = SILENCE_S if self._is_ready else FIRST_SILENCE_S
            self._silence = asyncio.get_running_loop().call_later(silence_s, self._lose, "it said nothing")

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            message = self._socket.recv(MAX_MESSAGE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            message = b""
        if not message:
            self._lose("it was killed")
            return
        self._take(json.loads(message))
        self._send()
        self._listen_for_silence(is_anew=True)

    def _take(self, told: dict[str, Any]) -> None:
        self._is_ready = True
        if "ended" in told:
            self._on_ended(told["ended"], told["status"])
        elif "token" in told:
            self._asked.discard(told["token"])
            if "pid" in told:
                self._on_forked(told["token"], told["pid"], told["start_time"])
            else:
                self._on_failed(told["token"], told["reason"])

    def _lose(self, why: str) -> None:
        """Part with it, after it said all that it had to say."""
        last_messages = self._end()
        unanswered = self._forget_asked()
        # From here on callers may ask for more, which is then another fork server's.
        for message in last_messages:
            unanswered.pop(message.get("token", -1), None)
            self._take(message)
        self._on_lost()
        if time.monotonic() > self._began_s + LIVED_S:
            with suppress(OSError):  # then the next fork tries again, and says why it cannot be
                self.prepare()
        for token in unanswered:
            self._on_failed(token, f"the fork server ended: {why}")

    def _forget_asked(self) -> dict[int, None]:
        tokens = dict.fromkeys([*self._asked, *(token for token, _ in self._waiting)])
        self._asked.clear()
        self._waiting.clear()
        self._listen_for_silence(is_anew=True)
        return tokens

    def _end(self) -> list[dict[str, Any]]:
        """End its process; returns what it said before."""
        connection, self._socket = self._socket, None
        process, self._process = self._process, None
        said: list[dict[str, Any]] = []
        if process is not None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        if connection is not None:
            asyncio.get_running_loop().remove_reader(connection.fileno())
            with connection, suppress(OSError):
                while message := connection.recv(MAX_MESSAGE_BYTES):
                    said.append(json.loads(message))
        return said


@contextmanager
def _terminal_blocked() -> Iterator[None]:
    """Ctrl-C and a terminal's end reach its whole process group, also who does not ignore them yet: inherited blocked.

    So a hang-up that is sent to the whole service only has the supervisor read its configuration.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
