"""A network between two ends of TCP connections that can fall silent without a word.

A thread of its own runs the loop. ``stall`` stops everything without closing anything: bytes wait in the kernel, and
new connections find nobody; after ``lose`` the connections of before never get through again either, as when the
network was cut for long; ``go_on`` ends both; ``cut`` closes connections and refuses new ones until ``mend``.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Optional

_PIECE_BYTES = 64 * 1024


class Proxy:
    """Forwards from one address to another; a context manager.

    Args:
        at: Where it listens: host and port.
        to: Where that leads: host and port.
    """

    def __init__(self, at: tuple[str, int], to: tuple[str, int]) -> None:
        self._at, self._to = at, to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._listener: Optional[socket.socket] = None
        self._accepting: Optional[asyncio.Task[None]] = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self.delay_s = 0.0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._do(self._flowing.set)
        self.mend()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._run(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Forward nothing and accept nobody, and close nothing."""
        self._do(self._flowing.clear)

    def lose(self) -> None:
        """As ``stall``; and the connections of before never get through again, though nobody is told."""

        def forget() -> None:
            self._flowing = asyncio.Event()  # which those wait for in vain

        self._do(self._flowing.clear)
        self._do(forget)

    def go_on(self) -> None:
        """Forward again."""
        self._do(self._flowing.set)

    def cut(self) -> None:
        """Close everything."""
        self._run(self._close)

    def mend(self) -> None:
        """Listen (again)."""
        listener = socket.create_server(self._at, backlog=0)
        listener.setblocking(False)
        self._listener = listener

        async def start() -> None:
            self._accepting = asyncio.ensure_future(self._accept(listener))

        self._run(start)

    def _do(self, what: Callable[[], object]) -> None:
        async def run() -> None:
            what()

        self._run(run)

    def _run(self, what: Callable[[], object]) -> None:
        asyncio.run_coroutine_threadsafe(what(), self._loop).result(10.0)  # type: ignore[arg-type]

    async def _close(self) -> None:
        tasks = [task for task in (self._accepting, *self._connections) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            await self._flowing.wait()
            incoming, _ = await self._loop.sock_accept(listener)
            task = asyncio.ensure_future(self._serve(incoming))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, incoming: socket.socket) -> None:
        with incoming, socket.socket() as outgoing:
            outgoing.setblocking(False)
            flowing = self._flowing
            with suppress(OSError):
                await flowing.wait()
                await self._loop.sock_connect(outgoing, self._to)
                ways = [
                    asyncio.ensure_future(self._forward(*ends, flowing))
                    for ends in ((incoming, outgoing), (outgoing, incoming))
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _forward(self, source: socket.socket, target: socket.socket, flowing: asyncio.Event) -> None:
        while True:
            await flowing.wait()
            piece = await self._loop.sock_recv(source, _PIECE_BYTES)
            await flowing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not piece:
                return
            await self._loop.sock_sendall(target, piece)
