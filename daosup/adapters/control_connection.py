"""One client of the control socket, as the daemon sees it.

Invariant: whatever a client sends or fails to read costs the daemon a bounded amount of memory and never its
attention. Each request is a task of its own, so none waits for another; a connection has a limited number of them
and limited buffers; and a client whose unread replies exceed the limit is dropped.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Callable, Optional, Union

from daosup.adapters.control_peer import Caller
from daosup.adapters.control_protocol import INTERNAL, MAX_REPLY_BYTES, MAX_REQUEST_BYTES, kind_of
from daosup.adapters.turns import Turns
from daosup.core.json_pieces import json_pieces
from daosup.errors import DaosupError, UnavailableError, UsageError

MAX_REQUESTS_AT_ONCE = 32
MAX_LOOKS_AT_ONCE = 4
"""The same for a client that may only look."""
MAX_UNREAD_BYTES = 2 * MAX_REPLY_BYTES
STOPPING = "daosupd is stopping"

Ident = Union[int, str, None]


@dataclass(frozen=True)
class Request:
    """One request: ``connection`` names the connection it came by, the same for all requests of one client."""

    command: str
    arguments: Mapping[str, object]
    connection: str
    caller: Caller


Handler = Callable[[Request], Awaitable[object]]


class Connection(asyncio.Protocol):
    """Cuts what arrives into lines, starts a task for each, writes the replies.

    Args:
        name: What the requests' ``connection`` says.
        caller: Who is at its other end.
        handler: Answers requests.
        on_gone: Called once, when the client is gone and none of its requests is being handled any more.
    """

    def __init__(self, name: str, caller: Caller, handler: Handler, on_gone: Callable[[Connection], None]) -> None:
        self.name = name
        self.caller = caller
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handler = handler
        self._on_gone = on_gone
        self._transport: asyncio.Transport
        self._refusal: Optional[str] = None
        self._received = bytearray()
        self._searched_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_ended = False
        self._is_reader_slow = False
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._refusal is not None:
            self._send_error(None, UnavailableError(self._refusal))
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._received += data
        self._go_on()

    def eof_received(self) -> bool:
        """The client sends no more; True if it may still get replies."""
        self._has_ended = True
        if _has_hung_up(self._transport.get_extra_info("socket")):
            return False
        # A client may end its side and still read ("echo ... | nc -U"); its last line need not have a newline.
        self._received += b"\n"
        self._go_on()
        return bool(self._tasks or self._received)

    def pause_writing(self) -> None:
        """Replies pile up: take no more requests."""
        self._is_reader_slow = True

    def resume_writing(self) -> None:
        """The client took its replies."""
        self._is_reader_slow = False
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was dropped."""
        self._is_lost = True
        self._forget_received()
        for task in self._tasks:
            task.cancel()
        self._end_if_done()

    def refuse(self, reason: str) -> None:
        """Before it is made: have the client told ``reason`` and nothing else."""
        self._refusal = reason

    def finish(self) -> None:
        """Have unfinished requests answered with an error and close once the replies are out."""
        self._forget_received()
        self._has_ended = True
        for task in self._tasks:
            task.cancel()
        self._go_on()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _go_on(self) -> None:
        """Start what requests are there, and read more only while more can be started."""
        while self._can_start() and not self._transport.is_closing():
            end = self._received.find(b"\n", self._searched_bytes)
            if end < 0:
                break
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            self._searched_bytes = 0
            self._start(line)
        else:
            self._transport.pause_reading()
            return
        self._searched_bytes = len(self._received)
        if self._searched_bytes > MAX_REQUEST_BYTES:
            self._refuse_long()
        elif self._has_ended:
            if not self._tasks:
                self._transport.close()
        else:
            self._transport.resume_reading()

    def _can_start(self) -> bool:
        most = MAX_REQUESTS_AT_ONCE if self.caller.may_change else MAX_LOOKS_AT_ONCE
        return len(self._tasks) < most and not self._is_reader_slow

    def _start(self, line: bytes) -> None:
        if len(line) > MAX_REQUEST_BYTES:
            self._refuse_long()
            return
        if not line.strip():
            return
        ident: Ident = None
        try:
            fields = _parse(line)
            ident = _take_ident(fields)
            command = fields.pop("command", None)
            if not isinstance(command, str):
                raise UsageError('a request needs a command, for example {"id": 1, "command": "status"}')
        except UsageError as error:
            self._send_error(ident, error)
            return
        request = Request(command, fields, self.name, self.caller)
        task = asyncio.get_running_loop().create_task(self._answer(ident, request))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _refuse_long(self) -> None:
        self._forget_received()
        self._send_error(None, UsageError(f"a request of more than {MAX_REQUEST_BYTES} bytes; shorten it"))
        self._transport.close()

    def _forget_received(self) -> None:
        self._received.clear()
        self._searched_bytes = 0

    async def _answer(self, ident: Ident, request: Request) -> None:
        try:
            self._send(ident, await _line_in_turns({"id": ident, "ok": True, "result": await self._handler(request)}))
        except DaosupError as error:
            self._send_error(ident, error)
        except asyncio.CancelledError:
            self._send_error(ident, UnavailableError(STOPPING))
            raise
        except Exception as error:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": f"the command {request.command!r} failed", "exception": error})
            self._send_error(ident, DaosupError(f"a fault in daosupd ({type(error).__name__}); see its log"))

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._is_lost:
            self._end_if_done()
        else:
            self._go_on()

    def _end_if_done(self) -> None:
        if not self._tasks and not self.gone.done():
            self.gone.set_result(None)
            self._on_gone(self)

    def _send_error(self, ident: Ident, error: DaosupError) -> None:
        self._send(ident, _error_line(ident, kind_of(error), str(error)))

    def _send(self, ident: Ident, line: bytes) -> None:
        if len(line) > MAX_REPLY_BYTES:
            told = f"the reply would have {len(line)} bytes, more than the {MAX_REPLY_BYTES} allowed"
            line = _error_line(ident, INTERNAL, told)
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() + len(line) > MAX_UNREAD_BYTES:
            self._transport.abort()
        else:
            self._transport.write(line)


async def _line_in_turns(reply: Mapping[str, object]) -> bytes:
    """A reply as it is sent; one of many workers takes some time to write, so others have their turns meanwhile."""
    pieces, turns = [], Turns()
    for piece in json_pieces(reply):
        pieces.append(piece)
        await turns.pause()
    return "".join([*pieces, "\n"]).encode()


def _error_line(ident: Ident, kind: str, message: str) -> bytes:
    reply = {"id": ident, "ok": False, "error": {"kind": kind, "message": message}}
    return "".join([*json_pieces(reply), "\n"]).encode()


def _parse(line: bytes) -> dict[str, object]:
    try:
        fields = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"a request must be one line of JSON: {error}") from error
    if not isinstance(fields, dict):
        raise UsageError("a request must be a JSON object")
    return fields


def _take_ident(fields: dict[str, object]) -> Ident:
    ident = fields.pop("id", None)
    if ident is None or (isinstance(ident, (int, str)) and not isinstance(ident, bool)):
        return ident
    raise UsageError("a request's id must be a whole number or a string")


def _has_hung_up(connection: socket.socket) -> bool:
    """Whether the peer closed both directions; False if it only ended its sending."""
    poll = select.poll()
    poll.register(connection.fileno(), 0)
    return any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poll.poll(0))
