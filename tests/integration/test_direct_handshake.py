"""The first words of a direct connection, with ends that mean well and ends that do not."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Optional

import pytest

from daosup.core.dnet_lines import LINE_S, MOST_LINE_BYTES, Subscription, encode_subscribe
from daosup.core.transport import TRY_S, Via
from daosup.stream.direct_connecting import DirectConnecting, RefusedError
from daosup.stream.direct_listener import MOST_WAITING, DirectListener
from tests.waiting import wait_until

OURS = Subscription("wfs", "lab", is_ours=True)
PATIENCE_S = 30.0


class Owner:
    """A listener whose time stands still unless it is told, and who it was handed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.taken: list[tuple[socket.socket, Subscription]] = []
        self.why_not: Optional[str] = None
        self.listener = DirectListener("127.0.0.1", (0,), "wfs", lambda wanted: self.why_not, self._take)

    def _take(self, fd: int, wanted: Subscription) -> None:
        self.taken.append((socket.socket(fileno=fd), wanted))

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.listener.port), PATIENCE_S)
        connection.settimeout(PATIENCE_S)
        return connection

    def tend(self) -> None:
        self.listener.tend(self.now)

    def close(self) -> None:
        self.listener.close()
        for connection, _ in self.taken:
            connection.close()


@pytest.fixture
def owner() -> Iterator[Owner]:
    made = Owner()
    yield made
    made.close()


def answer_to(owner: Owner, connection: socket.socket) -> bytes:
    """What is said to a connection until its end, or until it may read frames."""
    said = b""
    connection.settimeout(0.01)

    def is_over() -> bool:
        nonlocal said
        owner.tend()
        try:
            part = connection.recv(4096)
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        said += part
        return not part or said.startswith(b"OK")

    wait_until(is_over, 5.0, "an answer")
    return said


def test_who_asks_rightly_is_answered_and_handed_over(owner: Owner) -> None:
    with owner.connect() as connection:
        line = encode_subscribe(OURS)
        connection.sendall(line[:7])
        owner.tend()
        connection.sendall(line[7:])
        assert answer_to(owner, connection) == b"OK daosup=1\n"
        ((taken, wanted),) = owner.taken
        assert wanted == OURS
        assert not os.get_blocking(taken.fileno())
        taken.sendall(b"frames")
        connection.settimeout(PATIENCE_S)
        assert connection.recv(6) == b"frames"
    assert owner.listener.rejected == 0


def test_a_foreign_reader_is_answered_as_it_knows_it(owner: Owner) -> None:
    with owner.connect() as connection:
        connection.sendall(b"SUBSCRIBE wfs their-node\n")
        assert answer_to(owner, connection) == b"OK\n"
    assert not owner.taken[0][1].is_ours


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"SUBSCRIBE dm lab daosup=1\n", b"ERR dm is not here"),
        (b"CATALOG\n", b"ERR expected SUBSCRIBE"),
        (b"GET / HTTP/1.1\r\n", b"ERR "),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\n", b"ERR "),
        (b"\n", b"ERR "),
        (b"x" * (MOST_LINE_BYTES + 1), b"ERR line of more than"),
        (encode_subscribe(OURS) + b"and more", b"ERR something behind"),
        (b"SUBSCRIBE wfs lab daosup=1 colour=red\n", b"ERR option 'colour=red'"),
        (b"SUBSCRIBE wfs lab daosup=2\n", b"ERR 'daosup=2'"),
    ],
)
def test_who_asks_for_anything_else_is_told_why_not(owner: Owner, said: bytes, told: bytes) -> None:
    with owner.connect() as connection:
        connection.sendall(said)
        assert answer_to(owner, connection).startswith(told)
    assert (owner.listener.rejected, owner.taken) == (1, [])


def test_who_leaves_in_the_middle_of_its_line_is_forgotten(owner: Owner) -> None:
    with owner.connect() as connection:
        connection.sendall(b"SUBSCR")
        owner.tend()
    wait_until(lambda: owner.tend() is None and owner.listener.rejected == 1, 5.0, "the listener to notice")


def test_who_leaves_without_a_word_only_looked_whether_there_is_a_connection_to_be_had(owner: Owner) -> None:
    with owner.connect():
        wait_until(lambda: owner.tend() is None and owner.listener.waiting_count == 1, 5.0, "a connection")
    wait_until(lambda: owner.tend() is None and owner.listener.waiting_count == 0, 5.0, "the listener to notice")
    assert owner.listener.rejected == 0


