"""A control server for tests, in an event loop of its own thread; its handler does what each request says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from daosup.adapters.control import ControlServer, Request
from daosup.adapters.control_protocol import ERROR_OF_KIND
from daosup.errors import UsageError

DEADLINE_S = 10.0


class Daemon:
    """A control server in a loop of its own; its handler does what each test's command says."""

    def __init__(self, path: Path, mode: int = 0o600, group: Optional[str] = None) -> None:
        self.path = path
        self.closed: list[str] = []
        self.cancelled: list[str] = []
        self.faults: list[str] = []
        self.changed = threading.Condition()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self._note(self.faults, str(context["message"])))
        self.server = ControlServer(path, mode, group, self.handle, lambda name: self._note(self.closed, name))
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.released = asyncio.run_coroutine_threadsafe(self._make_event(), self.loop).result(DEADLINE_S)

    async def _make_event(self) -> asyncio.Event:
        return asyncio.Event()

    def _note(self, where: list[str], what: str) -> None:
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    async def handle(self, request: Request) -> object:
        if request.command == "echo":
            return {"arguments": dict(request.arguments), "connection": request.connection}
        if request.command == "fill":
            return "x" * int(str(request.arguments["nbytes"]))
        if request.command == "list":
            return {"rows": [{"number": number} for number in range(int(str(request.arguments["count"])))]}
        if request.command == "wait":
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self._note(self.cancelled, request.connection)
                raise
            return "released"
        if request.command == "raise":
            raise ERROR_OF_KIND[str(request.arguments["kind"])](f"as asked: {request.arguments['kind']}")
        if request.command == "bug":
            return 1 / 0
        if request.command == "not_json":
            return object()
        raise UsageError(f"there is no command {request.command!r}")

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(DEADLINE_S)

    def release(self) -> None:
        self.loop.call_soon_threadsafe(self.released.set)

    def until(self, where: list[str], size: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(where) >= size, DEADLINE_S), f"only {where} after {DEADLINE_S} s"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self.loop).result(DEADLINE_S)

    def end(self) -> None:
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE_S)
        self.loop.close()


@contextmanager
def serving(path: Path, mode: int = 0o600, group: Optional[str] = None) -> Iterator[Daemon]:
    daemon = Daemon(path, mode, group)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()
