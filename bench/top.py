"""A refresh of ``daosupctl top`` with 500 workers.

The real command runs in a terminal of 160 columns and 50 rows. What answers it is a stand-in on a real control socket:
the row of a real mirror, 500 times, its numbers different each time. Measured is the time from when that answer is
there, not yet as bytes, until the last byte of the screen that shows it has come out of the terminal.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.children import BenchError
from bench.figures import Goal, Row
from bench.fleet import fleet, temporary_place
from bench.plan import Plan
from bench.status import console_script
from daosup.adapters.control import ControlServer, Request
from daosup.shm import Segment

WORKERS = 500
GOAL = Goal(50.0)
_ANSWER_S = 20.0
_END_OF_SCREEN = b"\033[?2026l"


def measure(plan: Plan) -> Iterator[Row]:
    """One row: the times of all refreshes."""
    status = _real_status(plan)
    plan.say(f"daosupctl top with {WORKERS} workers")
    with temporary_place() as folder, _StandIn(folder / "top.sock", status) as daemon, terminal(daemon.path) as screen:
        samples: list[float] = []
        for number in range(1, plan.either(30, 5) + 2):
            with plan.meter.repeat():
                there_s = drawn_s(screen, daemon.name_of(number))
            samples.append((there_s - daemon.answered_s[number]) * 1e3)
    yield Row(f"daosupctl top: refresh of {WORKERS} workers", "ms", tuple(samples[1:]), GOAL, noise=plan.meter.take())


def _real_status(plan: Plan) -> dict[str, Any]:
    """What a daemon with a mirror answers, with that mirror many times."""
    with fleet() as hosts, Segment.create(hosts.source_file("still"), shape=(240, 240), dtype="uint16") as source:
        plan.redis_flavour = hosts.redis_flavour
        source.write(np.ones((240, 240), dtype=np.uint16))
        hosts.await_known("still")
        hosts.mirror("still")
        status: dict[str, Any] = hosts.lab.call("status")
        hosts.release("still")
        source.unlink()
    (row,) = status["workers"]
    status["workers"] = [{**row, "source": f"rts:wfs{number:03}", "pid": number} for number in range(WORKERS)]
    return status


class _StandIn:
    """Answers ``status``, each time as another host."""

    def __init__(self, path: Path, status: dict[str, Any]) -> None:
        self.path = path
        self.answered_s: dict[int, float] = {}
        self._status = status
        self._loop = asyncio.new_event_loop()
        self._server = ControlServer(path, 0o600, None, self._answer, lambda connection: None)
        self._thread = threading.Thread(target=self._loop.run_forever)

    def name_of(self, number: int) -> bytes:
        return f"answer{number:05}".encode()

    async def _answer(self, request: Request) -> object:
        number = len(self.answered_s)
        for place, worker in enumerate(self._status["workers"]):
            worker |= {"rate_hz": 500.0 + (7 * place + number) % 100, "age_s": 1e-3 * ((place + number) % 9 + 1)}
        self.answered_s[number] = time.monotonic()
        return {**self._status, "host": self.name_of(number).decode()}

    def __enter__(self) -> _StandIn:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def terminal(socket: Path) -> Iterator[int]:
    """``daosupctl top`` in a terminal; what is read there comes out of it."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [*console_script(), "--socket", str(socket), "top"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    try:
        yield controller
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            while os.read(controller, 1 << 16):
                pass
        except OSError:
            pass  # it has ended
        process.wait()
        os.close(controller)


def drawn_s(screen: int, name: bytes) -> float:
    """When a screen with ``name`` on it was there as a whole."""
    seen = b""
    deadline_s = time.monotonic() + _ANSWER_S
    while name not in seen or _END_OF_SCREEN not in seen[seen.index(name) :]:
        if not select.select([screen], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            raise BenchError(f"top did not show {name.decode()} within {_ANSWER_S:g} s, but {seen[-2000:]!r}")
        seen += os.read(screen, 1 << 16)
    return time.monotonic()
