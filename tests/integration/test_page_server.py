"""A page over HTTP: what honest clients get, and what hostile ones cannot do."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest

from daosup.adapters import page_server
from daosup.adapters.page_server import MAX_CLIENTS, MAX_HEAD_BYTES, PageServer
from tests.ports import free_port
from tests.waiting import wait_until

DEADLINE_S = 10.0
ASK = b"GET /metrics HTTP/1.1\r\nHost: rts\r\n\r\n"
#: More than the buffers of a connection take.
LINES = 200_000


class Serving:
    """A page server in a loop of its own thread; its page says how often it was made."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.made = 0
        self.line_count = 3
        self.error: Exception | None = None
        self.faults: list[str] = []
        self.going_on = threading.Event()
        self.going_on.set()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self.faults.append(str(context["message"])))
        self.server = PageServer("/metrics", "text/plain; version=0.0.4", self.page)
        self.port = free_port()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(host, self.port), self.loop).result(DEADLINE_S)

    async def page(self) -> AsyncIterator[bytes]:
        self.made += 1
        yield f"made {self.made}\n".encode()
        await asyncio.get_running_loop().run_in_executor(None, self.going_on.wait)
        if self.error is not None:
            raise self.error
        for start in range(0, self.line_count, 1000):
            yield lines(start, min(start + 1000, self.line_count))

    @property
    def text(self) -> bytes:
        """The page as it was made last."""
        return f"made {self.made}\n".encode() + lines(0, self.line_count)

    @property
    def client_count(self) -> int:
        return len(self.server._clients)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)

    def ask(self, path: str = "/metrics", method: str = "GET", **fields: str) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            connection.request(method, path, headers=fields)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self.loop).result(DEADLINE_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE_S)
        self.loop.close()


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    try:
        yield made
    finally:
        made.going_on.set()
        made.end()


def lines(start: int, end: int) -> bytes:
    return "".join(f"line {number}\n" for number in range(start, end)).encode()


def answer_to(client: socket.socket) -> bytes:
    """Everything until the server ends it, however it does."""
    received = b""
    while True:
        try:
            piece = client.recv(1 << 16)
        except ConnectionError:
            return received
        if not piece:
            return received
        received += piece


def test_the_page_is_the_same_packed_or_not_and_its_size_is_told(serving: Serving) -> None:
    serving.line_count = LINES
    status, fields, body = serving.ask()
    assert (status, body) == (200, serving.text)
    assert fields["content-type"] == "text/plain; version=0.0.4"
    assert int(fields["content-length"]) == len(body)
    status, fields, packed = serving.ask(**{"Accept-Encoding": "deflate, GZIP;q=0.5"})
    assert (status, fields["content-encoding"], int(fields["content-length"])) == (200, "gzip", len(packed))
    assert gzip.decompress(packed) == body
    assert len(packed) < len(body) / 3
    assert serving.ask(**{"Accept-Encoding": "gzip;q=0, identity"})[2] == body


def test_a_head_is_told_without_the_page(serving: Serving) -> None:
    status, fields, body = serving.ask(method="HEAD")
    assert (status, int(fields["content-length"]), body) == (200, len(serving.text), b"")


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/metricsx", "GET", 404), ("/metrics", "POST", 405)]
)
def test_there_is_nothing_else(serving: Serving, path: str, method: str, status: int) -> None:
    assert serving.ask(path, method)[0] == status
    assert serving.made == 0


def test_a_question_mark_and_what_follows_are_passed_over(serving: Serving) -> None:
    assert serving.ask("/metrics?name[]=up")[0] == 200