def test_who_says_a_byte_now_and_then_has_no_longer_than_all_others(owner: Owner) -> None:
    with owner.connect() as slow:
        wait_until(lambda: owner.tend() is None and owner.listener.waiting_count == 1, 5.0, "a connection")
        for byte in b"SUBSCRIBE":
            slow.sendall(bytes([byte]))
            owner.now += LINE_S / 10
            owner.tend()
        assert owner.listener.waiting_count == 1
        owner.now = LINE_S
        assert answer_to(owner, slow).startswith(b"ERR no line within 3 s")
    assert owner.listener.waiting_count == 0


def test_many_who_say_nothing_cost_a_bounded_number_of_places_and_keep_nobody_away(owner: Owner) -> None:
    with ExitStack() as stack:
        silent = []
        for _ in range(2 * MOST_WAITING):
            silent.append(stack.enter_context(owner.connect()))
            owner.tend()
        wait_until(lambda: owner.tend() is None and owner.listener.rejected == MOST_WAITING, 5.0, "the oldest to go")
        assert owner.listener.waiting_count == MOST_WAITING
        good = stack.enter_context(owner.connect())
        good.sendall(encode_subscribe(OURS))
        assert answer_to(owner, good) == b"OK daosup=1\n"
        assert answer_to(owner, silent[0]).startswith(b"ERR too many")
        owner.now = LINE_S + 1.0
        owner.tend()
        assert owner.listener.waiting_count == 0


def test_whom_the_publisher_does_not_want_is_told_why(owner: Owner) -> None:
    owner.why_not = "it has\n256 readers already"
    with owner.connect() as connection:
        connection.sendall(encode_subscribe(OURS))
        assert answer_to(owner, connection) == b"ERR it has 256 readers already\n"


def test_a_port_that_is_taken_is_passed_over_and_none_left_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = int(other.getsockname()[1])
        listener = DirectListener("127.0.0.1", (taken,), "wfs", lambda wanted: None, lambda fd, wanted: None)
        assert listener.port == 0
        listener.tend(0.0)
        listener.close()
        listener = DirectListener("127.0.0.1", (taken, 0), "wfs", lambda wanted: None, lambda fd, wanted: None)
        assert listener.port not in (0, taken)
        listener.close()


# -- the reader's end


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(PATIENCE_S)
        yield made


def connecting_to(server: socket.socket) -> DirectConnecting:
    return DirectConnecting("127.0.0.1", int(server.getsockname()[1]), OURS)


def refusal_of(connecting: DirectConnecting) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        all(connecting.step(0.2) is None for _ in range(100))
    return caught.value


def accepted(server: socket.socket, connecting: DirectConnecting) -> socket.socket:
    assert connecting.step(0.0) is None
    far, _ = server.accept()
    line = b""
    while not line.endswith(b"\n"):
        assert connecting.step(0.01) is None
        far.settimeout(0.01)
        try:
            line += far.recv(4096)
        except TimeoutError:
            continue
    assert line == b"SUBSCRIBE wfs lab daosup=1\n"
    return far


def test_a_reader_takes_the_answer_and_not_one_byte_more(server: socket.socket) -> None:
    connecting = connecting_to(server)
    with accepted(server, connecting) as far:
        far.sendall(b"OK dao")
        assert connecting.step(0.05) is None
        far.sendall(b"sup=1\nDNET and frames")
        connection = connecting.step(PATIENCE_S)
        assert connection is not None
        with connection:
            connection.setblocking(True)
            assert connection.recv(15) == b"DNET and frames"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"ERR wfs is not here\n", "refuses: wfs is not here"),
        (b"OK\n", "does not speak to mirrors of ours"),
        (b"220 mail.example ESMTP\n", "expected OK or ERR"),
        (b"x" * 5000, "answers without end"),
        (b"", "closed the connection"),
    ],
)
def test_a_reader_that_is_answered_otherwise_says_so(server: socket.socket, said: bytes, told: str) -> None:
    connecting = connecting_to(server)
    far = accepted(server, connecting)
    far.sendall(said)
    far.close()
    refused = refusal_of(connecting)
    assert refused.via is Via.ZMQ_DENIED
    assert told in str(refused)


def test_an_owner_that_refuses_is_known_at_once_and_one_that_is_silent_in_time(server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = int(gone.getsockname()[1])
    refused = refusal_of(DirectConnecting("127.0.0.1", port, OURS))
    assert (refused.via, str(refused)) == (Via.ZMQ_REFUSED, f"127.0.0.1:{port}: refuses connections")
    began_s = time.monotonic()
    silent = refusal_of(connecting_to(server))
    assert silent.via is Via.ZMQ_SILENT
    assert time.monotonic() - began_s >= TRY_S - 0.01


def test_a_name_without_an_address_is_a_refusal() -> None:
    refused = refusal_of(DirectConnecting("no-such-host.invalid", 1, OURS))
    assert refused.via in (Via.ZMQ_REFUSED, Via.ZMQ_SILENT)  # as the resolver is quick or not
