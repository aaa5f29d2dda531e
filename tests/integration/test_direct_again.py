"""A mirror that went to ZeroMQ, as its owner was away or of no use, and when it asks for a direct connection again."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from daosup.core.layout import make_geometry
from daosup.core.transport import RETRY_S
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.shm import Segment
from daosup.workers import following
from daosup.workers.any_mirror import AnyMirror
from daosup.workers.orders import MirrorOrder
from tests.integration.direct_owner import LOOPBACK, SOURCE, Owner
from tests.ports import free_port

GEOMETRY = make_geometry((8, 6), "uint16")


class Enough(Exception):
    pass


class Publisher:
    """An owner's direct port, at which each connection is described the source, and lasts as long as it is to.

    Attributes:
        came: How many connections there were.
    """

    def __init__(self, *, is_lasting: bool) -> None:
        self._is_lasting, self.came = is_lasting, 0
        self._connections = contextlib.ExitStack()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.enter_context(connection)
                self.came += 1
                connection.recv(1024)
                connection.sendall(b"OK daosup=1\n")
                Owner(connection, GEOMETRY).describe()
                if not self._is_lasting:
                    connection.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        """It is gone, with all connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._connections.close()

    def start(self) -> None:
        """It is there again."""
        self._listener = socket.create_server((LOOPBACK, self.port))
        self._begin()


@contextlib.contextmanager
def publishing(*, is_lasting: bool) -> Iterator[Publisher]:
    made = Publisher(is_lasting=is_lasting)
    try:
        yield made
    finally:
        made.stop()


def mirror_until_enough(folder: Path, publisher: Publisher, tell: Callable[..., None]) -> None:
    path = str(folder / "remote_rts_wfs.im.shm")
    order = MirrorOrder(
        WorkerKey(WorkerKind.MIRROR, Source.parse(SOURCE)), path, folder / "page", f"tcp://{LOOPBACK}:{free_port()}",
        0o600, "source", offered_port=publisher.port, host="lab",
    )  # fmt: skip
    try:
        with pytest.raises(Enough):
            AnyMirror(order, tell).run()
    finally:
        with Segment.open(path, writable=False) as left:
            left.unlink()


def test_an_owner_that_is_back_before_its_silence_is_noticed_is_soon_had_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LINK_TIMEOUT_S", 10 * RETRY_S)  # as if it was heard by ZeroMQ in time
    back_s: Optional[float] = None

    def tell(event: str, **facts: Any) -> None:
        nonlocal back_s
        if event == "link":
            publisher.stop()
        elif event == "transport" and facts["reason"]:
            publisher.start()
            back_s = time.monotonic()
        elif event == "transport" and back_s is not None:
            raise Enough

    with publishing(is_lasting=True) as publisher:
        mirror_until_enough(tmp_path, publisher, tell)
        assert back_s is not None
        assert time.monotonic() < back_s + RETRY_S


def test_an_owner_whose_connections_do_not_last_is_not_asked_the_sooner_for_being_there(tmp_path: Path) -> None:
    def tell(event: str, **facts: Any) -> None:
        if event == "link" and not facts["is_up"] and is_by_zmq.is_set():
            raise Enough
        if event == "transport" and facts["reason"]:
            is_by_zmq.set()

    is_by_zmq = threading.Event()
    with publishing(is_lasting=False) as publisher:
        mirror_until_enough(tmp_path, publisher, tell)
        assert publisher.came == 3
