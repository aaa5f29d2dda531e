"""The operator's side of the control socket: blocking, standard library only, quick to import.

Invariant: a reply goes to the call that asked for it. A call that gave up leaves its reply to be passed over by the
next one; whatever else breaks the line closes the connection, and the next call opens a new one.

daosupctl pays for every import here at each start, so locks and sockets come from the C modules below threading and
socket, which are several milliseconds of constants and conveniences above them.
"""

from __future__ import annotations

import json
import os
import time
from _socket import SHUT_RDWR
from _socket import timeout as TimeoutOfSocket  # TimeoutError itself only from Python 3.10 on
from _thread import allocate_lock

from daosup.adapters.control_find import connect, find_socket, unit_of
from daosup.adapters.control_protocol import MAX_REPLY_BYTES, MAX_REQUEST_BYTES, error_of
from daosup.errors import DaosupError, NoAnswerError, ProtocolError, UnavailableError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from _socket import socket
    from types import TracebackType

__all__ = ["ControlClient", "find_socket"]


class ControlClient:
    """Asks the daemon that serves the control socket at ``path``.

    Threads may share a client; their calls are done one after another. The connection is made by the first call and
    again when it was lost, so ``is_open`` tells whether the daemon still knows us as the same client.

    Args:
        path: The daemon's control socket.
        timeout_s: How long a call may take, seconds.
    """

    def __init__(self, path: str | os.PathLike[str], timeout_s: float = 5.0) -> None:
        self.path = os.fspath(path)
        self.timeout_s = timeout_s
        self._lock = allocate_lock()
        self._socket: socket | None = None
        self._received = bytearray()
        self._last_id = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that the last call found good."""
        return self._socket is not None

    def call(self, command: str, *, timeout_s: float | None = None, **arguments: object) -> object:
        """Ask the daemon to do ``command`` and return its result, decoded JSON.

        Raises:
            UnavailableError: If there is no daemon, or it went away.
            NoAnswerError: If it did not answer within ``timeout_s`` seconds.
            DeniedError: If the socket's permissions keep us out.
            DaosupError: Whatever error the daemon answers with, as its own class.
        """
        if timeout_s is None:
            timeout_s = self.timeout_s
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=max(0.0, timeout_s)):
            raise NoAnswerError(f"another thread's call still waits for daosupd at {self.path}")
        try:
            return self._exchange(command, arguments, deadline)
        except TimeoutOfSocket:
            raise NoAnswerError(
                f"daosupd at {self.path} did not answer {command!r} within {timeout_s:g} s; is it busy or stopped? "
                f"See: journalctl -u {unit_of(self.path)}"
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"daosupd at {self.path} went away ({error.strerror or error}); see: journalctl -u {unit_of(self.path)}"
            ) from error
        finally:
            self._lock.release()

    def open(self) -> None:
        """Connect now rather than at the first call.

        Raises:
            UnavailableError, NoAnswerError, DeniedError: As for ``call``.
        """
        with self._lock:
            self._connected(self.timeout_s)

    def wait_for_end(self, timeout_s: float | None) -> bool:
        """Wait until the daemon, or another thread by ``close``, ended the connection; False if nobody did in time."""
        connection = self._socket
        if connection is None:
            return True
        import select  # not for daosupctl, which never waits like this

        poll = select.poll()
        try:
            poll.register(connection, select.POLLRDHUP)
        except ValueError:  # just closed
            return True
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def close(self) -> None:
        """End the connection; the daemon drops what it held for this client."""
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(SHUT_RDWR)  # wakes who waits for its end
            except OSError:
                pass  # the daemon did so first
        with self._lock:
            self._disconnect()

    def __enter__(self) -> ControlClient:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _exchange(self, command: str, arguments: dict[str, object], deadline: float) -> object:
        self._last_id += 1
        request = {"id": self._last_id, "command": command, **arguments}
        line = json.dumps(request, allow_nan=False).encode() + b"\n"
        if len(line) > MAX_REQUEST_BYTES:
            raise UsageError(f"the request {command!r} has {len(line)} bytes; {MAX_REQUEST_BYTES} are allowed")
        connection = self._connected(_left(deadline))
        is_sent = False
        try:
            connection.settimeout(_left(deadline))
            connection.sendall(line)
            is_sent = True
            while True:
                reply = self._receive(connection, deadline)
                if reply.get("id") in (self._last_id, None):
                    return _result_of(reply)
        except (TimeoutOfSocket, DaosupError) as error:
            if not is_sent or isinstance(error, ProtocolError):
                self._disconnect()
            raise
        except BaseException:
            self._disconnect()
            raise

    def _receive(self, connection: socket, deadline: float) -> dict[str, object]:
        """The next reply; what arrived of an unfinished one is kept when time runs out."""
        searched = 0
        while True:
            end = self._received.find(b"\n", searched)
            if end >= 0:
                break
            searched = len(self._received)
            if searched > MAX_REPLY_BYTES:
                raise ProtocolError(f"daosupd at {self.path} sent a reply of more than {MAX_REPLY_BYTES} bytes")
            connection.settimeout(_left(deadline))
            chunk = connection.recv(1 << 16)
            if not chunk:
                raise ConnectionResetError("it closed the connection")
            self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"daosupd at {self.path} sent a reply that is not JSON: {error}") from error
        if not isinstance(reply, dict):
            raise ProtocolError(f"daosupd at {self.path} sent a reply that is not a JSON object")
        return reply

    def _connected(self, timeout_s: float) -> socket:
        if self._socket is None:
            self._socket = connect(self.path, timeout_s)
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._received.clear()


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutOfSocket
    return left_s


def _result_of(reply: dict[str, object]) -> object:
    """The result in ``reply``, or the error in it raised."""
    if reply.get("ok") is True:
        return reply.get("result")
    error = reply.get("error")
    if not isinstance(error, dict):
        raise ProtocolError("daosupd sent a reply with neither a result nor an error")
    raise error_of(str(error.get("kind")), str(error.get("message")))
