"""The daemon's side of the control socket.

Invariant: clients are limited in number and independent of each other, and those that may only look leave room for
those that may change things; when ``close`` returns, no connection, no request being handled and no file is left.
"""

from __future__ import annotations

import asyncio
import os
import socket
from itertools import count
from pathlib import Path
from typing import Any, Callable, Optional

from daosup.adapters.control_connection import Connection, Handler, Request
from daosup.adapters.control_file import SocketFile
from daosup.adapters.control_peer import Caller, Gate

__all__ = ["Caller", "ControlServer", "Handler", "Request"]

MAX_CONNECTIONS = 64
MAX_LOOKING = 32
"""How many of them may be of clients that may only look."""
CLOSE_S = 1.0
"""How long clients have to take their last replies when the server closes, seconds."""
ACCEPT_AGAIN_S = 1.0
"""Pause after the system refused another connection (no file descriptors left, for example), seconds."""


class ControlServer:
    """Serves the control socket at ``path``.

    ``handler`` is awaited once for each request; what it returns must be JSON. A DaosupError it raises is told to the
    client; any other exception is a bug: the client hears of an internal error and the event loop's exception handler
    gets it. The handler of a client that went away is cancelled. ``on_closed`` is called with the connection's name
    when it is gone and none of its requests is being handled any more.

    Args:
        path: Where the socket is made; its folder is made if need be.
        mode: Permission bits of the socket, for example 0o660.
        group: The control group, that the socket is given to; None for the process's own. Its members, this process's
            user and root may change things.
        handler: Answers requests.
        on_closed: Told of each connection's end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: int,
        group: str | None,
        handler: Handler,
        on_closed: Callable[[str], None],
    ) -> None:
        self.path = Path(path)
        self._mode = mode
        self._group = group
        self._handler = handler
        self._on_closed = on_closed
        self._numbers = count(1)
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._file: Optional[SocketFile] = None
        self._gate: Gate
        self._retry: Optional[asyncio.TimerHandle] = None

    async def start(self) -> None:
        """Make the socket and serve it.

        Raises:
            UnavailableError: If another daemon serves this path, or the socket cannot be made now.
            ConfigError: If the path, the mode or the group can never work.
        """
        self._file = await SocketFile.make(self.path, self._mode, self._group)
        self._gate = Gate(self._file.group_id)
        self._accept_from(self._file.listener)

    async def close(self) -> None:
        """Stop serving: unfinished requests are answered with UnavailableError, the file is removed."""
        if self._file is None:
            return
        file, self._file = self._file, None
        file.remove()
        asyncio.get_running_loop().remove_reader(file.listener)
        if self._retry is not None:
            self._retry.cancel()
        file.listener.close()
        if self._opening:
            await asyncio.wait(self._opening)
        await self._wait_for_end(Connection.finish)
        await self._wait_for_end(Connection.abort)

    def _accept_from(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        # Not asyncio's own server: closing that one loses a connection that was accepted in the same turn of the loop.
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            loop.call_exception_handler({"message": f"{self.path} accepts no client", "exception": error})
            loop.remove_reader(listener)
            self._retry = loop.call_later(ACCEPT_AGAIN_S, self._accept_from, listener)
            return
        accepted.setblocking(False)
        task = loop.create_task(self._open(accepted))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket) -> None:
        caller = self._gate.caller_of(accepted)
        connection = Connection(f"control-{next(self._numbers)}", caller, self._handler, self._forget)
        looking = sum(not each.caller.may_change for each in self._connections)
        if len(self._connections) >= MAX_CONNECTIONS or (not caller.may_change and looking >= MAX_LOOKING):
            connection.refuse(f"daosupd has {len(self._connections)} clients already; close some")
        self._connections.add(connection)
        # mypy for Python 3.9 does not know this method, which asyncio has had since 3.5.
        loop: Any = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: connection, accepted)

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._on_closed(connection.name)

    async def _wait_for_end(self, how: Callable[[Connection], None]) -> None:
        ends = [connection.gone for connection in self._connections]
        for connection in tuple(self._connections):
            how(connection)
        if ends:
            await asyncio.wait(ends, timeout=CLOSE_S)
