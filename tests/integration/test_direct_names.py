"""A direct connection to an owner that is told by its name: which address is taken, and how long that may take."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from daosup.core.dnet_lines import Subscription
from daosup.core.transport import TRY_S, Via
from daosup.stream import direct_connecting
from daosup.stream.direct_connecting import DirectConnecting, RefusedError
from tests.waiting import wait_until

NAME = "rts.example"
PATIENCE_S = 30.0


class Names:
    """Instead of the resolver: of any name it knows ``addresses``, and tells them in this order, once it may."""

    def __init__(self) -> None:
        self.addresses = [(socket.AF_INET, "127.0.0.1")]
        self.may_tell = threading.Event()
        self.may_tell.set()

    def find(self, host: str, port: int, family: int = 0, type: int = 0) -> list[Any]:
        assert host == NAME
        assert self.may_tell.wait(PATIENCE_S)
        found = [(each, type, 0, "", (address, port)) for each, address in self.addresses if family in (0, each)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.find)
    yield made
    made.may_tell.set()
    wait_until(is_looked_up, what="the look-up to end")


def is_looked_up() -> bool:
    return not any(thread.name == "look-up" for thread in threading.enumerate())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time of whoever connects; it stands still unless it is told."""
    made = SimpleNamespace(now=0.0, monotonic=lambda: made.now, sleep=time.sleep)
    monkeypatch.setattr(direct_connecting, "time", made)
    return made


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(PATIENCE_S)
        yield made


def connecting_to(port: int) -> DirectConnecting:
    return DirectConnecting(NAME, port, Subscription("wfs", "lab", is_ours=True))


def refusal_of(connecting: DirectConnecting) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        wait_until(lambda: connecting.step(0.0))
    return caught.value


def test_of_a_host_in_networks_of_both_kinds_the_address_is_taken_where_owners_listen(
    server: socket.socket, names: Names
) -> None:
    names.addresses.insert(0, (socket.AF_INET6, "::1"))
    connecting = connecting_to(int(server.getsockname()[1]))
    wait_until(is_looked_up, what="the address")
    assert connecting.step(0.0) is None
    far, _ = server.accept()
    far.close()
    connecting.close()


def test_a_name_with_no_address_where_owners_listen_is_refused(names: Names) -> None:
    names.addresses = [(socket.AF_INET6, "::1")]
    refused = refusal_of(connecting_to(7559))
    assert (refused.via, str(refused)) == (Via.ZMQ_REFUSED, f"{NAME}:7559: it has no IPv4 address")


def test_the_time_to_answer_begins_when_the_address_is_known(
    server: socket.socket, names: Names, clock: SimpleNamespace
) -> None:
    names.may_tell.clear()
    connecting = connecting_to(int(server.getsockname()[1]))
    assert connecting.step(0.0) is None
    names.may_tell.set()
    wait_until(is_looked_up, what="the address")
    # A mirror that moves frames meanwhile comes to it as seldom as this.
    clock.now = 0.5
    assert connecting.step(0.0) is None
    far, _ = server.accept()
    with far:
        far.settimeout(PATIENCE_S)
        clock.now = 1.0
        assert connecting.step(0.0) is None
        assert far.recv(4096) == b"SUBSCRIBE wfs lab daosup=1\n"
        far.sendall(b"OK daosup=1\n")
        clock.now = 1.4
        wait_until(lambda: connecting.step(0.0), what="the connection").close()


def test_a_name_that_takes_too_long_is_given_up(names: Names, clock: SimpleNamespace) -> None:
    names.may_tell.clear()
    connecting = connecting_to(7559)
    assert connecting.step(0.0) is None
    clock.now = TRY_S
    refused = refusal_of(connecting)
    assert (refused.via, str(refused)) == (Via.ZMQ_SILENT, f"{NAME}:7559: its name is not found within 1 s")
