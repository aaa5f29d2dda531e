"""The fork server's process: imports everything, then forks a worker for each request, and says how they ended.

Invariants: it has one thread; it forks nothing for a supervisor that is gone, and ends with it; the workers that it
forked go on, whatever becomes of it. The garbage collector is kept from touching, and so copying, the pages they share.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pickle
import select
import signal
import socket
import sys
import traceback

import daosup.workers.life as life
from daosup.adapters.fork_server import MAX_MESSAGE_BYTES
from daosup.adapters.process_handle import start_time_of
from daosup.workers.orders import Request

_PR_SET_NAME = 15
_MAX_REQUEST_BYTES = 1 << 18


def serve(fd: str) -> None:
    """Serve the socket ``fd`` until the supervisor closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"dao-fork-server", 0, 0, 0)
    os.set_inheritable(int(fd), False)
    _Server(socket.socket(fileno=int(fd))).run()


class _Server:
    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._supervisor, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        gc.collect()
        gc.freeze()
        self._tell(ready=True)
        while True:
            events = dict(poll.poll())
            if self._woken in events:
                os.read(self._woken, 4096)
                self._reap()
            happened = events.get(self._supervisor.fileno(), 0)
            if happened & (select.POLLHUP | select.POLLERR):
                os._exit(0)  # also if something waits to be read: nobody would know of the process
            if happened & select.POLLIN:
                self._fork(self._supervisor.recv(_MAX_REQUEST_BYTES))

    def _fork(self, message: bytes) -> None:
        # From our own supervisor, over a pair of sockets that nobody else has.
        token, request = pickle.loads(message)  # noqa: S301
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(token=token, reason=f"no room for another process: {error.strerror}")
            return
        if pid == 0:
            self._become_worker(request)
        self._tell(token=token, pid=pid, start_time=start_time_of(pid) or 0)

    def _become_worker(self, request: Request) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._supervisor.close()
            os.close(self._woken)
            os.close(self._waker)
            code = life.run_worker(request)
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._tell(ended=pid, status=status)

    def _tell(self, **told: object) -> None:
        message = json.dumps(told).encode()
        assert len(message) <= MAX_MESSAGE_BYTES
        try:
            self._supervisor.send(message)
        except OSError:
            os._exit(0)
