"""The control socket: a real server, a real client, and clients that misbehave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daosup.adapters import control, control_connection
from daosup.adapters.control_client import ControlClient
from daosup.adapters.control_protocol import ERROR_OF_KIND, MAX_REPLY_BYTES, MAX_REQUEST_BYTES
from daosup.errors import (
    DaosupError,
    NoAnswerError,
    UnavailableError,
    UsageError,
)
from tests.integration.control_daemon import DEADLINE_S, Daemon, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rts.sock"


@pytest.fixture
def daemon(path: Path) -> Iterator[Daemon]:
    with serving(path) as started:
        yield started


@pytest.fixture
def client(daemon: Daemon) -> Iterator[ControlClient]:
    with ControlClient(daemon.path, DEADLINE_S) as opened:
        yield opened


@contextmanager
def raw(daemon: Daemon) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(DEADLINE_S)
        connection.connect(str(daemon.path))
        yield connection


def lines_of(connection: socket.socket, count: int) -> list[dict[str, object]]:
    with connection.makefile("rb") as stream:
        return [json.loads(stream.readline()) for _ in range(count)]


def kind_in(reply: dict[str, object]) -> object:
    error = reply["error"]
    assert isinstance(error, dict)
    return error["kind"]


def test_arguments_and_result_cross_whole(client: ControlClient) -> None:
    result = client.call("echo", source="rts:wfs", wait_s=0.5, none=None, text="é\n\0", nested={"a": [1, 2]})
    assert isinstance(result, dict)
    assert result["arguments"] == {
        "source": "rts:wfs",
        "wait_s": 0.5,
        "none": None,
        "text": "é\n\0",
        "nested": {"a": [1, 2]},
    }


def test_a_connection_keeps_its_name_and_two_have_two(daemon: Daemon, client: ControlClient) -> None:
    def name_of(asker: ControlClient) -> object:
        result = asker.call("echo")
        assert isinstance(result, dict)
        return result["connection"]

    with ControlClient(daemon.path) as other:
        assert name_of(client) == name_of(client) != name_of(other)


@pytest.mark.parametrize("kind", ERROR_OF_KIND)
def test_every_kind_of_error_arrives_as_its_class(client: ControlClient, kind: str) -> None:
    with pytest.raises(DaosupError, match=f"as asked: {kind}") as caught:
        client.call("raise", kind=kind)
    assert type(caught.value) is ERROR_OF_KIND[kind]
    assert client.call("fill", nbytes=1) == "x"


@pytest.mark.parametrize("command", ["bug", "not_json"])
def test_a_fault_in_the_handler_is_told_and_costs_no_connection(
    daemon: Daemon, client: ControlClient, command: str
) -> None:
    with pytest.raises(DaosupError, match="a fault in daosupd"):
        client.call(command)
    daemon.until(daemon.faults)
    assert command in daemon.faults[0]
    assert client.call("fill", nbytes=1) == "x"


def test_a_long_request_does_not_hold_up_the_next_one(daemon: Daemon) -> None:
    with raw(daemon) as connection:
        connection.sendall(b'{"id":"slow","command":"wait"}\n{"id":"quick","command":"fill","nbytes":1}\n')
        [first] = lines_of(connection, 1)
        daemon.release()
        [second] = lines_of(connection, 1)
    assert (first["id"], second["id"], second["result"]) == ("quick", "slow", "released")


def test_a_reply_of_many_rows_does_not_hold_up_the_next_one(daemon: Daemon) -> None:
    count = 20_000  # far more than are written in one turn, however quick the machine is
    with raw(daemon) as connection:
        request = {"id": "long", "command": "list", "count": count}
        connection.sendall(json.dumps(request).encode() + b'\n{"id":"quick","command":"fill","nbytes":1}\n')
        first, second = lines_of(connection, 2)
    assert (first["id"], second["id"]) == ("quick", "long")
    assert second["result"] == {"rows": [{"number": number} for number in range(count)]}


def test_a_late_reply_is_not_taken_for_the_next_calls(daemon: Daemon, client: ControlClient) -> None:
    with pytest.raises(NoAnswerError, match=r"did not answer 'wait' within 0\.05 s"):
        client.call("wait", timeout_s=0.05)
    assert client.is_open
    daemon.release()
    assert client.call("wait") == "released"
    assert client.call("fill", nbytes=3) == "xxx"
    assert daemon.closed == []


def test_threads_share_a_client(client: ControlClient) -> None:
    answers: dict[int, object] = {}

    def ask(nbytes: int) -> None:
        answers[nbytes] = client.call("fill", nbytes=nbytes)

    threads = [threading.Thread(target=ask, args=(nbytes,)) for nbytes in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert answers == {nbytes: "x" * nbytes for nbytes in range(20)}


def test_large_replies_cross_and_too_large_ones_are_refused(client: ControlClient) -> None:
    nbytes = MAX_REPLY_BYTES - 100
    assert client.call("fill", nbytes=nbytes) == "x" * nbytes
    with pytest.raises(DaosupError, match="the reply would have"):
        client.call("fill", nbytes=MAX_REPLY_BYTES)
    assert client.call("fill", nbytes=1) == "x"


def test_the_client_refuses_to_send_what_the_server_would_not_take(client: ControlClient) -> None:
    with pytest.raises(UsageError, match="are allowed"):
        client.call("echo", text="x" * MAX_REQUEST_BYTES)
    assert client.call("fill", nbytes=1) == "x"


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"\xff\xfe{}",
        b"[1, 2]",
        b"{}",
        b'{"command": 5}',
        b'{"id": [], "command": "fill"}',
        b'{"id": true, "command": "fill"}',
        b'{"id": 1.5, "command": "fill"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 10_000 + b', "x": NaN}',
        b'{"id": 1, "command": "unheard_of"}',
    ],
    ids=lambda line: line[:20].decode("ascii", "replace"),
)
def test_bad_requests_are_answered_and_the_connection_goes_on(daemon: Daemon, line: bytes) -> None:
    with raw(daemon) as connection:
        connection.sendall(line + b'\n\n{"id":2,"command":"fill","nbytes":1}\n')
        with connection.makefile("rb") as stream:
            replies = [json.loads(stream.readline()), json.loads(stream.readline())]
    bad = next(reply for reply in replies if not reply["ok"])
    good = next(reply for reply in replies if reply["ok"])
    assert kind_in(bad) == "usage"
    assert good == {"id": 2, "ok": True, "result": "x"}


@pytest.mark.parametrize("has_newline", [True, False])
def test_a_request_too_long_is_answered_and_ends_the_connection(daemon: Daemon, has_newline: bool) -> None:
    with raw(daemon) as connection:
        try:
            connection.sendall(b"x" * (MAX_REQUEST_BYTES + 1) + b"\n" * has_newline)
        except BrokenPipeError:
            pass
        with connection.makefile("rb") as stream:
            assert kind_in(json.loads(stream.readline())) == "usage"
            assert stream.read() == b""
    daemon.until(daemon.closed)


def test_a_client_that_only_ends_its_sending_gets_its_answers(daemon: Daemon) -> None:
    with raw(daemon) as connection:
        connection.sendall(b'{"id":1,"command":"wait"}\n{"id":2,"command":"fill","nbytes":1}')
        connection.shutdown(socket.SHUT_WR)
        [first] = lines_of(connection, 1)
        daemon.release()
        with connection.makefile("rb") as stream:
            second = json.loads(stream.readline())
            assert stream.read() == b""
    assert (first["id"], second["id"], second["result"]) == (2, 1, "released")


def test_requests_of_a_client_that_went_away_are_cancelled_before_its_end_is_told(daemon: Daemon) -> None:
    with raw(daemon) as connection:
        connection.sendall(b'{"id":1,"command":"wait"}\n{"id":2,"command":"fill","nbytes":1}\n')
        lines_of(connection, 1)
        assert daemon.closed == []
    daemon.until(daemon.closed)
    assert daemon.cancelled == daemon.closed


def test_a_client_that_stops_reading_is_dropped_and_holds_up_nobody(daemon: Daemon, client: ControlClient) -> None:
    request = b'{"id":1,"command":"fill","nbytes":%d}\n' % (MAX_REPLY_BYTES - 100)
    with raw(daemon) as greedy:
        greedy.sendall(request * 4)
        daemon.until(daemon.closed)
        assert client.call("fill", nbytes=1) == "x"


def test_a_flood_of_requests_is_answered_in_full_without_starting_all_at_once(daemon: Daemon) -> None:
    count = 5000
    with raw(daemon) as connection:
        sender = threading.Thread(
            target=connection.sendall, args=(b'{"id":7,"command":"fill","nbytes":100}\n' * count,)
        )
        sender.start()
        replies = lines_of(connection, count)
        sender.join(DEADLINE_S)
    assert len(replies) == count
    assert all(reply["result"] == "x" * 100 for reply in replies)


def test_requests_beyond_the_limit_wait_for_their_turn(daemon: Daemon) -> None:
    with raw(daemon) as connection:
        connection.sendall(b'{"id":1,"command":"wait"}\n' * control_connection.MAX_REQUESTS_AT_ONCE)
        connection.sendall(b'{"id":"next","command":"fill","nbytes":1}\n')
        with raw(daemon) as other:
            other.sendall(b'{"id":1,"command":"fill","nbytes":1}\n')
            lines_of(other, 1)
        daemon.release()
        replies = lines_of(connection, control_connection.MAX_REQUESTS_AT_ONCE + 1)
    assert replies[-1]["id"] == "next"


def test_too_many_clients_are_told_so(daemon: Daemon) -> None:
    clients = [ControlClient(daemon.path, DEADLINE_S) for _ in range(control.MAX_CONNECTIONS)]
    try:
        for client in clients:
            client.call("fill", nbytes=1)
        with raw(daemon) as one_more, one_more.makefile("rb") as stream:
            assert kind_in(json.loads(stream.readline())) == "unavailable"
            assert stream.read() == b""
    finally:
        for client in clients:
            client.close()


def test_closing_answers_what_is_unfinished_and_removes_the_file(daemon: Daemon, client: ControlClient) -> None:
    with raw(daemon) as waiting:
        waiting.sendall(b'{"id":1,"command":"wait"}\n{"id":2,"command":"fill","nbytes":1}\n')
        lines_of(waiting, 1)
        daemon.close()
        [reply] = lines_of(waiting, 1)
    assert kind_in(reply) == "unavailable"
    assert not daemon.path.exists()
    with pytest.raises(UnavailableError):
        client.call("fill", nbytes=1)
    assert not client.is_open


def test_the_next_call_after_a_restart_connects_again(daemon: Daemon, client: ControlClient) -> None:
    assert client.call("fill", nbytes=1) == "x"
    daemon.close()
    with pytest.raises(UnavailableError, match="went away"):
        client.call("fill", nbytes=1)
    daemon.start()
    assert client.call("fill", nbytes=2) == "xx"
