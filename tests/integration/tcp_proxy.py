"""A stretch of network that can be made bad, between a client and a server on this machine: a process of its own.

It is told what to do line by line on its standard input, and says ``done`` to each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

from tests.ports import free_port

_BUFFER_BYTES = 65536


class Proxy:
    """Passes connections on to a server, until told otherwise.

    Args:
        target: The server's port, on 127.0.0.1.
        host: Where clients connect to, an address of this machine; other than 127.0.0.1, the port is the server's.
        certificate: With it (and its key), clients speak TLS with the proxy, and the proxy plainly with the server.
        client_ca: With it, clients must show a certificate signed by this.

    Attributes:
        port: Where clients connect to.
    """

    def __init__(
        self,
        target: int,
        host: str = "127.0.0.1",
        certificate: Optional[Path] = None,
        client_ca: Optional[Path] = None,
    ) -> None:
        self.port = free_port() if host == "127.0.0.1" else target
        files = [str(file or "") for file in (certificate, client_ca)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.tcp_proxy", host, str(self.port), str(target), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.heal()

    def delay_replies(self, seconds: float) -> None:
        """Whatever the server says from now on arrives so much later."""
        self._order(f"delay {seconds}")

    def stall(self) -> None:
        """Nothing is passed on any more, and nobody is told: what a half-open connection is like."""
        self._order("stall")

    def cut(self) -> None:
        """All connections end, and none is taken."""
        self._order("cut")

    def swallow(self) -> None:
        """As a firewall that drops: what is connected is silent, and nobody can connect or is told so."""
        self._order("swallow")

    def lose(self) -> None:
        """As ``swallow``; and what is connected never gets through again, also when all is well."""
        self._order("lose")

    def spoil(self) -> None:
        """In each connection the next that the server says arrives as noise; what comes after it is not touched."""
        self._order("spoil")

    def reset(self) -> None:
        """Each connection is reset (RST) in the middle of the next that the server says; new ones are taken."""
        self._order("reset")

    def heal(self) -> None:
        """Pass everything on again."""
        self._order("heal")

    def close(self) -> None:
        """End everything."""
        self._process.communicate()
        assert self._process.returncode == 0

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"


@contextlib.contextmanager
def proxy(target: int, host: str = "127.0.0.1", **tls: Optional[Path]) -> Iterator[Proxy]:
    """A proxy meanwhile."""
    made = Proxy(target, host, **tls)
    try:
        yield made
    finally:
        made.close()


class Proxies:
    """Several stretches of network, as one."""

    def __init__(self, *proxies: Proxy) -> None:
        self._proxies = proxies

    def delay_replies(self, seconds: float) -> None:
        """As each of them."""
        for each in self._proxies:
            each.delay_replies(seconds)

    def stall(self) -> None:
        """As each of them."""
        for each in self._proxies:
            each.stall()

    def cut(self) -> None:
        """As each of them."""
        for each in self._proxies:
            each.cut()

    def swallow(self) -> None:
        """As each of them."""
        for each in self._proxies:
            each.swallow()

    def lose(self) -> None:
        """As each of them."""
        for each in self._proxies:
            each.lose()

    def heal(self) -> None:
        """As each of them."""
        for each in self._proxies:
            each.heal()


class _Network:
    """The proxy within its process."""

    def __init__(self, host: str, port: int, target: int, tls: Optional[ssl.SSLContext]) -> None:
        self._host, self._port, self._target, self._tls = host, port, target, tls
        self._delay_s = 0.0
        self._flow = asyncio.Event()
        self._server: Optional[asyncio.base_events.Server] = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        #: What is to become of the next that is said to a client.
        self._harms: dict[asyncio.StreamWriter, str] = {}
        self._plug: list[socket.socket] = []

    async def obey(self, line: str) -> None:
        order, *arguments = line.split()
        if order == "delay":
            self._delay_s = float(arguments[0])
        elif order == "stall":
            self._flow.clear()
        elif order == "cut":
            self._close_server()
            for task in self._tasks:
                task.cancel()
        elif order in ("spoil", "reset"):
            self._harms = dict.fromkeys(self._clients, order)
        elif order == "swallow":
            self._flow.clear()
            self._close_server()
            self._swallow()
        elif order == "lose":
            self._flow.clear()
            self._flow = asyncio.Event()  # who waits for the one before waits in vain
            self._close_server()
            self._swallow()
        else:
            self._delay_s = 0.0
            self._unplug()
            self._flow.set()
            if self._server is None:
                self._server = await asyncio.start_server(self._serve, self._host, self._port, ssl=self._tls)

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _swallow(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host, self._port))
        listener.listen(0)
        self._plug = [listener]
        # The kernel drops whoever wants to connect when as many as these wait to be taken.
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self._host, self._port))
            self._plug.append(filler)

    def _unplug(self) -> None:
        for each in self._plug:
            each.close()
        self._plug.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._clients.add(writer)
        writers = [writer]
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(server_writer)
            both = [
                asyncio.ensure_future(self._pass(reader, server_writer, lambda: 0.0)),
                asyncio.ensure_future(self._pass(server_reader, writer, lambda: self._delay_s)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in both:
                    each.cancel()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._clients.discard(writer)
            self._harms.pop(writer, None)
            for each in writers:
                each.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: Callable[[], float]
    ) -> None:
        flow = self._flow
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        collector = asyncio.ensure_future(_collect(reader, chunks, delay_s))
        try:
            while True:
                due_s, chunk = await chunks.get()
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await flow.wait()
                if not chunk:
                    return
                harm = self._harms.pop(writer, None)
                if harm == "reset":  # all but the last byte, so that no message ends there
                    writer.write(chunk[:-1])
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return
                writer.write(os.urandom(len(chunk)) if harm == "spoil" else chunk)
                await writer.drain()
        except OSError:
            return
        finally:
            collector.cancel()


async def _collect(
    reader: asyncio.StreamReader, chunks: asyncio.Queue[tuple[float, bytes]], delay_s: Callable[[], float]
) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_BUFFER_BYTES):
            chunks.put_nowait((time.monotonic() + delay_s(), chunk))
    chunks.put_nowait((0.0, b""))


async def _main(host: str, port: str, target: str, certificate: str, client_ca: str) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca or None)
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED if client_ca else ssl.CERT_NONE
    network = _Network(host, int(port), int(target), context)
    loop = asyncio.get_running_loop()
    # A client that does not get through TLS is no news.
    loop.set_exception_handler(lambda _, __: None)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await network.obey(line)
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