@pytest.mark.parametrize(
    "line", [b"GET metrics HTTP/1.1", b"GET /metrics", b"get /metrics HTTP/1.1", b"\x16\x03\x01\x02\0"]
)
def test_what_is_no_http_is_refused(serving: Serving, line: bytes) -> None:
    with closing(serving.connect()) as client:
        client.sendall(line + b"\r\n\r\n")
        assert answer_to(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert serving.ask()[0] == 200
    assert serving.faults == []


def test_it_is_made_at_most_once_a_second_however_many_ask(serving: Serving) -> None:
    serving.going_on.clear()
    with ThreadPoolExecutor(MAX_CLIENTS) as pool:
        asked = [pool.submit(serving.ask) for _ in range(MAX_CLIENTS)]
        wait_until(lambda: serving.client_count == MAX_CLIENTS, DEADLINE_S, "all to have asked")
        serving.going_on.set()
        assert {each.result()[2] for each in asked} == {serving.text}
    assert serving.ask()[2] == serving.text
    assert serving.made == 1
    wait_until(lambda: serving.ask()[2].startswith(b"made 2\n"), DEADLINE_S, "another page")


def test_one_that_cannot_be_made_is_told_and_the_next_one_is_fine(serving: Serving) -> None:
    serving.error = RuntimeError("as asked")
    assert serving.ask()[0] == 500
    assert serving.faults == ["the page /metrics failed"]
    serving.error = None
    wait_until(lambda: serving.ask()[0] == 200, DEADLINE_S, "a page")


def test_who_gives_up_does_not_spoil_it_for_others(serving: Serving) -> None:
    serving.going_on.clear()
    with closing(serving.connect()) as impatient, ThreadPoolExecutor(1) as pool:
        impatient.sendall(ASK)
        wait_until(lambda: serving.made == 1, DEADLINE_S, "the page to be begun")
        patient = pool.submit(serving.ask)
        wait_until(lambda: serving.client_count == 2, DEADLINE_S, "another one to ask")
        impatient.close()
        serving.going_on.set()
        assert patient.result()[0] == 200
    assert serving.made == 1


def test_the_silent_and_the_slow_are_cut_off_and_others_are_served_meanwhile(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "PATIENCE_S", 0.5)
    serving.line_count = LINES * 5
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(serving.connect())) for _ in range(4)]
        clients[1].sendall(ASK[:20])
        clients[2].sendall(ASK)  # and reads nothing
        clients[3].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        began_s = time.monotonic()
        assert serving.ask("/")[0] == 404
        assert time.monotonic() - began_s < 0.5
        for client in clients:
            assert len(answer_to(client)) < len(serving.text)
    assert serving.client_count == 0


def test_a_head_without_end_is_cut_off_at_once(serving: Serving) -> None:
    with closing(serving.connect()) as client:
        began_s = time.monotonic()
        with suppress(ConnectionError):
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + b"X-More: of it\r\n" * MAX_HEAD_BYTES)
        assert answer_to(client) == b""
        assert time.monotonic() - began_s < page_server.PATIENCE_S / 2
    assert serving.ask()[0] == 200


def test_there_are_only_so_many_at_a_time(serving: Serving) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CLIENTS):
            stack.enter_context(closing(serving.connect()))
        wait_until(lambda: serving.client_count == MAX_CLIENTS, DEADLINE_S, "all to be there")
        for _ in range(3 * MAX_CLIENTS):
            with closing(serving.connect()) as one_more:
                assert answer_to(one_more) == b""
    wait_until(lambda: serving.client_count == 0, DEADLINE_S, "all to be gone")
    assert serving.ask()[0] == 200


def test_closing_cuts_everybody_off_and_frees_the_address(serving: Serving) -> None:
    serving.going_on.clear()
    with closing(serving.connect()) as silent, closing(serving.connect()) as waiting:
        waiting.sendall(ASK)
        wait_until(lambda: serving.made == 1 and serving.client_count == 2, DEADLINE_S, "both to be there")
        asyncio.run_coroutine_threadsafe(serving.server.close(), serving.loop).result(DEADLINE_S)
        assert answer_to(silent) == answer_to(waiting) == b""
    with pytest.raises(ConnectionRefusedError):
        serving.connect()
    asyncio.run_coroutine_threadsafe(serving.server.start("127.0.0.1", serving.port), serving.loop).result(DEADLINE_S)
    serving.going_on.set()
    wait_until(lambda: serving.ask()[0] == 200, DEADLINE_S, "the page")


def test_an_address_that_cannot_be_had_is_an_error(serving: Serving) -> None:
    async def start(host: str) -> None:
        await PageServer("/metrics", "text/plain", serving.page).start(host, serving.port)

    for host in ("127.0.0.1", "192.0.2.1", "*"):
        with pytest.raises(OSError, match=r"in use|Cannot assign"):
            asyncio.run_coroutine_threadsafe(start(host), serving.loop).result(DEADLINE_S)


@pytest.mark.parametrize("host", ["*", "::1"])
def test_other_addresses_are_served_too(host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    made = Serving(host)
    try:
        at = "127.0.0.1" if host == "*" else host
        with closing(socket.create_connection((at, made.port), DEADLINE_S)) as client:
            client.sendall(ASK)
            assert answer_to(client).endswith(made.text)
    finally:
        made.end()
