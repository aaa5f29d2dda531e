"""Serves one page over HTTP, from an event loop that has better things to do.

Invariant: whatever clients send, or fail to read, costs a bounded amount of memory and time: they are limited in
number, each has one question and little time for it, and however many ask, the page is made at most once a second.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from http import HTTPStatus
from typing import NamedTuple, Optional

MAX_CLIENTS = 16
MAX_HEAD_BYTES = 8192
#: For all of it: to ask, and to take the answer.
PATIENCE_S = 10.0
#: Whoever asks sooner is given the same page again.
FRESH_S = 1.0
_PIECE_BYTES = 1 << 16
_GZIP = 31  # for zlib: with the header and the check sum that gzip has
_REQUEST = re.compile(rb"([A-Z]{1,10}) (/[^ ?\r\n]*)(?:\?[^ \r\n]*)? HTTP/1\.[01]\r\n")
_TAKES_GZIP = re.compile(rb"\r\naccept-encoding:[^\r\n]*\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*[,\r])", re.IGNORECASE)


class Page(NamedTuple):
    """A page as it is kept: packed by gzip, and how many bytes it is unpacked."""

    packed: bytes
    nbytes: int

    def pieces(self, *, is_packed: bool) -> Iterator[bytes]:
        """The bytes to send, in pieces of bounded size."""
        unpacker = zlib.decompressobj(_GZIP)
        for start in range(0, len(self.packed), _PIECE_BYTES):
            piece = self.packed[start : start + _PIECE_BYTES]
            if is_packed:
                yield piece
            while piece and not is_packed:
                yield unpacker.decompress(piece, _PIECE_BYTES)
                piece = unpacker.unconsumed_tail


class PageServer:
    """Serves the page at ``path``, and nothing else.

    Args:
        path: Begins with a slash.
        content_type: Of the page.
        make: Makes it, block by block; the loop does other things between two blocks.
    """

    def __init__(self, path: str, content_type: str, make: Callable[[], AsyncIterator[bytes]]) -> None:
        self._path = path.encode()
        self._content_type = content_type
        self._make = make
        self._clients: set[asyncio.Task[None]] = set()
        self._server: Optional[asyncio.AbstractServer] = None
        self._making: Optional[asyncio.Task[Page]] = None
        self._made_s = 0.0

    async def start(self, host: str, port: int) -> None:
        """Serve at an IP address, or at all if it is ``*``.

        Raises:
            OSError: If that cannot be had now.
        """
        listener = _listener(host, port)
        try:
            self._server = await asyncio.start_server(
                self._serve, sock=listener, limit=MAX_HEAD_BYTES, backlog=MAX_CLIENTS
            )
        except BaseException:
            listener.close()
            raise

    async def close(self) -> None:
        """Serve no more; whoever is being answered is cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks: list[asyncio.Task[None] | asyncio.Task[Page]] = [*self._clients]
        if self._making is not None:
            tasks.append(self._making)
            self._making = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        try:
            if len(self._clients) < MAX_CLIENTS:
                self._clients.add(client)
                await asyncio.wait_for(self._answer(reader, writer), PATIENCE_S)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # gone, silent, slow or no HTTP
        finally:
            self._clients.discard(client)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request = _REQUEST.match(head)
        method, path = request.groups() if request else (b"", b"")
        if request is None:
            self._refuse(writer, HTTPStatus.BAD_REQUEST)
        elif path != self._path:
            self._refuse(writer, HTTPStatus.NOT_FOUND)
        elif method not in (b"GET", b"HEAD"):
            self._refuse(writer, HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET, HEAD")
        else:
            await self._send_page(writer, is_packed=bool(_TAKES_GZIP.search(head)), is_head=method == b"HEAD")
        writer.close()
        await writer.wait_closed()

    async def _send_page(self, writer: asyncio.StreamWriter, *, is_packed: bool, is_head: bool) -> None:
        try:
            page = await self._page()
        except Exception as error:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": f"the page {self._path.decode()} failed", "exception": error})
            self._refuse(writer, HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        nbytes = len(page.packed) if is_packed else page.nbytes
        fields = [f"Content-Type: {self._content_type}", f"Content-Length: {nbytes}", "Vary: Accept-Encoding"]
        writer.write(_head(HTTPStatus.OK, *fields, *["Content-Encoding: gzip"] * is_packed))
        for piece in () if is_head else page.pieces(is_packed=is_packed):
            writer.write(piece)
            await writer.drain()

    async def _page(self) -> Page:
        """The page, made for us or a moment ago for another."""
        if self._making is None or (self._making.done() and time.monotonic() > self._made_s + FRESH_S):
            self._making = asyncio.get_running_loop().create_task(self._made())
        # Shielded: who gives up does not spoil it for others.
        return await asyncio.shield(self._making)

    async def _made(self) -> Page:
        packer, packed, nbytes = zlib.compressobj(1, zlib.DEFLATED, _GZIP), bytearray(), 0
        try:
            async for block in self._make():
                packed += packer.compress(block)
                nbytes += len(block)
                await asyncio.sleep(0)
        finally:
            self._made_s = time.monotonic()
        return Page(bytes(packed + packer.flush()), nbytes)

    def _refuse(self, writer: asyncio.StreamWriter, status: HTTPStatus, *fields: str) -> None:
        body = f"{status.phrase}; there is {self._path.decode()}\n".encode()
        writer.write(_head(status, "Content-Type: text/plain", f"Content-Length: {len(body)}", *fields) + body)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host or (host == "*" and socket.has_dualstack_ipv6()) else socket.AF_INET
    is_both = host == "*" and family == socket.AF_INET6
    return socket.create_server(("" if host == "*" else host, port), family=family, dualstack_ipv6=is_both)


def _head(status: HTTPStatus, *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *fields, "Connection: close", "", ""]
    return "\r\n".join(lines).encode()
